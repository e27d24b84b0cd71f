"""From a command to planned trials: controls, seeds, what is held, and ids that mean a trial and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.config.varied import load_sweep
from orchestrator.errors import ConfigError, MixtureError
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
    values, settings, fixed = load_sweep([*overrides(home), *words])
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


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["mixture.spec_share=0.1,9"], ConfigError, r"the trial with mixture\.spec_share=9, seed 0: mixture\.spec_share=9"),
        (["training.sequence_length=32,64"], ConfigError, "Make a sweep for each"),
        (["mixture.seed=1,2"], ConfigError, r"Give sweep\.seeds"),
        (["model.path=a,b"], ConfigError, "all trials have the same model"),
        (["mixture.total_tokens=1280,64000"], MixtureError, r"the trial with mixture\.total_tokens=64000.*max_epochs"),
        (["sweep.start_step=9,99"], ConfigError, r"Set it to 8 or less"),
        (["sweep.spec_epochs=0.05,two"], ConfigError, "not a number above 0"),
        (["sweep.proxy={total_tokens:10}"], ConfigError, "less than the 1,280 of a trial"),
        (["sweep.proxy={total_tokens:64000}", "sweep.spec_epochs=1,2"], ConfigError, r"Leave sweep\.spec_epochs out"),
    ],
)
def test_a_trial_that_cannot_be_is_named_with_what_is_wrong(home: Path, words: list[str], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        trials_of(home, *words)
