"""How large the spec share may be for no more than so much forgetting."""

from collections.abc import Sequence

import numpy as np

from orchestrator.frontier.draws import Draws, estimate
from orchestrator.frontier.estimates import Limit
from orchestrator.frontier.settings import Group
from orchestrator.frontier.trials import Floats


def find_limit(line: Sequence[Group], draws: Draws, max_forgetting: float) -> Limit:
    """The largest spec share up to which forgetting stays within a limit, on straight lines between the shares that were tried.

    Draws that are over the limit at the smallest share count with that share; those that never are, with the largest.

    Args:
        line: settings that differ in their share alone, by rising share.
        draws: of all trials.
        max_forgetting: the limit, as a share of the base model's loss.
    """
    shares, has_control = np.array([group.spec_share for group in line]), line[0].arm == "control"
    forgetting = np.stack([draws.forgetting(group.members) for group in line], axis=1)
    rows = first_crossings(shares, forgetting, max_forgetting)
    is_open = bool((forgetting[0] <= max_forgetting).all())
    if np.isnan(rows[0]):
        return Limit(max_forgetting=max_forgetting, spec_share=None, is_open=False, has_control=has_control)
    drawn = np.nan_to_num(rows, nan=shares[0])
    share = estimate(drawn, may_agree=draws.is_drawn)
    return Limit(max_forgetting=max_forgetting, spec_share=share, is_open=is_open, has_control=has_control)


def first_crossings(shares: Floats, forgetting: Floats, limit: float) -> Floats:
    """Where lines through points first go over a limit.

    Args:
        shares: (n,) rising.
        forgetting: (R, n) of R lines.
        limit: of forgetting.

    Returns:
        (R,) shares: NaN where already the first point is over it, the last share where none is.
    """
    is_over = forgetting > limit
    after = np.where(is_over.any(axis=1), is_over.argmax(axis=1), len(shares))
    found = np.full(len(forgetting), shares[-1])
    found[after == 0] = np.nan
    rows = np.flatnonzero((after > 0) & (after < len(shares)))
    right = after[rows]
    low, high = forgetting[rows, right - 1], forgetting[rows, right]
    found[rows] = shares[right - 1] + (limit - low) / (high - low) * (shares[right] - shares[right - 1])
    return found
