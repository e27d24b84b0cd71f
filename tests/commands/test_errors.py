"""What a user can get wrong: one message, its exit code, no traceback, and nothing written or overwritten."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.load import config_values, load_config, read_config
from orchestrator.errors import DataError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.events import append_event
from tests.checkpoints.ranks import save
from tests.commands.command_line import midtrain
from tests.commands.listing import listing
from tests.corpus.writing import write_texts
from tests.support.prepared import make_run, prepare_sources, write_prepared
from tests.support.tiny import overrides, write_model

USER, DATA, CHECKPOINT = 2, 3, 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model, corpora and shards that every row finds."""
    folder = tmp_path_factory.mktemp("home")
    write_prepared(folder)
    return folder


def run_in(home: Path, name: str, **changes: object) -> RunDirectory:
    """A run of that home, planned and never started."""
    return make_run(load_config(overrides(home, **{"run.name": name, "run.dir": home / "runs" / name} | changes)))


def refused(home: Path, *words: str, code: int, named: list[str], written: Sequence[str] = ()) -> None:
    """The command ends with the code and one message that names what it should, and leaves every file as it was but for those `written`."""
    before = listing(home)
    ended = midtrain(*words, cwd=home)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert len(re.findall("error: |Traceback|this is a bug", ended.stderr)) == 1
    assert ended.stdout == ""
    assert [part for part in named if part not in ended.stderr] == []
    after = listing(home)
    assert sorted(name for name in before | after if before.get(name) != after.get(name)) == sorted(written)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A command on a whole configuration with changes."""

    command: str
    changes: Callable[[Path], dict[str, object]]
    code: int
    named: list[str]


def one(key: str, value: object) -> Callable[[Path], dict[str, object]]:
    return lambda home: {key: value}


def docs_at(place: str) -> Callable[[Path], dict[str, object]]:
    return lambda home: {"sources.docs": f"{{role:general,paths:[{home}/{place}]}}"}


def ratios(**shares: float) -> Callable[[Path], dict[str, object]]:
    given = ",".join(f"{name}:{share}" for name, share in shares.items())
    return lambda home: {"mixture.spec_share": "null", "mixture.ratios": f"{{{given}}}"}


ROWS = {
    "missing file": Row(command="prepare", changes=docs_at("no.jsonl"), code=DATA, named=["'docs'", "no.jsonl", "sources.docs"]),
    "ratios": Row(command="train", changes=ratios(spec=0.5, code=0.4, docs=0.2), code=USER, named=["sum to 1", "1.1", "ratios"]),
    "spec too small": Row(
        command="train",
        changes=one("mixture.total_tokens", 1_000_000),
        code=USER,
        named=["'spec'", "0.25", "mixture.max_epochs.spec=1", "Lower its ratio to", "raise the cap to"],
    ),
    "warm-up": Row(command="train", changes=one("training.warmup_steps", 10), code=USER, named=["training.warmup_steps=10", "10 steps"]),
    "save interval": Row(
        command="train", changes=one("checkpoints.every_steps", 11), code=USER, named=["checkpoints.every_steps=11", "10 steps"]
    ),
    "evaluation interval": Row(
        command="train", changes=one("evaluation.every_steps", 11), code=USER, named=["evaluation.every_steps=11", "10 steps"]
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_configuration_that_cannot_be_is_refused_before_anything_is_written(home: Path, row: Row) -> None:
    refused(home, row.command, *overrides(home, **row.changes(home)), code=row.code, named=row.named)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["trian"], ["trian"]),
        (["resume"], ["argument"]),
        (["plan", "training.seed 5"], ["'training.seed 5'", "key=value"]),
        (["plan", "tracking.api_key=hunter2"], ["tracking.api_key", "environment"]),
        (["resume", "no/run"], ["no/run is not a run"]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value, list) else str(value),
)
def test_a_command_that_cannot_be_is_refused(home: Path, words: list[str], named: list[str]) -> None:
    refused(home, *words, code=USER, named=named)


def test_an_empty_file_is_refused(home: Path) -> None:
    (home / "empty.jsonl").touch()
    refused(home, "prepare", *overrides(home, **docs_at("empty.jsonl")(home)), code=DATA, named=["'docs'", "empty.jsonl", "0 bytes"])


def test_a_source_without_one_document_is_refused_with_the_first_reject(home: Path) -> None:
    file = write_texts(home / "rejects.jsonl", [5, ""])
    words = overrides(home, **{"shards.dir": home / "other", "sources.spec": f"{{role:spec,paths:[{file}]}}"})
    with pytest.raises(DataError):  # every audit is done already, so that no cluster is started
        prepare_sources(load_config(words))
    named = ["'spec'", "2 rejected", f"{file}:1", "int, not a string", "text_field"]
    refused(home, "prepare", *words, code=DATA, named=named, written=["other/spec/found.jsonl", "other/spec/rejects.jsonl"])


def test_a_tokenizer_larger_than_the_models_vocabulary_is_refused(home: Path) -> None:
    model = write_model(home / "narrow", vocab_size=200)
    refused(home, "train", *overrides(home, **{"model.path": model}), code=USER, named=["300 tokens", "200", f"model.path={model}"])


def test_shards_of_another_tokenizer_are_refused(home: Path) -> None:
    model = write_model(home / "other_model")
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused(home, "train", *overrides(home, **{"model.path": model}), code=USER, named=["'spec'", "another tokenizer", "midtrain prepare"])


def test_a_directory_that_holds_a_run_of_another_config_is_not_trained_over(home: Path) -> None:
    run = run_in(home, "taken")
    words = overrides(home, **{"run.name": "taken", "run.dir": run.root, "training.learning_rate": 0.02})
    refused(home, "train", *words, code=USER, named=[str(run.root), "another config"])


def test_a_directory_that_holds_something_else_is_not_trained_over(home: Path) -> None:
    thesis = home / "thesis"
    thesis.mkdir()
    (thesis / "thesis.tex").write_text("x")
    refused(home, "train", *overrides(home, **{"run.dir": thesis}), code=USER, named=[str(thesis), "is not a run"])


def test_a_run_whose_checkpoints_are_all_gone_is_not_begun_anew(home: Path) -> None:
    run = run_in(home, "interrupted")
    (run.checkpoints / "step_00000005").mkdir(parents=True)
    append_event(run, 1, "saved", step=5)
    refused(home, "resume", str(run.root), code=CHECKPOINT, named=["no checkpoint", "there was one of step 5"])


@pytest.mark.parametrize(
    ("name", "before", "after", "named"),
    [
        ("seed", "seed: 0\n  log", "seed: 1\n  log", "training.seed=0, and config.yaml has training.seed=1 now"),
        ("precision", "precision: fp32", "precision: bf16", "training.precision=fp32, and config.yaml has training.precision=bf16 now"),
        ("lora", "lora: null", "lora: {rank: 4, alpha: 8.0}", "config.yaml has training.lora.alpha=8.0 now"),
    ],
)
def test_what_a_checkpoint_has_fixed_cannot_be_changed_on_resume(home: Path, name: str, before: str, after: str, named: str) -> None:
    run = run_in(home, f"fixed-{name}")
    facts: dict[str, Any] = {"plan": read_plan(run.plan).fingerprint, "config": config_values(read_config(run.config))}
    save(run.checkpoints, 5, **facts)
    config = run.config.read_text()
    assert before in config
    run.config.write_text(config.replace(before, after))
    refused(home, "resume", str(run.root), code=CHECKPOINT, named=[named, "only these may change", "training.learning_rate"])


def test_a_run_whose_config_was_changed_so_that_its_plan_is_another_is_not_resumed(home: Path) -> None:
    run = run_in(home, "changed")
    run.config.write_text(run.config.read_text().replace("spec_share: 0.25", "spec_share: 0.2"))
    refused(home, "resume", str(run.root), code=USER, named=[str(run.root), "config.yaml"])


@pytest.mark.parametrize(("command", "content"), [("resume", None), ("status", "{")])
def test_a_run_whose_plan_was_lost_or_torn_is_refused_by_name(home: Path, command: str, content: str | None) -> None:
    run = run_in(home, f"no-plan-{command}-{content is None}")
    run.plan.unlink()
    if content is not None:
        run.plan.write_text(content)
    ended = midtrain(command, str(run.root), cwd=home)
    assert (ended.returncode in (USER, DATA), "Traceback" in ended.stderr, "plan.json" in ended.stderr) == (True, False, True)
