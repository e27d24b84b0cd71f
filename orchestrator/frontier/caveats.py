"""What a frontier does not show, and what would show it: a sentence or two each."""

from collections.abc import Sequence

from orchestrator.frontier.documents import count_documents
from orchestrator.frontier.draws import Draws
from orchestrator.frontier.mixing_law import FEWEST_SHARES
from orchestrator.frontier.settings import SPEC_SHARE, Group, is_of_one_length, key_of, num_shares
from orchestrator.frontier.trials import TrialResult

Lines = Sequence[Sequence[Group]]


def measurement_caveats(trial: TrialResult, groups: Sequence[Group], draws: Draws) -> list[str]:
    """Look for what was not measured.

    Args:
        trial: any; all have the same held-out documents.
        groups: all settings.
        draws: of all trials.
    """
    return _found(_seeds(draws), _documents(trial), _controls(groups))


def share_caveats(lines: Lines, draws: Draws, *, max_forgetting: float, has_knee: bool) -> list[str]:
    """Look for what spec shares were not tried, and what the limit and the law leave open.

    Args:
        lines: from `find_lines`; the first one was used.
        draws: of all trials.
        max_forgetting: of the limit.
        has_knee: whether the front has one.
    """
    return _found(
        None
        if has_knee
        else "No knee: it takes three points on the front, one of them above the line between its ends. Try more spec shares.",
        _several_lines(lines),
        _lengths(lines) or _few_shares(lines),
        _crossings(lines, draws, max_forgetting),
    )


def _found(*looked_for: str | None) -> list[str]:
    return [words for words in looked_for if words]


def _seeds(draws: Draws) -> str | None:
    if draws.freedom > 0:
        return None
    return "Every setting has a single seed, so intervals cover the choice of held-out documents only. Run each with 2 seeds or more."


def _documents(trial: TrialResult) -> str | None:
    single = [name for name, losses in sorted(trial.sources.items()) if count_documents(losses.documents) == 1]
    if not single:
        return None
    return (
        f"{', '.join(single)}: all held-out sequences are of one document, so intervals do not cover what others would give. Hold out more."
    )


def _controls(groups: Sequence[Group]) -> str | None:
    spec = [group for group in groups if group.arm != "control"]
    missing = sum(len(group.controls) < len(group.members) for group in spec)
    if not missing:
        return None
    return (
        f"{missing} of {len(spec)} settings lack a control with the tokens and seed of each trial, so what the spec does cannot be told "
        f"from what training does. Add such controls."
    )


def _several_lines(lines: Lines) -> str | None:
    if len(lines) < 2:
        return None
    others = [dict(key_of(line[-1].setting, SPEC_SHARE)) for line in lines]
    told = ", ".join(f"{name}={value}" for name, value in others[0].items() if any(other.get(name) != value for other in others))
    return (
        f"Spec shares were tried at {len(lines)} settings of the other values; the limit and the mixing law are of the one with the most "
        f"shares: {told}."
    )


def _lengths(lines: Lines) -> str | None:
    if not lines or is_of_one_length(lines[0]):
        return None
    tokens = [group.total_tokens for group in lines[0]]
    return (
        f"The shares had different lengths, {min(tokens):,.0f} to {max(tokens):,.0f} tokens, so what a share does cannot be told from what "
        f"its length does: there is no mixing law, and the limit is of the shares as they were tried, without a control. For both, hold "
        f"total_tokens (sweep.hold)."
    )


def _few_shares(lines: Lines) -> str | None:
    alike = "spec shares with all else alike, a control counted as one"
    if not lines:
        return f"No limit and no mixing law: they take 2 and {FEWEST_SHARES} {alike}. Try more of {SPEC_SHARE}."
    if (num := num_shares(lines[0])) < FEWEST_SHARES:
        return f"No mixing law: it takes {FEWEST_SHARES} {alike}; there are {num}. Try more of {SPEC_SHARE}."
    return None


def _crossings(lines: Lines, draws: Draws, max_forgetting: float) -> str | None:
    is_over = [draws.forgetting(group.members)[0] > max_forgetting for group in lines[0]] if lines else []
    if is_over == sorted(is_over):
        return None
    return f"Forgetting goes over {max_forgetting:g} and below it again at larger spec shares; the limit is where it first goes over."
