"""Where a run stands: how much of the spec it took up, and what it forgot for it. For one run alone as well as for a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from orchestrator.frontier.trials import SourceLosses


@dataclass(frozen=True, kw_only=True, slots=True)
class Coordinates:
    """A run's place in the plane of uptake and forgetting, as shares of the base model's losses.

    Attributes:
        uptake: 1 - after / before, the mean over the spec's sources; none without one.
        forgetting: after / before - 1, the mean over the general sources; none without one.
        forgetting_by_source: of each general source.
    """

    uptake: float | None
    forgetting: float | None
    forgetting_by_source: Mapping[str, float]


def coordinates(roles: Mapping[str, str], before: Mapping[str, float], after: Mapping[str, float]) -> Coordinates:
    """Where a run stands, from its mean held-out losses.

    Args:
        roles: source -> `spec` or `general`; those that were not measured are left out.
        before: source -> mean loss in nats a token over its held-out sequences, before the first step.
        after: source -> that over the same sequences later.
    """
    relative = {
        role: {name: after[name] / before[name] for name in roles if roles[name] == role and name in before} for role in roles.values()
    }
    uptakes = [1 - value for value in relative.get("spec", {}).values()]
    forgetting = {name: value - 1 for name, value in relative.get("general", {}).items()}
    return Coordinates(
        uptake=fmean(uptakes) if uptakes else None,
        forgetting=fmean(forgetting.values()) if forgetting else None,
        forgetting_by_source=forgetting,
    )


def measured_coordinates(sources: Mapping[str, SourceLosses]) -> Coordinates:
    """Where a run stands, from the losses of its held-out sequences; each source counts with its mean."""
    return coordinates(
        {name: losses.role for name, losses in sources.items()},
        {name: float(losses.before.mean()) for name, losses in sources.items()},
        {name: float(losses.after.mean()) for name, losses in sources.items()},
    )
