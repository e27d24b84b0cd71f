"""A record comes back as it was written, or is refused."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runs.records import parse_record, read_record, write_record


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outer:
    share: float | None
    by_name: dict[str, Inner]
    rest: list[Inner]


RECORD = Outer(None, {"a": Inner("é", (1, 1 << 100))}, [Inner("", ())])
CONTENT: dict[str, Any] = {"share": 0.5, "by_name": {}, "rest": [{"name": "a", "numbers": [1]}]}


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", RECORD)
    assert read_record(tmp_path / "a.json", Outer) == RECORD


def test_entries_beside_the_fields_are_written_too(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", Inner("a", ()), sum=7)
    assert json.loads((tmp_path / "a.json").read_text()) == {"name": "a", "numbers": [], "sum": 7}


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"share": "0.5"}, {"rest": [{"name": "a"}]}, {"rest": [{"name": "a", "numbers": [1], "more": 1}]}, {"by_name": []}],
    ids=["another field", "another type", "a field less", "another field within", "another shape"],
)
def test_content_with_other_fields_or_types_is_refused(change: dict[str, Any]) -> None:
    assert parse_record(CONTENT, Outer).rest == [Inner("a", (1,))]
    with pytest.raises(ValueError, match=r"\w"):
        parse_record(CONTENT | change, Outer)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "5", '{"name": 1}'])
def test_a_file_with_other_content_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"\w"):
        read_record(tmp_path / "a.json", Inner)
