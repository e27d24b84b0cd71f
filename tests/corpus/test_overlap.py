"""Overlap with evaluation sets: what is found, what is not, and what is shown of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.corpus.overlap import EXAMPLE_CHARACTERS, find_overlaps, index_evaluation_sets
from orchestrator.corpus.words import split_words
from tests.corpus.naive import passages_of, repetitive, texts

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom"
SHORT = "What is the capital of France?"


def found(documents: list[str], **sets: list[str]) -> list[tuple[int, str]]:
    overlaps = find_overlaps(split_words(documents), index_evaluation_sets(sets))
    return [(overlap.document, overlap.set_name) for overlap in overlaps]


@pytest.mark.parametrize(
    ("document", "item", "overlaps"),
    [
        (LONG, LONG, True),
        (f"Before, {LONG.upper()}; and after", LONG, True),
        (LONG.replace(",", "\n\n").replace(" ", "\u00a0"), LONG, True),
        (" ".join(LONG.split()[:13]), LONG, True),
        (" ".join(LONG.split()[:12]), LONG, False),
        (LONG.replace("worst", "first"), LONG, False),
        (f"Title\n{SHORT}\nParis", SHORT, True),
        (f"Title\r\n  - {SHORT.lower()}\r\n", SHORT, True),
        (SHORT, f"{LONG}\n{SHORT}", True),
        (f"Q: {SHORT}", SHORT, False),
        (f"{SHORT} Paris", SHORT, False),
        ("yes it is", "Yes, it is!", True),
        ("it is", "It is", False),
        ("漢字の問題", "漢字の問題。", True),
        ("", SHORT, False),
        (SHORT, "", False),
    ],
)
def test_thirteen_words_in_a_row_or_a_whole_short_line_are_an_overlap(document: str, item: str, overlaps: bool) -> None:
    assert found([document], questions=[item]) == ([(0, "questions")] if overlaps else [])


def test_words_of_two_documents_or_two_items_are_no_row() -> None:
    words = LONG.split()
    halves = [" ".join(words[:8]) + " x y z v w", "x y z v w " + " ".join(words[8:])]
    assert found([" ".join(words[:8]), " ".join(words[8:])], questions=[LONG]) == []
    assert found([LONG], questions=halves) == []


@settings(deadline=None, max_examples=200)
@given(
    documents=st.one_of(texts, st.lists(repetitive, max_size=4)),
    sets=st.dictionaries(st.sampled_from("xyz"), st.lists(st.one_of(repetitive, *map(st.just, (LONG, SHORT))), max_size=3), max_size=3),
)
def test_the_documents_found_are_those_of_a_slow_search(documents: list[str], sets: dict[str, list[str]]) -> None:
    documents = [*documents, *(item for items in sets.values() for item in items)]
    passages = {name: {passage for item in items for passage in passages_of(item)} for name, items in sorted(sets.items())}
    expected = [(number, name) for number, text in enumerate(documents) for name in passages if passages_of(text) & passages[name]]
    assert found(documents, **sets) == expected


@settings(deadline=None)
@given(before=repetitive, after=repetitive)
def test_the_text_shown_is_in_the_document_and_its_words_are_looked_for(before: str, after: str) -> None:
    document = f"{before}\n{SHORT}\n{after}"
    (overlap,) = find_overlaps(split_words([document]), index_evaluation_sets({"x": [SHORT, "a b a b a b a b a b a b a"]}))
    assert overlap.text in document
    assert passages_of(overlap.text) & passages_of(f"{SHORT}\na b a b a b a b a b a b a")


def test_the_text_shown_is_the_first_one_and_is_cut_where_it_is_long() -> None:
    long_words = " ".join(f"{number}{'x' * 30}" for number in range(13))
    document = f"{long_words} {LONG}\n{SHORT}"
    (overlap,) = find_overlaps(split_words([document]), index_evaluation_sets({"x": [SHORT, LONG, long_words]}))
    assert (len(overlap.text), overlap.text[:-1] + "…") == (EXAMPLE_CHARACTERS, overlap.text)
    assert document.startswith(overlap.text[:-1])


def test_items_of_which_nothing_can_be_found_are_counted() -> None:
    (one, other) = index_evaluation_sets({"b": [SHORT, "Yes", "", "(A)\nNo"], "a": [LONG]}).sets
    assert (one.name, one.num_items, one.num_unchecked) == ("a", 1, 0)
    assert (other.name, other.num_items, other.num_unchecked) == ("b", 4, 3)


def test_no_sets_and_no_documents_have_no_overlap() -> None:
    assert (found([LONG]), found([], x=[LONG]), found([LONG], x=[])) == ([], [], [])
