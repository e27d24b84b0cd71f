"""What W&B keeps beside the curves of a run: its plan as a table, and where it is on the frontier of gain and forgetting. Pure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.frontier.coordinates import coordinates as place

Line = Mapping[str, Any]
Row = Mapping[str, Any]

_COLUMNS = {
    "source": "name",
    "role": "role",
    "share asked": "asked_share",
    "share planned": "share",
    "tokens": "trained_tokens",
    "sequences": "sequences",
    "epochs": "epochs",
    "first step": "first_step",
    "last step": "last_step",
    "updates": "updates",
}


def plan_table(sources: Sequence[Row]) -> tuple[list[str], list[list[Any]]]:
    """The plan's columns and its rows, one a source.

    Args:
        sources: the rows of a plan's summary, as `mixture/summary.py` gives them.
    """
    return list(_COLUMNS), [[source[key] for key in _COLUMNS.values()] for source in sources]


def coordinates(sources: Sequence[Row], heldout: Iterable[Line], probes: Iterable[Line] = ()) -> dict[str, float]:
    """Where a run is on the frontier.

    Before is the first measurement of a source, after its newest.

    Args:
        sources: the rows of a plan's summary.
        heldout: the lines of heldout.jsonl.
        probes: those of probes.jsonl.

    Returns:
        The shares, epochs and tokens as planned; uptake and forgetting of the sources that were measured twice, over as many sequences; and
        how much larger the share of items became that are answered right, of each probe that was asked the same ones twice.
    """
    spec = [source for source in sources if source["role"] == "spec"]
    total, of_spec = (sum(source["trained_tokens"] for source in rows) for rows in (sources, spec))
    unique = sum(source["unique_tokens"] for source in spec)
    planned = {
        "frontier/spec_share": of_spec / total if total else 0.0,
        "frontier/spec_epochs": of_spec / unique if unique else 0.0,
        "frontier/total_tokens": total,
    }
    before, after = _measured_twice(heldout)
    found = place({source["name"]: source["role"] for source in sources}, before, after)
    return {
        **planned,
        **({} if found.uptake is None else {"frontier/uptake": found.uptake}),
        **({} if found.forgetting is None else {"frontier/forgetting": found.forgetting}),
        **{f"frontier/forgetting/{name}": change for name, change in found.forgetting_by_source.items()},
        **{f"frontier/probe/{name}": change for name, change in _answered_twice(probes).items()},
    }


def _answered_twice(probes: Iterable[Line]) -> dict[str, float]:
    asked: dict[str, list[Line]] = {}
    for line in probes:
        asked.setdefault(line["probe"], []).append(line)
    pairs = {name: (lines[0], lines[-1]) for name, lines in asked.items() if len(lines) > 1 and lines[0]["items"] == lines[-1]["items"]}
    return {name: statistics.fmean(after["correct"]) - statistics.fmean(before["correct"]) for name, (before, after) in pairs.items()}


def _measured_twice(heldout: Iterable[Line]) -> tuple[dict[str, float], dict[str, float]]:
    """The mean losses of each source that can be compared, first and newest."""
    first: dict[str, Sequence[float]] = {}
    newest: dict[str, Sequence[float]] = {}
    for line in heldout:
        if losses := line["losses"]:
            if line["source"] in first:
                newest[line["source"]] = losses
            first.setdefault(line["source"], losses)
    alike = {name: after for name, after in newest.items() if len(after) == len(first[name])}
    return {name: statistics.fmean(first[name]) for name in alike}, {name: statistics.fmean(after) for name, after in alike.items()}
