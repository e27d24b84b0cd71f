"""The trials of a sweep as jobs: what would be submitted, what is made, and what cannot be left to a queue."""

from pathlib import Path

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.submitting import How
from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.commands.sweeping.launching import launch_sweep
from orchestrator.commands.sweeping.making import add, only_command, write_sweep
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import append_line
from orchestrator.sweep.settings import wishes_of
from orchestrator.sweep.stored import Stored
from tests.commands.command_line import midtrain
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides

SHARES = "mixture.spec_share=0.1,0.25"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launching")
    write_prepared(folder)
    return folder


def words(home: Path, name: str, *more: str) -> list[str]:
    return [*overrides(home, **{"run.name": name, "sweep.dir": home / "sweeps" / name}), SHARES, *more]


def test_on_slurm_the_trials_are_one_array_under_its_cap(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = launch_sweep("slurm", words(home, "array", "launch.at_once=2"), Console(), how=How.PRINT)
    said = capsys.readouterr()
    assert '#SBATCH --array="0-2%2"' in said.out
    assert all(str(run.root) in said.out for run in runs)
    assert [run.root.name.partition("_")[0] for run in runs] == ["spec", "spec", "control"]
    assert "3 trials of 3 settings" in said.err and "what 3 trials will cost" in said.err
    assert not (home / "sweeps" / "array").exists()


def test_on_kubernetes_each_trial_is_a_job_of_its_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = f"launch.image=registry.example/midtrain@sha256:{'a' * 64}"
    launch_sweep("kubernetes", words(home, "jobs", image, f"launch.claims={{{home}: runs}}"), Console(), how=How.PRINT)
    assert capsys.readouterr().out.count("kind: RayJob") == 3


@pytest.mark.parametrize(
    ("platform", "more", "message"),
    [
        ("local", [], "is `midtrain sweep`"),
        ("slurm", ["sweep.early_stopping={rule:halving}"], r"set sweep\.early_stopping=null"),
        ("slurm", ["training.learning_rate=interval(0.001,0.1)", "sweep.sampler={settings:3}"], r"set sweep\.sampler=null"),
    ],
)
def test_what_needs_a_command_that_looks_on_is_not_left_to_a_queue(home: Path, platform: str, more: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        launch_sweep(platform, words(home, "refused", *more), Console(), how=How.PRINT)


def made_before(home: Path, name: str, *more: str) -> list[Trial]:
    """Trials whose run directories an earlier command has made."""
    values, sweep, fixed = load_sweep(words(home, name, *more))
    design = Design(Stored(values=values, sweep=sweep, overrides=fixed))
    trials = design.trials(wishes_of(sweep))
    with only_command(design.directory):
        write_sweep(design.directory, design, [])
        add(design.directory, trials)
    return trials


def test_what_is_finished_costs_nothing_more(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, trial in enumerate(made_before(home, "partly")[:2]):
        attempts, about = RunDirectory(trial.run).attempts, {"attempt": 1, "host": "a", "pid": number, "time": "2026-01-01T00:00:00Z"}
        append_line(attempts, about | {"event": "start", "from_step": 0, "world_size": 2})
        append_line(attempts, about | {"event": "stop", "step": 10, "class": "done", "exit_code": 0, "reason": "done"})
    launch_sweep("slurm", words(home, "partly"), Console(), how=How.PRINT)
    assert "what 1 trial will cost" in capsys.readouterr().err


def test_an_array_has_one_shape_and_a_trial_keeps_that_it_was_made_with(home: Path) -> None:
    made_before(home, "shaped")
    with pytest.raises(ConfigError, match=r"config\.yaml has scheduling\.world_size=2, .* would have 4, .* Give scheduling\.world_size=2"):
        launch_sweep("slurm", words(home, "shaped", "scheduling.world_size=4"), Console(), how=How.PRINT)


def test_several_values_without_sweep_are_no_run(home: Path) -> None:
    done = midtrain("launch", "slurm", *words(home, "forgotten"), "--dry-run", cwd=home)
    assert done.returncode == 2
    assert "has several values" in done.stderr or "is of a sweep" in done.stderr
