"""How often each source was passed over, and how many updates have seen it: what the plan says, less the steps that were skipped."""

from collections.abc import Iterable

import numpy as np

from orchestrator.mixture.plan import Plan, PlannedSource

_STEPS_AT_ONCE = 1 << 16


def epochs(trained_tokens: int, source: PlannedSource) -> float:
    """Passes over what a run uses of a source, by the tokens that carry a loss."""
    return trained_tokens / source.epoch.trained_tokens if source.epoch.trained_tokens else 0.0


def updates_within(plan: Plan, first_step: int, last_step: int, skipped: Iterable[int] = ()) -> list[int]:
    """How many of some steps train each source.

    Args:
        plan: of the run.
        first_step, last_step: counted from 1, both included.
        skipped: steps, counted from 1, that train nothing.

    Returns:
        A number for each source.
    """
    updates = np.zeros(len(plan.sources), dtype=np.int64)
    for start in range(first_step - 1, last_step, _STEPS_AT_ONCE):
        bounds = np.arange(start, min(start + _STEPS_AT_ONCE, last_step) + 1, dtype=np.int64)
        updates += (np.diff(plan.sequences_before(bounds), axis=0) > 0).sum(axis=0)
    if within := sorted(step for step in skipped if first_step <= step <= last_step):
        steps = np.array(within, dtype=np.int64)
        updates -= (plan.sequences_before(steps) > plan.sequences_before(steps - 1)).sum(axis=0)
    return [int(count) for count in updates]


class Exposure:
    """The updates that have seen each source, step by step."""

    def __init__(self, plan: Plan) -> None:
        """
        Args:
            plan: of the run.
        """
        self._plan, self._step, self._updates = plan, 0, [0] * len(plan.sources)

    def up_to(self, step: int, skipped: Iterable[int]) -> list[int]:
        """The updates so far. Only steps since the last call are looked at.

        Args:
            step: the last one, counted from 1, not before that of the last call.
            skipped: steps that train nothing; of those up to the last call's, the same as then.
        """
        more = updates_within(self._plan, self._step + 1, step, skipped)
        self._step, self._updates = step, [before + now for before, now in zip(self._updates, more, strict=True)]
        return self._updates
