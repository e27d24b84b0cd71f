"""The figures of a run, against numbers that were computed by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.mixture.plan import Plan, PlannedSource
from orchestrator.report.summary import changes_of, compare, summarise_run
from orchestrator.report.timeline import make_evaluations, make_timeline
from tests.mixture.mixtures import stage_of

# Four steps of four sequences of ten tokens; the spec has one sequence in four. It was trained as planned, but for step 1.
PLAN = Plan(
    sequence_length=10,
    sequences_per_step=4,
    seed=0,
    sources=(
        PlannedSource(name="spec", role="spec", fingerprint="", unique_sequences=4, trained_tokens=40),
        PlannedSource(name="docs", role="general", fingerprint="", unique_sequences=12, trained_tokens=120),
    ),
    stages=(stage_of([4, 12], each=4),),
)


def line(step: int, spec_tokens: int, docs_tokens: int, *, seconds: float, wait: float, **more: float) -> dict[str, Any]:
    tokens = {"tokens": spec_tokens + docs_tokens, "tokens/spec": spec_tokens, "tokens/docs": docs_tokens}
    return {
        "step": step,
        **tokens,
        "loss": 3.0,
        "loss/docs": 2.0,
        "lr": 0.1,
        "grad_norm": 1.0,
        "step_seconds": seconds,
        "data_wait_seconds": wait,
        **more,
    }


METRICS = [
    {"step": 0, "tokens": 0, "heldout/spec": 4.0, "heldout/docs": 2.0},
    line(1, 0, 40, seconds=3.0, wait=0.5),
    line(3, 30, 90, seconds=1.0, wait=0.25, **{"loss/spec": 4.0, "heldout/spec": 3.9}),
    line(4, 40, 120, seconds=3.0, wait=0.0, **{"loss/spec": 4.0, "heldout/spec": 3.5}),
]
HELDOUT = [
    {"step": 0, "source": "spec", "losses": [3.0, 5.0]},
    {"step": 0, "source": "docs", "losses": [2.0]},
    {"step": 3, "source": "spec", "losses": [2.9, 4.9]},
    {"step": 3, "source": "docs", "losses": [2.0]},
    {"step": 4, "source": "spec", "losses": [2.6, 4.4]},
    {"step": 4, "source": "docs", "losses": [2.1]},
]


def summarise(
    metrics: list[dict[str, Any]] = METRICS, heldout: list[dict[str, Any]] = HELDOUT, stalls: tuple[float, ...] = (0.5, 0.25)
) -> dict[str, Any]:
    timeline = make_timeline(metrics, ["spec", "docs"])
    evaluations = make_evaluations(metrics, heldout)
    return summarise_run(model="tiny", plan=PLAN, timeline=timeline, evaluations=evaluations, probes={}, stall_seconds=stalls)


def test_the_summary_has_the_figures_of_the_whole_run() -> None:
    summary = summarise()
    assert {key: value for key, value in summary.items() if key not in ("heldout", "largest_deviation_sequences")} == {
        "model": "tiny",
        "steps": 4,
        "tokens": 160,
        "probes": {},
        "realised_share": {"spec": 0.25, "docs": 0.75},
        "tokens_per_second": 160 / 8,  # 1 x 3 s + 2 x 1 s + 1 x 3 s
        "data_wait_share": 1.0 / 8,  # 1 x 0.5 s + 2 x 0.25 s
        "checkpoint_stall_seconds": 0.75,
    }


def test_the_held_out_change_has_the_standard_error_of_the_paired_differences() -> None:
    spec = changes_of(summarise())["spec"]
    assert (spec.role, spec.step, spec.num_sequences) == ("spec", 4, 2)
    assert (spec.before, spec.after) == pytest.approx((4.0, 3.5))
    assert spec.stderr == pytest.approx(0.9)  # of 2.6 and 4.4: sample deviation 1.8 / sqrt 2, by sqrt 2
    assert spec.change == pytest.approx(-0.125)
    assert spec.change_stderr == pytest.approx(0.1 / 4.0)  # of the differences -0.4 and -0.6: 0.1
    assert spec.is_clear


def test_where_a_run_says_of_which_documents_its_sequences_are_the_errors_are_over_documents() -> None:
    losses = {0: [3.0, 5.0, 4.0], 3: [3.0, 5.0, 4.0], 4: [2.0, 4.0, 4.0]}
    others = [line for line in HELDOUT if line["source"] == "docs"]
    lines = [{"step": step, "source": "spec", "losses": values, "documents": [2, 2, 9]} for step, values in losses.items()]
    spec = changes_of(summarise(heldout=[*lines, *others]))["spec"]
    assert (spec.num_sequences, spec.num_documents) == (3, 2)
    # Of 2, 4 and 4: -4/3 + 2/3 in one document, 2/3 in the other; of the differences -1, -1 and 0 the same. The root of 16/9, by 3.
    assert spec.stderr == pytest.approx(4 / 9)
    assert spec.change_stderr == pytest.approx(4 / 9 / 4)


@pytest.mark.parametrize("told", [{0}, {3}, {4}, {0, 3, 4}])
def test_documents_that_any_evaluation_tells_hold_for_all_as_the_sequences_are_the_same(told: set[int]) -> None:
    """A run that was begun by an older version, or that goes on from a step whose line was taken away."""
    heldout = [line | {"documents": [5, 5]} if line["step"] in told and line["source"] == "spec" else line for line in HELDOUT]
    changes = changes_of(summarise(heldout=heldout))
    assert (changes["spec"].num_documents, changes["spec"].stderr, changes["spec"].change_stderr) == (1, None, None)
    assert changes["docs"].num_documents is None


def test_without_documents_the_errors_are_over_sequences_as_they_were_before_documents_were_written_down() -> None:
    spec = changes_of(summarise())["spec"]
    assert (spec.num_sequences, spec.num_documents) == (2, None)
    assert spec.stderr == pytest.approx(0.9)


def test_a_single_held_out_sequence_has_no_standard_error_and_no_clear_change() -> None:
    docs = changes_of(summarise())["docs"]
    assert (docs.stderr, docs.change_stderr, docs.is_clear) == (None, None, False)
    assert docs.change == pytest.approx(0.05)


def test_the_largest_deviation_is_that_of_the_worst_logged_step() -> None:
    # Step 1: 0 of the spec where 1 was planned, 4 of docs where 3 were; on plan at steps 3 and 4.
    assert summarise()["largest_deviation_sequences"] == {"spec": 1.0, "docs": 1.0}


def test_an_unfinished_run_has_its_newest_evaluation_and_what_it_trained_so_far() -> None:
    summary = summarise(METRICS[:3])
    spec = changes_of(summary)["spec"]
    assert (summary["steps"], summary["tokens"], spec.step) == (3, 120, 3)
    assert spec.after == pytest.approx(3.9)


def test_an_evaluation_counts_only_once_its_metrics_line_is_there() -> None:
    assert [evaluation.step for evaluation in make_evaluations(METRICS[:3], HELDOUT)] == [0, 3]


def test_a_source_without_held_out_text_is_not_among_the_changes() -> None:
    heldout = [line | {"losses": []} if line["source"] == "docs" else line for line in HELDOUT]
    assert list(summarise(heldout=heldout)["heldout"]) == ["spec"]


def test_a_run_without_held_out_text_has_no_changes() -> None:
    metrics = [{key: value for key, value in line.items() if not key.startswith("heldout/")} for line in METRICS]
    assert summarise(metrics, [])["heldout"] == {}


def test_a_run_without_checkpoints_was_not_stalled() -> None:
    assert summarise(stalls=())["checkpoint_stall_seconds"] == 0.0


def test_held_out_text_that_changed_within_a_run_is_an_error_that_names_the_key() -> None:
    heldout = [*HELDOUT[:-2], {"step": 4, "source": "spec", "losses": [2.6, 4.4, 3.0]}]
    with pytest.raises(DataError, match=r"'spec' was measured on 2 sequences at step 0 and on 3 at step 4.*evaluation\.max_sequences"):
        make_evaluations(METRICS, heldout)


def test_an_interval_that_trained_none_of_a_source_has_no_loss_of_it() -> None:
    timeline = make_timeline(METRICS, ["spec", "docs"])
    assert timeline.interval_steps.tolist() == [1, 2, 1]
    assert timeline.interval_tokens[:, 0].tolist() == [0, 30, 10]
    assert np.isnan(timeline.losses[:, 0]).tolist() == [True, False, False]


def test_the_summary_survives_json() -> None:
    summary = summarise()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


LOSSES = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=20)


@given(LOSSES, st.floats(0.01, 100))
def test_a_relative_change_does_not_depend_on_the_unit_of_the_loss(pairs: list[tuple[float, float]], unit: float) -> None:
    before, after = np.array(pairs).T
    one, other = compare(before, after, role="spec", step=1), compare(before * unit, after * unit, role="spec", step=1)
    assert math.isclose(one.change, other.change, abs_tol=1e-9)
    assert math.isclose(one.change_stderr or 0, other.change_stderr or 0, rel_tol=1e-6, abs_tol=1e-9)


@given(LOSSES, st.floats(-0.05, 0.05))
def test_a_shift_of_all_sequences_alike_has_no_standard_error(pairs: list[tuple[float, float]], shift: float) -> None:
    before = np.array([pair[0] for pair in pairs])
    assert math.isclose(compare(before, before + shift, role="spec", step=1).change_stderr or 0, 0, abs_tol=1e-9)
