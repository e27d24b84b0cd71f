"""What a check found: the value, its limit, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.errors import ConfigError, InfrastructureError

Verdict = Literal["good", "warning", "bad"]

_OF_THE_USER = (
    "model",
    "source",
    "probe",
    "W&B",
    "configuration",
)  # what the configuration or the environment says, not what the machines are


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Of one check in one place.

    Attributes:
        check: what was looked at.
        where: the host's name, or `all` for what nodes have in common.
        verdict: `bad` would stop a run or harm it; `warning` may; `good` does neither.
        value: what was found, with its unit.
        limit: what it is held against.
        remedy: what to do about it; empty when it is good.
    """

    check: str
    where: str
    verdict: Verdict
    value: str
    limit: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Of one examination, as it is handed from a job to whoever waits for it.

    Attributes:
        seconds: that it took.
        findings: in the order of the checks.
    """

    seconds: float
    findings: list[Finding]

    @property
    def is_good(self) -> bool:
        """Whether nothing is bad."""
        return not any(finding.verdict == "bad" for finding in self.findings)


def at_least(value: float, *, enough: float, too_little: float = 0.0) -> Verdict:
    """Judge a value of which more is better: good from `enough` on, bad below `too_little`."""
    return "good" if value >= enough else "warning" if value >= too_little else "bad"


def at_most(value: float, *, enough: float, too_much: float = float("inf")) -> Verdict:
    """Judge a value of which less is better: good up to `enough`, bad above `too_much`."""
    return "good" if value <= enough else "warning" if value <= too_much else "bad"


def finding(check: str, where: str, verdict: Verdict, value: str, *, limit: str, remedy: str) -> Finding:
    """A finding whose remedy is left out when there is nothing to mend."""
    return Finding(check=check, where=where, verdict=verdict, value=value, limit=limit, remedy="" if verdict == "good" else remedy)


def nodes_said(number: int) -> str:
    """So many nodes, in words."""
    return f"{number} node{'' if number == 1 else 's'}"


def refuse_bad(findings: Sequence[Finding]) -> None:
    """Fail for the first finding that is bad.

    Raises:
        ConfigError: it is for the user to mend.
        InfrastructureError: it is for whoever runs the machines.
    """
    bad = [finding for finding in findings if finding.verdict == "bad"]
    if not bad:
        return
    first = bad[0]
    kind = ConfigError if first.check.startswith(_OF_THE_USER) else InfrastructureError
    more = f" ({len(bad) - 1} more above)" if len(bad) > 1 else ""
    limit = f"; the limit is {first.limit}" if first.limit else ""
    raise kind(f"{first.check} on {first.where}: {first.value}{limit}. {first.remedy}{more}")
