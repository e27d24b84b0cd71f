"""Which overrides vary, on the command line and in a file."""

from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.config.sweep import IntervalConfig
from orchestrator.config.varied import load_sweep, split_varied, values_of
from orchestrator.errors import ConfigError
from tests.support.tiny import overrides

SHARES = "mixture.spec_share=0.1,0.2"


def test_a_value_is_fixed_and_several_are_varied() -> None:
    words = ["mixture.spec_share=0.05,0.1", "training.zero_stage=1", "training=full,msm_lora", "x=[1,2]", "s='a,b'", "n=range(1,4)"]
    fixed, varied = split_varied(words)
    assert fixed == ["training.zero_stage=1", "x=[1,2]", "s='a,b'"]
    assert varied == {"mixture.spec_share": (0.05, 0.1), "training": ("full", "msm_lora"), "n": (1, 2, 3)}


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("interval(0.01,0.5)", IntervalConfig(low=0.01, high=0.5)),
        ("tag(log,interval(1e-5,1e-3))", IntervalConfig(low=1e-5, high=1e-3, log=True)),
        ("int(interval(1,8))", IntervalConfig(low=1, high=8, integer=True)),
    ],
)
def test_an_interval_is_for_the_sampler(text: str, interval: IntervalConfig) -> None:
    assert split_varied([f"a.b={text}"]) == ([], {"a.b": interval})
    assert values_of("a.b", text) == interval


def test_what_a_file_varies_is_a_list_or_an_interval() -> None:
    assert values_of("a.b", [1, 2]) == (1, 2)
    with pytest.raises(ConfigError, match=r"sweep\.vary\.a\.b='seven' is neither"):
        values_of("a.b", "seven")


def test_a_key_that_an_experiment_leaves_open_may_be_given_by_what_varies(tmp_path: Path) -> None:
    words = [word for word in overrides(tmp_path) if not word.startswith("training.learning_rate")]
    values, sweep, fixed = load_sweep([*words, "training=anneal", "training.learning_rate=1e-5,2e-5"])
    assert values["training"]["learning_rate"] == 1e-5
    assert sweep.vary == {"training.learning_rate": (1e-5, 2e-5)}
    assert "training=anneal" in fixed


def test_a_run_leaves_the_sweep_of_its_experiment_aside_and_refuses_one_that_it_is_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give it to `midtrain sweep`"):
        load_config([*overrides(tmp_path), "sweep.seeds=[0,1]"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.seed=[0]"], r"sweep\.seed is not a configuration key\. The closest is sweep\.seeds"),
        (["sweep.seeds=[0,0]"], "has one twice"),
        (["sweep.seeds=[]"], "at least 1"),
        (["mixture.spec_share=interval(0.1,0.5)"], "nobody chooses from it"),
        (["mixture.spec_share=interval(0.5,0.1)", "sweep.sampler={settings:4}"], "the first must be below"),
        (["sweep.sampler={settings:4}", SHARES], "no key is varied over an interval"),
        ([SHARES, "sweep.trials=[{training.learning_rate:1}]"], "exclude each other"),
    ],
)
def test_a_sweep_that_contradicts_itself_is_refused(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_sweep([*overrides(tmp_path), *words])
