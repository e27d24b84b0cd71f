"""Where a run stands, against numbers that were computed by hand."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frontier.coordinates import coordinates, measured_coordinates
from orchestrator.frontier.trials import SourceLosses
from tests.frontier.hand_made import LAW, RATIOS, losses_of

ROLES = {"spec": "spec", "values": "spec", "web": "general", "code": "general"}
BEFORE = {"spec": 2.0, "values": 4.0, "web": 2.5, "code": 1.0}


def test_uptake_and_forgetting_are_means_over_the_sources_of_each_role() -> None:
    found = coordinates(ROLES, BEFORE, {"spec": 1.0, "values": 3.0, "web": 2.75, "code": 0.9})
    assert found.uptake == pytest.approx((0.5 + 0.25) / 2)
    assert found.forgetting_by_source == pytest.approx({"web": 0.1, "code": -0.1})
    assert found.forgetting == pytest.approx(0.0)


def test_a_model_that_did_not_change_is_at_the_origin() -> None:
    found = coordinates(ROLES, BEFORE, BEFORE)
    assert (found.uptake, found.forgetting) == (0.0, 0.0)


def test_sources_that_were_not_measured_are_left_out() -> None:
    found = coordinates(ROLES, {"spec": 2.0}, {"spec": 1.0})
    assert (found.uptake, found.forgetting, found.forgetting_by_source) == (0.5, None, {})
    assert coordinates(ROLES, {"web": 2.0}, {"web": 3.0}).uptake is None


@LAW
@given(st.lists(RATIOS, min_size=1, max_size=9), st.lists(RATIOS, min_size=1, max_size=9))
def test_every_sequence_of_a_source_counts_alike(spec: list[float], web: list[float]) -> None:
    found = measured_coordinates({"spec": losses_of("spec", spec), "web": losses_of("general", web)})
    assert found.uptake == pytest.approx(1 - np.mean(spec))
    assert found.forgetting == pytest.approx(np.mean(web) - 1)


def test_a_source_is_measured_by_the_ratio_of_its_means_and_not_by_the_mean_of_ratios() -> None:
    losses = SourceLosses(role="spec", before=np.array([1.0, 3.0]), after=np.array([1.0, 1.0]), documents=np.array([0, 1]))
    assert measured_coordinates({"spec": losses}).uptake == pytest.approx(0.5)


def test_asking_where_a_run_stands_imports_nothing_heavy() -> None:
    code = "import sys, orchestrator.frontier.coordinates as _; print([m for m in ('torch', 'scipy', 'wandb', 'ray') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
