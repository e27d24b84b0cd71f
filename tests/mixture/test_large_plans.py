"""Plans of the largest size: nothing overflows, totals are exact, and any place is found at once."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from orchestrator.errors import MixtureError
from orchestrator.mixture.interleave import MAX_SEQUENCES, Ints
from orchestrator.mixture.plan import Plan
from tests.mixture.mixtures import counts_of, fibonacci, plan_of, planned_by_weight, supply

FORTY = [
    pytest.param(fibonacci(40), id="fibonacci"),
    pytest.param([1.0] * 40, id="equal"),
    pytest.param([1e8, *[1.0] * 39], id="one dominant"),
    pytest.param([float(2**i) for i in range(40)], id="powers of two"),
]


def somewhere(total: int, count: int) -> list[int]:
    """Prefix lengths: the ends, the middle, powers of two and their neighbours, and random ones."""
    edges = {
        0,
        1,
        2,
        total // 2,
        total // 2 + 1,
        total - 2,
        total - 1,
        total,
        *(1 << i for i in range(40)),
        *((1 << i) - 1 for i in range(40)),
    }
    edges |= {total - (1 << i) for i in range(40)}
    return sorted({edge for edge in edges if 0 <= edge <= total} | set(np.random.default_rng(0).integers(0, total, count).tolist()))


def forty(weights: list[float], total: int) -> Plan:
    counts = counts_of(total, [Fraction(weight) for weight in weights])
    return plan_of(counts, roles=["spec", "spec"] + ["general"] * 37 + ["spec"], each=1)


def check_everywhere(plan: Plan) -> None:
    """Counts sum to the prefix, end with the totals, are near their due, and grow where the look-up says."""
    total = plan.num_sequences
    prefixes = np.array(somewhere(total, 300))
    counts = plan.spans.counts_before(prefixes)
    assert counts.sum(axis=1).tolist() == prefixes.tolist()
    assert counts[-1].tolist() == plan.sequences
    assert np.abs(counts - plan.due_before(prefixes)).max() < 2 + total * 2**-51  # of float64
    numbers: Ints = np.array(somewhere(total - 1, 1000))[:-1]
    sources, draws = plan.spans.look_up(numbers)
    before, after = (plan.spans.counts_before(numbers + ahead) for ahead in (0, 1))
    assert np.array_equal(after - before, np.eye(len(plan.sources), dtype=np.int64)[sources])
    assert np.array_equal(draws, np.take_along_axis(before, sources[:, None], axis=1)[:, 0])
    for number, source, draw in list(zip(numbers.tolist(), sources.tolist(), draws.tolist(), strict=True))[::50]:
        assert plan.spans.number_of(source, draw) == number


@pytest.mark.parametrize("total", [1 << 33, MAX_SEQUENCES - 1, MAX_SEQUENCES])
@pytest.mark.parametrize("weights", FORTY)
def test_a_huge_plan_is_exact_everywhere(weights: list[float], total: int) -> None:
    plan = forty(weights, total)
    assert plan.sequences == counts_of(total, [Fraction(weight) for weight in weights])
    check_everywhere(plan)


@pytest.mark.parametrize("total", [1 << 22, 1 << 28])
def test_a_long_ramp_is_exact_everywhere(total: int) -> None:
    plan = forty([1.0, 1.0, 40.0, *[2.0] * 37], total)
    (stage,) = plan.stages
    check_everywhere(replace(plan, stages=(replace(stage, end_shares=stage.shares[::-1]),)))


def test_a_huge_plan_says_where_its_sequences_are_within_their_sources() -> None:
    plan = plan_of([1 << 38, MAX_SEQUENCES - (1 << 38)], roles=["spec", "general"], sizes=[12_345, 1 << 39])
    draws = plan.look_up(np.array(somewhere(MAX_SEQUENCES - 1, 1000)))
    for index, source in enumerate(plan.sources):
        here = draws.sources == index
        assert 0 <= draws.positions[here].min() <= draws.positions[here].max() < source.unique_sequences
        assert draws.epochs[here].max() == (plan.sequences[index] - 1) // source.unique_sequences


def budget(num_sequences: int) -> Plan:
    halves = [supply("spec", Fraction(1), role="spec"), supply("general", Fraction(1))]
    return planned_by_weight(halves, total_tokens=num_sequences * 8)


def test_the_largest_plan_is_made_and_one_sequence_more_is_refused_with_the_limit() -> None:
    assert budget(MAX_SEQUENCES).num_sequences == MAX_SEQUENCES
    with pytest.raises(MixtureError) as caught:
        budget(MAX_SEQUENCES + 1)
    for part in ("mixture.total_tokens", f"{(MAX_SEQUENCES + 1) * 8:,}", f"{MAX_SEQUENCES + 1:,}", f"{MAX_SEQUENCES:,}"):
        assert part in str(caught.value)
