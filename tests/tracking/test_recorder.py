"""What rank 0 writes of a step: exact losses by source, held-out means, and the run's own files before anything else."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.evaluation.answers import Answers
from orchestrator.runs.lines import read_lines
from orchestrator.tracking.metrics import MetricsFile
from orchestrator.tracking.recorder import LoggedInterval, Recorder

INTERVAL = LoggedInterval(
    step=4,
    steps=3,
    total_tokens=[300, 0, 1000],
    epochs=[1.5, 0.0, 0.25],
    updates=[2, 0, 4],
    losses=[250.0, 0.0, 1500.0],
    tokens=[100, 0, 500],
    learning_rate=1e-4,
    gradient_norm=0.5,
    data_checksum=77,
    step_seconds=2.0,
    wait_seconds=0.25,
    memory_bytes=4096,
    tflops_per_rank=100.0,
    peak_tflops_per_rank=400.0,
)


DOCUMENTS = {"spec": np.array([0, 4, 4]), "docs": np.empty(0, dtype=np.int64), "code": np.array([7])}


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    metrics, heldout, probes = (MetricsFile(tmp_path / f"{name}.jsonl", 0) for name in ("metrics", "heldout", "probes"))
    return Recorder(["spec", "docs", "code"], metrics, heldout, documents=DOCUMENTS, probes=probes)


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
            "epochs/spec": 1.5,
            "epochs/docs": 0.0,
            "epochs/code": 0.25,
            "updates/spec": 2,
            "updates/docs": 0,
            "updates/code": 4,
            "lr": 1e-4,
            "grad_norm": 0.5,
            "data_checksum": 77,
            "step_seconds": 2.0,
            "data_wait_seconds": 0.25,
            "tokens_per_second": 100.0,
            "memory_bytes": 4096,
            "tflops_per_rank": 100.0,
            "peak_tflops_per_rank": 400.0,
            "mfu": 0.25,
        }
    ]
    assert list(read_lines(tmp_path / "heldout.jsonl")) == []


def test_on_hardware_that_is_not_known_there_is_no_utilisation(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write(4, replace(INTERVAL, peak_tflops_per_rank=None), {})
    recorder.write(5, replace(INTERVAL, step=5, tflops_per_rank=None), {})
    no_peak, no_formula = (line.keys() for line in read_lines(tmp_path / "metrics.jsonl"))
    assert not {"mfu", "peak_tflops_per_rank"} & no_peak
    assert not {"mfu", "tflops_per_rank"} & no_formula


def test_before_the_first_step_there_is_only_the_held_out_loss(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write(0, None, {"spec": [1.0, 2.0, 3.0], "docs": [], "code": [4.0]})
    recorder.close()
    assert list(read_lines(tmp_path / "metrics.jsonl")) == [
        {"step": 0, "tokens": 0, "heldout/spec": 2.0, "heldout/code": 4.0, "heldout_se/spec": pytest.approx(2 / 3)}
    ]


def test_every_line_of_held_out_losses_says_of_which_document_each_is(recorder: Recorder, tmp_path: Path) -> None:
    losses = {"spec": [1.0, 2.0, 3.0], "docs": [], "code": [4.0]}
    recorder.write(0, None, losses)
    recorder.write(4, INTERVAL, losses)
    recorder.close()
    assert list(read_lines(tmp_path / "heldout.jsonl")) == [
        {"step": step, "source": name, "losses": losses[name], "documents": DOCUMENTS[name].tolist()}
        for step in (0, 4)
        for name in ("spec", "docs", "code")
    ]


def test_the_error_of_a_held_out_loss_is_over_documents(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write(4, INTERVAL, {"spec": [0.0, 3.0, 3.0]})
    recorder.close()
    (line,) = read_lines(tmp_path / "metrics.jsonl")
    # Deviations -2, 1 and 1: -2 and 2 in two documents. (2 / 1) x (4 + 4) is 16, its root by three sequences.
    assert line["heldout_se/spec"] == pytest.approx(4 / 3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_held_out_loss_that_is_not_finite_is_never_written(recorder: Recorder, tmp_path: Path, value: float) -> None:
    with pytest.raises(Exception, match=r"finite|JSON"):
        recorder.write(4, INTERVAL, {"spec": [1.0, 2.0, 3.0], "code": [value]})
    recorder.close()
    assert list(read_lines(tmp_path / "metrics.jsonl")) == []
    assert [line for line in read_lines(tmp_path / "heldout.jsonl") if line["source"] == "code"] == []


ANSWERS = Answers(items="hash", margins=np.array([0.5, -1.0, 0.25, 0.0]), num_cut=2)


def test_every_item_of_a_probe_is_in_its_line_and_the_shares_and_margins_are_among_the_metrics(recorder: Recorder, tmp_path: Path) -> None:
    recorder.write(0, None, {}, {"keeper": ANSWERS, "one": Answers(items="other", margins=np.array([2.0]), num_cut=0)})
    recorder.close()
    assert list(read_lines(tmp_path / "probes.jsonl")) == [
        {"step": 0, "probe": "keeper", "correct": [1, 0, 1, 0], "margins": [0.5, -1.0, 0.25, 0.0], "items": "hash", "num_cut": 2},
        {"step": 0, "probe": "one", "correct": [1], "margins": [2.0], "items": "other", "num_cut": 0},
    ]
    assert list(read_lines(tmp_path / "metrics.jsonl")) == [
        {
            "step": 0,
            "tokens": 0,
            "probe/keeper": 0.5,
            "probe_se/keeper": pytest.approx(math.sqrt(1 / 3) / 2),  # of 1, 0, 1, 0: sample deviation by the root of four
            "probe_margin/keeper": -0.0625,
            "probe/one": 1.0,
            "probe_margin/one": 2.0,
        }
    ]


def test_after_a_rewind_no_answers_are_left_of_steps_that_are_made_again(tmp_path: Path) -> None:
    for from_step, steps in ((0, (0, 5, 10)), (5, (10,))):
        files = [MetricsFile(tmp_path / f"{name}.jsonl", from_step) for name in ("metrics", "heldout", "probes")]
        recorder = Recorder([], *files[:2], documents={}, probes=files[2])
        for step in steps:
            recorder.write(step, None, {}, {"keeper": replace(ANSWERS, items=f"from {from_step}")})
        recorder.close()
    assert [(line["step"], line["items"]) for line in read_lines(tmp_path / "probes.jsonl")] == [
        (0, "from 0"),
        (5, "from 0"),
        (10, "from 5"),
    ]


def test_a_margin_that_is_not_finite_is_never_written(recorder: Recorder, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"finite|JSON"):
        recorder.write(4, INTERVAL, {}, {"keeper": replace(ANSWERS, margins=np.array([math.nan]))})
    recorder.close()
    assert list(read_lines(tmp_path / "probes.jsonl")) == list(read_lines(tmp_path / "metrics.jsonl")) == []
