r"""From a tokenizer's pre-tokenizer to the one regular expression that cuts the same pieces in tiktoken.

The two libraries read `\p{..}` and `\s` alike (both Unicode 16; a test compares every character), but not `\w`, `\d`, `^`, `$` or
look-behind: a pattern that uses anything not known to mean the same is refused.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# What the Digits pre-tokenizer calls a digit: Rust's char::is_numeric, of Unicode 17 in tokenizers 0.23.
_DIGIT = r"[\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}]"

_PROPERTY = r"\\[pP]\{(?:L|Lu|Ll|Lt|Lm|Lo|M|N|P|S|Han)\}"
_ESCAPE = rf"{_PROPERTY}|\\[sSrnt]|\\[^\w\s]"
_CLASS = rf"\[\^?(?:{_ESCAPE}|[^\[\]\\&~^-]|&(?!&)|~(?!~)|-(?!-))+\]"
_ATOM = re.compile(rf"{_CLASS}|{_PROPERTY}|\\[sSrnt]")
_IGNORING_CASE = r"\(\?i:(?:'s\|'t\|'re\|'ve\|'m\|'ll\|'d|\[sdmt\]\|ll\|ve\|re)\)"
_GROUP = r"\(\?[:!=]|\((?!\?)|[)|]"
_QUANTIFIER = r"(?:[?*+][?+]?|\{\d+(?:,\d*)?\})(?![?*+{])"
_LITERAL = r"[A-Za-z '!\"#%&,/:;<=>@_`~-]"
_TOKEN = re.compile(f"{_ATOM.pattern}|{_ESCAPE}|{_IGNORING_CASE}|{_GROUP}|{_QUANTIFIER}|{_LITERAL}")
_KNOWN = re.compile(f"(?:{_TOKEN.pattern})*")


class NotConvertibleError(Exception):
    """Why there is no tiktoken encoding that is known to equal a tokenizer. It never reaches a user as an error."""


def split_pattern(pre_tokenizer: Mapping[str, Any] | None) -> str:
    """The pattern whose matches are the pieces that a pre-tokenizer cuts. It matches every character of every text.

    Args:
        pre_tokenizer: as in `tokenizer.json`.

    Raises:
        NotConvertibleError: it is none of the kinds whose equal is known.
    """
    steps = _steps(pre_tokenizer)
    if not steps or steps[-1]["type"] != "ByteLevel":
        raise NotConvertibleError("its pre-tokenizer does not end in ByteLevel")
    *before, byte_level = steps
    if byte_level.get("add_prefix_space", True):
        raise NotConvertibleError("its ByteLevel pre-tokenizer adds a space before every text")
    by_regex = byte_level.get("use_regex", True)
    match [step["type"] for step in before], by_regex:
        case [], True:
            return _total(_alternatives(GPT2_PATTERN))
        case ["Digits"], True:
            return _total([_digits(before[0]), *map(_between_digits, _alternatives(GPT2_PATTERN))])
        case ["Split"], False:
            return _total(_alternatives(_isolating(before[0])))
        case ["Digits", "Split"], False if before[0]["individual_digits"]:  # a run of digits, the second step would split again
            return _total([_digits(before[0]), *map(_between_digits, _alternatives(_isolating(before[1])))])
    kinds = ", ".join(step["type"] for step in steps)
    raise NotConvertibleError(f"its pre-tokenizer is a sequence ({kinds}, use_regex={str(by_regex).lower()}) without a known equal")


def _steps(pre_tokenizer: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    if pre_tokenizer is None:
        return []
    return pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]


def _isolating(split: Mapping[str, Any]) -> str:
    """The regular expression of a Split whose matches, and what lies between them, are pieces."""
    pattern = split["pattern"].get("Regex")
    if pattern is None or split["behavior"] != "Isolated" or split.get("invert"):
        raise NotConvertibleError(f"its Split pre-tokenizer is of another kind than Isolated by a Regex: {split['behavior']}")
    if not _KNOWN.fullmatch(pattern):
        known = _KNOWN.match(pattern)
        raise NotConvertibleError(
            f"its Split pattern uses what may mean something else in tiktoken: {pattern[known.end() if known else 0 :]}"
        )
    if _may_be_empty(pattern):
        raise NotConvertibleError(f"its Split pattern matches the empty text: {pattern}")
    return str(pattern)


def _may_be_empty(pattern: str) -> bool:
    try:
        return re.fullmatch(re.sub(_PROPERTY, "x", pattern), "") is not None
    except re.error as error:
        raise NotConvertibleError(f"its Split pattern is not read by every library ({error}): {pattern}") from None


def _alternatives(pattern: str) -> list[str]:
    """The alternatives of a pattern that has only known parts."""
    alternatives, depth = [""], 0
    for token in _TOKEN.findall(pattern):
        depth += token.startswith("(") - (token == ")" or (token.startswith("(") and token.endswith(")")))
        if token == "|" and depth == 0:
            alternatives.append("")
        else:
            alternatives[-1] += token
    return alternatives


def _total(alternatives: Sequence[str]) -> str:
    """The first alternative that matches, or the longest run of characters at which none does: Split keeps what lies between matches.

    Neighbours without look-ahead are grouped: tiktoken then runs them as one automaton, which makes it faster by half.
    """
    groups = [(hard, "|".join(group)) for hard, group in groupby(alternatives, key=_looks_ahead)]
    pattern = "|".join(group if hard else f"(?:{group})" for hard, group in groups)
    return f"{pattern}|(?:(?!{pattern})(?s:.))+"


def _looks_ahead(pattern: str) -> bool:
    return "(?!" in pattern or "(?=" in pattern


def _digits(step: Mapping[str, Any]) -> str:
    return _DIGIT if step["individual_digits"] else f"{_DIGIT}+"


def _between_digits(pattern: str) -> str:
    """A pattern no part of which sees a digit: they were cut out before, and are the end of the text to it."""
    return "".join(f"[{token}--{_DIGIT}]" if _ATOM.fullmatch(token) else token for token in _TOKEN.findall(pattern))
