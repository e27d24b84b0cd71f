"""What one rank does in an attempt: build the engine, load, then step, log, evaluate and save, each when it is due."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orchestrator.checkpoints.retention import INSURANCE, SCIENCE
from orchestrator.config.load import read_config
from orchestrator.config.schema import Config
from orchestrator.errors import DataError, NumericsError
from orchestrator.evaluation.answers import Answers
from orchestrator.evaluation.heldout import Heldout, choose_heldout, measure
from orchestrator.evaluation.probe_sequences import Probe, probes_of
from orchestrator.evaluation.probing import measure_probes
from orchestrator.feed.loader import Batch, load_batches
from orchestrator.feed.slices import steps_per_block
from orchestrator.feed.sources import read_planned
from orchestrator.feed.worker import FeedWorker, workers_for
from orchestrator.mixture.exposure import Exposure, epochs
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.directory import RunDirectory
from orchestrator.scheduling.agreement import Agreement
from orchestrator.scheduling.numerics import Numerics
from orchestrator.scheduling.process_group import TorchRanks
from orchestrator.scheduling.saves import Progress, RunSaves
from orchestrator.scheduling.stopping import WISHES, Ending, Stopping
from orchestrator.scheduling.vitals import vitals
from orchestrator.shards.epoch import Layout, layout_of, read_epoch
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.reader import ShardReader
from orchestrator.tracking.metrics import MetricsFile
from orchestrator.tracking.recorder import LoggedInterval, Recorder
from orchestrator.training.engine import Engine
from orchestrator.training.flops import utilisation_of
from orchestrator.training.loop import Course, StepDone, train_steps
from orchestrator.training.losses import IntervalSums
from orchestrator.training.memory import peak_memory_bytes
from orchestrator.training.schedule import learning_rate


@dataclass(frozen=True, kw_only=True, slots=True)
class RankJob:
    """What a rank is given. All else it reads from the run directory.

    Attributes:
        run: the run directory.
        attempt: this attempt's number.
        workers: the data-mixing workers.
        until_step: where to stop, if not at the end of the plan.
    """

    run: Path
    attempt: int
    until_step: int | None
    workers: Sequence[FeedWorker]


def run_rank(job_values: dict[str, Any]) -> dict[str, Any]:
    """Train this rank's part of a run to its end. Every rank calls it.

    Args:
        job_values: the fields of a `RankJob`.

    Returns:
        The fields of an `Ending`.

    Raises:
        NumericsError: an update would do harm, and the attempt is to end for it.
    """
    job = RankJob(**job_values)
    run = RunDirectory(job.run)
    config = read_config(run.config)
    torch.set_num_threads(config.scheduling.threads_per_rank)
    beacon = vitals().beacon
    beacon.enter("load")
    try:
        attempt = _RankAttempt(job, run, config, read_plan(run.plan))
        try:
            return asdict(attempt.train())
        finally:
            beacon.enter("end")
            attempt.close()
    finally:
        beacon.close()


class _RankAttempt:
    """The parts that a rank's steps work with. All ranks call its methods together."""

    def __init__(self, job: RankJob, run: RunDirectory, config: Config, plan: Plan) -> None:
        self._job, self._run, self._config, self._plan = job, run, config, plan
        self._ranks = TorchRanks()
        self._layout = layout_of(config)
        self._manifests = read_planned(plan, Path(config.shards.dir), self._layout)
        self._engine = Engine(config.model, config.training, self._ranks.world_size)
        if config.feed.document_attention:
            self._engine.require_document_attention()
        self._numerics = Numerics(run, config.training.numerics, attempt=job.attempt, ranks=self._ranks)
        self._saves = RunSaves(run, config, plan, token=vitals().token, ranks=self._ranks)
        state = self._saves.resume(self._engine)
        self._numerics.open_guard(self._engine.device, state["guard"])
        self._from_step: int = state["step"]
        self._last = min(plan.steps, job.until_step or plan.steps)
        new = len(plan.sources) - len(state["tokens"])  # sources that an amendment has added since
        self._total_tokens: list[int] = (
            state["tokens"] + [0] * new
        )  # trained so far, by source: counted from the batches, not from the plan
        self._exposure = Exposure(plan)
        self._utilisation = utilisation_of(self._engine.module, config.training, self._engine.device)
        self._sums = IntervalSums(len(plan.sources), self._engine.device)
        self._interval: list[StepDone] = []  # steps since the last line
        self._heldout = list(_open_heldout(config, self._layout, self._manifests))
        self._probes = _open_probes(config, self._ranks)
        self._recorder = self._open_recorder() if self._ranks.rank == 0 else None
        self._beacon = vitals().beacon
        self._stopping = Stopping(Agreement(self._engine.device, WISHES), vitals())

    def train(self) -> Ending:
        if self._from_step == 0:
            self._record(0, None, evaluates=True)
        self._beacon.enter("first_step", step=self._from_step)
        ending = self._train_steps() or Ending("done" if self._last == self._plan.steps else "paused", self._last)
        self._stopping.settle()
        if ending.kind != "superseded":
            self._beacon.enter("save")
            self._saves.finish()
        return ending

    def _train_steps(self) -> Ending | None:
        """To the last step, or to where the ranks agree to stop before."""
        rate = partial(learning_rate, self._config.training, steps=self._plan.steps)
        course = Course(learning_rate=rate, skipped=self._numerics.skipped, guard=self._numerics.guard)
        for done in train_steps(self._engine, self._batches(), course, self._sums):
            if done.is_refused:
                self._numerics.refused(done.step, newest_checkpoint=self._newest_step)
            ending = self._end_step(done)
            if ending and done.step < self._last:
                return ending
            self._beacon.enter("step")
        return None

    def _newest_step(self) -> int:
        """Waits for a save, which may take longer than a step."""
        self._beacon.enter("save")
        newest = self._saves.newest_step()
        self._beacon.enter("step")
        return newest

    def _end_step(self, done: StepDone) -> Ending | None:
        """What is due after a step; the ending to make, if the ranks agree on one."""
        self._interval.append(done)
        self._beacon.enter("step", step=done.step)
        is_last = done.step == self._last
        ending = None if is_last else self._stopping.after_step(done.step, is_insurance_due=self._saves.wants_insurance())
        if ending and ending.kind == "superseded":
            return ending
        evaluates = self._is_due(done.step, self._config.evaluation.every_steps)
        is_science = self._is_due(done.step, self._config.checkpoints.every_steps)
        saves = is_science or ending is not None or bool(self._stopping.agreed.get("insurance"))
        if evaluates or saves or self._is_due(done.step, self._config.training.log_every_steps):
            self._record(done.step, self._end_interval(), evaluates=evaluates)
        if saves:
            self._save(done, SCIENCE if is_science else INSURANCE)
            ending = ending or self._stopping.after_save(done.step)
        return ending

    def _open_recorder(self) -> Recorder:
        metrics, heldout = (MetricsFile(path, self._from_step) for path in (self._run.metrics, self._run.heldout))
        probes = MetricsFile(self._run.probes, self._from_step) if self._probes else None
        documents = {part.source: part.main_documents for part in self._heldout}
        return Recorder([source.name for source in self._plan.sources], metrics, heldout, documents=documents, probes=probes)

    def close(self) -> None:
        if self._recorder:
            self._recorder.close()

    def _is_due(self, step: int, every_steps: int) -> bool:
        return step % every_steps == 0 or step == self._last

    def _batches(self) -> Iterator[Batch]:
        each = self._plan.sequences_per_step // self._ranks.world_size
        token_bytes = max(np.dtype(manifest.dtype).itemsize for manifest in self._manifests)
        mark_bytes = 1 + 4 * self._config.feed.document_attention if self._has_marks else 0  # trained, and documents
        sequence_bytes = (self._plan.sequence_length + 1) * (token_bytes + mark_bytes)
        return load_batches(
            workers_for(self._job.workers, self._beacon.node),
            range(self._from_step, self._last),
            steps_per_block=steps_per_block(self._config.feed.block_bytes, sequence_bytes=sequence_bytes, sequences_per_rank=each),
            prefetch_blocks=self._config.feed.prefetch_blocks,
            rank_of=(self._ranks.rank, self._ranks.world_size),
        )

    @property
    def _has_marks(self) -> bool:
        untrained = any(manifest.untrained_tokens("train") for manifest in self._manifests)
        return untrained or self._config.shards.packing == "best_fit" or self._config.feed.document_attention

    def _end_interval(self) -> LoggedInterval:
        steps, sums = self._interval, self._sums.collect(peak_memory_bytes(self._engine.device))
        self._interval = []
        seconds = sum(step.seconds for step in steps)
        made = sum(step.step not in self._numerics.skipped for step in steps)
        tokens_per_rank = made * self._plan.sequences_per_step * self._plan.sequence_length // self._ranks.world_size
        self._total_tokens = [before + now for before, now in zip(self._total_tokens, sums.tokens, strict=True)]
        return LoggedInterval(
            step=steps[-1].step,
            steps=len(steps),
            total_tokens=self._total_tokens,
            epochs=[epochs(count, source) for count, source in zip(self._total_tokens, self._plan.sources, strict=True)],
            updates=self._exposure.up_to(steps[-1].step, self._numerics.skipped),
            losses=sums.losses,
            tokens=sums.tokens,
            learning_rate=steps[-1].learning_rate,
            gradient_norm=self._engine.gradient_norm(),
            data_checksum=sums.data_checksum,
            step_seconds=seconds / len(steps),
            wait_seconds=sums.wait_seconds / len(steps),
            memory_bytes=sums.memory_bytes,
            tflops_per_rank=self._utilisation.tflops(tokens_per_rank, seconds),
            peak_tflops_per_rank=self._utilisation.peak_tflops,
        )

    def _record(self, step: int, interval: LoggedInterval | None, *, evaluates: bool) -> None:
        losses, answers = self._evaluate() if evaluates else ({}, {})
        if self._recorder:
            self._recorder.write(step, interval, losses, answers)

    def _evaluate(self) -> tuple[dict[str, list[float]], dict[str, Answers]]:
        """The held-out losses by source, and the answers by probe."""
        self._beacon.enter("evaluate")
        ranks, micro_batch = self._ranks, self._config.training.micro_batch
        losses = measure(self._engine, self._heldout, micro_batch=micro_batch, rank=ranks.rank, world_size=ranks.world_size)
        answers = measure_probes(self._engine, self._probes, micro_batch=micro_batch, rank=ranks.rank, world_size=ranks.world_size)
        for what, values in (("held-out loss", losses.values()), ("likelihood of a choice", (each.margins for each in answers.values()))):
            if not all(np.isfinite(of_one).all() for of_one in values):
                raise NumericsError(
                    f"the {what} is not finite: the weights are lost. Resume from the checkpoint before, at a lower learning rate."
                )
        return losses, answers

    def _save(self, done: StepDone, kind: str) -> None:
        self._beacon.enter("save")
        progress = Progress(step=done.step, tokens=self._total_tokens, learning_rate=done.learning_rate, guard=self._numerics.history)
        self._saves.begin(progress, self._engine, kind)


def _open_heldout(config: Config, layout: Layout, manifests: Sequence[Manifest]) -> Iterator[Heldout]:
    """The held-out sequences of the sources that have any."""
    for manifest in manifests:
        directory = Path(config.shards.dir) / manifest.name
        if num := read_epoch(directory, manifest, "heldout", layout).sequences:
            yield choose_heldout(
                manifest.name,
                ShardReader(directory, manifest, "heldout", layout.packing),
                unique_sequences=num,
                max_sequences=config.evaluation.max_sequences,
                sequence_length=layout.sequence_length,
                document_attention=layout.document_attention,
            )


def _open_probes(config: Config, ranks: TorchRanks) -> list[Probe]:
    """The probes, the same on all ranks: with others each would make its own number of forward passes, and wait for ever."""
    probes = probes_of(config)
    for name, *of_ranks in zip(config.evaluation.probes, *ranks.gather([probe.items for probe in probes]), strict=True):
        if len(set(of_ranks)) > 1:
            raise DataError(
                f"the files of evaluation.probes.{name} are not the same on all nodes. Put them where every node sees the same ones."
            )
    return probes
