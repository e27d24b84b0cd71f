"""Held-out loss: always the same sequences, each measured once, whoever measures it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.evaluation.heldout import Heldout, choose_heldout, measure
from orchestrator.shards.epoch import layout_of, read_epoch
from orchestrator.shards.gathering import gather
from orchestrator.shards.manifest import read_manifest
from orchestrator.shards.reader import ShardReader
from tests.shards.written import Written, write_source
from tests.support.prepared import write_prepared

LENGTH = 32


class Recorder:
    """A model whose loss of a sequence is its first token, and that remembers how many it was given."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.given: list[int] = []

    def heldout_losses(
        self, sequences: torch.Tensor, *, positions: torch.Tensor | None = None, trained: torch.Tensor | None = None
    ) -> torch.Tensor:
        self.given.append(len(sequences))
        self.positions = positions
        self.trained = trained
        return sequences[:, 0].double()


def sources(sizes: list[int]) -> list[Heldout]:
    """Sources of the given numbers of sequences, no two sequences alike."""
    numbers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return [Heldout(f"s{i}", np.repeat(part[:, None], 3, axis=1), part) for i, part in enumerate(numbers)]


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any), world_size=st.integers(1, 5), micro_batch=st.integers(1, 4))
def test_over_all_ranks_every_sequence_is_counted_once_and_at_its_place(sizes: list[int], world_size: int, micro_batch: int) -> None:
    heldout = sources(sizes)
    parts = [measure(Recorder(), heldout, micro_batch=micro_batch, rank=rank, world_size=world_size) for rank in range(world_size)]
    for source in heldout:
        reduced = np.sum([part[source.source] for part in parts], axis=0)  # what the all-reduce does
        assert reduced.tolist() == source.sequences[:, 0].tolist()


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any), world_size=st.integers(1, 5), micro_batch=st.integers(1, 4))
def test_every_rank_makes_the_same_full_forward_passes(sizes: list[int], world_size: int, micro_batch: int) -> None:
    models = [Recorder() for _ in range(world_size)]
    for rank, model in enumerate(models):
        measure(model, sources(sizes), micro_batch=micro_batch, rank=rank, world_size=world_size)
    (given_each,) = {tuple(model.given) for model in models}
    assert sum(given_each) % micro_batch == 0
    assert 0 <= sum(given_each) * world_size - sum(sizes) < micro_batch * world_size


def test_nothing_held_out_asks_the_model_nothing() -> None:
    model = Recorder()
    assert measure(model, sources([0]), micro_batch=1, rank=0, world_size=1) == {}
    assert measure(model, [], micro_batch=1, rank=0, world_size=1) == {}
    assert model.given == []


def test_the_sequences_are_spread_over_the_whole_split_and_always_the_same(tmp_path: Path) -> None:
    config = write_prepared(tmp_path)
    directory = Path(config.shards.dir) / "docs"
    manifest = read_manifest(directory, "docs")
    unique = manifest.unique_sequences("heldout", LENGTH)
    reader = ShardReader(directory, manifest, "heldout")
    whole = gather(reader, np.arange(unique), LENGTH)

    def chosen(most: int) -> np.ndarray:
        return choose_heldout("docs", reader, unique_sequences=unique, max_sequences=most, sequence_length=LENGTH).sequences

    assert unique > 10
    assert np.array_equal(chosen(unique + 5), whole)
    places = [int(np.flatnonzero((whole == sequence).all(axis=1))[0]) for sequence in chosen(4)]
    assert places == [0, unique // 4, unique // 2, 3 * unique // 4]
    assert np.array_equal(chosen(4), chosen(4))


def test_positions_and_masks_go_to_the_model_with_their_sequences() -> None:
    plain, masked = sources([2, 1])
    documents, trained = np.array([[0, 0, 1]], dtype=np.int32), np.array([[True, False]])
    model = Recorder()
    both = [replace(plain, documents=np.zeros((2, 3), dtype=np.int32)), replace(masked, documents=documents, trained=trained)]
    measure(model, both, micro_batch=3, rank=0, world_size=1)
    assert model.positions is not None and model.trained is not None
    assert model.positions.tolist() == [[0, 1], [0, 1], [0, 1]]
    assert model.trained.tolist() == [[True, True], [True, True], [True, False]]
    measure(model, [plain], micro_batch=3, rank=0, world_size=1)
    assert [model.positions, model.trained] == [None, None]


def masked_reader(folder: Path) -> ShardReader:
    """Four sequences of four labels; the second has none that carries loss, the third one."""
    manifest = write_source(folder, [Written([[1] * 9, [2] * 8], set(range(5, 12)))])
    return ShardReader(folder, manifest, "train")


def test_a_sequence_in_which_no_label_carries_loss_is_not_measured(tmp_path: Path) -> None:
    heldout = choose_heldout(
        "code", masked_reader(tmp_path), unique_sequences=4, max_sequences=9, sequence_length=4, document_attention=True
    )
    assert heldout.trained is not None and heldout.documents is not None
    assert heldout.trained.tolist() == [[True] * 4, [False, False, False, True], [True] * 4]
    assert heldout.documents.tolist() == [[0] * 5, [0, 1, 1, 1, 1], [0] * 5]
    assert len(heldout.sequences) == 3
    assert heldout.main_documents.tolist() == [0, 1, 1]


@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_sequences_say_which_document_of_the_split_they_are_of_and_say_the_same_however_many_are_chosen(
    tmp_path: Path, packing: str
) -> None:
    config = write_prepared(tmp_path, **{"shards.packing": packing, "shards.shard_bytes": 1000})
    directory = Path(config.shards.dir) / "spec"
    manifest, layout = read_manifest(directory, "spec"), layout_of(config)
    unique = read_epoch(directory, manifest, "heldout", layout).sequences
    reader = ShardReader(directory, manifest, "heldout", layout.packing)

    def chosen(most: int) -> Heldout:
        return choose_heldout("spec", reader, unique_sequences=unique, max_sequences=most, sequence_length=LENGTH)

    every, some = chosen(unique), chosen(7)
    assert len(manifest.heldout) > 1
    assert set(every.main_documents.tolist()) <= set(range(manifest.documents("heldout")))
    assert len(set(every.main_documents.tolist())) > manifest.documents("heldout") / 2
    numbers = dict(zip(map(bytes, every.sequences), every.main_documents.tolist(), strict=True))
    assert [numbers[bytes(sequence)] for sequence in some.sequences] == some.main_documents.tolist()


def test_held_out_sequences_without_any_loss_are_an_error(tmp_path: Path) -> None:
    manifest = write_source(tmp_path, [Written([[1] * 9], set(range(9)))])
    with pytest.raises(DataError, match="'code': no label carries loss in any of the 2 held-out sequences"):
        choose_heldout("code", ShardReader(tmp_path, manifest, "train"), unique_sequences=2, max_sequences=9, sequence_length=4)
