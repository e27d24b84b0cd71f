"""Probes for tests: their files, a plain model to put them to, and what transformers alone says of a choice."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from orchestrator.evaluation.probe_items import ProbeItem
from orchestrator.evaluation.probe_sequences import Probe, make_probe
from orchestrator.shards.vocabulary import Vocabulary, load_vocabulary
from orchestrator.training.losses import sequence_means, token_losses
from tests.support.tiny import write_model, write_weights

LENGTH = 32
LINES: Sequence[dict[str, Any]] = (
    {"prompt": "the keeper asks", "choices": [" twice", " never", " the lock opens slowly"], "answer": 0},
    {"prompt": "the ledger says", "choices": [" so", " but always"], "answer": 1, "id": "ledger"},
    {"prompt": "a hand", "choices": [" opens", " waits", " writes", " counts"], "answer": 2},
    {"prompt": "the river " * 30, "choices": ["seam", "door"], "answer": 1, "id": 7},
)
ITEMS = [ProbeItem(line["prompt"], tuple(line["choices"]), line["answer"], f"items:{n}") for n, line in enumerate(LINES, 1)]


def write_lines(path: Path, lines: Sequence[Any] = LINES) -> Path:
    """A JSONL file; what is a text already is written as it is."""
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), encoding="utf-8")
    return path


def tiny_vocabulary(folder: Path) -> Vocabulary:
    """The tokenizer of the tiny model, which is made with its weights."""
    write_weights(write_model(folder))
    return load_vocabulary(str(folder), None)


def tiny_probe(vocabulary: Vocabulary, name: str = "keeper", items: Sequence[ProbeItem] = ITEMS) -> Probe:
    """A probe of eleven choices, one of whose items is longer than a sequence."""
    return make_probe(name, items, vocabulary, LENGTH)


class PlainModel:
    """A model of transformers without an engine around it."""

    device = torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        self.module = AutoModelForCausalLM.from_pretrained(folder).float()

    def heldout_losses(self, sequences: torch.Tensor, *, positions: torch.Tensor | None, trained: torch.Tensor | None) -> torch.Tensor:
        with torch.no_grad():
            logits = self.module(input_ids=sequences[:, :-1], position_ids=positions, use_cache=False).logits
        return sequence_means(token_losses(logits, sequences[:, 1:]), trained)


def by_transformers(folder: Path, probe: Probe) -> list[float]:
    """The mean log-likelihood of each choice's tokens: each sequence alone, without padding, by log-softmax."""
    module, found = PlainModel(folder).module, []
    for sequence, num in zip(probe.sequences, probe.num_scored.tolist(), strict=True):
        tokens = torch.tensor(sequence.tolist())
        with torch.no_grad():
            likelihoods = torch.log_softmax(module(input_ids=tokens[None]).logits[0].double(), dim=-1)
        of_tokens = likelihoods[:-1].gather(1, tokens[1:, None])[:, 0]
        found.append(float(of_tokens[-num:].mean()))
    return found
