"""`midtrain doctor`: what would go wrong, on this machine and on the nodes, before GPU time is spent on it."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.config.schema import Config
from orchestrator.doctor.apart import check_nodes_apart
from orchestrator.doctor.findings import Finding, Report
from orchestrator.doctor.here import check_here


def doctor(config: Config, console: Console, *, quick: bool) -> Report:
    """Look at this machine, and at the nodes of the cluster that RAY_ADDRESS names; without one, at ranks on this machine.

    Args:
        config: of the run.
        console: told what is being looked at.
        quick: start no ranks.
    """
    began = time.monotonic()
    console.note("looking at this machine")
    findings = check_here(config)
    if not quick:
        console.note(f"looking at the nodes, with {config.scheduling.world_size} ranks under Ray; about half a minute")
        findings += check_nodes_apart(config)
    return Report(seconds=time.monotonic() - began, findings=findings)


def summarise_report(report: Report) -> dict[str, Any]:
    """A report as what JSON can hold."""
    return {"is_good": report.is_good} | asdict(report)


def show_report(report: Report, console: Console) -> None:
    """A table of the findings, and below it what to do about those that are not good."""
    rows = [[finding.check, finding.where, finding.verdict, finding.value, finding.limit] for finding in report.findings]
    console.table(f"{_counts(report.findings)} in {report.seconds:.0f} s", ["check", "where", "verdict", "found", "limit"], rows)
    for finding in report.findings:
        if finding.verdict != "good":
            console.say(f"{finding.verdict}: {finding.check} on {finding.where}. {finding.remedy}")


def _counts(findings: Sequence[Finding]) -> str:
    verdicts = [finding.verdict for finding in findings]
    return f"{len(findings)} checks: {verdicts.count('bad')} bad, {verdicts.count('warning')} warnings"
