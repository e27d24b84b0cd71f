"""`midtrain resume URL` makes a run's directory anew from its second home, and never over another run."""

import shutil
from pathlib import Path

import pytest

from orchestrator.checkpoints.store import COMMIT, committed_checkpoints
from orchestrator.commands.console import Console
from orchestrator.commands.fetching import fetch_lost, fetch_run, find_run
from orchestrator.commands.status import all_statuses
from orchestrator.config.load import load_config, read_config
from orchestrator.errors import CheckpointError, ConfigError, RunExistsError
from orchestrator.platforms.profiles import load_settings
from orchestrator.platforms.submissions import Submission, begin_submission, end_submission, newest_submission
from orchestrator.runs.attempts import JOB, only_attempt, start_attempt
from orchestrator.runs.directory import RunDirectory
from orchestrator.second_home.run_files import pack
from orchestrator.second_home.upload import upload
from tests.commands.command_line import midtrain
from tests.second_home.made_up import Noting, content, make_run, save
from tests.support import prepared
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides


def bring(run: RunDirectory, url: str, step: int) -> dict[str, bytes]:
    """A checkpoint, here and at the second home; its content."""
    checkpoint = save(run, step)
    upload(Noting(url), checkpoint, there={}, run_files=lambda: pack(run))
    return content(checkpoint.directory)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/home/mine"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return make_run(tmp_path)


def steps(run: RunDirectory) -> list[int]:
    return [checkpoint.step for checkpoint in committed_checkpoints(run.checkpoints)]


def test_where_there_is_nothing_the_directory_is_made_anew_where_it_was(run: RunDirectory, url: str) -> None:
    plan = run.plan.read_bytes()
    bring(run, url, 100)
    newest = bring(run, url, 200)
    shutil.rmtree(run.root)
    found = fetch_run(url, None, Console())
    assert (found, steps(found)) == (run, [200])
    assert content(run.checkpoints / "step_00000200") == newest
    assert (run.plan.read_bytes(), run.wandb_id.read_text()) == (plan, "0123456789abcdef\n")
    assert (run.amendments / "1" / "plan.json").is_file()


def test_it_goes_on_elsewhere_under_a_directory_of_ones_choice_and_the_url_is_its_second_home(
    run: RunDirectory, url: str, tmp_path: Path
) -> None:
    bring(run, url, 100)
    found = fetch_run(url, tmp_path / "elsewhere", Console())
    config = read_config(found.config)
    assert (found.root, config.run.dir) == (tmp_path / "elsewhere", str(tmp_path / "elsewhere"))
    assert config.checkpoints.second_home == url
    assert steps(found) == steps(run) == [100]


def test_a_directory_of_the_same_run_that_is_behind_gets_the_newer_checkpoint_and_keeps_what_is_replaced(
    run: RunDirectory, url: str, tmp_path: Path
) -> None:
    bring(run, url, 100)
    behind = fetch_run(url, tmp_path / "behind", Console())
    with run.metrics.open("a") as file:
        file.write('ss": 2}\n{"step": 200}\n')
    bring(run, url, 200)
    old = behind.metrics.read_bytes()
    assert fetch_run(url, tmp_path / "behind", Console()) == behind
    assert (steps(behind), behind.metrics.read_bytes()) == ([100, 200], run.metrics.read_bytes())
    assert (behind.root / "replaced" / "1" / "metrics.jsonl").read_bytes() == old


def test_a_directory_of_the_same_run_that_is_not_behind_is_left_as_it_is(
    run: RunDirectory, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(run, url, 100)
    save(run, 200)
    before = content(run.root)
    assert fetch_run(url, None, Console()) == run
    assert "has step 200" in capsys.readouterr().err
    assert {path: data for path, data in content(run.root).items() if path != ".lock"} == before


def test_another_run_is_never_written_over(run: RunDirectory, url: str) -> None:
    bring(run, url, 100)
    shutil.rmtree(run.root)
    other = make_run(run.root.parents[1], run_id="another")
    before = content(other.root)
    with pytest.raises(RunExistsError, match=f"{run.root} is not the run that is at {url}.*--dir"):
        fetch_run(url, None, Console())
    assert content(other.root) == before


def test_a_run_at_work_is_not_touched(run: RunDirectory, url: str) -> None:
    bring(run, url, 100)
    with only_attempt(run), pytest.raises(RunExistsError, match="is running already"):
        fetch_run(url, None, Console())


def test_checkpoints_that_are_all_gone_here_are_fetched_and_it_is_said(
    run: RunDirectory, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = bring(run, url, 100)
    shutil.rmtree(run.checkpoints)
    config = read_config(run.config)
    with pytest.raises(CheckpointError, match="there was one"):
        fetch_lost(run, config.checkpoints, Console(), CheckpointError("there was one"))
    homed = make_run(run.root.parent, run__dir=run.root.parent / "homed", checkpoints__second_home=url)
    fetched = fetch_lost(homed, read_config(homed.config).checkpoints, Console(), CheckpointError("there was one"))
    assert content(fetched.directory) == newest
    assert f"fetching one from {url}" in capsys.readouterr().err


def test_when_none_is_whole_there_either_it_is_an_error_and_never_a_fresh_start(url: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, checkpoints__second_home=url)
    bring(run, url, 100)
    (Path(url.removeprefix("file://")) / "step_00000100" / COMMIT).write_text("torn")
    with pytest.raises(CheckpointError, match=rf"there was one\. {url} has none that is whole, either"):
        fetch_lost(run, read_config(run.config).checkpoints, Console(), CheckpointError("there was one."))


def test_a_url_with_a_login_in_it_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="login") as caught:
        find_run("s3://me:hunter22@bucket/runs/mine", None, Console())
    assert "hunter22" not in str(caught.value)
    with pytest.raises(ConfigError, match="login"):
        make_run(tmp_path, checkpoints__second_home="s3://me:hunter22@bucket/runs/mine")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["file:///nowhere/at/all"], 4, "file:///nowhere/at/all has no checkpoint that is whole"),
        (["strange://bucket/run"], 2, "Use a protocol that fsspec knows"),
        (["runs/mine", "--dir", "elsewhere"], 2, "--dir elsewhere is for the URL of a second home"),
        (["runs/mine"], 2, "is not a run: it has no config.yaml"),
    ],
)
def test_what_cannot_be_found_is_one_message(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    ended = midtrain("resume", *words, cwd=tmp_path)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert said in ended.stderr


def test_a_second_home_that_is_no_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"checkpoints\.second_home: runs/mine is not a URL\. Write one such as s3://"):
        make_run(tmp_path, checkpoints__second_home="runs/mine")


def test_the_status_of_a_second_home_is_that_of_its_newest_checkpoint(tmp_path: Path, url: str) -> None:
    write_prepared(tmp_path)
    run = prepared.make_run(load_config(overrides(tmp_path)))
    run.wandb_id.write_text("0123456789abcdef\n")
    start_attempt(run, world_size=2, from_step=0)
    bring(run, url, 5)
    (status,) = all_statuses(f"{url}/", Console(), lambda *_: False)
    assert (status["run"], status["state"], status["attempts"], status["steps"]) == (url, "unknown", 1, 10)
    assert status["reason"] == "as of its newest checkpoint in the second home"


def test_the_second_home_knows_where_a_run_was_launched(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prepared(tmp_path)
    run = prepared.make_run(load_config(overrides(tmp_path)))
    run.wandb_id.write_text("0123456789abcdef\n")
    known = Submission(number=1, platform="local", profile="local", key="k", from_step=0, job="elsewhere:k")
    begin_submission(run, known, {"job.sh": ""}, load_settings("local", [])[1])
    end_submission(run, known)
    monkeypatch.setenv(JOB, "local:elsewhere:k")
    start_attempt(run, world_size=2, from_step=0)
    bring(run, url, 5)
    (status,) = all_statuses(url, Console(), lambda *_: False)
    assert (status["platform"], status["job"], status["state"]) == ("local", "elsewhere:k", "unknown")
    assert "it is a process on elsewhere; look there" in status["reason"]
    shutil.rmtree(run.root)
    assert newest_submission(fetch_run(url, None, Console())) == known, "so that `resume` goes on there, and not here beside its job"
