"""The stream of a run over all its stages: counts, sources and numbers are one order, and what is added at its end changes none of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mixture.plan import Plan
from tests.mixture.mixtures import LAW, plan_of, plans, rows, stages, whole


@LAW
@given(plans())
def test_counts_before_never_fall_and_sum_to_the_prefix(plan: Plan) -> None:
    prefixes = np.arange(plan.num_sequences + 1)
    counts = plan.spans.counts_before(prefixes)
    assert np.diff(counts, axis=0).min() >= 0
    assert np.array_equal(counts.sum(axis=1), prefixes)
    assert counts[-1].tolist() == plan.sequences


@LAW
@given(plans())
def test_the_source_at_a_number_is_the_one_whose_count_grows_there_and_its_draw_is_that_count(plan: Plan) -> None:
    counts = plan.spans.counts_before(np.arange(plan.num_sequences + 1))
    sources, draws = plan.spans.look_up(whole(plan))
    assert np.array_equal(np.diff(counts, axis=0), np.eye(len(plan.sources), dtype=np.int64)[sources])
    assert np.array_equal(draws, counts[whole(plan), sources])


@LAW
@given(plans())
def test_the_number_of_a_draw_is_where_it_is_found(plan: Plan) -> None:
    sources, draws = plan.spans.look_up(whole(plan))
    assert [plan.spans.number_of(*found) for found in zip(sources.tolist(), draws.tolist(), strict=True)] == whole(plan).tolist()


@LAW
@given(plans(), st.data())
def test_the_numbers_of_a_sequence_are_all_the_times_it_is_trained(plan: Plan, data: st.DataObject) -> None:
    source = data.draw(st.integers(0, len(plan.sources) - 1))
    position = data.draw(st.integers(0, plan.sources[source].unique_sequences - 1))
    name = plan.sources[source].name
    trained = [(epoch, number) for number, (s, epoch, p) in enumerate(rows(plan)) if (s, p) == (name, position)]
    assert plan.numbers_of(source, position) == trained


@LAW
@given(plans(), st.data())
def test_numbers_in_any_order_and_none_at_all_are_looked_up_alike(plan: Plan, data: st.DataObject) -> None:
    numbers = np.array(data.draw(st.lists(st.integers(0, plan.num_sequences - 1), max_size=30)), dtype=np.int64)
    at_once = rows(plan)
    assert rows(plan, numbers) == [at_once[number] for number in numbers]
    counts = plan.spans.counts_before(np.arange(plan.num_sequences + 1))
    assert np.array_equal(plan.spans.counts_before(numbers), counts[numbers])


@LAW
@given(plans(), st.data())
def test_stages_that_are_added_at_the_end_change_nothing_before(plan: Plan, data: st.DataObject) -> None:
    more = data.draw(st.lists(stages(len(plan.sources), plan.sequences_per_step), min_size=1, max_size=2))
    longer = replace(plan, stages=(*plan.stages, *more))
    assert rows(longer, whole(plan)) == rows(plan)


@LAW
@given(plans())
def test_spans_by_known_counts_are_those_that_were_laid_out_one_after_the_other(plan: Plan) -> None:
    again = replace(plan)
    again.use_counts(plan.spans.counts)
    assert rows(again) == rows(plan)
    assert again.sequences == plan.sequences


@LAW
@given(plans(), st.data())
def test_counts_that_do_not_add_up_to_the_spans_are_refused(plan: Plan, data: st.DataObject) -> None:
    counts = plan.spans.counts.copy()
    span, source = (data.draw(st.integers(0, size - 1)) for size in counts.shape)
    counts[span, source] += 1
    for other in (counts, counts[:-1], plan.spans.counts[1:], counts[:0], plan.spans.counts[:, :-1], counts[0]):
        with pytest.raises(ValueError):
            plan.use_counts(other)


@LAW
@given(plans(most_sources=12), st.data())
def test_a_stage_that_is_cut_is_the_beginning_of_the_whole_one(plan: Plan, data: st.DataObject) -> None:
    *before, last = plan.stages
    cut = replace(plan, stages=(*before, replace(last, made_steps=data.draw(st.integers(1, last.steps)))))
    made = replace(plan, stages=(*before, replace(last, made_steps=last.steps)))
    assert rows(cut) == rows(made, whole(cut))


@LAW
@given(plans())
def test_the_first_steps_train_what_counting_their_sequences_finds(plan: Plan) -> None:
    sources = plan.look_up(whole(plan)).sources
    steps = np.arange(plan.steps + 1, dtype=np.int64)
    counted = [np.bincount(sources[: step * plan.sequences_per_step], minlength=len(plan.sources)) for step in steps]
    assert np.array_equal(plan.sequences_before(steps), counted)


@LAW
@given(plans(counts=False))
def test_what_is_due_before_a_step_sums_to_the_sequences_before_it(plan: Plan) -> None:
    steps = np.arange(plan.steps + 1)
    due = plan.due_before(steps)
    assert np.allclose(due.sum(axis=1), steps * plan.sequences_per_step)
    assert np.diff(due, axis=0).min() > -1e-9


@LAW
@given(st.integers(1, 40), st.data())
def test_a_stage_that_is_split_in_two_of_the_same_ratios_is_due_the_same(count: int, data: st.DataObject) -> None:
    one = data.draw(stages(count, ramps=False, counts=False))
    halves = [replace(one, steps=steps, made_steps=steps) for steps in (one.steps // 2, one.steps - one.steps // 2) if steps]
    whole_plan, split = plan_of([one]), plan_of(halves)
    assert np.allclose(whole_plan.due_before([one.steps]), split.due_before([one.steps]))
    assert np.abs(np.subtract(whole_plan.sequences, split.sequences)).max() <= 2
