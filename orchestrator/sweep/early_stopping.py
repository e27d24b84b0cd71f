"""Which trials are stopped before their end: those that others dominate, with more uptake and less forgetting. Pure.

Trials are compared where they have come equally far, as a share of their own steps, so that learning rates that fall are alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FEWEST_TO_COMPARE = 3
_FEWEST_POINTS = 4  # of a curve with three parameters
_QUANTILE = 1.645  # of the normal distribution: an interval of 90 %
_EXPONENTS = np.geomspace(0.05, 3.0, 200)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a trial has measured so far.

    Attributes:
        setting: of it; trials of one setting, which differ in their seed, are not held against each other.
        shares: of its steps, above 0, rising.
        uptake, forgetting: at each.
    """

    setting: str
    shares: Sequence[float]
    uptake: Sequence[float]
    forgetting: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Doomed:
    """A trial that is to be stopped.

    Attributes:
        trial_id: of it.
        share: of its steps, at which that was decided.
        reason: in words.
    """

    trial_id: str
    share: float
    reason: str


def halved(trials: Mapping[str, Measured], *, from_share: float, keep_share: float) -> list[Doomed]:
    """Successive halving, asynchronous (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020).

    Rungs are the shares `from_share`, `from_share / keep_share`, … of the steps. At each, a dominated trial is stopped that is among those
    with the most others above them, beyond the share that is kept of all that have come there.
    """
    doomed = []
    rung = from_share
    while rung < 1:
        there = {name: at for name, trial in trials.items() if (at := _first_at(trial, rung)) is not None}
        above = {name: _num_above(name, there, trials) for name in there}
        kept = math.ceil(keep_share * len(there))
        order = sorted(there, key=lambda name: (above[name], name))
        for name in order[kept:] if len(there) >= _FEWEST_TO_COMPARE else ():
            if above[name] and trials[name].shares[-1] < min(1.0, rung / keep_share):  # later ones are judged at their own rung
                reason = f"at {rung:.0%} of its steps {above[name]} of {len(there)} trials had more uptake and less forgetting"
                doomed.append(Doomed(trial_id=name, share=rung, reason=reason))
        rung /= keep_share
    return doomed


def outrun(trials: Mapping[str, Measured], *, from_share: float) -> list[Doomed]:
    """Trials that will end dominated: a power law fitted to what they measured ends, at the better end of its interval of 90 %, with less
    uptake and more forgetting than another ends or will end at the worse end of its own."""
    ends = {name: _end(trial) for name, trial in trials.items()}
    known = {name: end for name, end in ends.items() if end is not None}
    doomed = []
    for name, (best, _) in known.items():
        share = trials[name].shares[-1]
        above = [o for o, (_, worst) in known.items() if trials[o].setting != trials[name].setting and _dominates(worst, best)]
        if from_share <= share < 1 and above:
            reason = f"its curves end, at their best, at an uptake of {best[0]:.2%} and {best[1]:+.2%} forgetting, behind {above[0]}"
            doomed.append(Doomed(trial_id=name, share=share, reason=reason))
    return doomed


def _first_at(trial: Measured, rung: float) -> tuple[float, float] | None:
    """What it measured first at or after a rung."""
    for share, uptake, forgetting in zip(trial.shares, trial.uptake, trial.forgetting, strict=True):
        if share >= rung - 1e-9:
            return uptake, forgetting
    return None


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def _num_above(name: str, there: Mapping[str, tuple[float, float]], trials: Mapping[str, Measured]) -> int:
    others = (other for other in there if trials[other].setting != trials[name].setting)
    return sum(_dominates(there[other], there[name]) for other in others)


def _end(trial: Measured) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Where it will end: (uptake, forgetting) at the better end of its interval, and at the worse; none while it has too few points."""
    if trial.shares and trial.shares[-1] >= 1:
        here = (trial.uptake[-1], trial.forgetting[-1])
        return here, here
    if len(trial.shares) < _FEWEST_POINTS:
        return None
    (uptake, off_uptake), (forgetting, off_forgetting) = (fitted_end(trial.shares, each) for each in (trial.uptake, trial.forgetting))
    return (uptake + off_uptake, forgetting - off_forgetting), (uptake - off_uptake, forgetting + off_forgetting)


def fitted_end(shares: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """A power law a + b share^-c fitted by least squares, at a share of 1, and half the width of its interval of 90 %.

    The exponent is looked for on a grid; the interval covers the exponents that the points bear, and the noise about the curve.
    """
    x, y = np.asarray(shares, dtype=np.float64), np.asarray(values, dtype=np.float64)
    ends, errors = np.empty(len(_EXPONENTS)), np.empty(len(_EXPONENTS))
    for index, exponent in enumerate(_EXPONENTS):
        design = np.stack([np.ones_like(x), x**-exponent], axis=1)
        solution, *_ = np.linalg.lstsq(design, y, rcond=None)
        ends[index], errors[index] = solution.sum(), float(((design @ solution - y) ** 2).sum())
    freedom = max(1, len(x) - 3)
    variance = max(errors.min() / freedom, 1e-12)
    weights = np.exp(-0.5 * (errors - errors.min()) / variance)
    weights /= weights.sum()
    end = float(weights @ ends)
    spread = float(weights @ (ends - end) ** 2) + variance
    return end, _QUANTILE * math.sqrt(spread)
