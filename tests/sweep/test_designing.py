"""From a command to planned trials: controls, seeds, what is held, and ids that mean a trial and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError
from orchestrator.sweep.directory import add_trials
from orchestrator.sweep.identity import content_in
from orchestrator.sweep.settings import CONTROL, SPEC, wishes_of
from orchestrator.sweep.stored import Stored
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides

SHARES = "mixture.spec_share=0.1,0.25,0.4"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("designing")
    write_prepared(folder)
    return folder


def design_of(home: Path, *words: str) -> tuple[Design, list[Trial]]:
    values, settings, fixed = load_sweep([*overrides(home, **{"model.initialise": "pretrained"}), *words])
    design = Design(Stored(values=values, sweep=settings, overrides=fixed))
    return design, design.trials(wishes_of(design.sweep))


def trials_of(home: Path, *words: str) -> list[Trial]:
    return design_of(home, *words)[1]


def by_arm(trials: list[Trial], arm: str) -> list[Trial]:
    return [trial for trial in trials if trial.entry.arm == arm]


def test_every_setting_has_every_seed_and_every_length_and_seed_a_control(home: Path) -> None:
    trials = trials_of(home, SHARES, "sweep.seeds=[0,1]")
    spec, controls = by_arm(trials, SPEC), by_arm(trials, CONTROL)
    assert [(trial.entry.setting["mixture.spec_share"], trial.entry.seed) for trial in spec] == [
        (share, seed) for seed in (0, 1) for share in (0.1, 0.25, 0.4)
    ]
    assert [(trial.entry.spec_share, trial.entry.total_tokens, trial.entry.seed) for trial in controls] == [(0.0, 1280, 0), (0.0, 1280, 1)]


def test_a_control_trains_the_same_general_sequences_in_the_same_order_and_more_of_them(home: Path) -> None:
    trials = trials_of(home, "mixture.spec_share=0.25,0.4")
    general = {}
    for trial in trials:
        draws = trial.plan.look_up(np.arange(trial.plan.num_sequences))
        general[trial.entry.trial_id] = [
            [(int(e), int(p)) for e, p in zip(draws.epochs[draws.sources == source], draws.positions[draws.sources == source], strict=True)]
            for source in (1, 2)
        ]
    control = general.pop(by_arm(trials, CONTROL)[0].entry.trial_id)
    for drawn in general.values():
        for of_trial, of_control in zip(drawn, control, strict=True):
            assert of_trial == of_control[: len(of_trial)]


def test_a_seed_is_that_of_the_data_and_of_training(home: Path) -> None:
    first, second = trials_of(home, "sweep.seeds=[3,4]", "sweep.controls=false")
    assert [(trial.config.mixture.seed, trial.config.training.seed) for trial in (first, second)] == [(3, 3), (4, 4)]


def test_controls_can_be_left_out_and_a_share_of_zero_is_one(home: Path) -> None:
    assert by_arm(trials_of(home, SHARES, "sweep.controls=false"), CONTROL) == []
    trials = trials_of(home, "mixture.spec_share=0,0.25")
    assert [trial.entry.arm for trial in trials] == [CONTROL, SPEC]


def test_a_trial_has_the_same_id_whenever_it_is_made_and_whatever_is_beside_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {trial.entry.trial_id for trial in trials_of(home, SHARES)}
    elsewhere = ["scheduling.world_size=1", "tracking=offline", "checkpoints.every_steps=2", "run.name=other", "training.log_every_steps=2"]
    assert {trial.entry.trial_id for trial in trials_of(home, "mixture.spec_share=0.4,0.25,0.1,0.3", *elsewhere)} > ids


@pytest.mark.parametrize(
    "change", ["training.learning_rate=0.02", "mixture.total_tokens=640", "evaluation.max_sequences=4", "sweep.seeds=[1]"]
)
def test_a_trial_that_is_trained_or_measured_otherwise_has_another_id(home: Path, change: str) -> None:
    ids = {trial.entry.trial_id for trial in trials_of(home, SHARES)}
    assert not ids & {trial.entry.trial_id for trial in trials_of(home, SHARES, change)}


def test_held_spec_tokens_make_longer_runs_of_smaller_shares_each_with_its_control(home: Path) -> None:
    trials = trials_of(home, "mixture.spec_share=0.1,0.2", "sweep.hold=spec_tokens", "mixture.total_tokens=2560")
    spec, controls = by_arm(trials, SPEC), by_arm(trials, CONTROL)
    assert [(trial.entry.spec_tokens, trial.entry.total_tokens) for trial in spec] == [(640, 6400), (640, 3200)]
    assert [trial.entry.total_tokens for trial in controls] == [6400, 3200]


def test_epochs_that_are_asked_for_need_no_cap_and_nest_their_subsets(home: Path) -> None:
    words = ["sweep.spec_epochs=1,2,4", "sweep.hold=spec_tokens", "mixture.total_tokens=2560"]
    spec = by_arm(trials_of(home, *words), SPEC)
    assert [round(trial.entry.spec_epochs, 6) for trial in spec] == [1, 2, 4]
    used = []
    for trial in spec:
        draws = trial.plan.look_up(np.arange(trial.plan.num_sequences))
        used.append(set(draws.positions[draws.sources == 0].tolist()))
    assert used[0] > used[1] > used[2]
    assert [len(positions) for positions in used] == [20, 10, 5]


def test_a_late_start_keeps_the_share_of_the_whole_run(home: Path) -> None:
    trials = by_arm(trials_of(home, "sweep.start_step=1,6"), SPEC)
    assert [trial.entry.spec_tokens for trial in trials] == [320, 320]
    draws = trials[1].plan.look_up(np.arange(trials[1].plan.num_sequences))
    assert np.flatnonzero(draws.sources == 0).min() >= 5 * 4


def test_a_proxy_repeats_what_its_target_repeats_as_often(home: Path) -> None:
    words = ["mixture.spec_share=0.1,0.25", "sweep.proxy={total_tokens:64000}", "mixture.max_epochs={spec:8,code:8,docs:8}"]
    for trial in by_arm(trials_of(home, *words), SPEC):
        (spec,) = [match for match in trial.matches if match.source == "spec"]
        assert spec.target_epochs == pytest.approx(trial.entry.spec_share * 64000 / 6496)
        assert trial.entry.spec_epochs == pytest.approx(spec.target_epochs, rel=0.1)  # of whole sequences, four in this small one


def test_a_proxy_leaves_what_it_does_not_cut_as_the_run_uses_it(home: Path) -> None:
    trials = trials_of(home, "mixture.spec_share=0.25", "mixture.unique_tokens={code:2560}", "sweep.proxy={total_tokens:2560}")
    assert all(trial.config.mixture.unique_tokens["code"] == 2560 for trial in trials)


def test_a_general_source_that_only_the_control_would_repeat_is_the_same_subset_in_both(home: Path) -> None:
    words = ["mixture.spec_share=0.25,0.4", "mixture.max_epochs={spec:9,code:9,docs:9}", "sweep.proxy={total_tokens:36000}"]
    trials = trials_of(home, *words)
    spec = by_arm(trials, SPEC)[0].matches
    assert [one.source for one in spec if one.target_epochs > 1] == ["spec"]
    used = [trial.config.mixture.unique_tokens for trial in trials]
    assert used[0]["docs"] == used[1]["docs"] == used[2]["docs"]


def test_held_epochs_are_those_that_the_configured_run_makes_of_its_subset(home: Path) -> None:
    words = ["mixture.unique_tokens={spec:640}", "mixture.max_epochs={spec:9}", "mixture.total_tokens=6400", "sweep.hold=epochs"]
    spec = by_arm(trials_of(home, *words, "mixture.spec_share=0.125,0.25"), SPEC)
    assert [(trial.entry.spec_epochs, trial.entry.total_tokens) for trial in spec] == [(2.5, 12800), (2.5, 6400)]


def test_a_group_may_vary_where_what_is_measured_stays(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {
        "training/short": "defaults: [msm_lora, _self_]\nsequence_length: 32\n",
        "training/shorter": "defaults: [anneal, _self_]\nsequence_length: 16\n",
        "experiment/mine": "# @package _global_\ndefaults:\n  - override /training: short\n",
    }.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / f"{name}.yaml").write_text(content)
    monkeypatch.chdir(tmp_path)
    open_ones = ("training.sequence_length", "training.learning", "training.warmup")
    others = [word for word in overrides(home) if not word.startswith(open_ones)]
    words = [*others, "experiment=mine", "training=short,shorter", "training.learning_rate=1e-3,2e-3"]
    values, settings, fixed = load_sweep([*words, "training.sequence_length=32"])
    spec = by_arm(Design(Stored(values=values, sweep=settings, overrides=fixed)).trials(wishes_of(settings)), SPEC)
    assert [(trial.config.training.lora is None, trial.config.training.learning_rate) for trial in spec] == [
        (False, 0.001),
        (False, 0.002),
        (True, 0.001),
        (True, 0.002),
    ]
    values, settings, fixed = load_sweep(words)
    design = Design(Stored(values=values, sweep=settings, overrides=fixed))
    with pytest.raises(
        ConfigError, match=r"training=shorter, .*training\.sequence_length is 16, and 32 in .*: training\.sequence_length=16"
    ):
        design.trials(wishes_of(settings))


def test_settings_that_differ_in_the_spec_alone_have_one_control(home: Path) -> None:
    trials = trials_of(home, "mixture.spec_share=null", "mixture.source_tokens={spec:64}", "mixture.source_tokens.spec=160,320")
    assert [(trial.entry.arm, dict(trial.entry.setting)) for trial in trials] == [
        (SPEC, {"mixture.source_tokens.spec": 160}),
        (SPEC, {"mixture.source_tokens.spec": 320}),
        (CONTROL, {}),
    ]


def test_a_control_has_what_else_its_trial_varies_of_the_mixture(home: Path) -> None:
    trials = trials_of(home, "mixture.unique_tokens.code=640,1280", "mixture.max_epochs.code=choice(8)", "mixture.total_tokens=2560")
    controls = by_arm(trials, CONTROL)
    assert [trial.config.mixture.unique_tokens for trial in controls] == [{"code": 640}, {"code": 1280}]
    assert [dict(trial.entry.setting) for trial in controls] == [{"mixture.unique_tokens.code": 640}, {"mixture.unique_tokens.code": 1280}]


def test_a_control_trains_no_spec_whatever_the_stages_say_of_it(home: Path) -> None:
    stages = "mixture.stages=[{steps:5,source_tokens:{spec:160,code:160}},{ratios:{spec:0.5,code:0.25,docs:0.25}}]"
    (control,) = by_arm(trials_of(home, stages, "training.weight_decay=0.1"), CONTROL)
    assert control.entry.spec_tokens == 0


def test_what_comes_to_one_trial_is_one_however_its_numbers_are_written(home: Path) -> None:
    assert len(by_arm(trials_of(home, "training.weight_decay=0,0.0"), SPEC)) == 1
    (one,), (other,) = (by_arm(trials_of(home, f"training.weight_decay={zero}"), SPEC) for zero in ("0", "0.0"))
    assert one.entry.trial_id == other.entry.trial_id
    assert len(content_in(one.entry.trial_id)) == 12


def test_a_trial_that_the_sweep_has_under_another_name_is_that_one(home: Path, tmp_path: Path) -> None:
    where = [f"sweep.dir={tmp_path / 'renamed'}", "mixture.ratios.spec=0.25", "mixture.spec_share=null"]
    words = [*where, "mixture.ratios.code=0.25", "mixture.ratios.docs=0.5"]
    design, (spec, control) = design_of(home, *words)
    entry = replace(control.entry, trial_id=f"otherwise-{content_in(control.entry.trial_id)}")
    design.directory.root.mkdir()
    add_trials(design.directory, [entry])
    again = design_of(home, *words)[1]
    assert [trial.entry for trial in again] == [spec.entry, entry]
    assert again[1].run == design.directory.run(entry.trial_id).root
    add_trials(design.directory, [replace(spec.entry, setting={"training.weight_decay": 1})])
    with pytest.raises(ConfigError, match=r"training\.weight_decay: the trials with training.weight_decay=1 and with as configured"):
        design_of(home, *words)
    add_trials(design.directory, [replace(spec.entry, trial_id="seed-0-01234567")])
    with pytest.raises(ConfigError, match=r"older version.*seed-0-01234567.*midtrain resume"):
        design_of(home, *words)


def test_several_sweeps_may_have_one_second_home_and_a_group_of_ones_own(home: Path, tmp_path: Path) -> None:
    words = [f"sweep.dir={tmp_path / 'mine'}", "checkpoints.second_home=file:///home/"]
    trial = trials_of(home, *words)[0]
    assert trial.config.checkpoints.second_home == f"file:///home/mine/{trial.entry.trial_id}"
    assert trial.config.tracking.group == "mine"
    assert trials_of(home, *words, "tracking.group=ours")[0].config.tracking.group == "ours"
