"""A `conf/` folder where the command is given is found beside the one that ships."""

from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError

WHOLE = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000"]
EXPERIMENT = """# @package _global_
defaults:
  - override /training: short
sources:
  spec: {role: spec, paths: [spec.md]}
mixture:
  spec_share: 0.5
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment and a training choice of its own, which is the current one."""
    for group in ("experiment", "training"):
        (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    (tmp_path / "conf" / "training" / "short.yaml").write_text("defaults: [full]\nseed: 77\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_experiment_of_ones_own_changes_several_groups_at_once(home: Path) -> None:
    config = load_config([*WHOLE, "experiment=mine"])
    assert config.sources["spec"].paths == (str(home / "spec.md"),)
    assert (config.mixture.spec_share, config.training.seed) == (0.5, 77)


def test_a_choice_of_ones_own_builds_on_a_shipped_one(home: Path) -> None:
    config = load_config([*WHOLE, "sources.spec={role:spec,paths:[a.md]}", "training=short", "training.micro_batch=2"])
    assert (config.training.seed, config.training.schedule, config.training.micro_batch) == (77, "cosine", 2)


def test_the_command_line_has_the_last_word_over_an_experiment(home: Path) -> None:
    assert load_config(["experiment=mine", *WHOLE, "mixture.spec_share=0.25"]).mixture.spec_share == 0.25


def test_the_shipped_choices_are_still_there(home: Path) -> None:
    assert load_config([*WHOLE, "experiment=mine", "tracking=off"]).tracking.wandb == "off"


def test_an_unknown_key_in_an_experiment_is_an_error_too(home: Path) -> None:
    (home / "conf" / "experiment" / "typo.yaml").write_text(EXPERIMENT.replace("spec_share", "specshare"))
    with pytest.raises(ConfigError, match=r"mixture\.specshare is not a configuration key\. The closest is mixture\.spec_share\."):
        load_config([*WHOLE, "experiment=typo"])


@pytest.mark.parametrize("content", ["a: b: c\n", "defaults: [nowhere]\n", "- a\n", "\x00"])
def test_an_experiment_that_is_malformed_is_a_config_error(home: Path, content: str) -> None:
    (home / "conf" / "experiment" / "broken.yaml").write_text(content)
    with pytest.raises(ConfigError):
        load_config([*WHOLE, "experiment=broken"])


def test_a_choice_that_does_not_exist_is_told_with_those_that_do(home: Path) -> None:
    with pytest.raises(ConfigError, match="mine"):
        load_config([*WHOLE, "experiment=nope"])


def test_a_file_of_ones_own_with_a_shipped_name_is_never_ignored_in_silence(home: Path) -> None:
    shipped = load_config([*WHOLE, "experiment=mine", "training=full"]).training
    (home / "conf" / "training" / "full.yaml").write_text("seed: 99\n")
    try:
        now = load_config([*WHOLE, "experiment=mine", "training=full"]).training
    except ConfigError:
        return
    assert now != shipped


@pytest.mark.parametrize("name", ["with space", "it's", "a,b", "a=b", "ümlaut", "(1)"])
def test_the_folder_is_found_whatever_the_path_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / name / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(EXPERIMENT.replace("short", "full"))
    monkeypatch.chdir(tmp_path / name)
    assert load_config([*WHOLE, "experiment=mine"]).sources["spec"].paths == (str(tmp_path / name / "spec.md"),)
