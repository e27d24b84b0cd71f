"""Files of JSON lines: what a full disk or a kill leaves of one is not a line, and does no harm to the next."""

import os
from pathlib import Path

import pytest

from orchestrator.errors import DataError
from orchestrator.runs.lines import append_line, read_lines


def test_what_is_appended_is_read_in_order(tmp_path: Path) -> None:
    for number in range(3):
        append_line(tmp_path / "lines", {"number": number, "text": "a\nb"})
    assert [line["number"] for line in read_lines(tmp_path / "lines")] == [0, 1, 2]
    assert list(read_lines(tmp_path / "none")) == []


def test_a_line_that_a_full_disk_cuts_short_is_an_error_and_no_line_and_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_line(tmp_path / "lines", {"number": 0})
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
        with pytest.raises(OSError, match="No space left"):
            append_line(tmp_path / "lines", {"number": 1})
    append_line(tmp_path / "lines", {"number": 2})
    assert [line["number"] for line in read_lines(tmp_path / "lines")] == [0, 2]


def test_a_line_that_was_changed_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text('{"number": 0}\n{"number": }\n')
    with pytest.raises(DataError, match=r"lines:2 is damaged: Expecting value.*Put the line right"):
        list(read_lines(tmp_path / "lines"))
