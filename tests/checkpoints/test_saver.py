"""Saving beside training: what it costs, what is borne, and what is kept."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.checkpoints import saver as saving
from orchestrator.checkpoints.retention import INSURANCE, SCIENCE, thin_out
from orchestrator.checkpoints.saver import Saver
from orchestrator.checkpoints.state_file import StateFile, StateReader, holders_of, read_spans, state_path
from orchestrator.checkpoints.store import COMMIT, committed_checkpoints, is_committed, step_directory
from orchestrator.errors import CheckpointError, InfrastructureError
from orchestrator.runs.durable import WrittenFile
from orchestrator.training.fragments import Fragment, Span
from tests.checkpoints.ranks import Alone, save

SIZE = 50_000


class State:
    """A trained state of one parameter, whose every element is the number of updates made."""

    def __init__(self) -> None:
        self.values = (torch.zeros(SIZE), torch.zeros(SIZE), torch.zeros(SIZE))
        self.updates = 0

    def train(self) -> None:
        self.updates += 1
        for values in self.values:
            values.fill_(self.updates)

    def fragments(self) -> Iterator[Fragment]:
        yield Fragment(Span("weight", 0, SIZE), self.values)


class Told(list[tuple[str, dict[str, Any]]]):
    """The events that were entered."""

    def __call__(self, event: str, **values: Any) -> None:
        self.append((event, values))

    def names(self) -> list[str]:
        return [event for event, _ in self]


@pytest.fixture
def told() -> Told:
    return Told()


def saver(folder: Path, told: Told, *, max_failed_saves: int = 2) -> Saver:
    return Saver(folder, Alone(), max_failed_saves=max_failed_saves, may_commit=lambda: True, tell=told)


def begin(by: Saver, state: Any, step: int, kind: str = SCIENCE) -> float:
    return by.begin(step, state, {"world_size": 1, "kind": kind})


def saved_values(folder: Path, step: int) -> np.ndarray[Any, Any]:
    directory = step_directory(folder, step)
    reader = StateReader(directory, holders_of([(0, read_spans(directory / state_path(0)))]))
    ((_, values),) = reader.read(Span("weight", 0, SIZE))
    reader.close()
    return values


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk that writes nothing before the event is set."""
    free, write = threading.Event(), StateFile.write

    def wait(file: StateFile) -> WrittenFile:
        assert free.wait(30)
        return write(file)

    monkeypatch.setattr(StateFile, "write", wait)
    return free


def test_training_goes_on_while_the_disk_is_slow_and_what_is_saved_is_what_was(
    tmp_path: Path, told: Told, slow_disk: threading.Event
) -> None:
    by, state = saver(tmp_path, told), State()
    state.train()
    begin(by, state, 1)
    state.train()
    state.train()
    assert not is_committed(step_directory(tmp_path, 1))
    slow_disk.set()
    by.finish()
    assert (saved_values(tmp_path, 1) == 1).all()
    assert told.names() == ["saved"]


def test_one_save_is_in_flight_at_a_time_and_its_memory_is_used_again(tmp_path: Path, told: Told, slow_disk: threading.Event) -> None:
    by, state = saver(tmp_path, told), State()
    begin(by, state, 1)
    second = threading.Thread(target=begin, args=(by, state, 2))
    second.start()
    second.join(0.2)
    assert second.is_alive(), "the second save waits for the first one"
    slow_disk.set()
    second.join(30)
    by.finish()
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [1, 2]
    assert told[1][1]["stall_seconds"] >= 0.1


class Failing:
    """A disk on which some writes fail, as numbered from 0."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fatal: set[int], number: int) -> None:
        original, self.count = StateFile.write, 0

        def write(file: StateFile) -> WrittenFile:
            self.count += 1
            if self.count - 1 in fatal:
                raise OSError(number, os.strerror(number))
            return original(file)

        monkeypatch.setattr(StateFile, "write", write)


@pytest.mark.parametrize("number", [28, 122, 5], ids=["ENOSPC", "EDQUOT", "EIO"])
def test_a_save_that_fails_is_said_leaves_nothing_and_the_run_goes_on(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    Failing(monkeypatch, {1}, number)
    by, state = saver(tmp_path, told), State()
    for step in (1, 2, 3):
        state.train()
        begin(by, state, step)
    by.finish()
    assert told.names() == ["saved", "save_failed", "saved"]
    assert os.strerror(number) in told[1][1]["message"]
    assert "step 2 was not saved" in told[1][1]["message"]
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [1, 3]


def test_too_many_failures_in_a_row_end_the_run_with_the_last_good_checkpoint_in_place(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing(monkeypatch, {1, 2, 3}, 28)
    by, state = saver(tmp_path, told), State()
    for step in (1, 2, 3, 4):
        begin(by, state, step)
    with pytest.raises(InfrastructureError, match=r"3 saves in a row have failed .*max_failed_saves=2.* No space left on device"):
        begin(by, state, 5)
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [1]


def test_a_last_save_that_failed_never_passes_for_one(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    Failing(monkeypatch, {0}, 28)
    by = saver(tmp_path, told)
    begin(by, State(), 1)
    with pytest.raises(InfrastructureError, match="No space left on device"):
        by.finish()


def test_what_goes_wrong_besides_the_disk_is_raised_in_training(tmp_path: Path, told: Told) -> None:
    by = saver(tmp_path, told)
    begin(by, State(), 1)
    begin(by, State(), 1)
    with pytest.raises(CheckpointError, match="committed already"):
        by.finish()


def test_the_newest_step_is_that_of_the_last_save_that_succeeded(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    Failing(monkeypatch, {1}, 28)
    by = saver(tmp_path, told)
    assert by.settle() == 0
    begin(by, State(), 4)
    assert by.settle() == 4
    begin(by, State(), 8)
    assert by.settle() == 4


def test_insurance_saves_go_once_two_newer_checkpoints_are_there_and_science_saves_stay(tmp_path: Path, told: Told) -> None:
    by, kinds = saver(tmp_path, told), [SCIENCE, INSURANCE, INSURANCE, SCIENCE, INSURANCE, INSURANCE, INSURANCE]
    for step, kind in enumerate(kinds, start=1):
        begin(by, State(), step, kind)
    by.finish()
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [1, 4, 6, 7]


def test_what_interrupted_saves_have_left_goes_after_the_next_one(tmp_path: Path, told: Told) -> None:
    for step in (3, 5, 9):
        save(tmp_path, step)
    (step_directory(tmp_path, 3) / COMMIT).unlink()
    assert thin_out(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {"step_00000005", "step_00000009"}


def test_an_older_checkpoint_that_is_damaged_stays_and_keeps_nothing_from_going(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path, step, kind=INSURANCE)
    (step_directory(tmp_path, 2) / COMMIT).write_text("torn")
    assert thin_out(tmp_path) == [1, 3]
    assert (step_directory(tmp_path, 2) / COMMIT).read_text() == "torn"


def test_a_deletion_takes_commit_first(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step, kind=INSURANCE)
    seen = []

    def interrupted(path: Path) -> None:
        seen.append(is_committed(Path(path)))
        raise OSError(5, "killed here")

    monkeypatch.setattr("orchestrator.checkpoints.retention.shutil.rmtree", interrupted)
    with pytest.raises(OSError, match="killed here"):
        thin_out(tmp_path)
    assert seen == [False]
    assert [checkpoint.step for checkpoint in committed_checkpoints(tmp_path)] == [2, 3]


def test_a_deletion_that_fails_is_said_and_ends_nothing(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> list[int]:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(saving, "thin_out", fail)
    by = saver(tmp_path, told)
    begin(by, State(), 1)
    by.finish()
    assert told.names() == ["saved", "delete_failed"]


def test_the_stall_is_the_copy_alone(tmp_path: Path, told: Told, slow_disk: threading.Event) -> None:
    by, state = saver(tmp_path, told), State()
    began = time.perf_counter()
    stalled = begin(by, state, 1)
    assert stalled <= time.perf_counter() - began
    slow_disk.set()
    by.finish()
    assert told[0][1]["stall_seconds"] == round(stalled, 3)
