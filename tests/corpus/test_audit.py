"""The audit of a stream of documents: what it counts, that batches do not matter, and that it survives JSON and another process."""

import json
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.corpus.audit import (
    MOST_EXAMPLES,
    AuditResult,
    Watch,
    audit,
    audit_as_json,
    audit_batch,
    audit_from_json,
    build_watch,
    merge,
)
from orchestrator.corpus.batches import BATCH_CHARACTERS, document_batches, in_batches
from orchestrator.corpus.documents import Document, Reject, document_id
from orchestrator.corpus.duplicates import format_id
from tests.corpus.naive import repetitive

SPEC = "the model should tell the user what it did and what it did not do and why it chose to do so"
QUESTION = "What is the capital of France?"
OTHER = "Nothing of interest here, only some words in a row."


def document(text: str, origin: str = "file:1") -> Document:
    file, _, line = origin.partition(":")
    return Document(document_id(text), file, int(line), text)


def watch(spec: Sequence[str] = (SPEC,), items: Sequence[str] = (QUESTION,)) -> Watch:
    return build_watch({"constitution": [document(text) for text in spec]}, {"capitals": items})


def plain(result: AuditResult) -> tuple[object, object]:
    return audit_as_json(result), result.ids.tolist()


def test_documents_their_bytes_and_all_that_was_found_are_counted() -> None:
    copy, asked = document(f"{SPEC}!", "a:1"), document(f"Naïve?\n{QUESTION}", "a:3")
    result = audit([[copy, Reject("a", 2, "the text is empty")], [asked, document(OTHER)]], watch())
    assert (result.num_documents, result.text_bytes) == (3, sum(len(d.text.encode()) for d in (copy, asked, document(OTHER))))
    assert [format_id(row) for row in result.ids] == [copy.id, asked.id, document_id(OTHER)]
    overlap, near = result.overlaps["capitals"], result.near_copies["constitution"]
    assert (overlap.num_documents, overlap.text_bytes) == (1, len(asked.text.encode()))
    assert [(e.id, e.origin, e.match, e.similarity) for e in overlap.examples] == [(asked.id, "a:3", QUESTION[:-1], 1.0)]
    assert (near.num_documents, near.text_bytes) == (1, len(copy.text.encode()))
    assert [(e.id, e.origin, e.match, e.similarity) for e in near.examples] == [(copy.id, "a:1", document_id(SPEC), 1.0)]


def test_every_document_is_counted_and_the_first_few_are_shown() -> None:
    documents = [document(f"{number}\n{QUESTION}", f"a:{number}") for number in range(20)]
    found = audit([documents[:3], documents[3:]], watch()).overlaps["capitals"]
    assert found.num_documents == 20
    assert [example.origin for example in found.examples] == [f"a:{number}" for number in range(MOST_EXAMPLES)]


items = st.one_of(
    st.one_of(repetitive, st.sampled_from([SPEC, QUESTION, OTHER, f"{OTHER}\n{QUESTION}"])).map(document),
    st.just(Reject("a", 1, "not JSON")),
)


@settings(deadline=None)
@given(batches=st.lists(st.lists(items, max_size=4), max_size=4))
def test_how_documents_are_batched_does_not_change_the_result(batches: list[list[Document | Reject]]) -> None:
    looked_for = watch([SPEC, "a b a b a b"], [QUESTION, "b b b"])
    whole = audit_batch([item for batch in batches for item in batch], looked_for)
    assert plain(audit(batches, looked_for)) == plain(whole)
    assert plain(merge([audit(batches[:2], looked_for), audit(batches[2:], looked_for)])) == plain(whole)


def test_an_audit_is_the_same_after_json() -> None:
    result = audit([[document(SPEC), document(QUESTION)]], watch())
    again = audit_from_json(json.loads(json.dumps(audit_as_json(result))), result.ids)
    assert plain(again) == plain(result)
    assert again.overlaps == result.overlaps


def test_an_empty_stream_has_no_documents() -> None:
    result = audit([], watch())
    assert (result.num_documents, result.text_bytes, result.ids.shape) == (0, 0, (0, 2))
    assert result.ids.dtype == np.uint64


def test_nothing_to_look_for_finds_nothing() -> None:
    result = audit([[document(SPEC), document(QUESTION)]], build_watch({}, {}))
    assert (result.num_documents, result.overlaps, result.near_copies) == (2, {}, {})


def test_a_watch_serves_in_another_process() -> None:
    batches = [[document(SPEC), document(QUESTION)]]
    sent = pickle.loads(pickle.dumps(watch()))
    assert sent.fingerprint == watch().fingerprint
    assert plain(audit(batches, sent)) == plain(audit(batches, watch()))


def test_the_fingerprint_does_not_depend_on_the_order_of_names() -> None:
    one = build_watch({"a": [document(SPEC)], "b": [document(OTHER)]}, {"x": [QUESTION], "y": [OTHER]})
    other = build_watch({"b": [document(OTHER)], "a": [document(SPEC)]}, {"y": [OTHER], "x": [QUESTION]})
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("spec", "evaluation"),
    [
        ({"a": [SPEC, OTHER]}, {"x": [QUESTION]}),
        ({"b": [SPEC]}, {"x": [QUESTION]}),
        ({"a": [f"{SPEC}."]}, {"x": [QUESTION]}),
        ({"a": [SPEC]}, {"x": [QUESTION, OTHER]}),
        ({"a": [SPEC]}, {"y": [QUESTION]}),
        ({"a": [SPEC]}, {}),
        ({}, {"x": [QUESTION]}),
    ],
)
def test_the_fingerprint_changes_with_all_that_is_looked_for(spec: dict[str, list[str]], evaluation: dict[str, list[str]]) -> None:
    before = build_watch({"a": [document(SPEC)]}, {"x": [QUESTION]})
    after = build_watch({name: map(document, texts) for name, texts in spec.items()}, evaluation)
    assert before.fingerprint != after.fingerprint


@given(sizes=st.lists(st.integers(0, BATCH_CHARACTERS * 2), max_size=20))
def test_batches_hold_every_item_once_and_are_full_but_for_the_last(sizes: list[int]) -> None:
    batches = list(in_batches(sizes, int))
    assert [size for batch in batches for size in batch] == sizes
    assert all(sum(batch) >= BATCH_CHARACTERS for batch in batches[:-1])
    assert all(sum(batch[:-1]) < BATCH_CHARACTERS for batch in batches)


def test_what_a_file_holds_is_batched_by_text_and_rejects_stay_in_their_place() -> None:
    long = "x" * (BATCH_CHARACTERS // 2)
    held: list[Document | Reject] = [document(long), Reject("a", 2, "not JSON"), document(long), document("y")]
    assert list(document_batches(held)) == [held[:3], held[3:]]
