"""What the demo is expected to show, held against what a run's summary says."""

from dataclasses import dataclass
from typing import Any

SPEC_FALL, GENERAL_RISE, SPEC_SEQUENCES = 0.10, 0.02, 1.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """One sentence, the figure that was seen, and whether it is met."""

    sentence: str
    seen: str
    met: bool


def judge(summary: dict[str, Any]) -> list[Expectation]:
    """Hold a finished run against the demo's expectations.

    Args:
        summary: of the report.

    Returns:
        One judgement an expectation, in a fixed order.
    """
    by_role: dict[bool, list[float]] = {True: [], False: []}
    for entry in summary["heldout"].values():
        by_role[entry["role"] == "spec"].append(entry["after"] / entry["before"] - 1)
    spec, general, off = max(by_role[True]), max(by_role[False]), summary["largest_deviation_sequences"]["spec"]
    return [
        Expectation(f"the spec's held-out loss falls by at least {SPEC_FALL:.0%}", f"{spec:+.1%}", spec <= -SPEC_FALL),
        Expectation(f"no general held-out loss rises by more than {GENERAL_RISE:.0%}", f"{general:+.1%}", general <= GENERAL_RISE),
        Expectation("the spec is within one sequence of its ratio at every step", f"{off:.2f}", off <= SPEC_SEQUENCES),
    ]
