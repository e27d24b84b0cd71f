"""The demo says itself whether it showed what it should."""

from typing import Any

import pytest

from orchestrator.demo.demo import fit_to_machine
from orchestrator.demo.expectations import judge
from orchestrator.demo.speed import Speed, measure_speed


def summary(spec: float, code: float, off: float) -> dict[str, Any]:
    """A report's summary with held-out losses that began at 4 and 2."""
    heldout = {
        "spec": {"role": "spec", "before": 4.0, "after": spec},
        "code": {"role": "general", "before": 2.0, "after": code},
        "docs": {"role": "general", "before": 3.0, "after": 3.0},
    }
    return {"heldout": heldout, "largest_deviation_sequences": {"spec": off, "code": 0.4, "docs": 0.1}}


@pytest.mark.parametrize(
    ("values", "met"),
    [
        ((3.5, 1.9, 0.5), [True, True, True]),
        ((3.7, 2.03, 1.0), [False, True, True]),
        ((3.5, 2.05, 1.2), [True, False, False]),
    ],
)
def test_each_expectation_is_judged_by_its_own_figure(values: tuple[float, float, float], met: list[bool]) -> None:
    assert [expected.met for expected in judge(summary(*values))] == met


@pytest.mark.parametrize("tokens_per_second", [2, 100, 2e3, 2e6])
def test_the_batch_and_the_updates_fit_any_machine(tokens_per_second: float) -> None:
    values = dict(word.split("=") for word in fit_to_machine(Speed("fp32", tokens_per_second)))
    micro_batch, updates = int(values["training.micro_batch"]), int(values["checkpoints.every_steps"]) * 2
    assert int(values["training.sequences_per_step"]) == 2 * micro_batch
    assert int(values["mixture.total_tokens"]) % (2 * micro_batch * 128) == 0
    assert updates == 180
    assert int(values["mixture.total_tokens"]) * 0.25 <= 80_000, "the spec has 96,319 tokens to train on, each once"


def test_the_measured_speed_is_that_of_the_faster_precision() -> None:
    speed = measure_speed()
    assert speed.precision in ("fp32", "bf16")
    assert speed.tokens_per_second > 1
