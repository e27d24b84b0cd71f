"""What W&B keeps beside the curves of a run: its plan as a table, and where it is on the frontier of gain and forgetting. Pure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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


def coordinates(sources: Sequence[Row], heldout: Iterable[Line]) -> dict[str, float]:
    """Where a run is on the frontier.

    Uptake is 1 - after / before of the held-out loss, the mean over the spec's sources; forgetting is after / before - 1, the mean over
    the general ones; both as in `frontier/estimates.py`. Before is the first measurement of a source, after its newest.

    Args:
        sources: the rows of a plan's summary.
        heldout: the lines of heldout.jsonl.

    Returns:
        The shares, epochs and tokens as planned; uptake and forgetting of the sources that were measured twice, over as many sequences.
    """
    spec = [source for source in sources if source["role"] == "spec"]
    total, of_spec = (sum(source["trained_tokens"] for source in rows) for rows in (sources, spec))
    unique = sum(source["unique_tokens"] for source in spec)
    planned = {
        "frontier/spec_share": of_spec / total if total else 0.0,
        "frontier/spec_epochs": of_spec / unique if unique else 0.0,
        "frontier/total_tokens": total,
    }
    changes = _changes(heldout)
    gains = [-changes[source["name"]] for source in spec if source["name"] in changes]
    losses = {source["name"]: changes[source["name"]] for source in sources if source["name"] in changes and source not in spec}
    return {
        **planned,
        **({"frontier/uptake": statistics.fmean(gains)} if gains else {}),
        **({"frontier/forgetting": statistics.fmean(losses.values())} if losses else {}),
        **{f"frontier/forgetting/{name}": change for name, change in losses.items()},
    }


def _changes(heldout: Iterable[Line]) -> dict[str, float]:
    """after / before - 1 of each source that can be compared."""
    first: dict[str, Sequence[float]] = {}
    newest: dict[str, Sequence[float]] = {}
    for line in heldout:
        if losses := line["losses"]:
            if line["source"] in first:
                newest[line["source"]] = losses
            first.setdefault(line["source"], losses)
    return {
        name: statistics.fmean(after) / statistics.fmean(first[name]) - 1
        for name, after in newest.items()
        if len(after) == len(first[name])
    }
