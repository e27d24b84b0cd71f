"""The frontier of a sweep, put together from its trials."""

from collections.abc import Sequence

from orchestrator.frontier.caveats import measurement_caveats, share_caveats
from orchestrator.frontier.comparing import check_comparable
from orchestrator.frontier.draws import draw
from orchestrator.frontier.estimates import Frontier
from orchestrator.frontier.limit import find_limit
from orchestrator.frontier.mixing_law import FEWEST_SHARES, fit_mixing_law
from orchestrator.frontier.points import find_knee, make_points, place
from orchestrator.frontier.repetition import find_repetition
from orchestrator.frontier.settings import find_lines, group_trials, in_order, num_shares
from orchestrator.frontier.trials import TrialResult


def build_frontier(trials: Sequence[TrialResult], *, max_forgetting: float, seed: int = 0, num_draws: int = 1000) -> Frontier:
    """What the finished trials of a sweep show together.

    Args:
        trials: finished, in any order, of one base model and with the same held-out sequences.
        max_forgetting: up to which the largest spec share is looked for, as a share of the base model's loss.
        seed: of the draws that intervals are made from.
        num_draws: how many, at least 1.

    Raises:
        DataError: there are no trials, or they are not comparable.
    """
    ordered = in_order(trials)
    check_comparable(ordered)
    groups = group_trials(ordered)
    draws = draw(ordered, groups, num_draws=num_draws, seed=seed)
    plane = place(groups, draws)
    points = make_points(ordered, groups, draws, plane)
    knee = find_knee(points, plane, draws)
    lines = find_lines(groups)
    return Frontier(
        points=tuple(points),
        knee=knee,
        limit=find_limit(lines[0], draws, max_forgetting) if lines else None,
        law=fit_mixing_law(lines[0], draws) if lines and num_shares(lines[0]) >= FEWEST_SHARES else None,
        repetition=find_repetition(groups, draws),
        num_draws=num_draws,
        warnings=(
            *measurement_caveats(ordered[0], groups, draws),
            *share_caveats(lines, draws, max_forgetting=max_forgetting, has_knee=knee is not None),
        ),
    )
