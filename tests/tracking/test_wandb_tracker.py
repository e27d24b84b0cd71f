"""W&B is a mirror: offline it writes below the run, and whatever it raises, training goes on."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.runs.lines import read_lines
from orchestrator.tracking.metrics import MetricsFile
from orchestrator.tracking.recorder import Recorder
from orchestrator.tracking.wandb_tracker import WandbTracker


@pytest.fixture(scope="module", autouse=True)
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home without a login or settings of W&B, and W&B's own process gone afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "NETRC"):
            patch.delenv(name, raising=False)
        yield
        import wandb

        wandb.teardown()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("orchestrator")]


def offline(run: Path, project: str = "midtrain") -> WandbTracker:
    return WandbTracker("offline", project=project, name="a", directory=run, config={"training": {"seed": 0}})


def test_off_writes_nothing(tmp_path: Path) -> None:
    tracker = WandbTracker("off", project="p", name="a", directory=tmp_path, config={})
    tracker.log({"step": 1, "loss": 1.0})
    tracker.finish()
    assert list(tmp_path.iterdir()) == []


def test_offline_writes_a_run_below_the_run_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = offline(tmp_path)
    for step in range(3):
        tracker.log({"step": step, "loss": 1.5})
    tracker.finish()
    assert warnings(caplog) == []
    (written,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert written.stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == ["wandb"]


def test_a_tracker_that_raises_in_the_middle_is_told_once_and_the_runs_own_file_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = offline(tmp_path)
    metrics, heldout = (MetricsFile(tmp_path / f"{name}.jsonl", 0) for name in ("metrics", "heldout"))
    recorder = Recorder(["spec"], metrics, heldout, tracker)
    recorder.write(0, None, {"spec": [1.0]})
    import wandb

    wandb.finish()  # from now on W&B raises at every line
    with caplog.at_level(logging.WARNING):
        for step in (1, 2, 3):
            recorder.write(step, None, {"spec": [1.0]})
        recorder.close()
    (warning,) = warnings(caplog)
    assert "W&B is off for the rest of this attempt" in warning
    assert "metrics.jsonl has everything" in warning
    assert [line["step"] for line in read_lines(tmp_path / "metrics.jsonl")] == [0, 1, 2, 3]


def test_a_value_that_wandb_cannot_take_does_not_reach_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = offline(tmp_path)
    tracker.log({"step": 1, "loss": object()})
    tracker.log({"loss": 1.0})
    tracker.finish()
    assert len(warnings(caplog)) == 1


def test_a_start_that_fails_does_not_reach_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = offline(tmp_path, project="a/name:that#wandb?refuses")
    tracker.log({"step": 1, "loss": 1.0})
    tracker.finish()
    assert len(warnings(caplog)) == 1


def test_online_without_a_key_does_not_reach_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = WandbTracker("online", project="midtrain", name="a", directory=tmp_path, config={})
    tracker.log({"step": 1, "loss": 1.0})
    tracker.finish()
    assert len(warnings(caplog)) == 1
