"""Probes in a frontier: how much larger the share of right answers became, and how sure that is over items and seeds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import DataError
from orchestrator.frontier.draws import draw, estimate
from orchestrator.frontier.estimates import Estimate, Frontier
from orchestrator.frontier.frontier import build_frontier
from orchestrator.frontier.settings import group_trials, in_order
from orchestrator.frontier.trials import ProbeScores, TrialResult
from tests.frontier.hand_made import LAW, SHARE, at, trial
from tests.frontier.worlds import World

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=20)


def scores(before: Sequence[float], after: Sequence[float], items: str = "hash") -> ProbeScores:
    return ProbeScores(items=items, before=np.array(before, dtype=np.float64), after=np.array(after, dtype=np.float64))


def asked(share: float, seed: int, **probes: ProbeScores) -> TrialResult:
    return replace(trial({SHARE: share}, at(share, 0.01), seed=seed), probes=probes)


def frontier_of(*trials: TrialResult) -> Frontier:
    return build_frontier(trials, max_forgetting=0.02, num_draws=100)


@LAW
@given(ANSWERS)
def test_the_change_of_a_point_is_the_mean_over_its_trials_and_items(answers: list[tuple[bool, bool, bool]]) -> None:
    before, *afters = (list(column) for column in zip(*answers, strict=True))
    trials = [asked(0.1, seed, seam=scores(before, after), door=scores([0], [1])) for seed, after in enumerate(afters)]
    untrained, point = frontier_of(*trials).points
    assert point.probes["seam"].value == pytest.approx(np.mean(afters) - np.mean(before))
    assert point.probes["door"].value == 1
    assert dict(untrained.probes) == {"seam": Estimate(value=0.0), "door": Estimate(value=0.0)}


def test_trials_without_probes_make_points_without() -> None:
    assert [dict(point.probes) for point in frontier_of(trial({SHARE: 0.1}, at(0.1, 0.01))).points] == [{}, {}]


def test_probes_move_no_other_interval() -> None:
    plain = World(shares=(0.0, 0.1, 0.2)).trials(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2, 12).tolist()
    with_probes = [replace(one, probes={"seam": scores(base, rng.integers(0, 2, 12).tolist())}) for one in plain]
    without, found = frontier_of(*plain), frontier_of(*with_probes)
    assert replace(found, points=tuple(replace(point, probes={}) for point in found.points)) == without


def test_all_trials_are_drawn_with_the_same_items_so_that_what_is_learned_alike_differs_in_no_draw() -> None:
    right = scores([0, 0, 1, 0], [1, 0, 1, 1])
    trials = in_order([asked(share, 0, seam=right) for share in (0.1, 0.2)])
    draws = draw(trials, group_trials(trials), num_draws=50, seed=0)
    assert np.ptp(draws.changes_of([0])) > 0
    assert np.array_equal(draws.changes_of([0]), draws.changes_of([1]))


def test_a_change_that_nothing_speaks_of_the_spread_of_has_no_interval() -> None:
    for change in (scores([0], [1]), scores([0, 1, 1], [0, 1, 1])):
        found = frontier_of(asked(0.1, 0, seam=change)).points[1].probes["seam"]
        assert (found.low, found.high) == (None, None)


def test_trials_that_were_asked_other_items_or_other_probes_are_refused() -> None:
    first, other = asked(0.1, 0, seam=scores([0], [1])), asked(0.2, 0, seam=scores([0], [1], "other"))
    with pytest.raises(DataError, match="probe 'seam' has other items in one than in the other"):
        frontier_of(first, other)
    with pytest.raises(DataError, match=r"asked the probes \['seam'\] and \[\]"):
        frontier_of(first, asked(0.2, 0))


@pytest.mark.parametrize(
    ("num_items", "by_item", "by_trial", "num_seeds"),
    [(24, 1.0, 0.0, 2), (24, 1.0, 0.5, 2), (24, 1.0, 0.5, 3), (200, 1.0, 0.5, 2), (200, 2.0, 0.0, 1)],
)
def test_the_interval_of_a_change_covers_it_nine_times_in_ten(num_items: int, by_item: float, by_trial: float, num_seeds: int) -> None:
    """Items that differ in how hard they are, in log-odds, and trials in how well they learned; at larger shares more is learned.

    The truth is the mean over all items that there could be and all seeds.
    """
    shares, gains = (0.05, 0.1, 0.2), (0.5, 1.0, 1.5)
    many = np.random.default_rng(0).standard_normal((2, 200_000))

    def chance(hardness: float | np.ndarray, gain: float | np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-(by_item * hardness - 0.5 + gain))))

    truth = [float((chance(many[0], gain + by_trial * many[1]) - chance(many[0], 0.0)).mean()) for gain in gains]
    hits = []
    for number in range(150):
        rng = np.random.default_rng(number)
        hardness, luck = rng.standard_normal(num_items), rng.random(num_items)
        before = luck < chance(hardness, 0.0)
        trials = []
        for share, gain in zip(shares, gains, strict=True):
            for seed in range(num_seeds):
                lucky = np.where(rng.random(num_items) < 0.7, luck, rng.random(num_items))  # most items are answered as by other trials
                after = lucky < chance(hardness, gain + by_trial * rng.standard_normal())
                trials.append(asked(share, seed, seam=scores(before.tolist(), after.tolist())))
        ordered = in_order(trials)
        groups = group_trials(ordered)
        draws = draw(ordered, groups, num_draws=200, seed=number)
        for group, true in zip(groups, truth, strict=True):
            found = estimate(draws.changes_of(group.members)[:, 0])
            hits.append(found.low is not None and found.high is not None and found.low <= true <= found.high)
    assert 0.85 <= np.mean(hits) <= 0.97
