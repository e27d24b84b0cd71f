"""What the group `training` refuses, with the key, the value and what to do."""

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError

WHOLE = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/spec.md]}"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["warmup_steps=7"], ["warmup_share=0.03 and warmup_steps=7", "Set the other to null"]),
        (["warmup_share=null"], ["warmup_share=null and warmup_steps=null"]),
        (
            ["warmup_share=0", "initial_learning_rate_share=0.1"],
            ["initial_learning_rate_share=0.1 is where a warm-up begins, and there is none"],
        ),
        (["schedule=warmup_stable_decay", "decay_share=0"], ["decay_share=0 never decays", "constant"]),
    ],
)
def test_options_that_cannot_go_together_are_refused_with_what_to_do(words: list[str], named: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([*WHOLE, *(f"training.{word}" for word in words)])
    assert str(caught.value).startswith("training: ")
    assert [part for part in named if part not in str(caught.value)] == []
