"""Which trials belong together: those of one setting, each with its control, and settings that differ in one thing alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from orchestrator.frontier.trials import TrialResult, Value

SPEC_SHARE = "mixture.spec_share"
SPEC_EPOCHS = "sweep.spec_epochs"  # of a held total, they move the share

SAME = 1.01  # the largest of what is the same but for rounding to whole sequences and steps, by the smallest

Key = tuple[tuple[str, Value], ...]
Identity = tuple[str, Key, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The trials of one setting. Trials are told by their numbers in the list that `in_order` gives.

    Attributes:
        arm, setting: of all of them.
        members: in the order of their seeds.
        controls: pairs of a member and its control; members without one are left out.
        spec_share, spec_epochs, unique_spec_tokens, total_tokens: the means over them.
    """

    arm: str
    setting: Mapping[str, Value]
    members: tuple[int, ...]
    controls: tuple[tuple[int, int], ...]
    spec_share: float
    spec_epochs: float
    unique_spec_tokens: float
    total_tokens: float


def in_order(trials: Iterable[TrialResult]) -> list[TrialResult]:
    """Trials with controls first, then by share, setting, seed and id: nothing depends on the order in which they finished."""
    return sorted(trials, key=lambda t: (t.arm != "control", t.spec_share, t.total_tokens, repr(key_of(t.setting)), t.seed, t.trial_id))


def key_of(setting: Mapping[str, Value], *without: str) -> Key:
    """A setting as something to group by, without the keys of those names and without those below them (`name.…`)."""
    kept = [key for key in sorted(setting) if not any(key == name or key.startswith(f"{name}.") for name in without)]
    return tuple((key, setting[key]) for key in kept)


def identity_of(trial: TrialResult) -> Identity:
    """What trials of one setting have in common: arm, setting and, of a control, whose setting does not say how long it is, the tokens."""
    return trial.arm, key_of(trial.setting), trial.total_tokens if trial.arm == "control" else 0


def group_trials(trials: Sequence[TrialResult]) -> list[Group]:
    """The settings among trials that are in order: controls first, then those of the spec by share."""
    found: dict[Identity, list[int]] = {}
    for number, trial in enumerate(trials):
        found.setdefault(identity_of(trial), []).append(number)
    groups = [_group(trials, sorted(members, key=lambda number: (trials[number].seed, number))) for members in found.values()]
    return sorted(groups, key=lambda group: (group.arm != "control", group.spec_share))


def find_lines(groups: Sequence[Group]) -> list[list[Group]]:
    """Settings that differ in their spec share alone, each line with its controls and by rising share.

    A line whose settings differ in length has no controls: those of one length say nothing of the others. Lines of one share are left out.
    The one with the most shares comes first; of those, the one with the most trials, then the most tokens.
    """
    moves_share = (SPEC_SHARE,) if any(SPEC_SHARE in group.setting for group in groups) else (SPEC_SHARE, SPEC_EPOCHS)
    found = [_with_controls(groups, line) for line in alike(groups, *moves_share)]
    several = [line for line in found if num_shares(line) > 1]
    return sorted(several, key=lambda line: (num_shares(line), sum(len(g.members) for g in line), line[-1].total_tokens), reverse=True)


def is_of_one_length(line: Sequence[Group]) -> bool:
    """Whether settings trained on as many tokens."""
    return are_same([group.total_tokens for group in line])


def are_same(values: Sequence[float]) -> bool:
    """Whether numbers differ by no more than rounding to whole sequences and steps."""
    return max(values) <= SAME * min(values)


def num_shares(line: Sequence[Group]) -> int:
    """How many different spec shares there are among settings."""
    return len({group.spec_share for group in line})


def alike(groups: Sequence[Group], *without: str) -> list[list[Group]]:
    """The spec's groups, put together where their settings are the same but for the keys of those names."""
    found: dict[Key, list[Group]] = {}
    for group in groups:
        if group.arm != "control":
            found.setdefault(key_of(group.setting, *without), []).append(group)
    return list(found.values())


def controls_of(groups: Sequence[Group], some: Sequence[Group]) -> list[Group]:
    """Those of all groups that are the controls of some."""
    numbers = {control for group in some for _, control in group.controls}
    return [group for group in groups if numbers & set(group.members)]


def _with_controls(groups: Sequence[Group], line: list[Group]) -> list[Group]:
    controls = controls_of(groups, line) if is_of_one_length(line) else []
    return sorted(controls + line, key=lambda group: group.spec_share)


def _group(trials: Sequence[TrialResult], members: Sequence[int]) -> Group:
    chosen = [trials[number] for number in members]
    pairs = [(number, _control_of(trials, trials[number])) for number in members]
    return Group(
        arm=chosen[0].arm,
        setting=chosen[0].setting,
        members=tuple(members),
        controls=tuple((number, control) for number, control in pairs if control is not None),
        spec_share=float(mean(trial.spec_share for trial in chosen)),
        spec_epochs=float(mean(trial.spec_epochs for trial in chosen)),
        unique_spec_tokens=float(mean(trial.unique_spec_tokens for trial in chosen)),
        total_tokens=float(mean(trial.total_tokens for trial in chosen)),
    )


def _control_of(trials: Sequence[TrialResult], trial: TrialResult) -> int | None:
    """The control with the same tokens and seed whose setting says nothing else than the trial's; of several, the one that says most."""
    if trial.arm == "control":
        return None
    fitting = [
        number
        for number, other in enumerate(trials)
        if other.arm == "control"
        and (other.total_tokens, other.seed) == (trial.total_tokens, trial.seed)
        and other.setting.items() <= trial.setting.items()
    ]
    return max(fitting, key=lambda number: len(trials[number].setting), default=None)
