"""The frontier of a sweep, put together from its trials."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.frontier.caveats import measurement_caveats, share_caveats
from orchestrator.frontier.comparing import check_comparable
from orchestrator.frontier.draws import Draws, draw
from orchestrator.frontier.estimates import Frontier, MixingLaw
from orchestrator.frontier.limit import find_limit
from orchestrator.frontier.mixing_law import FEWEST_SHARES, fit_mixing_law
from orchestrator.frontier.points import find_knee, find_most_uptake, make_points, place
from orchestrator.frontier.repetition import find_repetition
from orchestrator.frontier.settings import Group, find_lines, group_trials, in_order, is_of_one_length, num_shares
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
        law=_law(lines[0], groups, draws) if lines else None,
        repetition=find_repetition(groups, draws),
        most_uptake=find_most_uptake(points, plane),
        num_draws=num_draws,
        warnings=(
            *measurement_caveats(ordered[0], groups, draws),
            *share_caveats(lines, draws, max_forgetting=max_forgetting, has_knee=knee is not None),
        ),
    )


def _law(line: Sequence[Group], groups: Sequence[Group], draws: Draws) -> MixingLaw | None:
    """That of a line, none where it has too few shares or they differ in length: the law is of one budget."""
    if num_shares(line) < FEWEST_SHARES or not is_of_one_length(line):
        return None
    points = tuple(1 + number for number, group in enumerate(groups) if any(group is one for one in line))  # the untrained model is 0
    return replace(fit_mixing_law(line, draws), points=points)
