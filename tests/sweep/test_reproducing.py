"""The command that is told for a trial makes that very trial."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.commands.planning import plan_run
from orchestrator.commands.sweeping.designing import Design
from orchestrator.config.load import compose_values, config_values, load_config
from orchestrator.config.schema import Config
from orchestrator.config.validation import validated
from orchestrator.config.varied import load_sweep, written
from orchestrator.sweep.reproducing import command_of
from orchestrator.sweep.settings import wishes_of
from orchestrator.sweep.stored import Stored
from orchestrator.sweep.values import with_values
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproducing")
    write_prepared(folder)
    return folder


NAMES = st.sampled_from(["spec", "code", "docs"])
MAPPINGS = st.fixed_dictionaries(
    {
        "source_tokens": st.dictionaries(NAMES, st.integers(1, 9999), max_size=1),
        "unique_tokens": st.dictionaries(NAMES, st.integers(1, 9999)),
        "max_epochs": st.dictionaries(NAMES, st.floats(0.5, 9)),
    }
)
ODD = ["/a/x=1", "/a,b", "/a(b)", "1e5", "null", "/it's {a: b} [c] ~/\\"]
TEXTS = st.sampled_from(ODD) | st.text("ab/=,'\"()[]{} \\:~%+é", max_size=8).filter(lambda text: "://" not in text)


@settings(max_examples=30, deadline=None)
@given(mapping=MAPPINGS, other=MAPPINGS, text=TEXTS)
def test_the_command_has_every_key_as_the_trial_whatever_the_run_had_there(
    home: Path, mapping: dict[str, dict[str, float]], other: dict[str, dict[str, float]], text: str
) -> None:
    given_words = [f"mixture.{key}={written(value)}" for key, value in mapping.items()]
    words = [*overrides(home), *given_words, "training.offload.nvme_path='/x'", "training.offload.parameters=nvme", "training.zero_stage=3"]
    values = compose_values(words)
    values.pop("sweep")
    changes = {f"mixture.{key}": value for key, value in other.items()} | {"training.offload.nvme_path": text}
    trial = validated(Config, with_values(values, changes))
    told = shlex.split(command_of(words, values, config_values(trial), "again"))
    again = load_config(told[2:])
    assert replace(again, run=trial.run) == trial, told


def test_the_command_copies_to_a_second_home_of_its_own(home: Path) -> None:
    values, sweep, fixed = load_sweep([*overrides(home), "checkpoints.second_home=file:///home", f"sweep.dir={home}/sweeps/mine"])
    for trial in Design(Stored(values=values, sweep=sweep, overrides=fixed)).trials(wishes_of(sweep)):
        told = load_config(shlex.split(command_of(fixed, values, config_values(trial.config), "again"))[2:])
        assert told.checkpoints.second_home == "file:///home/mine/again"


def test_the_command_has_what_the_run_left_open(home: Path) -> None:
    words = [word for word in overrides(home) if not word.startswith(("training.learning_rate", "training.warmup"))]
    values, sweep, fixed = load_sweep([*words, "training=anneal", "training.learning_rate=1e-3,2e-3"])
    for trial in Design(Stored(values=values, sweep=sweep, overrides=fixed)).trials(wishes_of(sweep)):
        command = shlex.split(command_of(fixed, values, config_values(trial.config), "again"))
        assert load_config(command[2:]).training == trial.config.training


@pytest.mark.parametrize(
    "words",
    [
        ["mixture.spec_share=0.1,0.4", "sweep.seeds=[0,3]"],
        ["sweep.spec_epochs=1,2", "sweep.hold=spec_tokens", "mixture.total_tokens=2560"],
        ["sweep.start_step=1,4", "training.learning_rate=1e-3,1e-2"],
        ["training=full,msm_lora", "training.learning_rate=0.01", "mixture.spec_share=0.25"],
        ["mixture.spec_share=null", "mixture.source_tokens={spec:320}"],
        ["mixture.unique_tokens={spec:640,code:1280}", "mixture.max_epochs={spec:9}"],
        ["mixture.unique_tokens={spec:640,code:1280}", "sweep.spec_epochs=1,2"],
        ["mixture.spec_share=null", "mixture.ratios={spec:0.25,code:0.25,docs:0.5}"],
    ],
)
def test_the_command_of_a_trial_makes_the_same_plan_and_the_same_training(home: Path, words: list[str]) -> None:
    values, sweep, fixed = load_sweep([*overrides(home, **{"model.initialise": "pretrained"}), *words])
    design = Design(Stored(values=values, sweep=sweep, overrides=fixed))
    for trial in design.trials(wishes_of(sweep)):
        command = shlex.split(command_of(fixed, values, config_values(trial.config), "again"))
        assert command[:2] == ["midtrain", "train"]
        config = load_config(command[2:])
        assert config.run.name == "again"
        assert plan_run(config).fingerprint == trial.plan.fingerprint
        assert (config.training, config.model, config.mixture) == (trial.config.training, trial.config.model, trial.config.mixture)
