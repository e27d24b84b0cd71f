"""Ranks as they could have been heard of."""

from typing import Any

from orchestrator.scheduling.phases import Sighting


def sighting(rank: int, **changes: Any) -> Sighting:
    """A rank in the middle of a step, heard a moment ago."""
    values: dict[str, Any] = {
        "host": f"host-{rank}",
        "node": f"node-{rank}",
        "pid": 100 + rank,
        "created": 0.0,
        "log": "",
        "phase": "step",
        "step": 40,
        "seconds": 1.0,
        "silent_seconds": 0.4,
    }
    return Sighting(rank=rank, **values | changes)
