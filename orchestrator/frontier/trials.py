"""What goes into a frontier: what each trial measured, and of which setting it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SourceLosses:
    """The held-out losses of a source before the first step of a trial and after its last, over the same n sequences.

    Attributes:
        role: of the source, `spec` or `general`.
        before, after: (n,) mean losses in nats a token.
        documents: (n,) the number of the document that most of each sequence is from.
    """

    role: str
    before: Floats
    after: Floats
    documents: Ints


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProbeScores:
    """The answers to a probe before the first step of a trial and after its last, over the same n items.

    Attributes:
        items: a hash of them.
        before, after: (n,) 1 where an item is answered right, else 0.
    """

    items: str
    before: Floats
    after: Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrialResult:
    """What a finished trial measured.

    Attributes:
        trial_id: of the trial.
        arm: `spec`, or `control`: trained on the same number of tokens without the spec.
        setting: what the sweep varies, without the seed; trials of one setting differ in their seed alone.
        seed: of its data order and its dropout; trials with the same one are paired.
        spec_share: of the trained tokens.
        spec_epochs: passes over what of the spec the trial uses.
        unique_spec_tokens: that it uses.
        total_tokens: trained.
        sources: by name.
        probes: by name; empty without any.
    """

    trial_id: str
    arm: str
    setting: Mapping[str, Value]
    seed: int
    spec_share: float
    spec_epochs: float
    unique_spec_tokens: int
    total_tokens: int
    sources: Mapping[str, SourceLosses]
    probes: Mapping[str, ProbeScores] = field(default_factory=dict)
