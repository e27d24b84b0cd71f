"""What the page's scripts draw from, and the rows of its tables, as values."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.frontier.estimates import Estimate, Limit
from orchestrator.report.frame import NONE
from orchestrator.report.sweep.costs import costs_by_arm, costs_by_setting, costs_by_state
from orchestrator.report.sweep.curves import MOST_SHOWN, curve_values, first_shown
from orchestrator.report.sweep.law import law_charts, law_rows, repetition_sentence
from orchestrator.report.sweep.records import SweepRecords
from orchestrator.report.sweep.scatter import MEAN, UPTAKE, forgotten_sources, frontier_values
from orchestrator.report.sweep.settings import control_of, names_of, setting_rows, stands_to
from orchestrator.report.sweep.trials import failures_by_class, states_of, trial_rows
from tests.support.sweep_records import MadeUpSweep, hostile_sweep, large_sweep, make_records, small_sweep
from tests.support.typed import plain

SWEEPS = [small_sweep, large_sweep, hostile_sweep]


@pytest.mark.parametrize("made_up", SWEEPS)
def test_every_point_has_a_place_and_a_text_for_every_source_that_can_be_chosen(made_up: Callable[[], SweepRecords]) -> None:
    records = made_up()
    assert records.frontier
    values = frontier_values(records, records.frontier)
    sources = {MEAN, *forgotten_sources(records.frontier, records.roles)}
    assert len(sources) == 3
    for point in values["points"]:
        assert sources <= set(point["y"])
        assert {UPTAKE, *records.probes} == set(point["x"]) == set(point["gain"])
        assert sources <= set(point["forgetting"])
    json.dumps(values, allow_nan=False)


def test_a_point_without_an_interval_has_bars_of_no_length() -> None:
    records = small_sweep()
    assert records.frontier
    assert frontier_values(records, records.frontier)["points"][0]["x"][UPTAKE] == [0.0, 0.0, 0.0]


def test_many_settings_are_named_on_the_front_only() -> None:
    records = large_sweep()
    assert records.frontier
    for point, values in zip(records.frontier.points, frontier_values(records, records.frontier)["points"], strict=True):
        assert bool(values["label"]) == point.is_on_front


def test_at_first_the_curves_of_the_knee_its_control_and_the_ends_of_the_front_are_shown() -> None:
    records = small_sweep()
    assert [records.trials[number].trial_id for number in first_shown(records)] == ["t002", "t003", "t012", "t013", "t000", "t001", "t009"]
    with_three_seeds = make_records(MadeUpSweep(seeds=(1, 2, 3), states={}))
    assert len(first_shown(with_three_seeds)) == MOST_SHOWN


def test_without_a_frontier_the_first_curves_that_there_are_are_shown() -> None:
    states = {f"t{number:03d}": "queued" if number < 3 else "running" for number in range(14)}
    assert first_shown(make_records(MadeUpSweep(states=states))) == [3, 4, 5, 6, 7, 8, 9, 10]


def test_steps_that_trials_share_are_kept_once() -> None:
    values = curve_values(large_sweep())
    drawn = [trial["curves"] for trial in values["trials"] if trial["curves"]]
    assert len(drawn) == 199
    assert len(values["steps"]) < 30
    for curves in drawn:
        assert len(values["steps"][curves["heldoutSteps"]]) == len(curves["heldout"][0]) == 60


def test_a_loss_that_is_no_number_is_a_gap_and_one_that_was_never_measured_is_no_curve() -> None:
    records = small_sweep()
    trial = records.trials[2]
    assert trial.curves
    losses = {"spec": np.full(12, np.nan), "web": np.array([2.0, np.nan, *[1.9] * 10])}
    curves = replace(trial.curves, losses=losses, heldout={"spec": np.array([])})
    (values,) = curve_values(replace(records, trials=[replace(trial, curves=curves)], frontier=None))["trials"]
    assert values["curves"]["losses"][0] is None
    assert values["curves"]["losses"][1][:3] == [2.0, None, 1.9]
    assert values["curves"]["heldout"] == [None, None, None]


def test_the_control_of_a_point_has_its_tokens_and_the_values_of_its_own_keys() -> None:
    records = large_sweep()
    assert records.frontier
    for point in records.frontier.points:
        control = control_of(point, records.frontier.points)
        if point.arm == "spec":
            assert control
            assert control.total_tokens == point.total_tokens
            assert control.setting["training.learning_rate"] == point.setting["training.learning_rate"]


@pytest.mark.parametrize(("low", "high", "stand"), [(0.002, 0.009, "within"), (0.011, 0.02, "over"), (0.009, 0.011, "unclear")])
def test_a_setting_whose_interval_holds_the_limit_is_neither_within_nor_over_it(low: float, high: float, stand: str) -> None:
    records = small_sweep()
    assert records.frontier
    point = replace(records.frontier.points[3], forgetting=Estimate(value=(low + high) / 2, low=low, high=high))
    assert stands_to(point, Limit(max_forgetting=0.01, spec_share=None, is_open=False)) == stand


def test_the_table_of_settings_aligns_and_marks_the_knee() -> None:
    records = small_sweep()
    assert records.frontier
    rows = setting_rows(records.frontier, names_of(records), ["recall", "not asked"])
    assert [plain(row.name.text) for row in rows] == ["base model", "control", "2 %", "5 %", "10 %", "20 %", "50 %"]
    assert [row.is_knee for row in rows] == [False, False, False, False, False, True, False]
    assert {len(plain(row.figures[0].value.text).partition(".")[2]) for row in rows} == {3}
    assert [plain(row.figures[4].value.text) for row in rows[:3]] == ["0.0", "+2.4", "+7.6"]
    assert {row.figures[5].value.text for row in rows} == {NONE}
    assert [row.within for row in rows] == [None, None, "within", "within", "within", "within", "over"]


def test_the_law_is_drawn_through_what_was_measured_and_only_where_there_is_one() -> None:
    records = small_sweep()
    assert records.frontier
    assert records.frontier.law
    spec, general = law_charts(records, records.frontier)
    assert [trace["name"] for trace in general.data] == ["code", "code", "web", "web"]
    line, dots = spec.data
    assert dots["x"] == [0, 2, 5, 10, 20, 50]
    assert dots["y"] == pytest.approx(np.interp(dots["x"], line["x"], line["y"]), abs=0.3)
    assert [row.source for row in law_rows(records.frontier.law)] == ["spec", "web", "code"]
    assert list(law_charts(records, replace(records.frontier, law=None))) == []


def test_points_of_other_lines_are_not_drawn_beside_the_law() -> None:
    records = make_records(MadeUpSweep(shares=(0.05, 0.1, 0.2, 0.35), rates=(1e-5, 3e-5), states={}))
    assert records.frontier and len(records.frontier.points) == 11
    for chart in law_charts(records, records.frontier):
        for dots in chart.data[1::2]:
            assert dots["x"] == [0, 5, 10, 20, 35]


def test_a_value_that_is_null_has_a_place_in_the_legend_and_a_key_that_a_point_lacks_has_none() -> None:
    records = small_sweep()
    assert records.frontier
    key, ranks = "training.lora", [None, 16, None, 16]
    settings = [{**point.setting, key: rank} for point, rank in zip(records.frontier.points[2:6], ranks, strict=True)]
    changed = [replace(point, setting=setting) for point, setting in zip(records.frontier.points[2:6], settings, strict=True)]
    points = (*records.frontier.points[:2], *changed, *records.frontier.points[6:])
    values = frontier_values(replace(records, keys=[*records.keys, key]), replace(records.frontier, points=points))
    share, lora = values["keys"]
    assert lora["values"] == lora["texts"] == [None, None, "null", "16", "null", "16", None]
    assert not lora["scale"] and share["scale"] and share["values"][:3] == [None, None, 0.02]


def test_the_effect_of_repetition_is_told_only_when_it_is_known() -> None:
    records = small_sweep()
    assert records.frontier
    assert records.frontier.repetition
    assert "not known" in repetition_sentence(records.frontier.repetition)
    known = replace(
        records.frontier.repetition,
        uptake_per_doubling=Estimate(value=0.012, low=0.008, high=0.016),
        forgetting_per_doubling=Estimate(value=0.001, low=-0.001, high=0.003),
    )
    said = plain(repetition_sentence(known))
    assert said.endswith("twice as often changes uptake by 1.2 % [0.8, 1.6] and forgetting by 0.1 % [-0.1, 0.3].")


@pytest.mark.parametrize("made_up", SWEEPS)
def test_hours_by_arm_by_state_and_by_setting_add_up_to_all(made_up: Callable[[], SweepRecords]) -> None:
    records = made_up()
    hours = sum(trial.gpu_hours for trial in records.trials)
    assert costs_by_arm(records)[-1].hours == pytest.approx(hours)
    for costs in (costs_by_arm(records)[:-1], costs_by_state(records), costs_by_setting(records)):
        assert sum(cost.hours for cost in costs) == pytest.approx(hours)
        assert sum(cost.num_trials for cost in costs) == len(records.trials)


def test_trials_that_failed_alike_are_told_together() -> None:
    classes = failures_by_class(large_sweep())
    assert list(classes) == ["numerics"]
    (failure,) = classes["numerics"]
    assert failure.trials == ["t017", "t044"]
    assert failure.steps == [76, 152]


def test_a_trial_whose_files_cannot_be_read_is_among_those_that_failed() -> None:
    records = make_records(MadeUpSweep(states={"t003": "unknown"}))
    ((reason_class, (failure,)),) = failures_by_class(records).items()
    assert (reason_class, failure.trials) == ("unknown, class not known", ["t003"])


def test_a_trial_that_left_no_reason_is_among_the_failed_ones_all_the_same() -> None:
    records: SweepRecords = make_records(MadeUpSweep(states={"t003": "lost"}))
    ((reason_class, (failure,)),) = failures_by_class(records).items()
    assert (reason_class, failure.message, failure.trials) == ("lost, class not known", "It left no reason.", ["t003"])


def test_every_trial_has_a_row_with_what_it_is_sorted_by() -> None:
    records = small_sweep()
    rows = trial_rows(records)
    assert [row.trial.trial_id for row in rows] == [trial.trial_id for trial in records.trials]
    assert states_of(records) == ["finished", "failed", "pruned", "running"]
    assert plain(rows[0].settings[0].text) == "\N{EN DASH}"
    assert rows[0].settings[0].key is None
    assert rows[9].uptake.key == pytest.approx(records.trials[9].uptake, rel=1e-4)
    assert rows[8].progress.text == "305 of 1,220"
