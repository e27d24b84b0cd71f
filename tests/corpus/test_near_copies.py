"""Near copies of spec documents: edited copies are found, other texts are not."""

import pickle
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.corpus.documents import Document, Reject, document_id
from orchestrator.corpus.near_copies import (
    THRESHOLD,
    NearCopyIndex,
    distinct_shingles,
    find_near_copies,
    index_spec_documents,
    sign,
)
from orchestrator.corpus.words import split_words
from tests.corpus.naive import jaccard, repetitive, shingles_of, texts

PROSE = "the model should tell the user what it did and what it did not do and why it chose to do so"


def documents(texts: Sequence[str]) -> list[Document]:
    return [Document(document_id(text), "file", number, text) for number, text in enumerate(texts)]


def index_of(**sources: Sequence[str]) -> NearCopyIndex:
    return index_spec_documents({name: documents(texts) for name, texts in sources.items()})


def found(general: Sequence[str], index: NearCopyIndex) -> list[tuple[int, str, str]]:
    return [(copy.document, copy.spec_source, copy.spec_id) for copy in find_near_copies(split_words(general), index)]


def random_text(draw: random.Random, num_words: int = 300) -> list[str]:
    return [f"w{draw.randrange(5000)}" for _ in range(num_words)]


def edited(words: Sequence[str], draw: random.Random, num_edits: int) -> str:
    """Words changed, dropped or put in."""
    words = list(words)
    for place in draw.sample(range(len(words)), num_edits):
        words[place] = draw.choice(["changed", "", f"{words[place]} more"])
    return " ".join(words)


def test_copies_with_a_few_words_changed_are_found_and_unrelated_texts_are_not() -> None:
    draw = random.Random(0)
    spec = [random_text(draw) for _ in range(200)]
    index = index_of(spec=[" ".join(words) for words in spec])
    copies = [edited(words, draw, num_edits=5) for words in spec]
    unrelated = [" ".join(random_text(draw)) for _ in range(200)]
    assert min(jaccard(" ".join(words), copy) for words, copy in zip(spec, copies, strict=True)) > THRESHOLD
    assert found(copies + unrelated, index) == [(number, "spec", document_id(" ".join(words))) for number, words in enumerate(spec)]


def test_a_text_of_the_same_words_in_another_order_or_of_half_a_spec_document_is_no_near_copy() -> None:
    draw = random.Random(1)
    words = random_text(draw)
    shuffled = draw.sample(words, len(words))
    assert found([" ".join(shuffled), " ".join(words[:150]), " ".join(words + random_text(draw))], index_of(spec=[" ".join(words)])) == []


@settings(deadline=None)
@given(batch=st.lists(st.one_of(repetitive, texts.map("\n".join)), max_size=5))
def test_the_shingles_of_a_document_are_those_of_a_slow_reading(batch: list[str]) -> None:
    hashes, starts = distinct_shingles(split_words(batch))
    assert np.diff(starts).tolist() == [len(shingles_of(text)) for text in batch]
    assert len(set(hashes.tolist())) == len({shingle for text in batch for shingle in shingles_of(text)})


@settings(deadline=None)
@given(spec=st.lists(repetitive, max_size=4), general=st.lists(st.one_of(repetitive, st.just(PROSE)), max_size=4))
def test_what_is_found_is_near_and_what_is_as_good_as_equal_is_found(spec: list[str], general: list[str]) -> None:
    pairs = {(number, document_id(text)): jaccard(one, text) for number, one in enumerate(general) for text in spec}
    copies = {(number, spec_id) for number, _, spec_id in found(general, index_of(spec=spec))}
    assert all(pairs[copy] > THRESHOLD - 0.25 for copy in copies)
    assert {number for (number, _), similarity in pairs.items() if similarity > 0.9} <= {number for number, _ in copies}


@pytest.mark.parametrize(
    ("text", "spec", "near"),
    [
        (PROSE, PROSE, True),
        (f"{PROSE.upper()}!", PROSE.replace(" ", "\n"), True),
        (PROSE, f"{PROSE} and so on", True),
        (PROSE, "do not lie", False),
        ("Do not lie.", "do not lie", True),
        ("do not lie", "do not lie ever", False),
        ("do not lie", f"do not lie {PROSE}", False),
        ("!", "?", False),
        ("", PROSE, False),
    ],
)
def test_case_and_punctuation_do_not_hide_a_copy_and_short_texts_must_be_equal(text: str, spec: str, near: bool) -> None:
    assert found([text], index_of(spec=[spec])) == ([(0, "spec", document_id(spec))] if near else [])


def test_repeating_other_text_many_times_does_not_hide_a_copy() -> None:
    words = random_text(random.Random(2))
    padded = " ".join(words) + " buy now" * 1000
    assert found([padded], index_of(spec=[" ".join(words)])) == [(0, "spec", document_id(" ".join(words)))]


def test_the_most_similar_document_of_each_source_is_named() -> None:
    draw = random.Random(3)
    words = random_text(draw)
    near, nearer, same = edited(words, draw, 8), edited(words, draw, 2), " ".join(words)
    index = index_of(b=[near, nearer], a=["something else that has nothing to do with it", same, same + "!"], c=[PROSE])
    copies = find_near_copies(split_words([PROSE + " indeed", same]), index)
    assert [(copy.document, copy.spec_source, copy.spec_id) for copy in copies] == [
        (0, "c", document_id(PROSE)),
        (1, "a", document_id(same)),
        (1, "b", document_id(nearer)),
    ]
    assert copies[1].jaccard == 1.0
    assert abs(copies[2].jaccard - jaccard(same, nearer)) < 0.15


def test_the_estimate_is_within_its_error_of_the_similarity() -> None:
    draw = random.Random(4)
    errors = []
    for _ in range(50):
        words = random_text(draw)
        pair = [" ".join(words), edited(words, draw, 5)]
        hashes, starts = distinct_shingles(split_words(pair))
        one, other = sign(hashes[: starts[1]]), sign(hashes[starts[1] :])
        errors.append(float((one == other).mean()) - jaccard(*pair))
    assert abs(np.mean(errors)) < 0.02
    assert np.max(np.abs(errors)) < 0.2


def test_a_signature_does_not_depend_on_how_many_shingles_are_taken_at_once() -> None:
    hashes, _ = distinct_shingles(split_words([" ".join(map(str, range(40_000)))]))
    parts = [sign(part) for part in np.array_split(hashes, 7)]
    assert np.array_equal(sign(hashes), np.min(parts, axis=0))


def test_an_index_without_documents_and_one_sent_to_another_process_serve() -> None:
    assert found([PROSE], index_of(spec=[], other=["...", ""])) == []
    assert found([PROSE], pickle.loads(pickle.dumps(index_of(spec=[PROSE])))) == [(0, "spec", document_id(PROSE))]


def test_what_is_no_document_is_not_compared_with() -> None:
    index = index_spec_documents({"spec": [Reject("file", 1, "the text is empty"), *documents([PROSE])]})
    assert found([PROSE], index) == [(0, "spec", document_id(PROSE))]
