"""What words, lines, n-grams and shingles are, said once more and slowly, and texts to try them on."""

import re
from collections.abc import Sequence

from hypothesis import strategies as st

_WORD = re.compile("[0-9A-Za-z\u00c0-\u07ff]+|[\u0800-\u1fff\u2080-\u2fff\u3040-\U0010ffff]")
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

strange = st.text(alphabet="abAB1é\u00a0«\u00bf\u0416\u07ff\u0800漢字、\u2019\u2080\u2fff\u3040😀 .-\r\n\t\x00\x1f", max_size=60)
texts = st.lists(st.one_of(st.text(max_size=60), strange), max_size=6)
repetitive = st.lists(st.sampled_from(["a", "b", "B", "c.", "\n", "\r\n", "漢"]), max_size=60).map(" ".join)


def words_of(text: str) -> list[str]:
    return [match.group().translate(_LOWER) for match in _WORD.finditer(text)]


def lines_of(text: str) -> list[list[str]]:
    return [words_of(line) for line in re.split("[\r\n]", text)]


def ngrams_of(text: str, n: int) -> list[tuple[str, ...]]:
    words = words_of(text)
    return [tuple(words[index : index + n]) for index in range(len(words) - n + 1)]


def passages_of(text: str) -> set[tuple[str, ...]]:
    """What of a text is looked for in others: its 13-grams and short lines."""
    return {*ngrams_of(text, 13), *(tuple(line) for line in lines_of(text) if 3 <= len(line) <= 12)}


def shingles_of(text: str) -> set[tuple[str, ...]]:
    words = words_of(text)
    return set(ngrams_of(text, 5)) if len(words) >= 5 else {tuple(words)} - {()}


def jaccard(one: str, other: str) -> float:
    a, b = shingles_of(one), shingles_of(other)
    return len(a & b) / len(a | b) if a or b else 0.0


def same(values: Sequence[object]) -> list[int]:
    """For each value, where it occurred first: two sequences with the same answer are equal in the same places."""
    first: dict[object, int] = {}
    return [first.setdefault(value, index) for index, value in enumerate(values)]
