"""What is trained up to any moment against what was asked for, rounding of the totals included."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.mixture.interleave import counts_before
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.planning import make_plan
from tests.mixture.mixtures import HUFFMAN_DRIFT, LAW, shares, supply

Mixture = tuple[Plan, list[Fraction]]
MOST_OFF = HUFFMAN_DRIFT + 1  # the counts are rounded by less than one sequence
SLACK = 1e-6  # of float64 in the comparison


def planned(parts: list[Fraction], roles: list[str], num_sequences: int) -> Plan:
    supplies = [supply(f"s{i}", part, role=role) for i, (part, role) in enumerate(zip(parts, roles, strict=True))]
    return make_plan(supplies, total_tokens=num_sequences * 8, sequence_length=8, sequences_per_step=1, seed=0)


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    """Plans long enough that every source is seen, and no longer than three times that."""
    parts, roles = draw(shares())
    enough = int(Fraction(3, 2) / min(parts)) + 1
    return planned(parts, roles, draw(st.integers(enough, 3 * enough))), parts


def ahead(mixture: Mixture) -> NDArray[np.float64]:
    """How many sequences each source is ahead of its configured share: at every prefix, or at 4,000 of many, the ends among them."""
    plan, parts = mixture
    if plan.num_sequences <= 4000:
        prefixes = np.arange(plan.num_sequences + 1, dtype=np.int64)
    else:
        some = np.random.default_rng(0).integers(0, plan.num_sequences, 2000)
        prefixes = np.concatenate([np.arange(1000), some, plan.num_sequences - np.arange(1000)])
    configured = np.array([float(part) for part in parts])
    off: NDArray[np.float64] = counts_before(plan.tree, prefixes, len(parts)) - prefixes[:, None] * configured
    return off


@LAW
@given(mixtures())
def test_at_every_prefix_the_spec_sources_together_are_within_one_sequence_of_the_configured_share(mixture: Mixture) -> None:
    spec = [i for i, source in enumerate(mixture[0].sources) if source.role == "spec"]
    assert np.abs(ahead(mixture)[:, spec].sum(axis=1)).max() <= 1 + SLACK


@LAW
@given(mixtures())
def test_at_every_prefix_each_source_is_within_the_drift_of_dealing_and_one_of_rounding_of_its_configured_share(mixture: Mixture) -> None:
    assert np.abs(ahead(mixture)).max() < MOST_OFF


@pytest.mark.parametrize(
    ("weights", "roles", "num_sequences"),
    [
        ([6733, 30009, 18369, 6096, 809, 9270], ["general"] * 6, 337),
        ([6961, 30806, 16586, 6304, 842, 9372], ["spec"] * 6, 324),
    ],
)
def test_mixtures_that_a_search_found_to_drift_most_are_within_it_too(weights: list[int], roles: list[str], num_sequences: int) -> None:
    parts = [Fraction(weight, sum(weights)) for weight in weights]
    assert np.abs(ahead((planned(parts, roles, num_sequences), parts))).max() < MOST_OFF


@LAW
@given(mixtures())
def test_the_spec_sources_together_get_their_share_of_the_run_within_half_a_sequence(mixture: Mixture) -> None:
    plan, parts = mixture
    off = [source.sequences - plan.num_sequences * part for source, part in zip(plan.sources, parts, strict=True) if source.role == "spec"]
    assert abs(sum(off, Fraction(0))) <= Fraction(1, 2)


@LAW
@given(mixtures())
def test_each_source_gets_its_share_of_the_run_within_one_sequence(mixture: Mixture) -> None:
    plan, parts = mixture
    for source, part in zip(plan.sources, parts, strict=True):
        assert abs(source.sequences - plan.num_sequences * part) < 1


@LAW
@given(mixtures())
def test_the_counts_of_a_plan_sum_to_whole_steps(mixture: Mixture) -> None:
    plan = mixture[0]
    assert sum(source.sequences for source in plan.sources) == plan.num_sequences == plan.tokens // 8
