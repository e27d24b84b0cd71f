"""How a run is known in W&B: its group and its tags."""

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError

WHOLE = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/a.md]}"]


def test_a_sweep_groups_its_runs_and_marks_their_arms_by_tags() -> None:
    tracking = load_config([*WHOLE, "tracking=online", "tracking.group=ratios", "tracking.tags=[control,seed-1]"]).tracking
    assert (tracking.wandb, tracking.group, tracking.tags) == ("online", "ratios", ("control", "seed-1"))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tracking.group=''", "tracking.group=''"),
        (f"tracking.group={'g' * 129}", "at most 128 characters"),
        ("tracking.tags=control", "tracking.tags='control'"),
        ("tracking.tags=['']", "tracking.tags.0=''"),
        (f"tracking.tags=[{'t' * 65}]", "at most 64 characters"),
        ("tracking.system_metrics=1", "tracking.system_metrics=1"),
    ],
)
def test_what_wandb_would_not_take_is_refused_at_once(word: str, said: str) -> None:
    with pytest.raises(ConfigError, match="tracking") as refusal:
        load_config([*WHOLE, word])
    assert said in str(refusal.value)
