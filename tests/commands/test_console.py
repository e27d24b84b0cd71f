"""Progress on a pipe: plain lines with rate and time left."""

import pytest

from orchestrator.commands.console import Console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("orchestrator.commands.console.time.monotonic", lambda: now[0])
    return now


def lines_of(clock: list[float], steps: list[tuple[float, float]], capsys: pytest.CaptureFixture[str], total: float = 10) -> list[str]:
    with Console().progress("training", total, "steps") as advance:
        for seconds, amount in steps:
            clock[0] += seconds
            advance(amount)
    return capsys.readouterr().err.splitlines()


def test_the_time_until_the_first_step_is_no_part_of_the_rate(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    first, second = lines_of(clock, [(300, 1), (20, 1)], capsys)
    assert first == "training: 1/10 steps"
    assert second == "training: 2/10 steps  0.05 steps/s  2:40 left"


def test_a_line_comes_every_ten_seconds_and_at_the_end(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(clock, [(1, 1)] * 10, capsys)
    assert [line.split("  ")[0] for line in lines] == ["training: 1/10 steps", "training: 10/10 steps"]
    assert lines[-1].endswith("1 steps/s  0:00 left")


def test_the_rate_is_that_of_the_last_steps_and_a_halt_has_none(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    slow_then_fast = [(100.0, 1.0)] * 5 + [(1.0, 1.0)] * 60 + [(20.0, 0.0)]
    last = lines_of(clock, slow_then_fast, capsys, total=1000)[-1]
    assert last == "training: 65/1000 steps  0.71 steps/s  22:05 left"
    assert lines_of(clock, [(10, 0), (10, 0)], capsys) == ["training: 0/10 steps", "training: 0/10 steps"]
