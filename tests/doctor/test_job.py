"""What a job of a cluster leaves for who waits for it: always a report, and a whole one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.config.load import dump_config, load_config
from orchestrator.doctor.findings import Report
from orchestrator.runs.records import read_record
from tests.support.prepared import write_prepared
from tests.support.tiny import overrides
from tests.support.waiting import wait_for


def job(output: Path, config: Path, **variables: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "orchestrator.doctor.job", str(output), str(config)]
    return subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_job_looks_at_its_machine_and_at_all_nodes_and_prints_what_it_writes(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    (tmp_path / "config.yaml").write_text(dump_config(load_config(overrides(tmp_path))))
    process = job(tmp_path / "report.json", tmp_path / "config.yaml", RAY_ADDRESS="local")
    said, _ = process.communicate(timeout=180)
    report = read_record(tmp_path / "report.json", Report)
    assert (process.returncode, report.is_good) == (0, True)
    checks = [finding.check for finding in report.findings]
    assert {"run directory", "W&B", "Ray", "shared storage", "all-reduce of 64 MiB"} <= set(checks)
    assert [line.split(": ")[1].rpartition(" on ")[0] for line in said.splitlines() if line.startswith("good: ")] == checks


@pytest.mark.parametrize("content", [None, "run: {name: x}\n", "]["])
def test_a_configuration_that_cannot_be_read_is_a_finding(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    process = job(tmp_path / "report.json", tmp_path / "config.yaml")
    process.communicate(timeout=60)
    (found,) = read_record(tmp_path / "report.json", Report).findings
    assert (process.returncode, found.check, found.verdict) == (0, "configuration", "bad")


def test_a_job_that_is_told_to_stop_leaves_what_it_has_found_and_says_so(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    (tmp_path / "config.yaml").write_text(dump_config(load_config(overrides(tmp_path))))
    process = job(tmp_path / "report.json", tmp_path / "config.yaml", RAY_ADDRESS="local")
    wait_for(lambda: drives_ranks(process.pid), 60)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    report = read_record(tmp_path / "report.json", Report)
    assert (process.returncode, report.findings[0].check, report.findings[-1].check) == (0, "run directory", "doctor")
    assert report.findings[-1].value == "stopped by SIGTERM before all was looked at"


def drives_ranks(pid: int) -> bool:
    """Whether the job has started the process that looks at the nodes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return any("orchestrator.doctor.nodes" in Path(f"/proc/{child}/cmdline").read_text() for child in children)
