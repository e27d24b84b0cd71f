"""`midtrain amend`: another mixture from a later step on."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestrator.commands.amending import amend
from orchestrator.commands.planning import check_planned
from orchestrator.config.load import load_config, read_config
from orchestrator.errors import OrchestratorError
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.directory import RunDirectory
from tests.commands.command_line import midtrain
from tests.commands.listing import listing
from tests.support.prepared import make_run, prepare_sources, write_prepared
from tests.support.run_directory import write_checkpoint
from tests.support.tiny import overrides


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    """A planned run of ten steps over spec, code and docs, and a source that is prepared and not in it."""
    write_prepared(tmp_path)
    (tmp_path / "new.jsonl").write_text("".join(json.dumps({"text": f"the lock asks {i} times twice"}) + "\n" for i in range(200)))
    prepare_sources(load_config(overrides(tmp_path, **{"sources.new": new_source(tmp_path)})))
    yield make_run(load_config(overrides(tmp_path)))


def new_source(folder: Path) -> str:
    return f"{{role:general,paths:[{folder}/new.jsonl]}}"


def order(plan: Plan) -> list[tuple[int, int, int]]:
    draws = plan.look_up(np.arange(plan.num_sequences))
    return list(zip(draws.sources.tolist(), draws.epochs.tolist(), draws.positions.tolist(), strict=True))


def test_what_comes_before_the_step_stays_and_each_source_goes_on_where_it_was(run: RunDirectory) -> None:
    old = read_plan(run.plan)
    _, new = amend(run, ["mixture.spec_share=0.5"], from_step=4)
    assert order(new)[: 3 * 4] == order(old)[: 3 * 4]
    assert new.sequences_before([3, 10]).tolist()[1][0] - new.sequences_before([3])[0][0] == 14  # half of 28 sequences
    for source in range(3):
        drawn = [row for row in order(new) if row[0] == source]
        shorter, longer = sorted([drawn, [row for row in order(old) if row[0] == source]], key=len)
        assert shorter == longer[: len(shorter)]
        assert len(set(drawn)) == len(drawn)


def test_a_source_is_added_and_another_one_dropped(run: RunDirectory, tmp_path: Path) -> None:
    old = read_plan(run.plan)
    _, new = amend(run, [f"sources.new={new_source(tmp_path)}", "sources.code.weight=0"], from_step=6)
    assert [source.name for source in new.sources] == ["spec", "code", "docs", "new"]
    assert order(new)[: 5 * 4] == order(old)[: 5 * 4]
    later = {source for source, _, _ in order(new)[5 * 4 :]}
    assert later == {0, 2, 3}


def test_the_plan_keeps_its_history_and_the_files_that_it_replaced(run: RunDirectory) -> None:
    before = {file.name: file.read_bytes() for file in (run.plan, run.config)}
    old = read_plan(run.plan)
    amend(run, ["mixture.spec_share=0.5"], from_step=4)
    amend(run, ["mixture.spec_share=0.1"], from_step=8)
    first, second = read_plan(run.plan).amendments
    assert (first.from_step, first.replaced, first.changes) == (4, old.fingerprint, ("mixture.spec_share=0.5",))
    assert (second.from_step, second.changes) == (8, ("mixture.spec_share=0.1",))
    assert {file.name: file.read_bytes() for file in (run.amendments / "1").iterdir()} == before


def test_a_checkpoint_of_the_steps_before_still_belongs_to_the_plan_and_a_later_one_does_not(run: RunDirectory) -> None:
    old = read_plan(run.plan)
    _, new = amend(run, ["mixture.spec_share=0.5"], from_step=4)
    assert old.fingerprint in new.fingerprints_at(3)
    assert old.fingerprint not in new.fingerprints_at(4)


def test_a_run_that_was_amended_can_be_resumed_with_its_own_files(run: RunDirectory) -> None:
    amend(run, ["mixture.spec_share=0.5"], from_step=4)
    check_planned(run, read_config(run.config), read_plan(run.plan))


@pytest.mark.parametrize(
    ("words", "from_step", "said"),
    [
        (["training.learning_rate=1"], 4, "an amendment changes mixture and sources only"),
        (["sources.code.text_field=body"], 4, "source 'code' is in the plan already"),
        (["mixture.spec_share=0.5"], 0, "--from-step 0 cannot begin another mixture: the plan has 10 steps.* Choose 1 to 10"),
        (["mixture.spec_share=0.5"], 11, "--from-step 11 cannot begin another mixture: the plan has 10 steps.* Choose 1 to 10"),
        (["mixture.total_tokens=64000"], 2, "source .spec. has .* unique tokens; the plan needs"),
        (["mixture.unique_tokens={spec:640}"], 4, "mixture.unique_tokens: the run has used .* of source 'spec'; it would use 20 of its"),
        (["mixture.sped_share=0.9"], 2, "mixture.sped_share is not a configuration key. The closest is mixture.spec_share"),
        (["mixture.spec_share"], 2, "is not an override"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(run: RunDirectory, words: list[str], from_step: int, said: str) -> None:
    before = listing(run.root)
    with pytest.raises(OrchestratorError, match=said):
        amend(run, [*words], from_step=from_step)
    assert {path: what for path, what in listing(run.root).items() if not str(path).endswith(".lock")} == before


def test_steps_that_are_trained_and_saved_cannot_be_changed(run: RunDirectory) -> None:
    write_checkpoint(run, 5)
    with pytest.raises(OrchestratorError, match=r"trained and saved up to step 5\. Choose 6 or later"):
        amend(run, ["mixture.spec_share=0.5"], from_step=5)
    amend(run, ["mixture.spec_share=0.5"], from_step=6)


def test_the_command_shows_the_plan_as_it_is_now(run: RunDirectory, tmp_path: Path) -> None:
    result = midtrain("amend", str(run.root), "--from-step", "4", "mixture.spec_share=0.5", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "1: 1 to 3" in result.stdout
    assert "2: 4 to 10" in result.stdout
    assert "50.0000%" in result.stdout
