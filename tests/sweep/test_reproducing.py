"""The command that is told for a trial makes that very trial."""

import shlex
from pathlib import Path

import pytest

from orchestrator.commands.planning import plan_run
from orchestrator.commands.sweeping.designing import Design
from orchestrator.config.load import config_values, load_config
from orchestrator.config.varied import load_sweep
from orchestrator.sweep.reproducing import command_of
from orchestrator.sweep.settings import wishes_of
from orchestrator.sweep.stored import Stored
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproducing")
    write_prepared(folder)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["mixture.spec_share=0.1,0.4", "sweep.seeds=[0,3]"],
        ["sweep.spec_epochs=1,2", "sweep.hold=spec_tokens", "mixture.total_tokens=2560"],
        ["sweep.start_step=1,4", "training.learning_rate=1e-3,1e-2"],
        ["training=full,msm_lora", "training.learning_rate=0.01", "mixture.spec_share=0.25"],
    ],
)
def test_the_command_of_a_trial_makes_the_same_plan_and_the_same_training(home: Path, words: list[str]) -> None:
    values, settings, fixed = load_sweep([*overrides(home), *words])
    design = Design(Stored(values=values, sweep=settings, overrides=fixed))
    for trial in design.trials(wishes_of(settings)):
        command = shlex.split(command_of(fixed, values, config_values(trial.config), "again"))
        assert command[:2] == ["midtrain", "train"]
        config = load_config(command[2:])
        assert config.run.name == "again"
        assert plan_run(config).fingerprint == trial.plan.fingerprint
        assert (config.training, config.model, config.mixture) == (trial.config.training, trial.config.model, trial.config.mixture)
