"""`midtrain --help` answers at once."""

import json
import subprocess
import sys
from pathlib import Path

from tests.commands.command_line import midtrain

PROGRAM = """
import json, sys
from orchestrator.cli import main
sys.argv = ["midtrain", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
HEAVY = {"torch", "ray", "deepspeed", "transformers", "wandb", "hydra", "numpy", "pydantic", "pyarrow", "tokenizers"}
COMMANDS = ("prepare", "plan", "doctor", "train", "launch", "resume", "status", "logs", "stop", "report")


def test_help_imports_nothing_heavy_and_names_every_command() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM, "--help"], capture_output=True, text=True, check=True)
    assert HEAVY & set(json.loads(answer.stderr)) == set()
    assert [command for command in COMMANDS if command not in answer.stdout] == []


def test_no_command_at_all_shows_the_help_and_is_a_usage_error(tmp_path: Path) -> None:
    answer = midtrain(cwd=tmp_path)
    assert answer.returncode == 2
    assert "Usage:" in answer.stdout + answer.stderr
    assert "error:" not in answer.stderr
