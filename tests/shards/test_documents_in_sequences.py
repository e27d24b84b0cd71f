"""Which document a token of a sequence belongs to, and which labels carry loss: in both packings as the definition has it."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ShardError
from orchestrator.shards.epoch import Layout, read_epoch, trained_tokens_of
from orchestrator.shards.gathering import gather
from orchestrator.shards.manifest import Manifest
from orchestrator.shards.packed import finish_packing, pack_shard, plan_packing
from orchestrator.shards.packing import PackingMethod, pack
from orchestrator.shards.reader import ShardReader
from tests.shards.written import Written, write_source

SEPARATOR = 9
LENGTHS = st.integers(1, 8)


@st.composite
def written_shards(draw: st.DrawFn) -> list[Written]:
    """Shards of a few short documents; tokens are numbered through, so that each is known by itself."""
    shards, next_token = [], 100
    for sizes in draw(st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=5), min_size=1, max_size=4)):
        documents = []
        for size in sizes:
            documents.append(list(range(next_token, next_token + size)))
            next_token += size
        shards.append(Written(documents, draw(st.sets(st.integers(0, sum(sizes) - 1)))))
    return shards


@dataclass(frozen=True)
class Token:
    """What is known of a token; none of this of one that fills a sequence up."""

    value: int
    document: int
    is_trained: bool


FILLING = Token(SEPARATOR, -1, False)


def known(shards: list[Written]) -> list[list[Token]]:
    """The tokens of each shard."""
    found, document = [], 0
    for shard in shards:
        tokens: list[Token] = []
        for values in shard.documents:
            tokens += [Token(value, document, len(tokens) + at not in shard.untrained) for at, value in enumerate(values)]
            document += 1
        found.append(tokens)
    return found


def concatenated(shards: list[Written], length: int) -> list[list[Token]]:
    stream = [token for shard in known(shards) for token in shard]
    return [stream[at : at + length + 1] for at in range(0, len(stream) - length, length)]


def best_fit(shards: list[Written], length: int) -> list[list[Token]]:
    rows = []
    for tokens, shard in zip(known(shards), shards, strict=True):
        packing = pack(np.array([len(document) for document in shard.documents]), length + 1)
        for sequence in range(packing.num_sequences):
            row: list[Token] = []
            for piece in range(packing.first_pieces[sequence], packing.first_pieces[sequence + 1]):
                row += tokens[packing.starts[piece] :][: packing.lengths[piece]]
            rows.append(row + [FILLING] * (length + 1 - len(row)))
    return rows


def write(folder: Path, shards: list[Written], packing: PackingMethod, length: int) -> Manifest:
    manifest = write_source(folder, shards, separator_id=SEPARATOR)
    if packing == "best_fit":
        (folder / f"best_fit_{length}.json").unlink(missing_ok=True)  # these shards have no hashes that tell them apart
        tasks = plan_packing(folder, manifest, length)
        finish_packing(manifest, tasks, [pack_shard(task) for task in tasks])
    return manifest


def expected(shards: list[Written], packing: PackingMethod, length: int) -> list[list[Token]]:
    return (concatenated if packing == "concatenate" else best_fit)(shards, length)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
@settings(deadline=None, max_examples=150)
@given(shards=written_shards(), length=LENGTHS, data=st.data())
def test_tokens_documents_and_labels_are_those_of_the_definition(
    folder: Path, packing: PackingMethod, shards: list[Written], length: int, data: st.DataObject
) -> None:
    rows = expected(shards, packing, length)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12) if rows else st.just([]))
    positions = np.array(chosen, dtype=np.int64)
    reader = ShardReader(folder, write(folder, shards, packing, length), "train", packing)
    assert gather(reader, positions, length).tolist() == [[token.value for token in rows[at]] for at in chosen]
    assert reader.trained(positions, length).tolist() == [[token.is_trained for token in rows[at][1:]] for at in chosen]
    documents = reader.documents(positions, length)
    assert documents.dtype == np.int32
    for row, at in zip(documents.tolist(), chosen, strict=True):
        order = list(dict.fromkeys(token.document for token in rows[at]))
        assert row == [order.index(token.document) for token in rows[at]]
    counts = [Counter(token.document for token in rows[at] if token is not FILLING) for at in chosen]
    most = [min(document for document in count if count[document] == max(count.values())) for count in counts]
    assert reader.main_documents(positions, length).tolist() == most


def carries_loss(row: list[Token], document_attention: bool) -> int:
    """How many labels of a sequence do."""
    pairs = pairwise(row)
    return sum(token.is_trained and not (document_attention and token.document != before.document) for before, token in pairs)


@pytest.mark.parametrize("document_attention", [False, True])
@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
@settings(deadline=None, max_examples=150)
@given(shards=written_shards(), length=LENGTHS, data=st.data())
def test_an_epoch_has_just_the_sequences_and_trained_tokens_that_planning_counts_and_so_has_a_part_of_it(
    folder: Path, packing: PackingMethod, document_attention: bool, shards: list[Written], length: int, data: st.DataObject
) -> None:
    trained = [carries_loss(row, document_attention) for row in expected(shards, packing, length)]
    layout = Layout(packing=packing, sequence_length=length, document_attention=document_attention)
    manifest = write(folder, shards, packing, length)
    epoch = read_epoch(folder, manifest, "train", layout)
    assert (epoch.sequences, epoch.trained_tokens) == (len(trained), sum(trained))
    chosen = data.draw(st.lists(st.integers(0, len(trained) - 1), max_size=12) if trained else st.just([]))
    positions = np.array(chosen, dtype=np.int64)
    assert trained_tokens_of(folder, manifest, "train", layout, positions) == sum(trained[at] for at in chosen)


SHARDS = [Written([[1, 2, 3], [4, 5]], {0}), Written([[6] * 9])]


def test_more_sequences_than_are_looked_at_at_once_are_counted_together(tmp_path: Path) -> None:
    layout = Layout(packing="best_fit", sequence_length=4, document_attention=True)
    manifest = write(tmp_path, SHARDS, "best_fit", 4)
    epoch = read_epoch(tmp_path, manifest, "train", layout)
    many = np.tile(np.arange(epoch.sequences), 150_000)
    assert trained_tokens_of(tmp_path, manifest, "train", layout, many) == 150_000 * epoch.trained_tokens


def test_a_source_that_is_not_packed_for_a_length_is_told_so(tmp_path: Path) -> None:
    manifest = write(tmp_path, SHARDS, "best_fit", 4)
    assert [len(plan_packing(tmp_path, manifest, length)) for length in (4, 5)] == [0, 2]
    with pytest.raises(ShardError, match=r"'code' is not packed for training\.sequence_length=5.*midtrain prepare.*nothing is tokenised"):
        gather(ShardReader(tmp_path, manifest, "train", "best_fit"), np.array([0]), 5)


def test_a_packing_of_other_shards_is_refused(tmp_path: Path) -> None:
    write(tmp_path, SHARDS, "best_fit", 4)
    other = write_source(tmp_path, SHARDS[:1])
    with pytest.raises(ShardError, match=r"best_fit_4\.json was made of other shards"):
        read_epoch(tmp_path, other, "train", Layout(packing="best_fit", sequence_length=4, document_attention=False))
    assert len(plan_packing(tmp_path, other, 4)) == 1


@pytest.mark.parametrize("name", ["train_00000.starts.bin", "train_00000.untrained.bin", "train_00000.best_fit_4.bin"])
@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_damaged_file_beside_a_shard_is_refused_by_name_when_it_is_first_touched(tmp_path: Path, name: str, damage: str) -> None:
    packing: PackingMethod = "best_fit" if "best_fit" in name else "concatenate"
    manifest = write(tmp_path, SHARDS, packing, 4)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    if damage == "short":
        (tmp_path / name).write_bytes(content[:-8])
    reader = ShardReader(tmp_path, manifest, "train", packing)
    with pytest.raises(ShardError, match=rf"{name.replace('.', '[.]')}.*repare"):
        reader.documents(np.array([0]), 4)
        reader.trained(np.array([0]), 4)


def test_a_packing_that_is_replaced_is_not_taken_for_complete_when_its_shards_come_back(tmp_path: Path) -> None:
    one = write(tmp_path, SHARDS, "best_fit", 4)
    assert plan_packing(tmp_path, one, 4) == []
    other = replace(one, tokenizer="another")
    (task, *_) = plan_packing(tmp_path, other, 4)
    pack_shard(task)  # and no more: killed
    assert len(plan_packing(tmp_path, one, 4)) == len(SHARDS)


def test_a_marker_speaks_of_its_own_shard_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = write_source(tmp_path, SHARDS, separator_id=SEPARATOR)
    one, other = plan_packing(tmp_path, manifest, 4)
    packed = pack_shard(one)
    assert (one.completed(), other.completed()) == (packed, None)
    changed = replace(one, shard=replace(one.shard, marks_xxhash="another"))
    assert changed.completed() is None
    monkeypatch.setattr("orchestrator.shards.packed.write_whole", lambda path, content: path.write_bytes(content) and 1 // 0)
    with pytest.raises(ZeroDivisionError):
        pack_shard(changed)  # killed before its marker is there
    assert one.completed() is None


def test_an_index_of_another_size_is_packed_again(tmp_path: Path) -> None:
    manifest = write(tmp_path, SHARDS, "best_fit", 4)
    index = tmp_path / "train_00000.best_fit_4.bin"
    index.write_bytes(index.read_bytes()[:-8])
    assert len(plan_packing(tmp_path, manifest, 4)) == len(SHARDS)


def test_a_damaged_count_of_a_packing_is_refused_by_name(tmp_path: Path) -> None:
    manifest = write(tmp_path, SHARDS, "best_fit", 4)
    (tmp_path / "best_fit_4.json").write_text("{")
    with pytest.raises(ShardError, match=r"best_fit_4\.json is damaged"):
        gather(ShardReader(tmp_path, manifest, "train", "best_fit"), np.array([0]), 4)
