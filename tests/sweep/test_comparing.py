"""A sweep is added to by trials of the same run alone: another one's would be taken for further seeds."""

from pathlib import Path

import pytest

from orchestrator.commands.sweeping.designing import Design
from orchestrator.commands.sweeping.making import write_sweep
from orchestrator.config.load import config_values, load_config
from orchestrator.config.varied import load_sweep
from orchestrator.errors import RunExistsError
from orchestrator.sweep.comparing import first_difference, made_of
from orchestrator.sweep.directory import SweepDirectory, newest_command
from orchestrator.sweep.stored import Stored, read_stored
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparing")
    write_prepared(folder)
    return folder


def enter(home: Path, *words: str) -> None:
    values, settings, fixed = load_sweep([*overrides(home), *words])
    design = Design(Stored(values=values, sweep=settings, overrides=fixed))
    design.directory.root.mkdir(exist_ok=True)
    write_sweep(design.directory, design, words)


SHARES = "mixture.spec_share=0.05,0.1"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("mixture.total_tokens", ["mixture.total_tokens=640"]),
        ("mixture.unique_tokens", ["mixture.unique_tokens={code:640}"]),
        ("training.learning_rate", ["training.learning_rate=0.02"]),
        ("training.lora", ["training.lora={rank:4,alpha:8}"]),
        ("evaluation.max_sequences", ["evaluation.max_sequences=4"]),
        ("model.initialise", ["model.initialise=pretrained"]),
        ("sources.docs.weight", ["sources.docs.weight=3"]),
        ("sweep.hold", ["sweep.hold=updates"]),
        ("sweep.spec_epochs", ["sweep.spec_epochs=0.1"]),
        ("sweep.unique_spec_tokens", ["sweep.unique_spec_tokens=640"]),
        ("sweep.start_step", ["sweep.start_step=2"]),
        ("sweep.proxy", ["sweep.proxy={total_tokens:64000}"]),
    ],
)
def test_trials_of_another_run_are_not_added_to_a_sweep(home: Path, tmp_path: Path, key: str, words: list[str]) -> None:
    where = f"sweep.dir={tmp_path / 'sweep'}"
    enter(home, where, SHARES)
    with pytest.raises(RunExistsError, match=rf"is a sweep with another {key}.* Vary it, or set sweep\.dir"):
        enter(home, where, SHARES, *words)


def test_more_values_and_seeds_and_what_changes_no_trial_are_added(home: Path, tmp_path: Path) -> None:
    sweep, where = SweepDirectory(tmp_path / "sweep"), f"sweep.dir={tmp_path / 'sweep'}"
    enter(home, where, SHARES, "mixture.spec_share=0.1,0.2")
    others = ["scheduling.world_size=1", "checkpoints.every_steps=2", "training.log_every_steps=2", "run.name=other", "tracking=offline"]
    enter(home, where, "mixture.spec_share=choice(0.3)", "sweep.seeds=[2]", "training.seed=9", "sweep.at_once=1", *others)
    added = read_stored(sweep)
    assert (added.sweep.vary, added.sweep.seeds, added.values["scheduling"]["world_size"]) == ({"mixture.spec_share": (0.3,)}, (2,), 1)
    enter(home, where, "sweep.trials=[{mixture.spec_share:0.4}]")
    assert read_stored(sweep).sweep.trials == ({"mixture.spec_share": 0.4},)
    assert newest_command(sweep) == [where, "sweep.trials=[{mixture.spec_share:0.4}]"]


def test_other_keys_are_not_added_and_how_one_more_value_is_written_is_said(home: Path, tmp_path: Path) -> None:
    where = f"sweep.dir={tmp_path / 'sweep'}"
    enter(home, where, SHARES)
    with pytest.raises(RunExistsError, match=r"varied keys, mixture\.spec_share, .* vary none\. .*mixture\.spec_share='choice\(VALUE\)'"):
        enter(home, where, "mixture.spec_share=0.3")
    with pytest.raises(RunExistsError, match=r"vary mixture\.spec_share, training\.weight_decay\. For other keys set sweep\.dir"):
        enter(home, where, SHARES, "training.weight_decay=0.1,0.2")


@pytest.mark.parametrize(
    ("hold", "same", "other"),
    [
        ("total_tokens", ["mixture.spec_share=0.3"], ["mixture.total_tokens=640"]),
        ("spec_tokens", ["training.weight_decay=0.3"], ["mixture.spec_share=0.3"]),
        ("epochs", ["training.weight_decay=0.3"], ["mixture.spec_share=0.3"]),
        ("updates", ["mixture.spec_share=0.3"], ["training.sequences_per_step=8"]),
    ],
)
def test_what_varies_is_compared_only_where_something_held_follows_from_it(
    home: Path, hold: str, same: list[str], other: list[str]
) -> None:
    varied = [SHARES, "training.weight_decay=0.1,0.2", "training.sequences_per_step=4,8", f"sweep.hold={hold}"]
    _, sweep, _ = load_sweep([*overrides(home), *varied])
    one, like, unlike = (made_of(config_values(load_config([*overrides(home), *words])), sweep) for words in ([], same, other))
    assert first_difference(one, like) is None
    assert first_difference(one, unlike) == other[0].partition("=")[0]


@pytest.mark.parametrize("key", ["learning_rate", "sequence_length"])
def test_what_is_given_of_a_group_that_varies_is_compared(home: Path, key: str) -> None:
    _, sweep, _ = load_sweep([*overrides(home), "training=full,anneal"])
    one, other = (made_of(config_values(load_config([*overrides(home), word])), sweep) for word in ("run.name=a", f"training.{key}=64"))
    assert first_difference(one, other) == f"training.{key}"
