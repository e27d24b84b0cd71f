"""From `conf/` and `key=value` words to a checked configuration, and to errors that name the key, the value and the remedy."""

import math
from functools import cache, reduce
from pathlib import Path

import pytest
import yaml

from orchestrator.config.load import dump_config, load_config, read_config
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError
from tests.support.tiny import overrides

WHOLE = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/spec.md]}"]


@cache
def load_smallest() -> Config:
    return load_config(WHOLE)


def refusal(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config([*WHOLE, *words])
    return str(caught.value)


def test_what_the_command_line_says_is_what_the_configuration_holds() -> None:
    config = load_config([*WHOLE, "training.learning_rate=3", "tracking=off", "mixture.spec_share=1", "model.description='a=b, c'"])
    assert (config.training.learning_rate, config.tracking.wandb, config.mixture.spec_share) == (3.0, "off", 1.0)
    assert config.model.description == "a=b, c"


@pytest.mark.parametrize(
    ("word", "unknown", "closest"),
    [
        ("training.learning_rat=1", "training.learning_rat", "training.learning_rate"),
        ("mixture.specshare=0.1", "mixture.specshare", "mixture.spec_share"),
        ("sources.spec.path=[a]", "sources.spec.path", "sources.spec.paths"),
        ("sources.spec.heldout=0.1", "sources.spec.heldout", "sources.spec.heldout_share"),
        ("checkpoints.every=5", "checkpoints.every", "checkpoints.every_steps"),
        ("evaluation.every_step=5", "evaluation.every_step", "evaluation.every_steps"),
        ("run.directory=x", "run.directory", "run.dir"),
        ("trainig.seed=1", "trainig", "training"),
        ("+feed.worker=1", "feed.worker", "feed.workers"),
        ("++scheduling.worldsize=1", "scheduling.worldsize", "scheduling.world_size"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_closest_one(word: str, unknown: str, closest: str) -> None:
    message = refusal(word)
    assert message.startswith(f"{unknown} ")
    assert f" {closest}." in message


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("training.learning_rate=fast", "training.learning_rate='fast'"),
        ("training.learning_rate=", "training.learning_rate=''"),
        ("training.learning_rate=-1e-5", "training.learning_rate=-1e-05"),
        ("training.learning_rate=nan", "training.learning_rate=nan"),
        ("mixture.spec_share=inf", "mixture.spec_share=inf"),
        ("mixture.total_tokens=1e9", "mixture.total_tokens=1000000000.0"),
        ("training.seed='1'", "training.seed='1'"),
        ("tracking.wandb=on", "tracking.wandb='on'"),
        ("run.name=2024", "run.name=2024"),
        ("run.name=a/b", "run.name='a/b'"),
        ("run.dir=5", "run.dir=5"),
        ("run.dir=[a]", "run.dir=['a']"),
        ("shards.dir=5", "shards.dir=5"),
        ("shards.dir=s3://b/x", "shards.dir: s3://b/x is a URL"),
        ("run.dir=s3://b/x", "run.dir: s3://b/x is a URL"),
        ("model.path=5", "model.path=5"),
        ("sources=5", "sources=5"),
        ("sources=null", "sources=None"),
        ("sources.spec=5", "sources.spec=5"),
        ("sources.spec.paths=a.md", "sources.spec.paths='a.md'"),
        ("sources.spec.paths=[5]", "sources.spec.paths.0=5"),
    ],
)
def test_a_wrong_value_on_the_command_line_is_an_error_with_the_key_and_the_value(word: str, named: str) -> None:
    assert named in refusal(word)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.learning_rate", True),
        ("training.learning_rate", None),
        ("training.learning_rate", 0),
        ("training.learning_rate", math.inf),
        ("training.weight_decay", math.nan),
        ("training.weight_decay", -0.1),
        ("training.seed", True),
        ("training.seed", 1.0),
        ("training.seed", -1),
        ("training.activation_checkpointing", "yes"),
        ("training.zero_stage", 4),
        ("training.precision", "fp16"),
        ("training.lora", 64),
        ("training.schedule", "step"),
        ("training.sequence_length", 0),
        ("training.warmup_steps", -1),
        ("training.gradient_clip", 0.0),
        ("training.adam_beta1", 1.5),
        ("training.final_learning_rate_share", math.nan),
        ("mixture.spec_share", -0.1),
        ("mixture.total_tokens", 0),
        ("mixture.max_epochs.spec", math.nan),
        ("mixture.max_epochs.spec", 0),
        ("mixture.seed", "0"),
        ("checkpoints.every_steps", 0),
        ("evaluation.max_sequences", 0),
        ("tracking.wandb", False),
        ("scheduling.world_size", 0),
        ("scheduling.gpus_per_rank", 2),
        ("feed.workers", 0),
        ("shards.shard_bytes", 0),
        ("corpus.max_reject_share", 1.5),
        ("corpus.max_document_tokens", 0),
        ("sources.spec.markdown", "heading"),
        ("run.name", "../up"),
        ("run.name", ""),
        ("sources.spec.role", "speck"),
        ("sources.spec.paths", []),
        ("sources.spec.heldout_share", math.nan),
        ("sources.spec.heldout_share", 2),
        ("sources.spec.weight", -1),
        ("model.initialise", "random"),
    ],
)
def test_a_wrong_type_or_range_is_an_error_with_the_key_and_the_value(tmp_path: Path, key: str, value: object) -> None:
    values = yaml.safe_load(dump_config(load_smallest()))
    *groups, last = key.split(".")
    reduce(dict.__getitem__, groups, values)[last] = value
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert f"{key}={value!r}: " in str(caught.value)


@pytest.mark.parametrize("beta", ["adam_beta1", "adam_beta2"])
def test_a_beta_of_one_is_refused_before_the_optimiser_refuses_it_on_every_rank(beta: str) -> None:
    assert f"training.{beta}=1" in refusal(f"training.{beta}=1.0")


@pytest.mark.parametrize("key", ["run.name", "model.path", "mixture.total_tokens"])
def test_a_mandatory_value_that_is_missing_is_named_with_its_whole_key(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} has no value\. Give one: {key}=…"):
        load_config([word for word in WHOLE if not word.startswith(f"{key}=")])


def test_a_run_without_sources_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^sources"):
        load_config([word for word in WHOLE if not word.startswith("sources.")])


@pytest.mark.parametrize("key", ["role", "paths"])
def test_a_source_that_lacks_its_role_or_paths_is_told_so(key: str) -> None:
    given = {"role": "spec", "paths": "[/a.md]"}
    del given[key]
    words = ",".join(f"{name}:{value}" for name, value in given.items())
    assert f"sources.more.{key} has no value" in refusal(f"sources.more={{{words}}}")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mixture.spec_share=null", "mixture.ratios={spec:0.9}"], ["must sum to 1", "0.9", "mixture"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:0.999999}"], ["must sum to 1", "0.999999"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:0.6,code:0.6}"], ["must sum to 1", "1.2"]),
        (["mixture.spec_share=null"], ["spec_share=null and ratios={} leave the spec's part open", "source_epochs"]),
        (["mixture.ratios={spec:1}"], ["exclude each other", "spec_share", "ratios"]),
        (["mixture.spec_share=null", "mixture.ratios={spek:1}"], ["mixture.ratios", "'spek'", "spec"]),
        (["mixture.max_epochs={spek:2}"], ["mixture.max_epochs", "'spek'", "spec"]),
        (["mixture.spec_share=null", "mixture.ratios={spec:1}", "sources.code={role:general,paths:[/c]}"], ["mixture.ratios", "'code'"]),
        (["sources.spec.heldout_share=0.1", "sources.spec.heldout_paths=[/h]"], ["sources.spec", "heldout_paths", "heldout_share=0.1"]),
        (["training.micro_batch=3"], ["training.sequences_per_step=128", "training.micro_batch=3", "scheduling.world_size=2", "126"]),
    ],
)
def test_values_that_exclude_each_other_are_refused_together(words: list[str], named: list[str]) -> None:
    message = refusal(*words)
    assert [part for part in named if part not in message] == []


def test_ratios_that_are_thirds_sum_to_one() -> None:
    third = 1 / 3
    sources = [f"sources.{name}={{role:general,paths:[/x]}}" for name in ("b", "c")]
    config = load_config([*WHOLE, *sources, "mixture.spec_share=null", f"mixture.ratios={{spec:{third},b:{third},c:{third}}}"])
    assert dict(config.mixture.ratios) == {"spec": third, "b": third, "c": third}


@pytest.mark.parametrize(
    "word",
    [
        "training.learning_rate",
        "a b",
        "=5",
        "training=5",
        "training=[full,5]",
        "training=no_such_choice",
        "experiment=no_such_experiment",
        "training.learning_rate=1e-5,3e-5",
        "sources=[a]",
        "sources.spec={role:spec",
        "sources.a/b={role:spec,paths:[a]}",
        "~training.seed=0",
        "run.name=${nowhere}",
        "run.name=${oc.env:NO_SUCH_VARIABLE_HERE}",
        "training.learning_rate=${training.learning_rate}",
        "hydra.verbose=true",
    ],
)
def test_a_malformed_word_is_a_config_error_and_never_a_bug(word: str) -> None:
    assert refusal(word)


@pytest.mark.parametrize("word", ["sources.spec={role:spec", "model.description=a=b", "training=no_such_choice", "run.dir=~/runs"])
def test_a_value_that_cannot_be_taken_is_told_with_its_key(word: str) -> None:
    assert word.partition("=")[0] in refusal(word)


def test_a_second_load_is_not_touched_by_a_first_that_failed() -> None:
    before = load_smallest()
    refusal("training.learning_rat=1")
    assert load_config(WHOLE) == before


def test_every_path_is_absolute_wherever_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    source = "sources.spec={role:spec,paths:[spec,more/*.md],heldout_paths:[../held]}"
    config = load_config(["run.name=a", "model.path=model", "mixture.total_tokens=100000", "shards.dir=shards", source])
    assert config.run.dir == str(tmp_path / "runs" / "a")
    assert (config.model.path, config.shards.dir) == (str(tmp_path / "model"), str(tmp_path / "shards"))
    assert config.sources["spec"].paths == (str(tmp_path / "spec"), str(tmp_path / "more" / "*.md"))
    (held,) = config.sources["spec"].heldout_paths
    assert (Path(held).is_absolute(), Path(held).resolve()) == (True, tmp_path.parent / "held")


@pytest.mark.parametrize("url", ["s3://bucket/a b/*.jsonl", "gs://bucket/", "memory://a.md", "https://host/x.jsonl?a=b", "file:///a/b.md"])
def test_a_url_stays_as_it_was_given(url: str) -> None:
    config = load_config([*WHOLE, f"sources.web={{role:general,paths:['{url}'],heldout_paths:['{url}']}}"])
    assert (config.sources["web"].paths, config.sources["web"].heldout_paths) == ((url,), (url,))


def test_a_hub_name_stays_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config([*WHOLE, "model.path=org/model"]).model.path == "org/model"


def test_the_resolved_file_is_all_that_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / "model").mkdir(parents=True)
    monkeypatch.chdir(home)
    words = [word for word in overrides(Path()) if not word.startswith("run.dir")]
    config = load_config(words)
    file = home / "config.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    (elsewhere / "conf" / "training").mkdir(parents=True)
    (elsewhere / "conf" / "training" / "full.yaml").write_text("seed: 99\n")
    monkeypatch.chdir(elsewhere)
    assert read_config(file) == config


def test_a_directory_without_a_config_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path} is not a run"):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"5\n",
        b"[1]\n",
        b"a: b: c\n",
        b"\x00",
        b"\xff\xfe",
        b"run: {name: a}\n",
        b"run: {name: 2024-01-01}\n",
        b"run: {name: !!binary aGk=}\n",
        b"run: !!python/object/apply:os.getcwd []\n",
        b"&a [*a]\n",
    ],
)
def test_a_resolved_file_that_was_spoilt_is_a_config_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError):
        read_config(file)


def test_a_resolved_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(load_smallest()).replace("learning_rate:", "learning_rat:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"training\.learning_rat is not a configuration key\. The closest is training\.learning_rate\."):
        read_config(file)
