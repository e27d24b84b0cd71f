"""What rank 0 writes of a step: exact losses by source, held-out means, and the run's own files before anything else."""

import math
from pathlib import Path

import pytest

from orchestrator.runs.lines import read_lines
from orchestrator.tracking.metrics import MetricsFile
from orchestrator.tracking.recorder import LoggedInterval, Recorder

INTERVAL = LoggedInterval(
    step=4,
    total_tokens=[300, 0, 1000],
    losses=[250.0, 0.0, 1500.0],
    tokens=[100, 0, 500],
    learning_rate=1e-4,
    gradient_norm=0.5,
    data_checksum=77,
    step_seconds=2.0,
    wait_seconds=0.25,
)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    metrics, heldout = (MetricsFile(tmp_path / f"{name}.jsonl", 0) for name in ("metrics", "heldout"))
    return Recorder(["spec", "docs", "code"], metrics, heldout)


def test_an_interval_is_one_line_with_the_mean_loss_of_each_source_that_it_trained(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write(4, INTERVAL, {})
    recorder.close()
    assert list(read_lines(tmp_path / "metrics.jsonl")) == [
        {
            "step": 4,
            "tokens": 1300,
            "loss": 1750 / 600,
            "loss/spec": 2.5,
            "loss/code": 3.0,
            "tokens/spec": 300,
            "tokens/docs": 0,
            "tokens/code": 1000,
            "lr": 1e-4,
            "grad_norm": 0.5,
            "data_checksum": 77,
            "step_seconds": 2.0,
            "data_wait_seconds": 0.25,
        }
    ]
    assert list(read_lines(tmp_path / "heldout.jsonl")) == []


def test_before_the_first_step_there_is_only_the_held_out_loss(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write(0, None, {"spec": [1.0, 2.0], "docs": [], "code": [4.0]})
    recorder.close()
    assert list(read_lines(tmp_path / "metrics.jsonl")) == [{"step": 0, "tokens": 0, "heldout/spec": 1.5, "heldout/code": 4.0}]
    assert [(line["step"], line["source"], line["losses"]) for line in read_lines(tmp_path / "heldout.jsonl")] == [
        (0, "spec", [1.0, 2.0]),
        (0, "docs", []),
        (0, "code", [4.0]),
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_held_out_loss_that_is_not_finite_is_never_written(recorder: Recorder, tmp_path: Path, value: float) -> None:
    with pytest.raises(Exception, match=r"finite|JSON"):
        recorder.write(4, INTERVAL, {"spec": [1.0], "code": [1.0, value]})
    recorder.close()
    assert list(read_lines(tmp_path / "metrics.jsonl")) == []
    assert [line for line in read_lines(tmp_path / "heldout.jsonl") if line["source"] == "code"] == []
