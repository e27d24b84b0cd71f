"""The recipes that ship: each composes, plans on prepared sources, and has the rates that it promises."""

from pathlib import Path

import pytest

from orchestrator.commands.planning import plan_run
from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError
from orchestrator.training.schedule import learning_rate
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides

RECIPE_KEYS = ("training.warmup", "training.learning_rate", "training.precision", "training.zero_stage", "mixture.spec_share")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    write_prepared(folder)
    return folder


def recipe(home: Path, *words: str) -> Config:
    """A recipe at the tiny experiment's sizes; all else is the recipe's own."""
    sizes = [word for word in overrides(home) if not word.startswith(RECIPE_KEYS)]
    return load_config([*words[:1], *sizes, *words[1:]])


def rates(config: Config) -> list[float]:
    plan = plan_run(config)
    return [learning_rate(config.training, step, plan.steps) for step in range(1, plan.steps + 1)]


def test_model_spec_midtraining_is_adapters_on_everything_along_a_cosine_for_one_epoch(home: Path) -> None:
    config = recipe(home, "training=msm_lora", "mixture.spec_share=null", "mixture.source_epochs={spec:1}", "mixture.total_tokens=20480")
    lora = config.training.lora
    assert lora and (lora.rank, lora.alpha, lora.targets) == (64, 128.0, ())
    assert config.training.weight_decay == 0.01
    made = rates(config)
    warmup = -(-len(made) * 5 // 100)
    assert (max(made), made.index(max(made)) + 1, made[-1]) == (1e-4, warmup, 0.0)
    (spec,) = (source for source in plan_run(config).sources if source.role == "spec")
    assert plan_run(config).sequences[0] == spec.unique_sequences


@pytest.mark.parametrize("length", [4096, 8192])
def test_model_spec_midtraining_takes_either_of_its_lengths(length: int) -> None:
    words = ["run.name=a", "model.path=/m", "mixture.total_tokens=1000000", "sources.spec={role:spec,paths:[/a.md]}"]
    config = load_config(["training=msm_lora", *words, f"training.sequence_length={length}"])
    assert config.training.sequence_length == length


def test_the_full_recipe_has_262144_tokens_an_update_and_half_of_them_are_replay(home: Path) -> None:
    words = ["run.name=a", "model.path=/m", "mixture.total_tokens=1000000", "sources.spec={role:spec,paths:[/a.md]}"]
    training = load_config(words).training
    assert training.sequence_length * training.sequences_per_step == 262_144
    assert (training.learning_rate, training.gradient_clip, training.lora) == (1e-5, 1.0, None)
    config = recipe(home, "mixture=replay_1_to_1", "mixture.max_epochs={spec:2}")
    plan = plan_run(config)
    assert plan.sequences[0] * 2 == sum(plan.sequences)
    made = rates(config)
    assert [max(made), made[-1]] == pytest.approx([1e-5, 1e-6])


def test_an_anneal_begins_at_the_bases_rate_and_ends_at_zero(home: Path) -> None:
    made = rates(recipe(home, "training=anneal", "training.learning_rate=3e-4"))
    assert made == pytest.approx([3e-4 * (1 - step / 10) for step in range(1, 11)], abs=1e-18)
    with pytest.raises(ConfigError, match=r"training\.learning_rate has no value"):
        recipe(home, "training=anneal")
