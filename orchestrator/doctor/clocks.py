"""Clocks: how far one is ahead of another, told by asking for the time and hearing the answer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.doctor.findings import Finding, at_most, finding

_ENOUGH_SECONDS = 1.0  # times of the ledger, of the metrics and of logs come from several machines and are taken from each other
_TOO_MANY_SECONDS = 300.0  # Kerberos refuses tickets beyond it; S3 refuses requests beyond 15 minutes


@dataclass(frozen=True, kw_only=True, slots=True)
class Offset:
    """How far a clock is ahead of ours.

    Attributes:
        seconds: below 0: it is behind.
        uncertainty_seconds: it may be so much more or less.
    """

    seconds: float
    uncertainty_seconds: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer: when we asked, what the other's clock showed, when we had heard."""

    asked: float
    theirs: float
    heard: float


def offset_of(exchanges: Sequence[Exchange]) -> Offset:
    """The offset by the exchange that took the least time, as its answer was under way for half of it at most (Cristian, "Probabilistic
    clock synchronization", Distributed Computing 3, 1989).
    """
    best = min(exchanges, key=lambda exchange: exchange.heard - exchange.asked)
    return Offset(seconds=best.theirs - (best.asked + best.heard) / 2, uncertainty_seconds=(best.heard - best.asked) / 2)


def judge_offset(check: str, where: str, offset: Offset) -> Finding:
    """Whether a clock is too far from ours."""
    least = max(0.0, abs(offset.seconds) - offset.uncertainty_seconds)  # so far off it is for sure
    direction = "ahead" if offset.seconds > 0 else "behind"
    return finding(
        check,
        where,
        at_most(least, enough=_ENOUGH_SECONDS, too_much=_TOO_MANY_SECONDS),
        f"{_shown(abs(offset.seconds))} {direction}, ±{_shown(offset.uncertainty_seconds)}",
        limit=f"{_ENOUGH_SECONDS:.0f} s, at the most {_TOO_MANY_SECONDS:.0f} s",
        remedy="Have NTP set the clocks: timedatectl, chronyc tracking.",
    )


def _shown(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
