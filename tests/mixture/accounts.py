"""What each source has had of a plan's first sequences less what it was due by the ratios that were asked for."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from orchestrator.mixture.plan import Plan
from orchestrator.mixture.stages import Stage, due_before

Off = NDArray[np.float64]
SLACK = 1e-6  # of float64 in the comparison


def off(plan: Plan) -> Off:
    """(num_sequences + 1, num_sources) sequences ahead at every prefix, over all stages.

    A source that a stage has a count of is measured from that stage's beginning while the stage lasts: the count leaves it what it was off.
    """
    prefixes = np.arange(plan.num_sequences + 1)
    ahead = plan.spans.counts_before(prefixes) - due_before(plan.stages, prefixes, plan.sequences_per_step)
    measured = ahead.copy()
    for stage, inside, start in _stages(plan):
        for source, count in enumerate(stage.exact):
            if count is not None:
                measured[inside, source] -= ahead[start, source]
    return measured


def spec_off(plan: Plan) -> Off:
    """(num_sequences + 1,) the same of the spec sources together."""
    prefixes = np.arange(plan.num_sequences + 1)
    ahead = plan.spans.counts_before(prefixes) - due_before(plan.stages, prefixes, plan.sequences_per_step)
    spec = [index for index, source in enumerate(plan.sources) if source.role == "spec"]
    return np.asarray(ahead[:, spec].sum(axis=1))


def _stages(plan: Plan) -> list[tuple[Stage, slice, int]]:
    """Each stage, the prefixes that end inside it, and its first sequence."""
    bounds = list(accumulate((stage.made_steps * plan.sequences_per_step for stage in plan.stages), initial=0))
    return [(stage, slice(start + 1, end), start) for stage, start, end in zip(plan.stages, bounds[:-1], bounds[1:], strict=True)]


def worst(values: Off | Sequence[float]) -> float:
    return float(np.abs(values).max())
