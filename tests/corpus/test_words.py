"""Words, lines and n-grams of a batch, against a slow reading of the same texts."""

import itertools
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.corpus.words import Words, ngrams, split_words
from tests.corpus.naive import lines_of, ngrams_of, same, strange, texts, words_of


def spelled(words: Words) -> list[str]:
    spans = zip(words.starts.tolist(), words.ends.tolist(), strict=True)
    return ["".join(words_of(words.data[start:end].decode())) for start, end in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" .,!?\n", []),
        ("The cat's 2 mats_on it", ["the", "cat", "s", "2", "mats", "on", "it"]),
        ("Café naïve ПРИВЕТ", ["café", "naïve", "ПРИВЕТ"]),
        ("don\u2019t \u201cquote\u201d a\u2014b", ["don", "t", "quote", "a", "b"]),
        ("no\u00a0break «x»", ["no", "break", "x"]),
        ("漢字かな、交じり。", ["漢", "字", "か", "な", "交", "じ", "り"]),
        ("a漢b", ["a", "漢", "b"]),
        ("ok😀👍ok", ["ok", "😀", "👍", "ok"]),
        ("\ufeffbom", ["\ufeff", "bom"]),
        ("nul\x00nul", ["nul", "nul"]),
    ],
)
def test_words_are_told_apart(text: str, expected: list[str]) -> None:
    assert spelled(split_words([text])) == expected


@settings(deadline=None)
@given(batch=texts)
def test_the_words_of_a_batch_are_those_of_a_slow_reading(batch: list[str]) -> None:
    words = split_words(batch)
    expected = [(document, word) for document, text in enumerate(batch) for word in words_of(text)]
    assert list(zip(words.document_of.tolist(), spelled(words), strict=True)) == expected
    assert len(words.documents) == len(batch) + 1


@settings(deadline=None)
@given(batch=texts)
def test_lines_end_at_either_line_break_and_at_the_end_of_a_document(batch: list[str]) -> None:
    words = split_words(batch)
    expected = [line for text in batch for line in lines_of(text)]
    found = [spelled(words)[start:end] for start, end in itertools.pairwise(words.lines.tolist())]
    assert found == expected
    assert words.line_of.tolist() == [number for number, line in enumerate(expected) for _ in line]


@settings(deadline=None)
@given(one=texts, other=texts)
def test_two_words_have_the_same_hash_just_if_they_are_the_same_in_any_batch(one: list[str], other: list[str]) -> None:
    hashes = np.concatenate([split_words(one).hashes, split_words(other).hashes]).tolist()
    assert same(hashes) == same([word for text in one + other for word in words_of(text)])


@settings(deadline=None)
@given(batch=st.lists(st.one_of(strange, st.text(alphabet="ab ", max_size=80)), max_size=5), n=st.integers(1, 16))
def test_ngrams_are_all_runs_of_words_within_a_document(batch: list[str], n: int) -> None:
    words = split_words(batch)
    hashes, inside = ngrams(words, n)
    assert len(hashes) == len(inside) == max(0, len(words.hashes) - n + 1)
    assert same(hashes[inside].tolist()) == same([ngram for text in batch for ngram in ngrams_of(text, n)])


def test_a_million_different_words_have_different_hashes() -> None:
    spellings = [f"{prefix}{number}" for prefix in ("", "word", "averylongprefixofmanyletters") for number in range(300_000)]
    spellings += ["".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=3)]
    spellings += [f"{letter * length}" for letter in string.ascii_lowercase for length in range(4, 300)]
    assert len(np.unique(split_words([" ".join(spellings)]).hashes)) == len(set(spellings))


def test_ngrams_of_a_few_words_in_all_orders_have_different_hashes() -> None:
    rows = [" ".join(letters) for letters in itertools.product("abc", repeat=10)]
    hashes, inside = ngrams(split_words([f"{row} x y z" for row in rows]), 13)
    assert len(np.unique(hashes[inside])) == len(rows)


def test_every_bit_of_a_hash_is_set_for_half_of_all_words_and_ngrams() -> None:
    words = split_words([" ".join(map(str, range(40_000)))])
    for hashes in (words.hashes, ngrams(words, 5)[0], ngrams(words, 13)[0]):
        share = np.unpackbits(hashes.view(np.uint8)).reshape(-1, 64).mean(axis=0)
        assert np.all(abs(share - 0.5) < 5 * 0.5 / len(hashes) ** 0.5)


@pytest.mark.parametrize("place", [0, 7, 8, 500_000, 999_992, 999_999])
def test_a_huge_word_is_one_word_and_every_letter_of_it_counts(place: int) -> None:
    plain = bytearray(b"a" * 1_000_000)
    changed = plain.copy()
    changed[place] = ord("b")
    words = split_words([plain.decode(), changed.decode(), plain.decode().upper()])
    assert (words.ends - words.starts).tolist() == [1_000_000] * 3
    assert same(words.hashes.tolist()) == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("(One, two)\nthree!", 100, "One, two)\nthree"),
        ("one two three", 7, "one tw…"),
        ("漢字漢", 3, "漢字漢"),
        ("😀😀😀", 2, "😀…"),
        ("éé éé éé", 4, "éé …"),
    ],
)
def test_the_text_of_words_is_shown_as_it_stands_and_cut_with_a_sign(text: str, most: int, expected: str) -> None:
    words = split_words(["before", text, "after"])
    assert words.text(1, len(words.hashes) - 2, most) == expected
