"""The items of a probe: questions with choices, one of which is the answer, out of lines of JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from orchestrator.corpus.documents import Reject
from orchestrator.corpus.files import JSONL_SUFFIXES, list_files
from orchestrator.corpus.jsonl import read_records
from orchestrator.corpus.storage import SourceFile, open_file
from orchestrator.errors import DataError

MOST_ITEMS = 100_000  # each choice is a sequence of every evaluation, and every rank holds all of them
_LINE = '{"prompt": "…", "choices": ["…", "…"], "answer": 0}'


@dataclass(frozen=True, slots=True)
class ProbeItem:
    """A question.

    Attributes:
        prompt: what each choice is put after, as it is.
        choices: two or more, no two alike.
        answer: the number of the right one, from 0.
        origin: file, line and, where it has one, id.
    """

    prompt: str
    choices: tuple[str, ...]
    answer: int
    origin: str


def list_probe_files(name: str, paths: Sequence[str]) -> tuple[SourceFile, ...]:
    """The files of a probe.

    Args:
        name: of the probe.
        paths: files, directories, globs, or URLs of these.

    Raises:
        OrchestratorError: there are none, one is empty or no JSONL, or they cannot be reached.
    """
    return tuple(list_files(name, paths, "probe", suffixes=JSONL_SUFFIXES))


def read_items(name: str, files: Sequence[SourceFile]) -> list[ProbeItem]:
    """Read a probe.

    Args:
        name: of the probe.
        files: of it.

    Returns:
        Its items, in the order of the files and their lines.

    Raises:
        OrchestratorError: a file cannot be read, a line is no item, or there are too many.
    """
    items: list[ProbeItem] = []
    for item in (item for file in files for item in _items_of(name, file)):
        if len(items) == MOST_ITEMS:
            raise DataError(
                f"probe {name!r} has more than {MOST_ITEMS:,} items, which is the most. Every choice of every item is measured at every "
                f"evaluation: give evaluation.probes.{name} a sample of them."
            )
        items.append(item)
    return items


def hash_items(items: Sequence[ProbeItem]) -> str:
    """A hash of what is asked, in its order; where it lies is no part of it."""
    said = [[item.prompt, item.choices, item.answer] for item in items]
    return xxhash.xxh3_128_hexdigest(json.dumps(said).encode())


def _items_of(name: str, file: SourceFile) -> Iterator[ProbeItem]:
    with open_file(file.path, in_order=True) as opened:
        for found in read_records(file.path, opened):
            if isinstance(found, Reject):
                raise _refusal(name, found.origin, found.reason)
            number, record = found
            origin = f"{file.path}:{number}"
            if reason := next(_flaws(record), None):
                raise _refusal(name, origin, reason)
            named = f" (id {record['id']})" if "id" in record else ""
            yield ProbeItem(record["prompt"], tuple(record["choices"]), record["answer"], origin + named)


def _refusal(name: str, origin: str, reason: str) -> DataError:
    return DataError(
        f"probe {name!r}: {origin}: {reason}. A line of a probe is {_LINE}: mend it, or take the file out of evaluation.probes.{name}."
    )


def _flaws(record: Any) -> Iterator[str]:
    """What keeps a value from being an item; each is told only where those before are not."""
    if not isinstance(record, dict):
        yield f"it is a {type(record).__name__}, not an object"
    yield from (f"no key {key!r}" for key in ("prompt", "choices", "answer") if key not in record)
    choices, answer = record["choices"], record["answer"]
    if flaw := _flaw_of_text(record["prompt"]):
        yield f"the prompt {flaw}"
    if not isinstance(choices, list) or len(choices) < 2:
        yield f"choices is {json.dumps(choices)[:60]}, and two or more are needed"
    for number, choice in enumerate(choices):
        if flaw := _flaw_of_text(choice):
            yield f"choice {number} {flaw}"
        if choice in choices[:number]:
            yield f"choices {choices.index(choice)} and {number} are the same, {choice[:40]!r}"
    if type(answer) is not int or not 0 <= answer < len(choices):
        yield f"answer is {json.dumps(answer)[:60]}, and the choices are numbered 0 to {len(choices) - 1}"
    if type(record.get("id", "")) not in (str, int):
        yield f"id is a {type(record['id']).__name__}, neither a string nor a whole number"


def _flaw_of_text(text: Any) -> str | None:
    if not isinstance(text, str):
        return f"is a {type(text).__name__}, not a string"
    if not text or text.isspace():
        return "is empty"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate, which is not Unicode text"
    return None
