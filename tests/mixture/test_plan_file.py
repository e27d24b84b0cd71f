"""`plan.json`, and the hash of all that decides the order of training."""

import json
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from orchestrator.errors import ConfigError
from orchestrator.mixture.layout import StageLayout
from orchestrator.mixture.plan import ORDER, Amendment, Plan, PlannedSource
from orchestrator.mixture.plan_file import counts_file, read_plan, write_plan
from orchestrator.mixture.planning import amended, make_plan
from orchestrator.mixture.stages import Stage
from orchestrator.mixture.subset import Subset
from orchestrator.mixture.summary import summarise
from tests.mixture.mixtures import LAW, plan_of, plans, rows, stage_of, subset_of, supply, wish

STAGES = (replace(stage_of([20, 0, 10], each=5), exact=(20, None, None)), stage_of([10, 0, 0], each=5))
PLAN = plan_of(STAGES, roles=["general", "spec", "spec"], sizes=[7, 5, 10], each=5, seed=11)


@LAW
@given(plans())
def test_a_plan_that_was_written_is_read_as_the_same_plan(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    plan = amended(replace(plan, request="asked"), plan, from_step=3, at="2026-05-01T00:00:00", changes=["a=1", "b=[x]"])
    write_plan(plan, path)
    again = read_plan(path)
    assert again == plan
    assert (again.fingerprint, again.amendments, again.request) == (plan.fingerprint, plan.amendments, plan.request)
    assert rows(again) == rows(plan)


def test_shares_and_names_survive_the_file_to_the_bit(tmp_path: Path) -> None:
    supplies = [supply("spécification-規範", Fraction(1, 3), role="spec"), supply("code.v2", Fraction(2, 3))]
    stages = [wish(1 / 3, 0.7, steps=20, key="a"), wish(key="b")]
    plan = make_plan(supplies, stages, total_tokens=1200, sequence_length=8, sequences_per_step=3, seed=(1 << 64) + 5)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan


def test_the_file_holds_fingerprint_and_summary_for_people_and_scripts(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    content = json.loads((tmp_path / "plan.json").read_text())
    assert content["fingerprint"] == PLAN.fingerprint
    assert content["summary"] == summarise(PLAN)


def test_a_run_without_a_plan_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a run: it has no plan\.json"):
        read_plan(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seed": 11', '"seed": 12'),
        ('"made_steps": 6', '"made_steps": 5'),
        ('"2/3"', '"1/3"'),
        ('"2/3"', '"2/0"'),
        ('"seed": 11', '"sede": 11'),
        ('"name": "s0"', '"name": "s9"'),
        ("{", ""),
        ('"stages"', '"stags"'),
        ('"amendments": []', '"amendments": 5'),
    ],
)
def test_a_file_that_was_changed_is_damaged(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "plan.json"
    write_plan(PLAN, file)
    content = file.read_text(encoding="utf-8")
    assert old in content
    file.write_text(content.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"plan\.json is damaged .*Restore it, or start a new run"):
        read_plan(file)


def _long_ramp(start: float = 0.0, end: float = 0.5) -> Plan:
    supplies = [supply("spec", role="spec"), supply("code"), supply("prose")]
    stages = [wish(start, end, steps=39_995, key="ramp"), wish(0.5, key="rest")]
    return make_plan(supplies, stages, total_tokens=40_000 * 5 * 8, sequence_length=8, sequences_per_step=5, seed=3)


def test_counts_of_many_spans_are_kept_and_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _long_ramp()
    write_plan(plan, tmp_path / "plan.json")
    assert counts_file(tmp_path / "plan.json") == tmp_path / "plan.counts.npz"
    monkeypatch.setattr(StageLayout, "counts", lambda layout: pytest.fail("the spans are laid out again"))
    again = read_plan(tmp_path / "plan.json")
    numbers = np.arange(0, plan.num_sequences, 997)
    assert again == plan
    assert rows(again, numbers) == rows(plan, numbers)


def test_counts_of_few_spans_are_not_kept(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    "state", ["missing", "empty", "cut", "flipped", "encrypted", "an array", "another plan's", "pickled", "no archive", "other arrays"]
)
def test_counts_that_are_not_those_of_the_plan_are_computed_again(tmp_path: Path, state: str) -> None:
    file, plan = tmp_path / "plan.json", _long_ramp()
    write_plan(plan, file)
    kept = counts_file(file)
    content = kept.read_bytes()
    middle = len(content) // 2
    if state == "missing":
        kept.unlink()
    elif state == "another plan's":
        write_plan(_long_ramp(0.5, 0.0), tmp_path / "other.json")  # has spans of the same lengths
        counts_file(tmp_path / "other.json").rename(kept)
    elif state == "an array":
        with kept.open("wb") as array:
            np.save(array, plan.spans.counts)
    elif state == "pickled":
        np.savez(kept, fingerprint=np.array(plan.fingerprint), counts=np.array([_Opened()], dtype=object))
    elif state == "other arrays":
        np.savez(kept, fingerprint=np.array(plan.fingerprint), counts=plan.spans.counts[:-1])
    else:
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        directory = content.rindex(b"PK\x01\x02")
        encrypted = content[: directory + 8] + b"\x01" + content[directory + 9 :]
        states = {"empty": b"", "cut": content[:middle], "flipped": flipped, "encrypted": encrypted, "no archive": b"counts"}
        kept.write_bytes(states[state])
    numbers = np.arange(0, plan.num_sequences, 997)
    assert rows(read_plan(file), numbers) == rows(plan, numbers)


class _Opened:
    """What must not be unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was opened",)


def test_a_plan_of_another_order_is_refused_and_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plan.json"
    write_plan(PLAN, file)
    monkeypatch.setattr("orchestrator.mixture.plan_file.ORDER", ORDER + 1)
    with pytest.raises(ConfigError, match=rf"with order {ORDER}; this one's is {ORDER + 1}.*Go on with that version, or start a new run"):
        read_plan(file)


OTHER_VALUES: dict[str, Any] = {
    "sequence_length": 9,
    "sequences_per_step": 6,
    "seed": 12,
    "stages": STAGES[::-1],
    "name": "other",
    "role": "chat",
    "fingerprint": "other",
    "unique_sequences": 8,
    "trained_tokens": 57,
    "subset": subset_of(3),
    "steps": 9,
    "made_steps": 1,
    "shares": (Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)),
    "end_shares": (Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)),
    "exact": (None, 1, None),
}


@pytest.mark.parametrize("field", [field.name for field in fields(Plan) if field.name not in ("sources", "request", "amendments")])
def test_the_fingerprint_changes_with_each_field_of_the_plan_that_decides_the_order(field: str) -> None:
    changes = {field: OTHER_VALUES[field]}
    assert replace(PLAN, **changes).fingerprint != PLAN.fingerprint


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("field", [field.name for field in fields(PlannedSource)])
def test_the_fingerprint_changes_with_each_field_of_each_source(field: str, index: int) -> None:
    changes = {field: OTHER_VALUES[field]}
    sources = list(PLAN.sources)
    sources[index] = replace(sources[index], **changes)
    assert replace(PLAN, sources=tuple(sources)).fingerprint != PLAN.fingerprint


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("field", [field.name for field in fields(Stage)])
def test_the_fingerprint_changes_with_each_field_of_each_stage(field: str, index: int) -> None:
    changes = {field: OTHER_VALUES[field]}
    stages = list(PLAN.stages)
    stages[index] = replace(stages[index], **changes)
    assert replace(PLAN, stages=tuple(stages)).fingerprint != PLAN.fingerprint


@pytest.mark.parametrize("subset", [subset_of(3, 7), subset_of(4, 6), subset_of(5)])
def test_the_fingerprint_changes_with_what_is_used_of_a_source(subset: Subset) -> None:
    one, other = (replace(PLAN, sources=(replace(PLAN.sources[0], subset=part), *PLAN.sources[1:])) for part in (subset_of(3), subset))
    assert one.fingerprint != other.fingerprint


def test_plans_that_use_sources_whole_are_those_of_before_there_were_subsets(tmp_path: Path) -> None:
    """Or a checkpoint of then would be of another plan."""
    write_plan(PLAN, tmp_path / "plan.json")
    content = json.loads((tmp_path / "plan.json").read_text())
    known = {"name", "role", "fingerprint", "unique_sequences", "trained_tokens"}
    assert [set(source) for source in content["plan"]["sources"]] == [known] * 3
    assert PLAN.fingerprint == "a2ca49c4ade8f23ff7302e98051f128b"


def test_the_fingerprint_changes_with_the_order_of_the_sources() -> None:
    assert replace(PLAN, sources=PLAN.sources[::-1]).fingerprint != PLAN.fingerprint


def test_the_fingerprint_does_not_change_with_what_was_asked_for_or_how_the_plan_came_to_be() -> None:
    entry = Amendment(from_step=2, replaced="other", at="now", changes=("a=1",))
    assert replace(PLAN, request="other", amendments=(entry,)).fingerprint == PLAN.fingerprint
    assert replace(PLAN).fingerprint == PLAN.fingerprint
