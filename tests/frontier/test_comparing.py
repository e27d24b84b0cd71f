"""Trials that began elsewhere, or were measured otherwise, are refused by name."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.errors import DataError
from orchestrator.frontier.comparing import check_comparable
from orchestrator.frontier.trials import SourceLosses, TrialResult, Value
from tests.frontier.hand_made import SHARE, at, losses_of, trial

FIRST = trial({SHARE: 0.1}, at(0.2, 0.01, np.array([-0.1, 0.0, 0.1])))


def other(change: Callable[[SourceLosses], SourceLosses]) -> list[str]:
    second = trial({SHARE: 0.2}, {**FIRST.sources, "web": change(FIRST.sources["web"])})
    with pytest.raises(DataError) as caught:
        check_comparable([FIRST, second])
    assert FIRST.trial_id in str(caught.value) and second.trial_id in str(caught.value)
    return str(caught.value).split(": ")


def test_another_base_model_is_told_by_its_losses() -> None:
    *_, told = other(lambda losses: replace(losses, before=losses.before + np.array([0.0, 0.002, 0.0])))
    assert told.startswith("the losses before the first step differ by 0.002 nats a token, at most 0.001 is allowed.")
    assert told.endswith("Run one of them again with the model, the held-out data and the probes of the other, or leave it out.")


def test_other_held_out_sequences_are_told() -> None:
    assert other(lambda _: losses_of("general", [1.0, 1.0]))[-1].startswith("3 held-out sequences in one and 2 in the other")
    assert other(lambda losses: replace(losses, documents=losses.documents // 2))[-1].startswith("its held-out sequences are of other doc")
    assert other(lambda losses: replace(losses, role="spec"))[-1].startswith("its role is general in one and spec in the other")


def test_other_sources_are_told() -> None:
    more = trial({SHARE: 0.2}, {**FIRST.sources, "code": FIRST.sources["web"]})
    with pytest.raises(DataError, match=r"they measured the sources \['spec', 'web'\] and \['code', 'spec', 'web'\]"):
        check_comparable([FIRST, more])


def test_what_other_kernels_change_is_allowed() -> None:
    close = replace(FIRST.sources["web"], before=FIRST.sources["web"].before + 0.0009)
    check_comparable([FIRST, trial({SHARE: 0.2}, {**FIRST.sources, "web": close})])


@pytest.mark.parametrize(("left", "words"), [("web", "of a spec source"), ("spec", "of a general source")])
def test_both_roles_are_needed(left: str, words: str) -> None:
    with pytest.raises(DataError, match=f"no held-out loss {words}.*heldout_share"):
        check_comparable([replace(FIRST, sources={left: FIRST.sources[left]})])


@pytest.mark.parametrize("arm", ["spec", "control"])
def test_two_trials_of_one_setting_and_seed_are_not_averaged(arm: str) -> None:
    setting: dict[str, Value] = {"mixture.spec_share": 0.1} if arm == "spec" else {}
    first = trial(setting, FIRST.sources, arm=arm)
    second = replace(first, trial_id="of another base run")
    with pytest.raises(DataError) as caught:
        check_comparable([FIRST, trial({SHARE: 0.1}, FIRST.sources, seed=1), first, second][2 * (arm == "spec") :])
    told = str(caught.value)
    assert first.trial_id in told and second.trial_id in told and "both have seed 0" in told and "Leave one of them out" in told


SAME_SETTING = replace(FIRST, seed=1, trial_id="other")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(SAME_SETTING, total_tokens=2_000_000), "total tokens 1,000,000 and 2,000,000"),
        (replace(SAME_SETTING, spec_share=0.2), "spec share 0.1 and 0.2"),
        (replace(SAME_SETTING, spec_epochs=3.0), "spec epochs 1 and 3"),
    ],
)
def test_trials_of_one_setting_differ_in_their_seed_alone(other: TrialResult, told: str) -> None:
    with pytest.raises(DataError, match=rf"trials .* and other are not comparable.*spec_share=0\.1.*{told}"):
        check_comparable([FIRST, other])
    check_comparable([FIRST, replace(SAME_SETTING, total_tokens=1_000_128)])


def test_no_trials_are_no_frontier() -> None:
    with pytest.raises(DataError, match="no trial has finished"):
        check_comparable([])
