"""`midtrain replay`: what a step trains and when a document is trained agree with each other and with the batches."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from orchestrator.commands.amending import amend
from orchestrator.commands.replay import replay_document, replay_step
from orchestrator.config.load import load_config, read_config
from orchestrator.corpus.documents import document_id
from orchestrator.errors import ConfigError, ShardError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.skips import Skip, write_skip
from orchestrator.shards.gathering import gather
from orchestrator.shards.manifest import read_manifest
from orchestrator.shards.reader import ShardReader
from tests.commands.command_line import midtrain
from tests.support.prepared import make_run, prepare_sources, write_prepared
from tests.support.tiny import overrides, write_everything

STEPS = 120


@pytest.fixture(scope="module", params=["concatenate", "best_fit"])
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> RunDirectory:
    """A run that passes over the spec more than once, and changes its mixture half-way."""
    folder = tmp_path_factory.mktemp("replay")
    write_prepared(folder, **{"shards.packing": request.param})
    mixture = {"mixture.total_tokens": STEPS * 4 * 32, "mixture.max_epochs": "{spec: 9}", "mixture.spec_share": 0.75}
    changes = {"shards.packing": request.param, **mixture}
    made = make_run(load_config(overrides(folder, **changes)))
    amend(made, ["mixture.spec_share=0.5"], from_step=61)
    return made


@pytest.fixture(scope="module")
def steps(run: RunDirectory) -> list[dict[str, object]]:
    return [replay_step(run, step) for step in range(1, STEPS + 1)]


def shards_of(run: RunDirectory) -> Path:
    return run.root.parents[1] / "shards"


def test_the_documents_of_a_sequence_are_those_whose_tokens_the_feed_gives_to_the_ranks(run: RunDirectory, steps: list[dict]) -> None:  # type: ignore[type-arg]
    plan = read_plan(run.plan)
    draws = plan.look_up(np.arange(plan.num_sequences))
    sequences = [sequence for step in steps for sequence in step["sequences"]]
    for name in ("spec", "code"):
        manifest = read_manifest(shards_of(run) / name, name)
        packing = read_config(run.config).shards.packing
        reader = ShardReader(shards_of(run) / name, manifest, "train", packing)
        for sequence in (found for found in sequences if found["source"] == name):
            assert draws.positions[sequence["sequence"]] == sequence["position"]
            assert draws.epochs[sequence["sequence"]] == sequence["epoch"]
            lengths = [document["tokens"] for document in sequence["documents"]]
            assert sum(lengths) == plan.sequence_length or packing == "best_fit"
            tokens = gather(reader, np.array([sequence["position"]]), plan.sequence_length)[0, : sum(lengths)]
            ends = np.flatnonzero(tokens == manifest.separator_id) + 1
            assert list(ends) == [end for end in np.cumsum(lengths).tolist() if tokens[end - 1] == manifest.separator_id]


def test_every_token_of_a_document_is_trained_once_an_epoch(run: RunDirectory, steps: list[dict]) -> None:  # type: ignore[type-arg]
    trained: Counter[tuple[str, int]] = Counter()
    for step in steps:
        for sequence in step["sequences"]:
            for document in sequence["documents"]:
                trained[document["id"], sequence["epoch"]] += document["tokens"]
    (file,) = (shards_of(run) / "spec").glob("train_*.documents.parquet")
    rows = parquet.read_table(file, columns=["id", "tokens"]).to_pylist()
    assert [trained[row["id"], 0] for row in rows[:-2]] == [row["tokens"] for row in rows[:-2]]  # the last sequence may not be whole
    assert all(trained[row["id"], 1] <= row["tokens"] for row in rows)


def test_a_document_is_found_at_just_the_steps_that_list_it(run: RunDirectory, steps: list[dict]) -> None:  # type: ignore[type-arg]
    listed: dict[str, list[tuple[int, int, int]]] = {}
    for step in steps:
        for sequence in step["sequences"]:
            for document in sequence["documents"]:
                listed.setdefault(document["id"], []).append((step["step"], sequence["sequence"], document["tokens"]))
    for identifier in sorted(listed)[::7]:
        found = replay_document(run, identifier)["occurrences"]
        assert [(row["step"], row["sequence"], row["tokens"]) for row in found] == listed[identifier]


def test_what_was_trained_so_far_is_told_from_what_is_planned(run: RunDirectory, steps: list[dict]) -> None:  # type: ignore[type-arg]
    run.metrics.write_text(json.dumps({"step": 20}) + "\n")
    try:
        document_id = next(s["documents"][0]["id"] for step in steps for s in step["sequences"] if s["source"] == "spec")
        found = replay_document(run, document_id)
        assert {row["is_trained"] for row in found["occurrences"] if row["step"] <= 20} == {True}
        assert {row["is_trained"] for row in found["occurrences"] if row["step"] > 20} == {False}
        assert 0 < found["trained"] < found["planned"]
        assert replay_step(run, 20)["is_trained"]
        assert not replay_step(run, 21)["is_trained"]
    finally:
        run.metrics.unlink()


def test_the_passes_over_a_document_count_those_over_its_copies(tmp_path: Path) -> None:
    write_everything(tmp_path)
    lines = (tmp_path / "code.jsonl").read_text().splitlines()
    (tmp_path / "code.jsonl").write_text("\n".join([lines[3], *lines]) + "\n")
    changes = {"mixture.source_epochs": "{code: 1}", "sources.code.heldout_share": 0.0, "mixture.max_epochs": "{spec: 99, docs: 99}"}
    changes["mixture.total_tokens"] = 2000 * 32
    config = load_config(overrides(tmp_path, **changes))
    prepare_sources(config)
    run = make_run(config)
    passes = {line: replay_document(run, document_id(json.loads(line)["text"]))["planned"] for line in lines[3:5]}
    assert passes == {lines[3]: 2.0, lines[4]: 1.0}


@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_a_document_outside_of_what_is_used_of_its_source_is_said_to_be(tmp_path: Path, packing: str) -> None:
    changes = {"shards.packing": packing, "mixture.unique_tokens": "{spec:480}", "mixture.max_epochs": "{spec:9}"}
    config = write_prepared(tmp_path, **changes, **{"mixture.total_tokens": 30 * 4 * 32})
    run = make_run(config)
    (file,) = (shards_of(run) / "spec").glob("train_*.documents.parquet")
    rows = parquet.read_table(file, columns=["id", "tokens"]).to_pylist()
    found = {row["id"]: replay_document(run, row["id"]) for row in rows[:-2]}  # the last sequence may not be whole
    for row in rows[:-2]:
        once = sum(time["tokens"] for time in found[row["id"]]["occurrences"] if time["epoch"] == 0)
        assert once + found[row["id"]]["unused_tokens"] == row["tokens"]
    unused = next(document for document, times in found.items() if not times["occurrences"])
    said = midtrain("replay", str(run.root), "--document", unused, cwd=tmp_path).stdout
    assert "outside of what mixture.unique_tokens leaves of its source: never trained" in said
    assert sum(times["unused_tokens"] for times in found.values()) > 0


def test_what_a_run_does_not_have_is_refused(run: RunDirectory) -> None:
    for step in (0, STEPS + 1):
        with pytest.raises(ConfigError, match=f"--step {step}: .* has steps 1 to {STEPS}"):
            replay_step(run, step)
    with pytest.raises(ConfigError, match=r"no training document of .* has that id"):
        replay_document(run, "0" * 32)


def test_a_damaged_list_of_documents_is_named_with_a_remedy(run: RunDirectory) -> None:
    (file, *_) = sorted((shards_of(run) / "code").glob("train_*.documents.parquet"))
    data = file.read_bytes()
    try:
        for damaged in (data[:-4], b"x" * len(data)):
            file.write_bytes(damaged)
            with pytest.raises(ShardError, match=rf"{file.name} cannot be read .*unit_\d+\.json, and run `midtrain prepare` again"):
                replay_document(run, "0" * 32)
    finally:
        file.write_bytes(data)


def test_the_command_prints_a_table_or_json_and_exports_the_same_rows(run: RunDirectory, tmp_path: Path) -> None:
    as_json = midtrain("replay", str(run.root), "--step", "3", "--json", "--export", "rows.parquet", cwd=tmp_path)
    assert as_json.returncode == 0, as_json.stderr
    found = json.loads(as_json.stdout)
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    documents = [document for sequence in found["sequences"] for document in sequence["documents"]]
    assert [(row["id"], row["origin"], row["tokens"]) for row in rows] == [(d["id"], d["origin"], d["tokens"]) for d in documents]
    table = midtrain("replay", str(run.root), "--document", documents[0]["id"], cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    assert "by the end of the plan" in table.stdout
    neither = midtrain("replay", str(run.root), cwd=tmp_path)
    assert (neither.returncode, neither.stderr) == (2, "error: midtrain replay needs one of --step N and --document ID.\n")


def test_a_step_that_was_skipped_trains_nothing_and_says_why(run: RunDirectory, steps: list[dict]) -> None:  # type: ignore[type-arg]
    document = steps[6]["sequences"][0]["documents"][0]["id"]
    before = replay_document(run, document)
    write_skip(run, Skip(first_step=6, last_step=7, reason="its loss was not finite", attempt=1))
    try:
        assert (replay_step(run, 7)["is_trained"], replay_step(run, 7)["skipped"]) == (False, "its loss was not finite")
        assert replay_step(run, 8)["skipped"] is None
        after = replay_document(run, document)
        lost = [row for row in before["occurrences"] if row["step"] in (6, 7)]
        assert lost
        assert [row["step"] for row in after["occurrences"] if row["skipped"]] == [row["step"] for row in lost]
        assert after["planned"] < before["planned"]
        shown = midtrain("replay", str(run.root), "--step", "7", cwd=run.root)
        assert "skipped: its loss was not finite" in shown.stdout
    finally:
        run.skipped.unlink()
