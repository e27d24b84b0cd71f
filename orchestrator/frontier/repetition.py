"""What repeating the spec does at the same share: the effect of epochs, separate from that of the ratio."""

from collections.abc import Sequence

import numpy as np

from orchestrator.frontier.draws import Draws, estimate
from orchestrator.frontier.estimates import Repetition
from orchestrator.frontier.settings import Group, alike, are_same
from orchestrator.frontier.trials import Floats

UNIQUE_TOKENS = "sweep.unique_spec_tokens"
REPEATING = (UNIQUE_TOKENS, "mixture.unique_tokens", "sweep.spec_epochs")  # what moves the epochs
MAX_EPOCHS = "mixture.max_epochs"  # allows repetition, and changes nothing by itself
_APART = 0.01  # doublings


def find_repetition(groups: Sequence[Group], draws: Draws) -> Repetition:
    """Estimate what doubling the spec's epochs does to uptake and forgetting.

    The slope over log2 epochs within sets of settings that have all but the epochs in common, their share and length too, pooled over the
    sets, each with a level of its own. Up to one pass nothing is repeated, so fewer count as one.

    Args:
        groups: all settings.
        draws: of all trials.
    """
    found_alike = [found for some in alike(groups, *REPEATING, MAX_EPOCHS) for found in _by_share(some)]
    sets = [found for found in found_alike if np.ptp(_doublings(found)) > _APART]
    if not sets:
        words = "The spec's epochs and its share were not varied apart, so what repetition does cannot be told from what the share does."
        return Repetition(uptake_per_doubling=None, forgetting_per_doubling=None, warnings=(f"{words} Vary {UNIQUE_TOKENS} at one share.",))
    chosen = [group for found in sets for group in found]
    slope = np.concatenate([_within(found) for found in sets])
    slope /= slope @ np.concatenate([_doublings(found) for found in sets])
    few = len({round(float(value), 1) for found in sets for value in _doublings(found)}) < 3
    return Repetition(
        uptake_per_doubling=estimate(np.stack([draws.uptake(group.members) for group in chosen], axis=1) @ slope),
        forgetting_per_doubling=estimate(np.stack([draws.forgetting(group.members) for group in chosen], axis=1) @ slope),
        warnings=("Two numbers of epochs were tried, which do not show whether every doubling does the same. Try a third.",) if few else (),
    )


def _doublings(found: Sequence[Group]) -> Floats:
    return np.log2([max(group.spec_epochs, 1.0) for group in found])


def _within(found: Sequence[Group]) -> Floats:
    """How far each setting's epochs are from the mean of its set, times its trials."""
    trials, doublings = np.array([len(group.members) for group in found]), _doublings(found)
    return np.asarray(trials * (doublings - np.average(doublings, weights=trials)))


def _by_share(some: Sequence[Group]) -> list[list[Group]]:
    """Settings, put together where share and length are the same: those that epochs and unique tokens both move have several."""
    parts: list[list[Group]] = []
    for group in some:
        part = next((part for part in parts if _is_same_share(part[0], group)), None)
        if part is None:
            parts.append([group])
        else:
            part.append(group)
    return parts


def _is_same_share(one: Group, other: Group) -> bool:
    return are_same([one.spec_share, other.spec_share]) and are_same([one.total_tokens, other.total_tokens])
