"""`plan.json`, written and read, and beside it what is long to compute."""

import io
import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import ConfigError
from orchestrator.mixture.plan import ORDER, Amendment, Plan, PlannedSource, plan_values
from orchestrator.mixture.stages import Stage
from orchestrator.mixture.subset import Subset
from orchestrator.mixture.summary import summarise
from orchestrator.runs.durable import write_whole

_MANY_SPANS = 256  # in all stages; half a millisecond each with 40 sources


def counts_file(path: Path) -> Path:
    """Where the counts at the beginnings of many spans are kept, beside `plan.json`."""
    return path.with_suffix(".counts.npz")


def write_plan(plan: Plan, path: Path) -> None:
    """Write `plan.json`: what `read_plan` needs, with exact shares as "3/10", and a summary for people.

    The counts of many spans come first, into a file of their own: they follow from the plan, and are kept to be computed once.
    """
    if len(plan.spans.counts) > _MANY_SPANS:
        counts = io.BytesIO()
        np.savez(counts, fingerprint=np.array(plan.fingerprint), counts=plan.spans.counts)
        write_whole(counts_file(path), counts.getvalue())
    else:
        counts_file(path).unlink(missing_ok=True)  # of the plan that this one replaces
    content = {"order": ORDER, "plan": plan_values(plan), "fingerprint": plan.fingerprint, "summary": summarise(plan)}
    write_whole(path, json.dumps(content, indent=2, default=str).encode() + b"\n")


def read_plan(path: Path) -> Plan:
    """Read what `write_plan` wrote.

    Raises:
        ConfigError: it is missing or damaged, or of a version that orders sequences otherwise.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["order"] != ORDER:
            raise ConfigError(
                f"{path} was made by a version of midtrain with order {stored['order']}; this one's is {ORDER}, and would lose and repeat "
                f"sequences. Go on with that version, or start a new run."
            )
        plan = _plan_of(stored["plan"])
        if plan.fingerprint != stored["fingerprint"]:
            raise ValueError(f"its fingerprint is {stored['fingerprint']}, its content's {plan.fingerprint}")
    except FileNotFoundError:
        raise ConfigError(f"{path.parent} is not a run: it has no plan.json. `midtrain train` makes one.") from None
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise ConfigError(f"{path} is damaged ({type(error).__name__}: {error}). Restore it, or start a new run.") from None
    _use_counts(plan, counts_file(path))
    return plan


def _use_counts(plan: Plan, path: Path) -> None:
    """Take the counts that are kept; where they are missing, damaged or of another plan, the plan computes its own."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["fingerprint"]) == plan.fingerprint:
                plan.use_counts(kept["counts"])
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, TypeError, zipfile.BadZipFile):
        return


def _plan_of(content: dict[str, Any]) -> Plan:
    return Plan(
        sources=tuple(_source_of(source) for source in content.pop("sources")),
        stages=tuple(_stage_of(stage) for stage in content.pop("stages")),
        amendments=tuple(Amendment(**{**values, "changes": tuple(values["changes"])}) for values in content.pop("amendments")),
        **content,
    )


def _source_of(content: dict[str, Any]) -> PlannedSource:
    subset = content.pop("subset", None)
    return PlannedSource(**content, subset=None if subset is None else Subset(**subset))


def _stage_of(content: dict[str, Any]) -> Stage:
    shares, end_shares = (tuple(Fraction(share) for share in content.pop(key)) for key in ("shares", "end_shares"))
    return Stage(shares=shares, end_shares=end_shares, exact=tuple(content.pop("exact")), **content)
