"""What plan, resume and the checks of a login node say of probes, before anything is spent."""

import json
from pathlib import Path

import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.planning import check_planned, plan_run
from orchestrator.commands.probes import show_probes, summarise_probes, warn_of_cuts
from orchestrator.config.load import load_config
from orchestrator.config.schema import Config
from orchestrator.doctor.findings import Finding, refuse_bad
from orchestrator.doctor.here import check_inputs
from orchestrator.errors import ConfigError, DataError
from orchestrator.evaluation.probe_items import hash_items
from orchestrator.evaluation.probe_sequences import probes_of
from orchestrator.mixture.plan_file import read_plan
from orchestrator.runs.lines import append_line
from orchestrator.sweep.comparing import first_difference, frame
from orchestrator.sweep.identity import content_of
from tests.commands.command_line import midtrain
from tests.evaluation.asking import ITEMS, LINES, write_lines
from tests.support.prepared import make_run, write_prepared
from tests.support.tiny import overrides


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probes")
    write_prepared(folder)
    write_lines(folder / "keeper.jsonl")
    write_lines(folder / "short.jsonl", LINES[:1])
    write_lines(folder / "bad.jsonl", [*LINES[:2], {"prompt": "a", "choices": ["b"], "answer": 0}])
    return folder


def words(home: Path, *names: str, **changes: object) -> list[str]:
    probes = ",".join(f"{name}:[{home}/{name}.jsonl]" for name in names)
    return overrides(home, **{"evaluation.probes": f"{{{probes}}}"}, **changes)


def config_of(home: Path, *names: str, **changes: object) -> Config:
    return load_config(words(home, *names, **changes))


def test_a_plan_with_a_probe_that_cannot_be_read_is_refused_with_the_line(home: Path) -> None:
    with pytest.raises(DataError, match=rf"probe 'bad': {home}/bad\.jsonl:3: choices is \[\"b\"\], and two or more are needed"):
        plan_run(config_of(home, "keeper", "bad"))
    with pytest.raises(DataError, match=r"probe 'none': no file at .*none\.jsonl"):
        plan_run(config_of(home, "none"))


def test_probes_change_nothing_of_what_is_trained(home: Path) -> None:
    assert plan_run(config_of(home, "keeper")).fingerprint == plan_run(config_of(home)).fingerprint


def test_the_plan_says_how_many_items_and_tokens_an_evaluation_has_and_how_many_items_are_cut(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = summarise_probes(config_of(home, "keeper", "short"))
    assert summary == [
        {"name": "keeper", "num_items": 4, "num_choices": 11, "tokens": 11 * 33, "num_cut": 1},
        {"name": "short", "num_items": 1, "num_choices": 3, "tokens": 3 * 33, "num_cut": 0},
    ]
    show_probes(summary, Console())
    warn_of_cuts(config_of(home, "keeper", "short"), Console())
    out, err = capsys.readouterr()
    assert [word for word in ("keeper", "items cut", "363") if word not in out] == []
    assert "probe 'keeper': 1 of 4 items are longer than training.sequence_length=32 and lose the beginning of their prompt." in err
    assert "'short'" not in err
    show_probes(summarise_probes(config_of(home)), Console())
    warn_of_cuts(config_of(home), Console())
    assert capsys.readouterr() == ("", "")


def test_scripts_get_the_figures_where_there_are_probes(home: Path) -> None:
    ended = midtrain("plan", *words(home, "short"), "--json", cwd=home)
    assert json.loads(ended.stdout)["probes"][0]["num_choices"] == 3
    refused = midtrain("plan", *words(home, "bad"), cwd=home)
    assert (refused.returncode, "bad.jsonl:3" in refused.stderr) == (3, True)


def findings(config: Config) -> list[Finding]:
    return [found for found in check_inputs(config) if found.check.startswith("probe")]


def test_a_login_node_tells_probes_that_are_good_cut_and_bad(home: Path) -> None:
    found = findings(config_of(home, "keeper", "short", "bad"))
    assert [(each.check, each.verdict) for each in found] == [
        ("probe 'keeper'", "warning"),
        ("probe 'short'", "good"),
        ("probe 'bad'", "bad"),
    ]
    assert [each.value for each in found[:2]] == ["items: 4, choices: 11, 1 of the items cut on the left", "items: 1, choices: 3"]
    assert "bad.jsonl:3" in found[2].value and "mend it" in found[2].remedy
    with pytest.raises(ConfigError, match="probe 'bad'"):
        refuse_bad(found)
    assert findings(config_of(home)) == []


def test_a_run_whose_probes_have_other_items_than_it_was_asked_is_not_gone_on_with(home: Path) -> None:
    config = config_of(home, "keeper", "short", **{"run.dir": home / "runs" / "asked"})
    run = make_run(config)
    plan = read_plan(run.plan)
    check_planned(run, config, plan)
    (keeper, _) = probes_of(config)
    assert keeper.items == hash_items(ITEMS)
    append_line(run.probes, {"step": 0, "probe": "keeper", "items": keeper.items})
    check_planned(run, config, plan)
    append_line(run.probes, {"step": 0, "probe": "short", "items": "of other ones"})
    with pytest.raises(ConfigError, match=r"probe 'short' has other items than .* was asked at step 0.*evaluation\.probes\.short"):
        check_planned(run, config, plan)


def values_with(probes: dict[str, list[str]]) -> dict[str, dict[str, object]]:
    return {
        "evaluation": {"max_sequences": 8, "probes": probes},
        "shards": {"packing": "concatenate"},
        "training": {"sequence_length": 32},
        "model": {"path": "/m", "initialise": "scratch"},
        "feed": {"document_attention": False},
    }


def test_trials_with_other_probes_are_others() -> None:
    different = [values_with(probes) for probes in ({}, {"a": ["/a.jsonl"]}, {"a": ["/b.jsonl"]})]
    assert len({content_of(values, "plan") for values in different}) == 3
    frames = [frame(values) for values in different]
    assert first_difference(frames[1], frames[2]) == "evaluation.probes.a"
    assert first_difference(frames[0], frames[1]) == "evaluation.probes.a"
    assert first_difference(frames[1], frames[1]) is None
