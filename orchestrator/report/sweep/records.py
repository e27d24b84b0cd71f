"""What the report of a sweep is made from, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.frontier.estimates import Frontier
from orchestrator.frontier.trials import Floats, Ints, Value


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curves:
    """A trial's losses over its steps.

    Attributes:
        heldout_steps: (n,) where the held-out loss was measured, 0 first.
        heldout: source -> (n,) mean held-out losses in nats a token.
        steps: (m,) the last step of each of at most 60 spans, which follow each other from step 1 on: of a logged interval, or of several.
        losses: source -> (m,) mean training losses over these in nats a token; NaN where none of the source was trained.
    """

    heldout_steps: Ints
    heldout: Mapping[str, Floats]
    steps: Ints
    losses: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrialRecord:
    """A trial, whatever became of it.

    Attributes:
        trial_id: of the trial; also the name of its directory.
        arm: `spec` or `control`.
        setting, seed: what makes it another trial than the others.
        state: `planned`, `queued`, `starting`, `running`, `finished`, `stopped`, `failed` (for good), `pruned` (stopped early), `lost` or
            `unknown` (its files cannot be read, or its platform does not answer).
        reason, reason_class: of its last stop; none while it runs.
        step, steps: the last one made, and how many are planned.
        spec_share, spec_tokens, spec_epochs, total_tokens: as planned.
        uptake, forgetting: at its newest evaluation: 1 - after / before of the spec's sources, and after / before - 1 of the general ones;
            none when it has measured nothing since before the first step.
        forgetting_by_source: of each general source.
        probes: of each that it was asked twice, how much larger the share of items that it answers right became.
        seconds: that its attempts took, those that were killed too.
        gpu_hours: of its ranks, in those; of CPU ranks: rank hours.
        attempts: how many times it was started.
        curves: none when nothing was logged.
        command: reproduces it.
    """

    trial_id: str
    arm: str
    setting: Mapping[str, Value]
    seed: int
    state: str
    reason: str | None
    reason_class: str | None
    step: int
    steps: int
    spec_share: float
    spec_tokens: int
    spec_epochs: float
    total_tokens: int
    uptake: float | None
    forgetting: float | None
    forgetting_by_source: Mapping[str, float]
    probes: Mapping[str, float]
    seconds: float
    gpu_hours: float
    attempts: int
    curves: Curves | None
    command: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SweepRecords:
    """A sweep.

    Attributes:
        name: of the sweep.
        model: what its report calls the base model.
        facts: short statements for under the title, such as what is held fixed.
        keys: what is varied, in the order of the command, without the seed.
        roles: source -> `spec` or `general`, in the configuration's order.
        trials: in the order in which they were added.
        frontier: of those that are finished; none while fewer than one of the spec's is, or where there is a reason against it.
        no_frontier: that reason, such as that two trials cannot be compared; none otherwise.
        has_gpus: whether ranks had GPUs; without, hours are told as rank hours.
        wall_seconds: that any of them was at work, those side by side counted once.
        saved: what early stopping spared, in words; none when it is off.
        command: the one that makes the sweep.
        config_text: sweep.yaml.
    """

    name: str
    model: str
    facts: Sequence[str]
    keys: Sequence[str]
    roles: Mapping[str, str]
    trials: Sequence[TrialRecord]
    frontier: Frontier | None
    no_frontier: str | None
    has_gpus: bool
    wall_seconds: float
    saved: str | None
    command: str
    config_text: str

    @property
    def probes(self) -> list[str]:
        """Those that any trial was asked twice."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.probes))
