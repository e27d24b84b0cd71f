"""The order of the sources: counts of a prefix, and the source of a sequence number, are two views of one stream."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.mixture.interleave import counts_before, sources_of
from orchestrator.mixture.plan import Plan
from tests.mixture.mixtures import HUFFMAN_DRIFT, LAW, fibonacci, plan_of, plans, whole


@LAW
@given(plans())
def test_the_whole_stream_holds_exactly_the_planned_counts(plan: Plan) -> None:
    sources, _ = sources_of(plan.tree, whole(plan))
    assert np.bincount(sources, minlength=len(plan.sources)).tolist() == [source.sequences for source in plan.sources]


@LAW
@given(plans())
def test_counts_before_is_what_counting_the_sources_of_the_stream_gives(plan: Plan) -> None:
    sources, _ = sources_of(plan.tree, whole(plan))
    one_hot = np.eye(len(plan.sources), dtype=np.int64)[sources]
    counted = np.vstack([np.zeros_like(one_hot[:1]), one_hot.cumsum(axis=0)])
    prefixes = np.arange(plan.num_sequences + 1, dtype=np.int64)
    assert np.array_equal(counts_before(plan.tree, prefixes, len(plan.sources)), counted)


@LAW
@given(plans())
def test_the_draws_of_a_source_count_up_from_zero_without_gaps_in_order_of_sequence_number(plan: Plan) -> None:
    sources, draws = sources_of(plan.tree, whole(plan))
    for index in range(len(plan.sources)):
        assert draws[sources == index].tolist() == list(range(plan.sources[index].sequences))


@LAW
@given(plans(), st.data())
def test_a_sequence_number_has_the_same_source_and_draw_whatever_is_asked_with_it(plan: Plan, data: st.DataObject) -> None:
    numbers = np.array(data.draw(st.lists(st.integers(0, plan.num_sequences - 1), max_size=30)), dtype=np.int64)
    sources, draws = sources_of(plan.tree, whole(plan))
    some_sources, some_draws = sources_of(plan.tree, numbers)
    assert np.array_equal(some_sources, sources[numbers])
    assert np.array_equal(some_draws, draws[numbers])


def off_plan(plan: Plan) -> NDArray[np.float64]:
    """How many sequences each source is ahead of its planned share at every prefix."""
    prefixes = np.arange(plan.num_sequences + 1, dtype=np.int64)
    planned = np.array([source.sequences for source in plan.sources]) / plan.num_sequences
    off: NDArray[np.float64] = counts_before(plan.tree, prefixes, len(plan.sources)) - prefixes[:, None] * planned
    return off


@LAW
@given(plans())
def test_at_every_prefix_the_spec_sources_together_are_within_half_a_sequence_of_their_planned_share(plan: Plan) -> None:
    spec = [i for i, source in enumerate(plan.sources) if source.role == "spec"]
    assert np.abs(off_plan(plan)[:, spec].sum(axis=1)).max() <= 0.5 + 1e-9


@LAW
@given(plans())
def test_at_every_prefix_each_source_is_within_the_huffman_bound_of_its_planned_share(plan: Plan) -> None:
    assert np.abs(off_plan(plan)).max() < HUFFMAN_DRIFT


def test_the_deepest_tree_stays_within_the_huffman_bound() -> None:
    counts = [int(weight) for weight in fibonacci(24)]
    assert np.abs(off_plan(plan_of(counts))).max() < HUFFMAN_DRIFT
    assert np.abs(off_plan(plan_of(counts, roles=["general"] * 23 + ["spec"]))).max() < HUFFMAN_DRIFT
