import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.kubernetes.names import is_rayjob_name, label_value, rayjob_name

ANY_TEXT = st.text(st.characters(), min_size=1, max_size=200)
NUMBERS = st.integers(min_value=1, max_value=99_999)


@given(ANY_TEXT, NUMBERS)
def test_every_name_is_one_that_kuberay_takes_and_ends_with_the_submission(run_name: str, number: int) -> None:
    name = rayjob_name(run_name, number)
    assert is_rayjob_name(name)
    assert name.endswith(f"-{number}")


@given(st.from_regex(r"[a-z][a-z0-9]{0,30}", fullmatch=True), NUMBERS)
def test_a_name_that_can_stand_is_kept(run_name: str, number: int) -> None:
    assert rayjob_name(run_name, number) == f"{run_name}-{number}"


@given(ANY_TEXT, ANY_TEXT)
def test_two_runs_have_two_names(first: str, second: str) -> None:
    assert (rayjob_name(first, 1) == rayjob_name(second, 1)) == (first == second)


@given(ANY_TEXT)
def test_every_label_is_one(text: str) -> None:
    assert re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", label_value(text))
    assert len(label_value(text)) <= 63


@pytest.mark.parametrize(
    ("run_name", "left"),
    [("Spec_0.05", "spec-0-05"), ("8b", "run-8b"), ("a" * 60, "a" * 38), ("…", "run"), ("a.", "a")],
)
def test_a_name_that_cannot_stand_is_altered_and_gets_a_hash(run_name: str, left: str) -> None:
    assert re.sub(r"-[0-9a-f]{6}-1$", "", rayjob_name(run_name, 1)) == left
