"""What rank 0 writes down, in the run's own files. What mirrors them to W&B is another process."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.evaluation.answers import Answers
from orchestrator.evaluation.standard_error import standard_error
from orchestrator.tracking.metrics import MetricsFile


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedInterval:
    """The steps since the last line, over all ranks.

    Attributes:
        step: the last of them, counted from 1.
        steps: how many they are.
        total_tokens: trained tokens of each source since the run began.
        epochs: passes over each source since then.
        updates: that have seen each source since then.
        losses: sum of the interval's token losses of each source, in nats.
        tokens: the interval's trained tokens of each source.
        learning_rate: of the last step.
        gradient_norm: of the last step, before clipping.
        data_checksum: of the interval's sequences.
        step_seconds, wait_seconds: means over the steps: the whole step, and its wait for data.
        memory_bytes: the most that a rank has needed.
        tflops_per_rank: what the model needed for the steps' tokens, by a rank and second; none: it is not known.
        peak_tflops_per_rank: what the device could do; none: it is not known.
    """

    step: int
    steps: int
    total_tokens: Sequence[int]
    epochs: Sequence[float]
    updates: Sequence[int]
    losses: Sequence[float]
    tokens: Sequence[int]
    learning_rate: float
    gradient_norm: float
    data_checksum: int
    step_seconds: float
    wait_seconds: float
    memory_bytes: int
    tflops_per_rank: float | None
    peak_tflops_per_rank: float | None

    def record(self, names: Sequence[str]) -> dict[str, Any]:
        """The line of metrics.jsonl. What the interval did not train has no loss in it."""
        by_source = {f"loss/{name}": loss / tokens for name, loss, tokens in zip(names, self.losses, self.tokens, strict=True) if tokens}
        return {
            "step": self.step,
            "tokens": sum(self.total_tokens),
            **({"loss": sum(self.losses) / sum(self.tokens)} if any(self.tokens) else {}),
            **by_source,
            **{f"tokens/{name}": count for name, count in zip(names, self.total_tokens, strict=True)},
            **{f"epochs/{name}": passes for name, passes in zip(names, self.epochs, strict=True)},
            **{f"updates/{name}": count for name, count in zip(names, self.updates, strict=True)},
            "lr": self.learning_rate,
            "grad_norm": self.gradient_norm,
            "data_checksum": self.data_checksum,
            "step_seconds": self.step_seconds,
            "data_wait_seconds": self.wait_seconds,
            "tokens_per_second": sum(self.tokens) / (self.step_seconds * self.steps),
            "memory_bytes": self.memory_bytes,
            **self._utilisation(),
        }

    def _utilisation(self) -> dict[str, float]:
        """Model FLOP utilisation, beside the peak that it is a share of."""
        found = {"tflops_per_rank": self.tflops_per_rank, "peak_tflops_per_rank": self.peak_tflops_per_rank}
        known = {key: value for key, value in found.items() if value is not None}
        return known | ({"mfu": known["tflops_per_rank"] / known["peak_tflops_per_rank"]} if len(known) == len(found) else {})


class Recorder:
    """The files of one attempt."""

    def __init__(
        self,
        names: Sequence[str],
        metrics: MetricsFile,
        heldout: MetricsFile,
        *,
        documents: Mapping[str, NDArray[np.int64]],
        probes: MetricsFile | None = None,
    ) -> None:
        """
        Args:
            names: of the sources, in the plan's order.
            metrics: metrics.jsonl.
            heldout: heldout.jsonl.
            documents: of each source that is measured, (n,) the number of the document that each held-out sequence is of.
            probes: probes.jsonl; none: there are no probes.
        """
        self._names, self._metrics, self._heldout, self._documents = names, metrics, heldout, documents
        self._probes = probes

    def write(
        self,
        step: int,
        interval: LoggedInterval | None,
        heldout: Mapping[str, Sequence[float]],
        probes: Mapping[str, Answers] = MappingProxyType({}),
    ) -> None:
        """Write one step's line.

        Args:
            step: updates made so far.
            interval: what was trained since the last line; none before the first step.
            heldout: losses of each source's held-out sequences, where they were measured.
            probes: the answers to each probe, where it was asked.
        """
        record: dict[str, Any] = interval.record(self._names) if interval else {"step": step, "tokens": 0}
        record |= {f"heldout/{name}": statistics.fmean(losses) for name, losses in heldout.items() if losses}
        for name, losses in heldout.items():
            documents = self._documents[name]
            self._heldout.write({"step": step, "source": name, "losses": losses, "documents": documents.tolist()})
            if (error := standard_error(np.array(losses), documents)) is not None:
                record[f"heldout_se/{name}"] = error
        for name, answers in probes.items():
            record |= self._write_answers(step, name, answers)
        self._metrics.write(record)

    def _write_answers(self, step: int, name: str, answers: Answers) -> dict[str, float]:
        """Write a line of probes.jsonl; what metrics.jsonl has of it."""
        assert self._probes
        correct = answers.correct.astype(np.int64)
        values = {"correct": correct.tolist(), "margins": answers.margins.tolist(), "items": answers.items, "num_cut": answers.num_cut}
        self._probes.write({"step": step, "probe": name, **values})
        error = standard_error(correct.astype(np.float64))
        return {
            f"probe/{name}": float(correct.mean()),
            **({} if error is None else {f"probe_se/{name}": error}),
            f"probe_margin/{name}": float(answers.margins.mean()),
        }

    def close(self) -> None:
        for file in (self._metrics, self._heldout, self._probes):
            if file:
                file.close()
