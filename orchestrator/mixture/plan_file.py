"""`plan.json`, written and read."""

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.mixture.plan import Amendment, Plan, PlannedSource
from orchestrator.mixture.stages import Stage
from orchestrator.mixture.summary import summarise
from orchestrator.runs.durable import write_whole


def write_plan(plan: Plan, path: Path) -> None:
    """Write `plan.json`: what `read_plan` needs, with exact shares as "3/10", and a summary for people."""
    content = {"plan": asdict(plan), "fingerprint": plan.fingerprint, "summary": summarise(plan)}
    write_whole(path, json.dumps(content, indent=2, default=str).encode() + b"\n")


def read_plan(path: Path) -> Plan:
    """Read what `write_plan` wrote.

    Raises:
        ConfigError: it is missing or damaged.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        plan = _plan_of(stored["plan"])
        if plan.fingerprint != stored["fingerprint"]:
            raise ValueError(f"its fingerprint is {stored['fingerprint']}, its content's {plan.fingerprint}")
        return plan
    except FileNotFoundError:
        raise ConfigError(f"{path.parent} is not a run: it has no plan.json. `midtrain train` makes one.") from None
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise ConfigError(f"{path} is damaged ({type(error).__name__}: {error}). Restore it, or start a new run.") from None


def _plan_of(content: dict[str, Any]) -> Plan:
    return Plan(
        sources=tuple(PlannedSource(**source) for source in content.pop("sources")),
        stages=tuple(_stage_of(stage) for stage in content.pop("stages")),
        amendments=tuple(Amendment(**{**values, "changes": tuple(values["changes"])}) for values in content.pop("amendments")),
        **content,
    )


def _stage_of(content: dict[str, Any]) -> Stage:
    shares, end_shares = (tuple(Fraction(share) for share in content.pop(key)) for key in ("shares", "end_shares"))
    return Stage(shares=shares, end_shares=end_shares, exact=tuple(content.pop("exact")), **content)
