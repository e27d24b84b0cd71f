"""`midtrain prepare`: what is wrong with sources is said before anything is tokenised, and what is done is not done again."""

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.planning import plan_run
from orchestrator.commands.prepare import prepare
from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError, DataError
from orchestrator.scheduling.tasks import AnyTask, Result
from orchestrator.shards.manifest import Manifest
from tests.commands.command_line import midtrain
from tests.corpus.writing import write_texts
from tests.support.prepared import InProcess, prepare_sources
from tests.support.tiny import overrides, write_everything

QUESTION = "What is the capital of the region?"
LONG_AGO = 10**18


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Model and corpora, and an evaluation set of two items, one of them too short to be found."""
    write_everything(tmp_path)
    write_texts(tmp_path / "capitals.jsonl", [QUESTION, "hm"])
    return tmp_path


def texts_of(file: Path) -> list[str]:
    return [json.loads(line)["text"] for line in file.read_text().splitlines()]


def add(file: Path, *texts: object) -> None:
    write_texts(file, [*texts_of(file), *texts])


def prepared(home: Path, **changes: object) -> dict[str, Manifest]:
    return prepare_sources(load_config(overrides(home, **changes)))


def refusal(home: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        prepared(home, **changes)
    return str(caught.value)


def looking(home: Path, **more: object) -> dict[str, Any]:
    return {"corpus.evaluation_sets": f"{{capitals:[{home}/capitals.jsonl]}}", **more}


def tokenised(home: Path) -> list[Path]:
    return sorted((home / "shards").rglob("*.bin"))


def documents(manifest: Manifest) -> tuple[int, int, int, int]:
    return manifest.documents("train"), manifest.documents("heldout"), manifest.dropped, manifest.rejects


def test_overlap_with_an_evaluation_set_is_refused_before_anything_is_tokenised(home: Path) -> None:
    add(home / "docs.jsonl", f"They asked:\n{QUESTION}\nNobody knew.", f"1\n{QUESTION}")
    message = refusal(home, **looking(home))
    place = f"{home}/docs.jsonl:91: {QUESTION.removesuffix('?')!r}"
    named = ["'docs'", "'capitals'", "2 of its documents", place, "Take them out", "corpus.allowed_overlap=[capitals]"]
    assert [part for part in named if part not in message] == []
    assert tokenised(home) == []
    listed = re.search(r"All of them: (\S+)\.", message)
    assert listed
    found = [json.loads(line) for line in Path(listed[1]).read_text().splitlines()]
    assert [(line["evaluation_set"], line["origin"]) for line in found] == [("capitals", f"{home}/docs.jsonl:{line}") for line in (91, 92)]


def test_both_remedies_of_an_overlap_work(home: Path) -> None:
    clean = (home / "docs.jsonl").read_text()
    add(home / "docs.jsonl", f"1\n{QUESTION}")
    remedy = re.search(r"corpus\.allowed_overlap=(\S+)", refusal(home, **looking(home)))
    assert remedy
    allowed = prepared(home, **looking(home), **{"corpus.allowed_overlap": remedy[1]})["docs"]
    assert allowed.audit.overlaps["capitals"].num_documents == 1
    (home / "docs.jsonl").write_text(clean)
    found = prepared(home, **looking(home))["docs"].audit
    assert (found.overlaps, [(of.name, of.num_items, of.num_unchecked) for of in found.evaluation_sets]) == ({}, [("capitals", 2, 1)])


def test_an_item_that_cannot_be_looked_for_is_an_error_of_the_set(home: Path) -> None:
    write_texts(home / "capitals.jsonl", [QUESTION, 5])
    message = refusal(home, **looking(home))
    assert [part for part in ("'capitals'", "capitals.jsonl:2", "int", "corpus.evaluation_sets.capitals") if part not in message] == []


def test_another_evaluation_set_is_looked_for_and_nothing_is_tokenised_again(home: Path) -> None:
    prepared(home)
    for path in tokenised(home):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    assert [of.name for of in prepared(home, **looking(home))["code"].audit.evaluation_sets] == ["capitals"]
    assert {path.stat().st_mtime_ns for path in tokenised(home)} == {LONG_AGO}


def test_a_source_under_two_names_is_refused_in_whatever_order_its_documents_are(home: Path) -> None:
    write_texts(home / "code.jsonl", texts_of(home / "docs.jsonl")[::-1])
    message = refusal(home)
    assert [part for part in ("'code'", "'docs'", "the same", "both names", "sources.docs.paths") if part not in message] == []
    assert tokenised(home) == []


def test_a_source_under_two_names_is_refused_also_where_other_documents_of_it_are_held_out(home: Path) -> None:
    same = home / "code.jsonl"
    sources = {"sources.code.heldout_share": 0.0, "sources.again": f"{{role:general,paths:[{same}],heldout_share:0.5}}"}
    assert "sources 'code' and 'again' hold the same" in refusal(home, **sources)


def test_tasks_read_the_tokenizer_beside_the_shards_as_other_nodes_may_not_have_the_models(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(InProcess):
        def run(
            self, function: Callable[..., Result], tasks: Sequence[AnyTask], shared: Sequence[Any], on_done: Callable[[AnyTask], None]
        ) -> list[Result]:
            shutil.rmtree(model, ignore_errors=True)
            return super().run(function, tasks, shared, on_done)

    config = load_config(overrides(home))
    model = Path(config.model.path)
    monkeypatch.setattr("orchestrator.commands.prepare.RayPool", lambda: nullcontext(Elsewhere()))
    assert len(prepare(config, Console())) == len(config.sources)


def test_a_preparation_that_is_refused_leaves_no_manifest_of_an_earlier_one(home: Path) -> None:
    prepared(home)
    add(home / "docs.jsonl", f"1\n{QUESTION}")
    refusal(home, **looking(home))
    assert list((home / "shards").rglob("manifest.json")) == []


def test_duplicates_are_counted_and_kept_as_shipped(home: Path) -> None:
    code, docs = texts_of(home / "code.jsonl"), texts_of(home / "docs.jsonl")
    shared = {"sources.docs": f"{{role:general,paths:[{home}/docs.jsonl]}}", "sources.code": f"{{role:general,paths:[{home}/code.jsonl]}}"}
    add(home / "docs.jsonl", docs[3], code[2], code[4], (home / "heldout" / "01.md").read_text().split("---\n\n")[1])
    found = prepared(home, **shared)["docs"]
    assert {(c.kept_source, c.kept_split): c.num_documents for c in found.audit.duplicates} == {
        ("docs", "train"): 1,
        ("code", "train"): 2,
        ("spec", "heldout"): 1,
    }
    assert documents(found) == (94, 0, 0, 0)


def test_duplicates_that_are_removed_are_counted_and_only_units_that_hold_one_are_tokenised_again(home: Path) -> None:
    add(home / "docs.jsonl", *texts_of(home / "code.jsonl")[:5], 5)
    strict = {"corpus.max_reject_share": 0.1}
    before = prepared(home, **strict)
    for path in tokenised(home):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    after = prepared(home, **strict, **{"corpus.duplicates": "remove"})
    trained, heldout, dropped, rejects = documents(after["docs"])
    assert (dropped, rejects, trained + heldout + dropped + rejects) == (5, 1, after["docs"].num_read)
    assert [after[name].fingerprint == before[name].fingerprint for name in ("spec", "code", "docs")] == [True, True, False]
    again = {path.parent.name for path in tokenised(home) if path.stat().st_mtime_ns != LONG_AGO}
    assert again == {"docs"}
    assert prepared(home, **strict)["docs"].fingerprint == before["docs"].fingerprint


def test_near_copies_of_spec_documents_in_general_sources_are_counted(home: Path) -> None:
    spec = (home / "spec" / "03.md").read_text().split("---\n\n")[1]
    add(home / "docs.jsonl", spec.replace(spec.split()[40], "changed", 1), "nothing of the kind")
    found = prepared(home)
    copies = found["docs"].audit.near_copies["spec"]
    assert (copies.num_documents, copies.num_words, copies.examples[0].origin) == (1, 80, f"{home}/docs.jsonl:91")
    assert (found["spec"].audit.near_copies, found["code"].audit.near_copies) == ({}, {})


def test_shards_that_were_audited_for_other_sets_or_with_other_duplicates_are_not_planned_in_silence(home: Path) -> None:
    prepared(home)
    for changes in (looking(home), {"corpus.duplicates": "remove"}):
        with pytest.raises(ConfigError, match="prepare"):
            plan_run(load_config(overrides(home, **changes)))


def test_where_duplicates_are_removed_another_source_is_another_preparation(home: Path) -> None:
    words = {"corpus.duplicates": "remove"}
    prepared(home, **words)
    plan_run(load_config(overrides(home, **words)))
    with pytest.raises(ConfigError, match=r"'spec'.*prepare"):
        plan_run(load_config(overrides(home, **words, **{"sources.docs": f"{{role:general,paths:[{home}/code.jsonl]}}"})))


class Meddling(InProcess):
    """A pool during whose work somebody rewrites a file so that its size and time of change stay."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def run(
        self, function: Callable[..., Result], tasks: Sequence[AnyTask], shared: Sequence[Any], on_done: Callable[[AnyTask], None]
    ) -> list[Result]:
        if tasks[0].name.startswith("tokenising"):
            before = self._file.stat()
            self._file.write_text(self._file.read_text().replace("}\n", "} ", 1))  # of two lines one
            os.utime(self._file, ns=(before.st_mtime_ns, before.st_mtime_ns))
        return super().run(function, tasks, shared, on_done)


@pytest.mark.parametrize("duplicates", ["report", "remove"])
def test_a_file_that_is_another_one_after_the_audit_ends_in_an_error_and_no_manifest(home: Path, duplicates: str) -> None:
    add(home / "docs.jsonl", texts_of(home / "docs.jsonl")[-1])
    with pytest.raises(DataError, match=r"docs\.jsonl.* changed in mid-preparation"):
        strict = {"corpus.max_reject_share": 0.1, "corpus.duplicates": duplicates}
        prepare_sources(load_config(overrides(home, **strict)), Meddling(home / "docs.jsonl"))
    assert not (home / "shards" / "docs" / "manifest.json").exists()


class Backwards(InProcess):
    """A pool that does its tasks in the opposite order."""

    def run(
        self, function: Callable[..., Result], tasks: Sequence[AnyTask], shared: Sequence[Any], on_done: Callable[[AnyTask], None]
    ) -> list[Result]:
        return super().run(function, tasks[::-1], shared, on_done)[::-1]


def test_the_order_in_which_tasks_are_done_changes_no_byte(home: Path) -> None:
    add(home / "docs.jsonl", *texts_of(home / "code.jsonl")[:5], f"1\n{QUESTION}")
    written = {}
    for pool in (InProcess(), Backwards()):
        changes = {"shards.dir": home / type(pool).__name__, "shards.shard_bytes": 1, "corpus.duplicates": "remove"}
        config = load_config(overrides(home, **changes, **looking(home), **{"corpus.allowed_overlap": "[capitals]"}))
        prepare_sources(config, pool)
        folder = Path(config.shards.dir)
        written[folder.name] = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert written["InProcess"] == written["Backwards"]


def test_what_an_earlier_larger_preparation_and_killed_tasks_left_is_removed(home: Path) -> None:
    small = {"shards.shard_bytes": 1, "sources.docs": f"{{role:general,paths:[{home}/docs.jsonl,{home}/more.jsonl],heldout_share:0.1}}"}
    write_texts(home / "more.jsonl", ["one more", "and another one", 5])
    prepared(home, **small, **{"corpus.max_reject_share": 0.5})
    folder = home / "shards" / "docs"
    for name in ("train_00000.bin.partial-77", ".unit_00000.json.partial-77", "train_00000.documents.parquet.partial-78", "notes.txt"):
        (folder / name).touch()
    larger = {path.name for path in folder.iterdir()}
    prepared(home, **{"sources.docs": f"{{role:general,paths:[{home}/docs.jsonl]}}"})
    left = {path.name for path in folder.iterdir()}
    lists = {"unit_00001.rejects.jsonl", "audit_00001.rejects.jsonl"}
    assert {"train_00001.bin", "unit_00001.json", "audit_00001.json"} | lists <= larger
    assert left == {
        *("manifest.json", "rejects.jsonl", "found.jsonl", "engine.json", "tokenizer.json", "notes.txt"),
        *("audit_00000.json", "audit_00000.train.npy", "unit_00000.json"),
        *("train_00000.bin", "train_00000.starts.bin", "train_00000.documents.parquet"),
    }


def test_the_command_tells_all_of_it_and_a_second_call_starts_nothing(home: Path) -> None:
    add(home / "docs.jsonl", texts_of(home / "docs.jsonl")[3], (home / "spec" / "03.md").read_text().split("---\n\n")[1], f"1\n{QUESTION}")
    words = overrides(home, **looking(home), **{"corpus.allowed_overlap": "[capitals]"})
    first = midtrain("prepare", *words, cwd=home)
    assert first.returncode == 0, first.stderr
    for told in (
        "repeat others of the source",
        "also in source 'spec'",
        "near copies of documents of 'spec'",
        "overlap the evaluation set 'capitals'",
        "2 items were looked for in all documents to train on, 1 of them too short",
        "'docs' was tokenised by tiktoken: the same ids",
    ):
        assert told in first.stdout
    assert [step for step in ("auditing", "choosing engines", "tokenising") if step not in first.stderr] == []
    second = midtrain("prepare", *words, cwd=home)
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")
    sources = json.loads(midtrain("prepare", "--json", *words, cwd=home).stdout)["sources"]
    docs = sources[2]
    assert (docs["name"], docs["read"], docs["dropped"], docs["engine"]["name"]) == ("docs", 93, 0, "tiktoken")
    assert (docs["near_copies"]["spec"]["num_documents"], docs["overlaps"]["capitals"]["num_documents"]) == (1, 1)
    assert sum(count["num_documents"] for count in docs["duplicates"]) == 2
