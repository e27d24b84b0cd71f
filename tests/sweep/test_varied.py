"""Which overrides vary, on the command line and in a file."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString, RangeSweep
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.config.load import load_config
from orchestrator.config.sweep import IntervalConfig
from orchestrator.config.varied import load_sweep, split_varied, values_of, written
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


def test_what_a_run_leaves_open_is_given_to_the_commands_of_its_trials(tmp_path: Path) -> None:
    words = [word for word in overrides(tmp_path) if not word.startswith(("training.learning_rate", "mixture.total_tokens"))]
    varied = ["training=anneal", "training.learning_rate=2e-5,1e-5", "mixture.total_tokens=int(interval(640,1280))"]
    values, _, fixed = load_sweep([*words, *varied, "sweep.sampler={settings:2}"])
    assert fixed[-2:] == ["training.learning_rate=2e-05", "mixture.total_tokens=640"]
    assert (values["training"]["learning_rate"], values["mixture"]["total_tokens"]) == (2e-5, 640)


def test_one_value_on_the_command_line_is_varied_where_choice_says_so_or_a_file_varies_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert split_varied(["mixture.spec_share=choice(0.3)"]) == ([], {"mixture.spec_share": (0.3,)})
    experiment = tmp_path / "conf" / "experiment" / "mine.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text("# @package _global_\nsweep: {vary: {mixture.spec_share: [0.1, 0.2], training.weight_decay: [0.0, 0.1]}}\n")
    monkeypatch.chdir(tmp_path)
    others = [word for word in overrides(tmp_path) if not word.startswith("mixture.spec_share")]
    _, sweep, fixed = load_sweep([*others, "experiment=mine", "mixture.spec_share=0.3"])
    assert sweep.vary == {"mixture.spec_share": (0.3,), "training.weight_decay": (0.0, 0.1)}
    assert not [word for word in fixed if word.startswith("mixture.spec_share")]


def test_quoted_values_are_their_text(tmp_path: Path) -> None:
    _, sweep, _ = load_sweep([*overrides(tmp_path), "training.offload.nvme_path='/a/x=1',\"/b c\",null"])
    assert sweep.vary == {"training.offload.nvme_path": ("/a/x=1", "/b c", None)}


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="$"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS


@given(value=SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.from_regex(r"[a-z][a-z_.]{0,8}", fullmatch=True), st.integers()))
@example("1e5")
@example("null")
@example("/a,b")
@example("/a(b)")
@example("it's \\")
def test_what_is_written_is_read_back_as_the_same_value(value: object) -> None:
    parsed = OverridesParser.create().parse_override(f"a.b={written(value)}").value()
    assert not isinstance(parsed, ChoiceSweep | RangeSweep)
    assert plain(parsed) == plain(value)


def plain(value: object) -> object:
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.text if isinstance(value, QuotedString) else (type(value), value)


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
        (["training.learning_rate=inf,1"], "inf is not a finite number"),
        (["training.weight_decay=0,nan"], "nan is not a finite number"),
        (["training.weight_decay=range(0,inf)"], "has inf values, over the 10,000"),
        (["training.weight_decay=range(0,1,0)"], "has inf values, over the 10,000"),
        (["mixture.stages=[{steps:1}],[]"], "not a list or a mapping"),
        (["sweep.vary={training.weight_decay: [[0], 1]}"], r"sweep\.vary\.training\.weight_decay.*not a list"),
        ([SHARES, "sweep.trials=[{training.learning_rate:1}]"], "exclude each other"),
    ],
)
def test_a_sweep_that_contradicts_itself_is_refused(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_sweep([*overrides(tmp_path), *words])


@pytest.mark.parametrize("word", ["model.path=https://me:hunter2@host/a,b", "mixture.stages=glob(s3://me:hunter2@bucket)"])
def test_a_login_in_what_varies_is_refused_and_not_told(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match="a URL with a login in it") as raised:
        load_sweep([*overrides(tmp_path), word])
    assert "hunter2" not in str(raised.value)
