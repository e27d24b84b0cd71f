"""What is found in documents: what is counted and shown, and that neither batches nor processes matter."""

import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.corpus.audit import MOST_EXAMPLES, Found, Watch, audit, merge, shorten
from orchestrator.corpus.batches import BATCH_CHARACTERS, document_batches, in_batches
from orchestrator.corpus.conversations import judge_messages
from orchestrator.corpus.documents import Document, Reject, document_id
from orchestrator.corpus.near_copies import index_spec_documents
from orchestrator.corpus.overlap import index_evaluation_sets
from orchestrator.corpus.storage import SourceFile
from orchestrator.corpus.watch import watch_fingerprint
from tests.corpus.naive import repetitive

SPEC = "the model should tell the user what it did and what it did not do and why it chose to do so"
QUESTION = "What is the capital of France?"
OTHER = "Nothing of interest here, only some words in a row."


def document(text: str, line: int = 1) -> Document:
    return Document(document_id(text), "file", line, text)


def watch(spec: Sequence[str] = (SPEC,), items: Sequence[str] = (QUESTION,)) -> Watch:
    documents = {"constitution": [document(text) for text in spec]} if spec else {}
    return Watch(index_evaluation_sets({"capitals": items} if items else {}), index_spec_documents(documents))


def test_documents_and_words_that_were_found_are_counted() -> None:
    copy, asked = document(f"{SPEC}!", 1), document(f"Naïve?\n{QUESTION}", 3)
    found = merge([audit([copy], watch()), audit([asked, document(OTHER)], watch())])
    overlap, near = found.overlaps["capitals"], found.near_copies["constitution"]
    assert (overlap.num_documents, overlap.num_words) == (1, 7)
    assert [(e.id, e.origin, e.match, e.similarity) for e in overlap.examples] == [(asked.id, "file:3", QUESTION[:-1], 1.0)]
    assert (near.num_documents, near.num_words) == (1, len(SPEC.split()))
    assert [(e.id, e.origin, e.match, e.similarity) for e in near.examples] == [(copy.id, "file:1", document_id(SPEC), 1.0)]


def test_a_conversation_is_looked_at_as_it_is_said_and_not_as_json() -> None:
    said = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": SPEC.replace(" and ", "\n")}]
    conversation = judge_messages("file", 1, said)
    assert isinstance(conversation, Document)
    long_item = " ".join(SPEC.replace(" and ", " ").split()[:14])
    looked_for = Watch(
        index_evaluation_sets({"capitals": [QUESTION], "long": [long_item]}), index_spec_documents({"chats": [conversation]})
    )
    found = audit([conversation, document(f"{QUESTION}\n{SPEC.replace(' and ', ' ')}", 2)], looked_for)
    assert {name: finding.num_documents for name, finding in found.overlaps.items()} == {"capitals": 2, "long": 2}
    assert found.near_copies["chats"].num_documents == 2


def test_every_document_is_counted_and_the_first_few_are_shown() -> None:
    documents = [document(f"{number}\n{QUESTION}", number) for number in range(20)]
    found = merge([audit(documents[:3], watch()), audit(documents[3:], watch())]).overlaps
    assert [example.origin for example in found["capitals"].examples] == [f"file:{number}" for number in range(20)]
    shown = shorten(found)["capitals"]
    assert (shown.num_documents, shown.examples) == (20, found["capitals"].examples[:MOST_EXAMPLES])


texts = st.one_of(repetitive, st.sampled_from([SPEC, QUESTION, OTHER, f"{OTHER}\n{QUESTION}"])).map(document)


@settings(deadline=None)
@given(batches=st.lists(st.lists(texts, max_size=4), max_size=4))
def test_how_documents_are_batched_does_not_change_the_result(batches: list[list[Document]]) -> None:
    looked_for = watch([SPEC, "a b a b a b"], [QUESTION, "b b b"])
    whole = merge([audit([item for batch in batches for item in batch], looked_for)])
    assert merge([audit(batch, looked_for) for batch in batches]) == whole


@pytest.mark.parametrize(("spec", "items"), [((), ()), ((), (QUESTION,)), ((SPEC,), ())], ids=["nothing", "no spec", "no set"])
def test_only_what_is_looked_for_is_found(spec: tuple[str, ...], items: tuple[str, ...]) -> None:
    found = audit([document(SPEC), document(QUESTION)], watch(spec, items))
    assert (set(found.overlaps), set(found.near_copies)) == ({"capitals"} if items else set(), {"constitution"} if spec else set())


def test_an_empty_batch_holds_nothing() -> None:
    assert audit([], watch()) == Found({}, {})


def test_a_watch_serves_in_another_process() -> None:
    batch = [document(SPEC), document(QUESTION)]
    assert audit(batch, pickle.loads(pickle.dumps(watch()))) == audit(batch, watch())


FILE, OTHER_FILE = SourceFile("a.jsonl", 7, "1"), SourceFile("a.jsonl", 7, "2")


def test_the_fingerprint_does_not_depend_on_the_order_of_names() -> None:
    one = watch_fingerprint({"x": [FILE], "y": [OTHER_FILE]}, {"a": ["1"], "b": ["2"]})
    assert one == watch_fingerprint({"y": [OTHER_FILE], "x": [FILE]}, {"b": ["2"], "a": ["1"]})


@pytest.mark.parametrize(
    ("files", "spec"),
    [
        ({"x": [OTHER_FILE]}, {"a": ["1"]}),
        ({"x": [FILE, FILE]}, {"a": ["1"]}),
        ({"y": [FILE]}, {"a": ["1"]}),
        ({}, {"a": ["1"]}),
        ({"x": [FILE]}, {"a": ["2"]}),
        ({"x": [FILE]}, {"a": ["1", "2"]}),
        ({"x": [FILE]}, {"b": ["1"]}),
        ({"x": [FILE]}, {}),
    ],
)
def test_the_fingerprint_changes_with_all_that_is_looked_for(files: dict[str, list[SourceFile]], spec: dict[str, list[str]]) -> None:
    assert watch_fingerprint(files, spec) != watch_fingerprint({"x": [FILE]}, {"a": ["1"]})


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
