"""What the page of a sweep says first."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.frontier.estimates import Estimate, Frontier, Limit
from orchestrator.report.sweep.findings import cost_cards, cost_sentence, finding_cards, headline, progress
from orchestrator.report.sweep.records import SweepRecords
from tests.support.sweep_records import MadeUpSweep, large_sweep, make_records, small_sweep
from tests.support.typed import plain

KNEE = 5  # in the small sweep: its share of 20 %


def small_with(change: Callable[[Frontier], Frontier]) -> SweepRecords:
    records = small_sweep()
    assert records.frontier
    return replace(records, frontier=change(records.frontier))


def with_limit(limit: Limit | None) -> SweepRecords:
    return small_with(lambda frontier: replace(frontier, limit=limit))


def with_estimates(uptake: Estimate, forgetting: Estimate) -> SweepRecords:
    """The small sweep with other figures at its knee."""

    def change(frontier: Frontier) -> Frontier:
        points = list(frontier.points)
        points[KNEE] = replace(points[KNEE], uptake=uptake, forgetting=forgetting)
        return replace(frontier, points=tuple(points))

    return small_with(change)


def test_the_headline_names_the_knee_what_it_costs_and_the_largest_share_within_the_limit() -> None:
    assert plain(headline(small_sweep())) == (
        "The knee of the front is at a spec share of 20 %: it takes up 14.6 % [14.0, 15.3] and forgets 0.7 % [0.6, 0.9], "
        "for 1.90 GPU hours a run. That is not sure: in 29 % of the draws the knee was elsewhere, most often at 2 %. "
        "The largest share that forgets at most 1 % is 28 % [26, 31]."
    )


def test_the_headline_of_a_sweep_of_several_keys_names_the_value_of_each() -> None:
    assert "at spec share 15 %, total tokens 160 M, learning rate 3" in plain(headline(large_sweep()))


def test_hours_of_ranks_without_gpus_are_called_rank_hours() -> None:
    records = replace(small_sweep(), has_gpus=False)
    assert "for 1.90 rank hours a run" in headline(records)
    assert [card.title for card in cost_cards(records)][2] == "Rank hours"


def test_without_a_knee_the_headline_says_so_and_names_the_most_uptake() -> None:
    records = make_records(MadeUpSweep(has_knee=False))
    assert plain(headline(records)).startswith("There is no knee. The most uptake is at a spec share of 50 %: it takes up 17.0 %")
    assert [card.title for card in finding_cards(records)] == [
        "Most uptake, spec share",
        "Uptake at the most uptake",
        "Forgetting at the most uptake",
    ]


@pytest.mark.parametrize(
    ("point", "said"), [(0, "at the untrained base model: it takes up 0.0 % and"), (1, "at the control: it takes up 1.2 %")]
)
def test_a_knee_without_the_spec_is_named_for_what_it_is(point: int, said: str) -> None:
    def change(frontier: Frontier) -> Frontier:
        assert frontier.knee
        return replace(frontier, knee=replace(frontier.knee, point=point))

    records = small_with(change)
    assert said in plain(headline(records))
    assert next(iter(finding_cards(records))).value in ("base model", "control")


def test_without_a_finished_trial_the_headline_claims_nothing() -> None:
    records = make_records(MadeUpSweep(states={f"t{number:03d}": "running" for number in range(14)}))
    assert records.frontier is None
    assert headline(records) == "No trial of the spec has finished yet, so what the ratios do is not known."
    assert list(finding_cards(records)) == []
    assert [card.title for card in cost_cards(records)] == ["Trials finished", "GPU hours", "Wall time"]


def test_intervals_that_overlap_by_what_all_points_share_do_not_make_a_knee_doubtful() -> None:
    wide = with_estimates(Estimate(value=0.146, low=0.10, high=0.18), Estimate(value=0.007, low=-0.001, high=0.06))
    assert wide.frontier and wide.frontier.knee
    sure = replace(wide, frontier=replace(wide.frontier, knee=replace(wide.frontier.knee, chosen={KNEE: 1.0})))
    assert "not sure" not in headline(sure) and "not tell" not in headline(sure)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            {KNEE: 0.36, KNEE - 1: 0.64},
            "That is not sure: in 64 % of the draws the knee was elsewhere, most often at 10 %. The largest share",
        ),
        ({KNEE: 0.7, 1: 0.1}, "in 30 % of the draws the knee was elsewhere or there was none, most often at control. The largest share"),
        ({}, "in 100 % of the draws the knee was elsewhere or there was none. The largest share"),
    ],
)
def test_a_knee_that_draws_put_elsewhere_is_doubted(chosen: dict[int, float], said: str) -> None:
    def change(frontier: Frontier) -> Frontier:
        assert frontier.knee
        return replace(frontier, knee=replace(frontier.knee, chosen=chosen))

    assert said in plain(headline(small_with(change)))


def test_without_a_knee_the_most_uptake_is_doubted_where_draws_give_it_to_another() -> None:
    records = make_records(MadeUpSweep(has_knee=False))
    assert records.frontier
    doubted = replace(records, frontier=replace(records.frontier, most_uptake={6: 0.8, 5: 0.2}))
    assert "That is not sure: in 20 % of the draws another took up more, most often at 20 %." in plain(headline(doubted))
    sure = replace(records, frontier=replace(records.frontier, most_uptake={6: 0.95, 5: 0.05}))
    assert "not sure" not in headline(sure)


def test_trials_that_cannot_be_compared_have_no_frontier_and_the_headline_says_so() -> None:
    records = replace(small_sweep(), frontier=None, no_frontier="No frontier: trials a and b are not comparable.")
    assert headline(records) == "No frontier can be made of the trials that have finished, so what the ratios do is not known."
    assert list(finding_cards(records)) == []


@pytest.mark.parametrize(
    ("forgetting", "said"),
    [
        (Estimate(value=0.007, low=0.006, high=0.009), "forgets 0.7 % [0.6, 0.9],"),
        (Estimate(value=0.001, low=-0.001, high=0.003), "forgets 0.1 % [-0.1, 0.3], which may be nothing,"),
        (Estimate(value=-0.003, low=-0.005, high=-0.001), "forgets nothing (-0.3 % [-0.5, -0.1]),"),
        (Estimate(value=-0.003), "forgets nothing (-0.3 %),"),
        (Estimate(value=0.003), "forgets 0.3 %,"),
    ],
)
def test_forgetting_is_claimed_only_as_far_as_its_interval_shows_it(forgetting: Estimate, said: str) -> None:
    assert said in plain(headline(with_estimates(Estimate(value=0.146), forgetting)))


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (
            Limit(max_forgetting=0.01, spec_share=None, is_open=False),
            "Even the smallest share that was tried forgets more than the limit of 1 %.",
        ),
        (
            Limit(max_forgetting=0.01, spec_share=None, is_open=False, has_control=True),
            "Even the control, without the spec, forgets more than the limit of 1 %.",
        ),
        (
            Limit(max_forgetting=0.05, spec_share=Estimate(value=0.125, low=0.098, high=0.125), is_open=True),
            "Even the largest share that was tried, 12.5 % [9.8, 12.5], forgets no more than the limit of 5 %.",
        ),
        (
            Limit(max_forgetting=0.01, spec_share=Estimate(value=0.004, low=0.001, high=0.02), is_open=False),
            "The largest share that forgets at most 1 % is 0.4 % [0.1, 2.0].",
        ),
        (
            Limit(max_forgetting=0.05, spec_share=Estimate(value=0.5), is_open=True),
            "Even the largest share that was tried, 50 %, forgets no more than the limit of 5 %.",
        ),
    ],
)
def test_a_limit_that_lies_beyond_what_was_tried_is_told_as_such(limit: Limit, said: str) -> None:
    assert plain(headline(with_limit(limit))).endswith(said)


def test_a_share_of_half_a_percent_keeps_its_digits_in_the_cards() -> None:
    limit = Limit(max_forgetting=0.01, spec_share=Estimate(value=0.0061, low=0.0052, high=0.0071), is_open=False)
    card = next(iter(cost_cards(with_limit(limit))))
    assert (plain(card.value), plain(card.error)) == ("0.61 %", "[0.52, 0.71]")
    tried = Limit(max_forgetting=0.01, spec_share=Estimate(value=0.5), is_open=True)
    card = next(iter(cost_cards(with_limit(tried))))
    assert (plain(card.value), card.error) == ("\N{GREATER-THAN OR EQUAL TO} 50 %", "")
    exact = Limit(max_forgetting=0.01, spec_share=Estimate(value=0.125, low=0.1, high=0.125), is_open=True)
    card = next(iter(cost_cards(with_limit(exact))))
    assert (plain(card.value), plain(card.error)) == ("\N{GREATER-THAN OR EQUAL TO} 12.5 %", "[10, 12.5]")


def test_the_card_of_a_limit_that_even_the_control_is_over_says_so() -> None:
    over = Limit(max_forgetting=0.01, spec_share=None, is_open=False, has_control=True)
    assert next(iter(cost_cards(with_limit(over)))).note == "even the control forgets more"


def test_the_interval_of_a_knee_ends_at_shares_as_they_were_tried() -> None:
    def change(frontier: Frontier) -> Frontier:
        assert frontier.knee
        return replace(frontier, knee=replace(frontier.knee, spec_share=Estimate(value=0.125, low=0.05, high=0.125)))

    assert plain(next(iter(finding_cards(small_with(change)))).error) == "[5, 12.5]"


def test_the_cost_counts_what_failed_and_was_pruned() -> None:
    said = "The sweep took 22.8 GPU hours within 3 h 33 min, 0.95 of them on trials that failed or were pruned."
    assert cost_sentence(small_sweep()) == said


def test_trials_that_have_not_finished_are_counted_by_state() -> None:
    assert progress(small_sweep()) == "11 of 14 trials have finished (1 running, 1 failed and 1 pruned). The frontier is of those."
    assert progress(make_records(MadeUpSweep(states={}))) is None
    unknown = progress(make_records(MadeUpSweep(states={"t003": "unknown"})))
    assert unknown == "13 of 14 trials have finished (1 unknown). The frontier is of those."
