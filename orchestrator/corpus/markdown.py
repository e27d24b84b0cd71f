"""Texts with a head: YAML front matter is taken off, and Markdown can be cut into its sections."""

import re
from collections.abc import Iterable, Iterator

_RULE = re.compile(rb"---[ \t]*\r?\n?\Z")  # above and below front matter
_BLANK = re.compile(rb"[ \t]*\r?\n\Z")
_HEADING = re.compile(rb" {0,3}#{1,6}(?:[ \t\r\n]|\Z)")  # CommonMark 0.31, 4.2
_FENCE = re.compile(rb" {0,3}(?:(`{3,})[^`]*|(~{3,}).*)\Z", re.DOTALL)  # CommonMark 0.31, 4.5

Numbered = tuple[int, bytes]  # a number of a line in its file, from 1, and bytes that begin there


def body(lines: Iterable[bytes]) -> Iterator[Numbered]:
    """The lines of a text without a leading block between two lines of three dashes and the blank lines after it.

    Args:
        lines: of the whole file, each with its end. A block that is never closed is text.
    """
    numbered = enumerate(lines, 1)
    head = list(_head(numbered))
    if len(head) > 1 and _RULE.match(head[-1][1]):
        head = [next(((number, line) for number, line in numbered if not _BLANK.match(line)), (0, b""))]
    yield from (line for line in head if line[1])
    yield from numbered


def _head(numbered: Iterator[Numbered]) -> Iterator[Numbered]:
    """The first line, without a byte order mark, and if it opens a block, all up to the line that closes it."""
    for number, line in numbered:
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        yield number, line
        is_rule = _RULE.match(line) is not None
        opens = is_rule and line.endswith(b"\n")
        if (not opens) if number == 1 else is_rule:
            return


def sections(lines: Iterable[Numbered]) -> Iterator[Numbered]:
    """Cut Markdown before every ATX heading that is outside fenced code.

    Args:
        lines: of a body.

    Yields:
        Each section, by its first line. What stands before the first heading is one if it is not blank.
    """
    for section in _cut(lines):
        text = b"".join(line for _, line in section)
        if text.strip():
            yield section[0][0], text


def _cut(lines: Iterable[Numbered]) -> Iterator[list[Numbered]]:
    section: list[Numbered] = []
    fence = b""
    for number, line in lines:
        if section and not fence and _HEADING.match(line):
            yield section
            section = []
        section.append((number, line))
        fence = _fence_after(line, fence)
    if section:
        yield section


def _fence_after(line: bytes, fence: bytes) -> bytes:
    """The fence of the code that goes on after a line; empty: there is none."""
    found = _FENCE.match(line)
    if not found:
        return fence
    marks = bytes(found[1] or found[2])
    if not fence:
        return marks
    closes = marks.startswith(fence) and not line.strip().strip(marks[:1])
    return b"" if closes else fence
