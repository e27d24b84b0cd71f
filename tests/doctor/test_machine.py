"""What a machine grants a process, in a table and in real processes with lower limits."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.doctor.machine import UNLIMITED, MachineFacts, check_ports, judge_machine, look_at_machine

WELL = MachineFacts(
    shm_bytes=8 << 30, open_files=65536, processes=UNLIMITED, locked_bytes=UNLIMITED, versions={"python": "3.11.7", "torch": "2.13.0"}
)
LIMITED = """
import json, resource, sys
from orchestrator.doctor.machine import judge_machine, look_at_machine
kind, limit = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(kind, (limit, limit))
print(json.dumps({f.check: [f.verdict, f.value] for f in judge_machine(look_at_machine(), "here", gpus_per_rank=1)}))
"""


def verdicts(facts: MachineFacts, gpus_per_rank: int = 1) -> dict[str, str]:
    """Of the checks that are not good."""
    found = judge_machine(facts, "here", gpus_per_rank=gpus_per_rank)
    return {finding.check: finding.verdict for finding in found if finding.verdict != "good"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"shm_bytes": None}, {"/dev/shm": "bad"}),
        ({"shm_bytes": 64 << 20}, {"/dev/shm": "bad"}),
        ({"shm_bytes": 512 << 20}, {"/dev/shm": "warning"}),
        ({"open_files": 1024}, {"open files": "bad"}),
        ({"open_files": 4096}, {"open files": "warning"}),
        ({"processes": 1024}, {"processes": "bad"}),
        ({"processes": 4096}, {"processes": "warning"}),
        ({"locked_bytes": 64 << 10}, {"locked memory": "warning"}),
        ({"versions": {"python": "3.11.7", "torch": None}}, {"versions": "bad"}),
    ],
    ids=str,
)
def test_each_limit_is_told_by_its_own_check(change: dict[str, Any], expected: dict[str, str]) -> None:
    assert verdicts(replace(WELL, **change)) == expected


def test_locked_memory_is_not_asked_for_without_gpus() -> None:
    assert verdicts(replace(WELL, locked_bytes=64 << 10), gpus_per_rank=0) == {}


@pytest.mark.parametrize(
    ("kind", "limit", "check", "expected"),
    [
        ("RLIMIT_NOFILE", 512, "open files", ["bad", "512"]),
        ("RLIMIT_NPROC", 1000, "processes", ["bad", "1,000"]),
        ("RLIMIT_MEMLOCK", 65536, "locked memory", ["warning", "0 MiB"]),
    ],
)
def test_a_limit_that_a_process_really_has_is_found(kind: str, limit: int, check: str, expected: list[str]) -> None:
    told = subprocess.run([sys.executable, "-c", LIMITED, kind, str(limit)], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)[check] == expected


def test_this_machine_has_every_package_that_ranks_need() -> None:
    versions = look_at_machine().versions
    assert {"python", "torch", "ray", "deepspeed", "transformers", "midtrain"} == versions.keys()
    assert None not in versions.values()


def test_shared_memory_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    facts = look_at_machine(shm=tmp_path / "shm")
    assert verdicts(replace(WELL, shm_bytes=facts.shm_bytes)) == {"/dev/shm": "bad"}


def test_a_port_is_reached_at_every_address_of_this_machine() -> None:
    assert check_ports("here").verdict == "good"


def test_an_address_at_which_nothing_answers_is_named() -> None:
    found = check_ports("here", ["127.0.0.1", "203.0.113.7"])
    assert found.verdict == "bad"
    assert "203.0.113.7" in found.value
    assert "127.0.0.1" not in found.value
