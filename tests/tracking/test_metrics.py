"""`metrics.jsonl`: one line a step, whole lines, finite numbers, whatever became of the writer before."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runs.lines import read_lines
from orchestrator.tracking.metrics import MetricsFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def log(path: Path, from_step: int, steps: range, attempt: int) -> None:
    """An attempt: the line before the first step when it begins at 0, then a line a step."""
    file = MetricsFile(path, from_step)
    for step in ([0] if from_step == 0 else []) + list(steps):
        file.write({"step": step, "attempt": attempt})
    file.close()


def steps_in(path: Path) -> list[int]:
    return [line["step"] for line in read_lines(path)]


def test_a_line_is_on_disk_as_soon_as_it_is_written(path: Path) -> None:
    file = MetricsFile(path, 0)
    for step in range(3):
        file.write({"step": step, "loss/größe": 0.1})
        assert list(read_lines(path))[-1] == {"step": step, "loss/größe": 0.1}
    file.close()


def test_a_file_that_is_not_there_has_no_lines(path: Path) -> None:
    assert list(read_lines(path)) == []


@pytest.mark.parametrize(("from_step", "kept"), [(0, []), (4, [0, 1, 2, 3, 4]), (6, [0, 1, 2, 3, 4, 5, 6]), (9, [0, 1, 2, 3, 4, 5, 6])])
def test_a_rewind_keeps_what_will_not_be_made_again(path: Path, from_step: int, kept: list[int]) -> None:
    log(path, 0, range(1, 7), attempt=1)
    MetricsFile(path, from_step).close()
    assert steps_in(path) == kept


@settings(deadline=None, max_examples=60)
@given(attempts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12)), min_size=1, max_size=6))
def test_after_any_number_of_rewinds_no_step_is_there_twice(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[tuple[float, int]]
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "metrics.jsonl"
    reached = 0
    by_step: dict[int, int] = {}
    for number, (back, num_steps) in enumerate(attempts):
        from_step = int(back * reached) if number else 0
        log(path, from_step, range(from_step + 1, from_step + 1 + num_steps), number)
        reached = from_step + num_steps
        by_step = {step: last for step, last in by_step.items() if 0 < step <= from_step or (step == 0 and from_step)}
        by_step |= dict.fromkeys(range(from_step + 1 if from_step else 0, reached + 1), number)
    assert {line["step"]: line["attempt"] for line in read_lines(path)} == by_step
    assert steps_in(path) == list(range(reached + 1))


def test_several_lines_of_a_step_are_kept_or_go_together(path: Path) -> None:
    file = MetricsFile(path, 0)
    for step in (0, 5, 10):
        for source in ("spec", "code"):
            file.write({"step": step, "source": source})
    file.close()
    MetricsFile(path, 5).close()
    assert [(line["step"], line["source"]) for line in read_lines(path)] == [(0, "spec"), (0, "code"), (5, "spec"), (5, "code")]


@pytest.mark.parametrize("torn", ["{", '{"step": 4', '{"step": 4, "loss": 1.5}'])
def test_a_last_line_that_a_killed_writer_left_unfinished_is_not_one(path: Path, torn: str) -> None:
    log(path, 0, range(1, 4), attempt=1)
    with path.open("a") as file:
        file.write(torn)
    assert steps_in(path) == [0, 1, 2, 3]
    log(path, 3, range(4, 6), attempt=2)
    assert [(line["step"], line["attempt"]) for line in read_lines(path)][-3:] == [(3, 1), (4, 2), (5, 2)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("nested", [False, True])
def test_a_number_that_is_not_finite_is_never_written(path: Path, value: float, nested: bool) -> None:
    file = MetricsFile(path, 0)
    file.write({"step": 1})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        file.write({"step": 2, "loss": [value] if nested else value})
    assert path.read_bytes() == before
    file.write({"step": 2, "loss": 1.0})
    file.close()
    assert steps_in(path) == [1, 2]


def test_numbers_come_back_to_the_last_bit(path: Path) -> None:
    file = MetricsFile(path, 0)
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2**53 + 1]
    file.write({"step": 1, "values": values})
    file.close()
    MetricsFile(path, 1).close()
    assert next(read_lines(path))["values"] == values


def test_each_line_is_json_of_its_own(path: Path) -> None:
    file = MetricsFile(path, 0)
    file.write({"step": 1, "note": "two\nlines\u2028and\x85more"})
    file.write({"step": 2})
    file.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]
    assert steps_in(path) == [1, 2]
