"""The new lines of a file that another process writes."""

from pathlib import Path

import pytest

from orchestrator.tracking.metrics import MetricsFile
from orchestrator.tracking.tail import Tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def steps(tail: Tail) -> list[int]:
    return [line["step"] for line in tail.read()]


def test_each_line_is_read_once_as_it_comes(path: Path) -> None:
    tail = Tail(path)
    assert steps(tail) == []
    file = MetricsFile(path, 0)
    assert steps(tail) == []
    for step in range(3):
        file.write({"step": step})
        assert steps(tail) == [step]
    file.write({"step": 3})
    file.write({"step": 4})
    assert steps(tail) == [3, 4]
    assert steps(tail) == []


def test_a_line_is_read_when_it_is_complete(path: Path) -> None:
    tail = Tail(path)
    with path.open("a") as file:
        for piece, expected in (('{"step": 1}\n{"st', [1]), ('ep": 2', []), ('}\n{"step": 3}\n', [2, 3])):
            file.write(piece)
            file.flush()
            assert steps(tail) == expected


def test_after_a_rewind_the_file_is_read_from_its_beginning(path: Path) -> None:
    tail, first = Tail(path), MetricsFile(path, 0)
    for step in range(6):
        first.write({"step": step})
    with path.open("a") as file:
        file.write('{"step": 6')  # it was killed
    assert steps(tail) == list(range(6))
    second = MetricsFile(path, 3)
    second.write({"step": 4})
    assert steps(tail) == [0, 1, 2, 3, 4]
    second.write({"step": 5})
    assert steps(tail) == [5]
