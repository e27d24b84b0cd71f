"""What a run was made of and what it made, told by where it is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.checkpoints.store import open_checkpoint, step_directory
from orchestrator.config.load import read_config
from orchestrator.config.schema import Config
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.directory import RunDirectory
from orchestrator.tracking.lineage import Reference, checkpoint_reference, inputs_of, is_kept
from tests.support.run_directory import MadeUpRun, write_checkpoint, write_run


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write_run(tmp_path, MadeUpRun(steps=20))


@pytest.fixture
def config(run: RunDirectory) -> Config:
    return read_config(run.config)


@pytest.fixture
def plan(run: RunDirectory) -> Plan:
    return read_plan(run.plan)


def model(config: Config, plan: Plan, path: object) -> Reference:
    *_, reference = inputs_of(replace(config, model=replace(config.model, path=str(path))), plan)
    return reference


def test_a_corpus_is_known_by_its_source_and_its_version_by_what_is_in_it(config: Config, plan: Plan, tmp_path: Path) -> None:
    spec, *_ = inputs_of(config, plan)
    assert (spec.kind, spec.name, spec.is_input) == ("corpus", "corpus-spec", True)
    assert spec.uri == (tmp_path / "shards" / "spec").as_uri()
    assert (spec.digest, list(spec.aliases)) == (plan.sources[0].fingerprint, [plan.sources[0].fingerprint])
    assert spec.metadata["fingerprint"] == plan.sources[0].fingerprint
    assert [reference.kind for reference in inputs_of(config, plan)] == ["corpus"] * 3 + ["model"]


def test_a_model_in_a_directory_is_another_when_its_weights_have_another_size(config: Config, plan: Plan, tmp_path: Path) -> None:
    directory = tmp_path / "weights" / "Llama-3 8B"
    directory.mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(bytes(100))
    before = model(config, plan, directory)
    assert (before.name, before.uri) == ("model-Llama-3-8B", directory.as_uri())
    assert model(config, plan, directory).digest == before.digest
    (directory / "model.safetensors").write_bytes(bytes(101))
    assert model(config, plan, directory).digest != before.digest


def test_weights_are_not_read(config: Config, plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    with (tmp_path / "big" / "model.safetensors").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)  # 1 TiB of nothing, which would take a while
    assert model(config, plan, tmp_path / "big").metadata == {"path": str(tmp_path / "big")}


def test_a_model_of_the_hub_is_known_by_its_name_there(config: Config, plan: Plan) -> None:
    found = model(config, plan, "org/model-1b")
    assert (found.name, found.uri, found.metadata) == ("model-org-model-1b", "hf://org/model-1b", {"hub_name": "org/model-1b"})


def test_a_checkpoint_is_at_its_second_home_if_there_is_one(run: RunDirectory) -> None:
    checkpoint = open_checkpoint(step_directory(run.checkpoints, 20))
    here = checkpoint_reference(checkpoint, wandb_id="abc", second_home=None)
    assert (here.kind, here.name, list(here.aliases), here.is_input) == ("checkpoint", "checkpoint-abc", ["step-20"], False)
    assert here.uri == checkpoint.directory.as_uri()
    assert here.metadata == {"step": 20, "tokens": 20 * 128, "world_size": 2}
    there = checkpoint_reference(checkpoint, wandb_id="abc", second_home="s3://bucket/runs/mine")
    assert there.uri == "s3://bucket/runs/mine/step_00000020"
    assert there.key == here.key


def test_what_a_run_starts_from_is_the_same_version_as_the_other_run_has_told_of(run: RunDirectory, config: Config, plan: Plan) -> None:
    write_checkpoint(run, 25, wandb_id="of-the-other")
    directory = step_directory(run.checkpoints, 25)
    started = replace(config, model=replace(config.model, start_from=str(directory)))
    *_, taken = inputs_of(started, plan)
    made = checkpoint_reference(open_checkpoint(directory), wandb_id="of-the-other", second_home=None)
    assert (taken.key, taken.is_input, made.is_input) == (made.key, True, False)


def test_insurance_saves_are_not_told(run: RunDirectory) -> None:
    write_checkpoint(run, 25, kind="insurance")
    assert [is_kept(open_checkpoint(step_directory(run.checkpoints, step))) for step in (20, 25)] == [True, False]
