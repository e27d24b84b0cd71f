"""The order of the sources: counts of a prefix, the source of a sequence number, and the number of a draw are views of one stream."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.plan import Plan
from tests.mixture.mixtures import LAW, plans, staged_plans, whole

ANY = st.one_of(plans(), staged_plans())


@LAW
@given(ANY)
def test_the_whole_stream_holds_exactly_the_planned_counts(plan: Plan) -> None:
    sources, _ = plan.spans.look_up(whole(plan))
    assert np.bincount(sources, minlength=len(plan.sources)).tolist() == plan.sequences
    assert sum(plan.sequences) == plan.num_sequences


@LAW
@given(ANY)
def test_counts_before_is_what_counting_the_sources_of_the_stream_gives(plan: Plan) -> None:
    sources, _ = plan.spans.look_up(whole(plan))
    one_hot = np.eye(len(plan.sources), dtype=np.int64)[sources]
    counted = np.vstack([np.zeros_like(one_hot[:1]), one_hot.cumsum(axis=0)])
    assert np.array_equal(plan.spans.counts_before(np.arange(plan.num_sequences + 1)), counted)


@LAW
@given(ANY)
def test_the_draws_of_a_source_count_up_from_zero_without_gaps_in_order_of_sequence_number(plan: Plan) -> None:
    sources, draws = plan.spans.look_up(whole(plan))
    for index in range(len(plan.sources)):
        assert draws[sources == index].tolist() == list(range(plan.sequences[index]))


@LAW
@given(ANY, st.data())
def test_a_sequence_number_has_the_same_source_and_draw_whatever_is_asked_with_it(plan: Plan, data: st.DataObject) -> None:
    numbers = np.array(data.draw(st.lists(st.integers(0, plan.num_sequences - 1), max_size=30)), dtype=np.int64)
    sources, draws = plan.spans.look_up(whole(plan))
    some_sources, some_draws = plan.spans.look_up(numbers)
    assert np.array_equal(some_sources, sources[numbers])
    assert np.array_equal(some_draws, draws[numbers])


@LAW
@given(ANY, st.data())
def test_the_number_of_a_draw_is_where_looking_up_finds_it(plan: Plan, data: st.DataObject) -> None:
    sources, draws = plan.spans.look_up(whole(plan))
    for number in data.draw(st.lists(st.integers(0, plan.num_sequences - 1), max_size=10)):
        assert plan.spans.number_of(int(sources[number]), int(draws[number])) == number


@LAW
@given(staged_plans(most_sources=8), st.data())
def test_a_sequence_is_found_at_every_epoch_that_trains_it(plan: Plan, data: st.DataObject) -> None:
    draws = plan.look_up(whole(plan))
    for number in data.draw(st.lists(st.integers(0, plan.num_sequences - 1), max_size=5)):
        source, position = int(draws.sources[number]), int(draws.positions[number])
        here = np.flatnonzero((draws.sources == source) & (draws.positions == position))
        assert plan.numbers_of(source, position) == [(int(draws.epochs[found]), int(found)) for found in here]
