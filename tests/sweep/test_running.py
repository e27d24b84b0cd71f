"""What a command does with the trials of a sweep, and with what goes wrong beside them. How a trial is trained is not looked at."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.jobs import Standing
from orchestrator.commands.stopping import Asked
from orchestrator.commands.sweeping import running, stopping, sweep
from orchestrator.commands.sweeping.designing import Design
from orchestrator.commands.sweeping.making import add, only_command, write_sweep
from orchestrator.commands.sweeping.pools import Proposals, Queue, Works
from orchestrator.commands.sweeping.running import Pool, Runner
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError, InfrastructureError, OrchestratorError
from orchestrator.platforms.job import JobState
from orchestrator.platforms.submissions import Submission
from orchestrator.runs.directory import RunDirectory
from orchestrator.scheduling.sharing import Place, SharedCluster
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, add_trials, read_trials
from orchestrator.sweep.sampler import Sampler
from orchestrator.sweep.stored import Stored
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides
from tests.sweep.test_directory import entry

TRIALS = [entry(name) for name in ("a", "b", "c")]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The trials that were trained; each stops, saved, at once."""
    names: list[str] = []
    monkeypatch.setattr(running, "resume", lambda run, *_, **__: names.append(run.root.name))
    return names


def run(pool: Pool, root: Path, at_once: int = 2) -> Runner:
    runner = Runner(SweepDirectory(root), pool, Console(), cluster=cast(SharedCluster, None), at_once=at_once)
    runner.to_the_end(lambda board: None, lambda amount, note: None)
    return runner


def test_every_trial_of_a_queue_is_trained_once(trained: list[str], tmp_path: Path) -> None:
    assert set(run(Queue(TRIALS), tmp_path).board.stopped) == {"a", "b", "c"}
    assert sorted(trained) == ["a", "b", "c"]


class FullDisk(Queue):
    """Of what a sweep has to remember, the second thing finds no room."""

    def take(self) -> TrialEntry | None:
        if len(self._entries) < 3:
            raise OSError(28, "No space left on device")
        return super().take()


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_a_sweep_cannot_remember_ends_it_with_a_message_and_no_more_trials(at_once: int, trained: list[str], tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"No space left on device\. Make room"):
        run(FullDisk(TRIALS), tmp_path, at_once)
    assert trained == ["a"]


def test_a_bug_in_a_thread_is_no_end_that_looks_like_success(trained: list[str], tmp_path: Path) -> None:
    class Broken(Queue):
        def take(self) -> TrialEntry | None:
            raise LookupError("of ours")

    with pytest.raises(LookupError, match="of ours"):
        run(Broken(TRIALS), tmp_path)


class Told:
    """A sampler that proposes so many settings, and remembers what it was told."""

    def __init__(self, settings: int) -> None:
        self.settings, self.asked, self.told, self.failed = settings, 0, list[int](), list[int]()

    @property
    def is_over(self) -> bool:
        return self.asked >= self.settings

    def open_ones(self) -> list[tuple[int, dict[str, Any]]]:
        return []

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        if self.is_over:
            return None
        self.asked += 1
        return self.asked, {}

    def tell(self, number: int, **_: float) -> None:
        self.told.append(number)

    def tell_failed(self, number: int) -> None:
        self.failed.append(number)


def works(make: Callable[..., Sequence[TrialEntry]], measured: tuple[float, float] | None = (0.1, 0.0)) -> Works:
    return Works(make=make, is_left=lambda entry: True, measure=lambda entry: measured, say=lambda text: None)


def proposed(sampler: Told, of: Works) -> list[TrialEntry]:
    pool, taken = Proposals(cast(Sampler, sampler), [], of), []
    while one := pool.take():
        taken.append(one)
        pool.done(one, "finished")
    return taken


def test_a_setting_without_the_spec_is_trained_and_told_as_failed() -> None:
    sampler = Told(1)
    control = TrialEntry(**{name: getattr(TRIALS[0], name) for name in TrialEntry.__dataclass_fields__} | {"arm": "control"})
    assert proposed(sampler, works(lambda setting: [control])) == [control]
    assert (sampler.told, sampler.failed) == ([], [1])


def test_a_setting_of_a_trial_that_came_to_nothing_is_told_as_failed() -> None:
    sampler = Told(1)
    proposed(sampler, works(lambda setting: TRIALS, measured=None))
    assert (sampler.told, sampler.failed) == ([], [1])


@pytest.mark.parametrize(("error", "failed"), [(ConfigError("no plan"), [1, 2]), (InfrastructureError("no room"), [])])
def test_a_full_disk_uses_up_no_settings_as_those_that_cannot_be_trained_do(error: OrchestratorError, failed: list[int]) -> None:
    def refuse(setting: Any) -> Sequence[TrialEntry]:
        raise error

    sampler = Told(2)
    if failed:
        proposed(sampler, works(refuse))
    else:
        with pytest.raises(InfrastructureError, match="no room"):
            proposed(sampler, works(refuse))
    assert sampler.failed == failed


def test_what_a_killed_command_has_not_entered_is_entered_by_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prepared(tmp_path)
    monkeypatch.chdir(tmp_path)
    values, settings, fixed = load_sweep([*overrides(tmp_path), "mixture.spec_share=0.1,0.25"])
    design = Design(Stored(values=values, sweep=settings, overrides=fixed))
    trials, made = sweep.planned(design), design.directory
    with only_command(made):
        write_sweep(made, design, ["mixture.spec_share=0.1,0.25"])
        add(made, trials[:1])
    trained: list[str] = []
    monkeypatch.setattr(sweep, "_train", lambda made, entries, *_: trained.extend(one.trial_id for one in entries))
    monkeypatch.chdir("/")  # wherever it is called
    sweep.resume_sweep(made, sweep.How(), Console())
    assert trained == [trial.entry.trial_id for trial in trials]
    assert len(read_trials(made)) == 3
    assert sorted(path.name for path in made.trials.iterdir()) == sorted(trained)


def job(phase: str) -> Standing:
    return Submission(number=1, platform="slurm", profile="", key="k", from_step=0, job="7_1"), JobState(
        phase=phase, word=phase, why="no answer"
    )


def test_trials_that_are_jobs_are_left_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SweepDirectory(tmp_path)
    add_trials(made, TRIALS)
    monkeypatch.setattr(sweep, "jobs_of", lambda runs: [job("running"), job("ended"), None])
    left = sweep._to_train(made, TRIALS, cast(Design, None), sweep.How(), Console())
    assert [one.trial_id for one in left] == ["b", "c"]
    monkeypatch.setattr(sweep, "jobs_of", lambda runs: [job("unknown"), None, None])
    with pytest.raises(InfrastructureError, match="a is job 7_1 on slurm, and whether that lives is not known: no answer"):
        list(sweep._to_train(made, TRIALS, cast(Design, None), sweep.How(), Console()))


def test_all_jobs_are_asked_to_stop_before_the_first_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def ask(run: RunDirectory, console: Console, *, now: bool) -> Asked | None:
        if run.root.name == "b":
            raise InfrastructureError("slurm does not answer")
        done.append(f"ask {run.root.name}")
        return Asked(run=run, last=1, seconds=1)

    monkeypatch.setattr(stopping, "ask_to_stop", ask)
    monkeypatch.setattr(stopping, "wait_until_stopped", lambda asked, console: done.append(f"wait {asked.run.root.name}"))
    with pytest.raises(InfrastructureError, match="slurm does not answer"):
        stopping._stop_jobs([RunDirectory(tmp_path / name) for name in "abc"], Console(), now=False)
    assert done == ["ask a", "ask c", "wait a", "wait c"]


def test_a_cluster_that_could_not_be_started_again_is_started_at_the_next_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def starts() -> Iterator[bool]:
        yield from (True, False, True)

    tries = starts()
    cluster = SharedCluster(gpus_per_rank=0, log=tmp_path / "log")

    def start() -> None:
        cluster._is_own = True
        if not next(tries):
            raise InfrastructureError("no memory for it")
        cluster._place = Place(environment={"RAY_ADDRESS": "anew"})

    monkeypatch.setattr(cluster, "_start", start)
    cluster.open()  # and its keeper dies
    with pytest.raises(InfrastructureError, match="no memory"):
        cluster.place()
    assert cluster.place().environment == {"RAY_ADDRESS": "anew"}
