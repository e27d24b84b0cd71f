"""A run with probes, by its commands: two ranks under Ray and ZeRO 3, stopped in the middle and gone on with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.runs.lines import read_lines
from tests.evaluation.asking import LINES, write_lines
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides

MIDTRAIN = str(Path(sys.executable).with_name("midtrain"))


def midtrain(*words: str, folder: Path) -> str:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([MIDTRAIN, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probes")
    write_prepared(folder)
    write_lines(folder / "keeper.jsonl")
    write_lines(folder / "few.jsonl", LINES[1:2])
    probes = f"{{keeper:[{folder}/keeper.jsonl],few:[{folder}/few.jsonl]}}"
    words = overrides(folder, **{"evaluation.probes": probes, "training.zero_stage": 3})
    midtrain("train", *words, "--until-step", "5", folder=folder)
    run = folder / "runs" / "tiny"
    midtrain("resume", str(run), folder=folder)
    return run


def test_probes_are_asked_before_the_first_step_whenever_it_evaluates_and_after_the_last_and_never_twice(run: Path) -> None:
    lines = list(read_lines(run / "probes.jsonl"))
    assert [(line["step"], line["probe"]) for line in lines] == [(step, name) for step in (0, 5, 10) for name in ("keeper", "few")]
    assert {(line["probe"], len(line["correct"]), len(line["margins"]), line["num_cut"]) for line in lines} == {
        ("keeper", 4, 4, 1),
        ("few", 1, 1, 0),
    }
    assert len({line["items"] for line in lines}) == 2
    assert len({tuple(line["margins"]) for line in lines}) == len(lines)


def test_their_shares_errors_and_margins_are_in_the_line_of_their_step(run: Path) -> None:
    metrics = {line["step"]: line for line in read_lines(run / "metrics.jsonl")}
    for line in read_lines(run / "probes.jsonl"):
        found = metrics[line["step"]]
        assert found[f"probe/{line['probe']}"] == sum(line["correct"]) / len(line["correct"])
        assert found[f"probe_margin/{line['probe']}"] == pytest.approx(sum(line["margins"]) / len(line["margins"]))
    assert {step for step, line in metrics.items() if "probe/keeper" in line} == {0, 5, 10}
    assert not any("probe_se/few" in line for line in metrics.values())


def test_the_report_tells_how_the_answers_changed(run: Path) -> None:
    probes = json.loads(midtrain("report", str(run), "--json", folder=run))["probes"]
    assert {name: (probe["first_step"], probe["step"], probe["num_items"]) for name, probe in probes.items()} == {
        "keeper": (0, 10, 4),
        "few": (0, 10, 1),
    }
    assert '<h2 id="probes">Probes</h2>' in (run / "report.html").read_text(encoding="utf-8")
