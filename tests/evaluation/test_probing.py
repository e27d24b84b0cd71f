"""Probes put to models: the likelihoods are those of transformers alone, whoever measures them, and learning shows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.evaluation.answers import judge_answers
from orchestrator.evaluation.probe_sequences import Probe
from orchestrator.evaluation.probing import measure_probes
from orchestrator.shards.vocabulary import load_vocabulary
from tests.evaluation import ranks
from tests.evaluation.asking import ITEMS, PlainModel, by_transformers, tiny_probe, tiny_vocabulary
from tests.support.rank_processes import on_ranks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probing")
    tiny_vocabulary(folder / "model")
    return folder


def probes_of(folder: Path) -> list[Probe]:
    vocabulary = load_vocabulary(str(folder / "model"), None)
    return [tiny_probe(vocabulary), tiny_probe(vocabulary, "few", ITEMS[1:2])]


def expected(folder: Path) -> list[list[float]]:
    probes = probes_of(folder)
    return [judge_answers(probe, np.array(by_transformers(folder / "model", probe))).margins.tolist() for probe in probes]


@pytest.mark.parametrize("micro_batch", [1, 3, 20])
def test_padding_and_batches_change_nothing(folder: Path, micro_batch: int) -> None:
    answers = measure_probes(PlainModel(folder / "model"), probes_of(folder), micro_batch=micro_batch, rank=0, world_size=1)
    assert list(answers) == ["keeper", "few"]
    for found, margins in zip(answers.values(), expected(folder), strict=True):
        assert found.margins.tolist() == pytest.approx(margins, abs=1e-5)


@pytest.mark.parametrize("world_size", [1, 2])
def test_under_zero_with_any_number_of_ranks_margins_are_those_of_transformers_alone(folder: Path, world_size: int) -> None:
    for found in on_ranks(ranks.margins_of_stages, str(folder), world_size=world_size):
        for stage in ("0", "3"):
            for margins, plain in zip(found[stage], expected(folder), strict=True):
                assert margins == pytest.approx(plain, abs=1e-5)


class Reader:
    """A model whose loss of a sequence is the mean of its scored tokens' ids, and that remembers the shapes that it was given."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.given: list[tuple[int, ...]] = []

    def heldout_losses(self, sequences: torch.Tensor, *, positions: torch.Tensor | None, trained: torch.Tensor | None) -> torch.Tensor:
        assert positions is None and trained is not None
        self.given.append(tuple(sequences.shape))
        return (sequences[:, 1:] * trained).sum(dim=1) / trained.sum(dim=1).double()


def made_up(sizes: list[int]) -> list[Probe]:
    """Probes of items with two choices each, no two choices alike; a choice is the last of its sequence's tokens, up to three."""
    pick, probes = np.random.default_rng(0), []
    for number, size in enumerate(sizes):
        scored = pick.integers(1, 4, 2 * size)
        sequences = [pick.integers(1, 1000, num + pick.integers(1, 6)).astype(np.uint32) for num in scored.tolist()]
        counts, answers = np.full(size, 2), pick.integers(0, 2, size)
        probe = Probe(name=f"p{number}", items="", num_choices=counts, answers=answers, sequences=sequences, num_scored=scored, num_cut=0)
        probes.append(probe)
    return probes


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3), world_size=st.integers(1, 4), micro_batch=st.integers(1, 4))
def test_every_rank_makes_the_same_passes_of_one_shape_and_every_choice_is_measured_at_its_place(
    sizes: list[int], world_size: int, micro_batch: int
) -> None:
    probes, models = made_up(sizes), [Reader() for _ in range(world_size)]
    tables = np.zeros((world_size, sum(sizes)))
    for rank, model in enumerate(models):
        answers = measure_probes(model, probes, micro_batch=micro_batch, rank=rank, world_size=world_size)
        tables[rank] = np.concatenate([found.margins for found in answers.values()])
    likelihoods = [
        [-float(each[len(each) - num :].mean()) for each, num in zip(probe.sequences, probe.num_scored.tolist(), strict=True)]
        for probe in probes
    ]
    whole = np.concatenate([judge_answers(probe, np.array(of_one)).margins for probe, of_one in zip(probes, likelihoods, strict=True)])
    if world_size == 1:
        assert tables[0].tolist() == pytest.approx(whole.tolist())
    assert tables.sum(axis=0).tolist() == pytest.approx(whole.tolist())  # of two choices the margin is a difference, so ranks' parts add up
    ((shape, *others),) = {tuple(model.given) for model in models}
    assert set(others) <= {shape}
    assert shape == (micro_batch, max(probe.longest for probe in probes))


def test_no_probes_ask_the_model_nothing() -> None:
    model = Reader()
    assert measure_probes(model, [], micro_batch=1, rank=0, world_size=1) == {}
    assert model.given == []


def test_a_model_that_is_trained_to_prefer_the_right_choices_answers_rightly_and_by_a_wider_margin(folder: Path) -> None:
    model, (probe, _) = PlainModel(folder / "model"), probes_of(folder)
    starts = np.cumsum(probe.num_choices) - probe.num_choices
    right = [torch.tensor(probe.sequences[index].tolist())[None] for index in (starts + probe.answers).tolist()]
    before = measure_probes(model, [probe], micro_batch=4, rank=0, world_size=1)["keeper"]
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=0.01)
    for _ in range(30):
        for tokens in right:
            model.module(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = measure_probes(model, [probe], micro_batch=4, rank=0, world_size=1)["keeper"]
    assert before.correct.mean() < 1
    assert after.correct.tolist() == [True] * len(ITEMS)
    assert after.margins.min() > before.margins.max()
