"""Every command that the README shows is run: those of make by CI, the others here, in a workspace like the one that it describes."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiny import write_corpora, write_model

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
HERE = re.sub(r"^## On a cluster$.*?(?=^Secrets)", "", README, flags=re.MULTILINE | re.DOTALL)  # those are run in tests/clusters
COMMANDS = re.findall(r"^\$ (.+)$", HERE, flags=re.MULTILINE)
SMALL = {  # the README's sizes, and what a tiny model takes in seconds
    "total_tokens: 50_000_000": "total_tokens: 1280",
    "sequence_length: 2048": "sequence_length: 32",
    "sequences_per_step: 128": "sequences_per_step: 4",
    "heldout_share: 0.01": "heldout_share: 0.1",
    "micro_batch: 4": "micro_batch: 2\n  precision: fp32",
    "my/model}": "my/model, initialise: scratch}",
}
INTERVALS = "checkpoints: {every_steps: 5}\nevaluation: {every_steps: 5}\ntracking: {wandb: 'off'}\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README's experiment names, and the experiment itself with its sizes made small."""
    folder = tmp_path_factory.mktemp("readme")
    write_corpora(folder / "my")
    write_model(folder / "my" / "model")
    (folder / "my" / "heldout").rename(folder / "my" / "spec_heldout")
    (folder / "my" / "web").mkdir()
    shutil.move(folder / "my" / "docs.jsonl", folder / "my" / "web" / "docs.jsonl")
    experiment = re.search(r"```yaml\n(.+?)```", README, flags=re.DOTALL)
    assert experiment
    text = experiment.group(1)
    for shown, small in SMALL.items():
        assert shown in text
        text = text.replace(shown, small)
    (folder / "conf" / "experiment").mkdir(parents=True)
    (folder / "conf" / "experiment" / "mine.yaml").write_text(text + INTERVALS)
    return folder


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make")])
def test_a_make_command_of_the_readme_is_run_by_ci(command: str) -> None:
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_other_command_of_the_readme_runs_in_the_order_shown(workspace: Path) -> None:
    commands = [command for command in COMMANDS if not command.startswith("make")]
    assert len(commands) >= 7
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "midtrain"
        own = Path(sys.executable).with_name(program)
        done = subprocess.run(
            [own, *words], cwd=workspace, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (workspace / "runs" / "mine" / "report.html").exists()


def test_every_link_of_the_readme_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
