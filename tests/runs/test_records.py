"""A record comes back as it was written, or is refused."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runs.records import read_record, write_record


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


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"share": "0.5"}, {"rest": [{"name": "a"}]}, {"rest": [{"name": "a", "numbers": [1], "more": 1}]}, {"by_name": []}],
    ids=["another field", "another type", "a field less", "another field within", "another shape"],
)
def test_content_with_other_fields_or_types_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(CONTENT))
    assert read_record(file, Outer).rest == [Inner("a", (1,))]
    file.write_text(json.dumps(CONTENT | change))
    with pytest.raises(ValueError, match=r"\w"):
        read_record(file, Outer)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "5", '{"name": 1}'])
def test_a_file_with_other_content_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"\w"):
        read_record(tmp_path / "a.json", Inner)
