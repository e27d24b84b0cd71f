"""The ledger of a sweep: trials are added once, verdicts hold until they are withdrawn."""

from pathlib import Path

import pytest

from orchestrator.commands.sweeping.making import only_command
from orchestrator.errors import RunExistsError
from orchestrator.sweep.directory import (
    SweepDirectory,
    TrialEntry,
    Verdict,
    add_trials,
    enter_command,
    enter_verdict,
    newest_command,
    read_trials,
    read_verdicts,
    withdraw_verdict,
)


def entry(name: str) -> TrialEntry:
    return TrialEntry(
        trial_id=name,
        arm="spec",
        setting={"mixture.spec_share": 0.1, "x": None},
        seed=0,
        spec_share=0.1,
        spec_tokens=128,
        spec_epochs=0.5,
        unique_spec_tokens=256,
        total_tokens=1280,
        steps=10,
    )


def test_trials_are_read_back_as_they_were_added_and_in_that_order(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path)
    add_trials(sweep, [entry("b"), entry("a")])
    add_trials(sweep, [entry("c")])
    assert read_trials(sweep) == [entry("b"), entry("a"), entry("c")]


def test_a_line_that_a_killed_command_left_unfinished_is_no_trial(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path)
    add_trials(sweep, [entry("a")])
    with sweep.ledger.open("a") as file:
        file.write('{"event": "added", "trial_id": "b", "arm"')
    add_trials(sweep, [entry("c")])
    assert [one.trial_id for one in read_trials(sweep)] == ["a", "c"]


def test_a_verdict_holds_until_it_is_withdrawn(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path)
    add_trials(sweep, [entry("a")])
    verdict = Verdict(word="failed", step=3, reason="the loss is NaN")
    enter_verdict(sweep, "a", verdict)
    assert read_verdicts(sweep) == {"a": verdict}
    withdraw_verdict(sweep, "a")
    assert read_verdicts(sweep) == {}


def test_the_newest_command_is_known(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path)
    assert newest_command(sweep) == []
    enter_command(sweep, ["a=1"])
    enter_command(sweep, ["a=1,2"])
    assert newest_command(sweep) == ["a=1,2"]


def test_what_a_command_left_that_was_killed_as_it_began_is_no_other_directory(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path / "sweeps" / "mine")
    for _ in range(2):  # neither wrote sweep.yaml
        with only_command(sweep):
            assert not sweep.exists
    (sweep.root / ".sweep.yaml.partial-123").touch()  # nor was it whole
    with only_command(sweep):
        assert not sweep.exists
    (sweep.root / "thesis.tex").touch()
    with pytest.raises(RunExistsError, match="is not a sweep"), only_command(sweep):
        pass


def test_where_a_file_is_no_sweep_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a thesis")
    with pytest.raises(RunExistsError, match="is not a sweep"), only_command(SweepDirectory(tmp_path / "mine")):
        pass


def test_a_command_is_asked_to_stop_from_when_it_holds_the_sweep(tmp_path: Path) -> None:
    sweep = SweepDirectory(tmp_path)
    sweep.stop_request.touch()  # meant the command before
    with only_command(sweep):
        assert not sweep.stop_request.exists()
