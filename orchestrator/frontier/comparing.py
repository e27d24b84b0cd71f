"""Whether trials can be compared at all: all have the same model, held-out sequences and probes; those of one setting differ in seeds."""

from collections.abc import Sequence

import numpy as np

from orchestrator.errors import DataError
from orchestrator.frontier.settings import Identity, are_same, identity_of
from orchestrator.frontier.trials import SourceLosses, TrialResult

_PLANNED = ("total_tokens", "spec_share", "spec_epochs")  # that trials of a setting have in common
LARGEST_DIFFERENCE = 1e-3  # nats a token: what other kernels and batch shapes change, and no other model or sequence does


def check_comparable(trials: Sequence[TrialResult]) -> None:
    """Check that all trials measured the same, before their first steps, and that those of a setting differ in their seed alone.

    Raises:
        DataError: there are none, one lacks held-out losses of the spec or of general text, two differ in what they measured, or two of
            one setting have the same seed or are of another length, share or number of epochs.
    """
    if not trials:
        raise DataError("no trial has finished, 1 is needed for a frontier. Wait for one, or see why they stopped.")
    first = trials[0]
    for role, words in (("spec", "a spec source"), ("general", "a general source")):
        if not any(losses.role == role for losses in first.sources.values()):
            raise DataError(
                f"trial {first.trial_id}: no held-out loss of {words}, and a frontier needs both. "
                f"Hold documents out with sources.<name>.heldout_share or heldout_paths, and run the trials again."
            )
    for trial in trials[1:]:
        _check_pair(first, trial)
    _check_settings(trials)


def _check_pair(first: TrialResult, trial: TrialResult) -> None:
    who = f"trials {first.trial_id} and {trial.trial_id} are not comparable"
    remedy = "Run one of them again with the model, the held-out data and the probes of the other, or leave it out."
    if first.sources.keys() != trial.sources.keys():
        raise DataError(f"{who}: they measured the sources {sorted(first.sources)} and {sorted(trial.sources)}. {remedy}")
    for name, losses in first.sources.items():
        if difference := _difference(losses, trial.sources[name]):
            raise DataError(f"{who}: source {name!r}: {difference}. {remedy}")
    asked, other = ({name: scores.items for name, scores in one.probes.items()} for one in (first, trial))
    if asked.keys() != other.keys():
        raise DataError(f"{who}: they were asked the probes {sorted(asked)} and {sorted(other)}. {remedy}")
    for name in asked:
        if asked[name] != other[name]:
            raise DataError(f"{who}: probe {name!r} has other items in one than in the other. {remedy}")


def _check_settings(trials: Sequence[TrialResult]) -> None:
    """Two trials of one setting and seed, as where another run was varied in the same sweep, are no two seeds to take the mean of."""
    firsts: dict[Identity, TrialResult] = {}
    of_seeds: dict[tuple[Identity, int], TrialResult] = {}
    for trial in trials:
        first = firsts.setdefault(identity_of(trial), trial)
        told = [f"{key.replace('_', ' ')} {getattr(first, key):,.10g} and {getattr(trial, key):,.10g}" for key in _differing(first, trial)]
        if of_seeds.setdefault((identity_of(trial), trial.seed), trial) is not trial:
            first, told = of_seeds[identity_of(trial), trial.seed], [f"both have seed {trial.seed}", *told]
        if told:
            setting = ", ".join(f"{key}={value}" for key, value in trial.setting.items()) or "nothing varied"
            raise DataError(
                f"trials {first.trial_id} and {trial.trial_id} are not comparable: of the same setting ({trial.arm}, {setting}), they "
                f"should differ in their seed alone, and something else does that the sweep does not vary: {'; '.join(told)}. "
                f"Leave one of them out. To have both, make a sweep of its own for each (sweep.dir), or a new one that varies it."
            )


def _differing(one: TrialResult, other: TrialResult) -> list[str]:
    return [key for key in _PLANNED if not are_same([getattr(one, key), getattr(other, key)])]


def _difference(one: SourceLosses, other: SourceLosses) -> str | None:
    if one.role != other.role:
        return f"its role is {one.role} in one and {other.role} in the other"
    if len(one.before) != len(other.before):
        return f"{len(one.before)} held-out sequences in one and {len(other.before)} in the other"
    if not np.array_equal(one.documents, other.documents):
        return "its held-out sequences are of other documents"
    largest = float(np.abs(one.before - other.before).max(initial=0.0))
    if largest > LARGEST_DIFFERENCE:
        return f"the losses before the first step differ by {largest:.4g} nats a token, at most {LARGEST_DIFFERENCE:g} is allowed"
    return None
