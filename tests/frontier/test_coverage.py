"""How often intervals of 90 % cover the truth, over sweeps whose truth is known. The seeds are fixed, so the counts are always the same."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.frontier.draws import Draws, draw, estimate
from orchestrator.frontier.estimates import Estimate
from orchestrator.frontier.frontier import build_frontier
from orchestrator.frontier.settings import Group, group_trials, in_order
from orchestrator.frontier.trials import Floats
from tests.frontier.worlds import World


def covers(found: Estimate, truth: float) -> bool:
    assert found.low is not None and found.high is not None
    return found.low <= truth <= found.high


def coverage(world: World, quantity: Callable[[Group, Draws], tuple[Floats, float] | None], repeats: int) -> float:
    """The share of settings and sweeps in which the interval of a quantity covers its true value."""
    hits = []
    for number in range(repeats):
        trials = in_order(world.trials(np.random.default_rng(number)))
        groups = group_trials(trials)
        draws = draw(trials, groups, num_draws=200, seed=number)
        hits += [covers(estimate(found[0]), found[1]) for group in groups if (found := quantity(group, draws))]
    return float(np.mean(hits))


WORLDS = [
    World(),
    World(by_trial=0.02, by_document=0.03),
    World(by_trial=0.01, by_document=0.03, shared_by_seed=0.005),
]


@pytest.mark.parametrize("num_seeds", [2, 3])
@pytest.mark.parametrize("world", WORLDS, ids=["documents decide", "seeds decide", "seeds share something"])
def test_the_interval_of_a_point_covers_its_true_place_nine_times_in_ten(world: World, num_seeds: int) -> None:
    world = replace(world, num_seeds=num_seeds)
    up = coverage(world, lambda group, draws: (draws.uptake(group.members), world.uptake(group.spec_share)), 100)
    down = coverage(world, lambda group, draws: (draws.forgetting(group.members), world.forgetting(group.spec_share)), 100)
    assert 0.85 <= up <= 0.97
    assert 0.85 <= down <= 0.97


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_the_interval_of_the_gain_over_the_control_covers_it_nine_times_in_ten(num_seeds: int) -> None:
    world = World(by_trial=0.01, by_document=0.03, shared_by_seed=0.01, num_seeds=num_seeds)

    def over_control(group: Group, draws: Draws) -> tuple[Floats, float] | None:
        if not group.controls:
            return None
        spec, control = (list(side) for side in zip(*group.controls, strict=True))
        return draws.uptake(spec) - draws.uptake(control), world.uptake(group.spec_share) - world.uptake(0.0)

    assert 0.86 <= coverage(world, over_control, 100) <= 0.95


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_on_synthetic_data_from_a_known_law_the_fit_recovers_the_optimum_share_within_002_and_its_interval_covers_it_in_90_percent(
    num_seeds: int,
) -> None:
    world = World(by_trial=0.005, num_seeds=num_seeds)
    truth, errors, hits = world.optimum(), [], []
    for number in range(200):
        frontier = build_frontier(world.trials(np.random.default_rng(number)), max_forgetting=0.02, seed=number, num_draws=200)
        assert frontier.law and frontier.law.optimum
        errors.append(abs(frontier.law.optimum.value - truth))
        hits.append(covers(frontier.law.optimum, truth))
    assert max(errors) < 0.02
    assert 0.85 <= np.mean(hits) <= 0.95
