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
        (["zero_stage=0", "offload.optimizer=cpu"], ["offload.optimizer=cpu needs zero_stage=1 or more, not 0"]),
        (["offload.parameters=cpu"], ["offload.parameters=cpu needs zero_stage=3 or more, not 2", "set parameters to none"]),
        (["offload.optimizer=nvme", "offload.nvme_path=/fast"], ["offload.optimizer=nvme needs zero_stage=3"]),
        (["precision=fp32", "attention=flash_attention_2"], ["flash_attention_2 has no kernel for precision=fp32"]),
    ],
)
def test_options_that_cannot_go_together_are_refused_with_what_to_do(words: list[str], named: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([*WHOLE, *(f"training.{word}" for word in words)])
    assert str(caught.value).startswith("training: ")
    assert [part for part in named if part not in str(caught.value)] == []


@pytest.mark.parametrize("words", [["offload.parameters=nvme", "zero_stage=3"], ["offload.nvme_path=/fast"]])
def test_a_path_is_given_when_something_is_offloaded_to_it_and_only_then(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"training\.offload: optimizer=none and parameters=(none|nvme) with nvme_path=(null|/fast)"):
        load_config([*WHOLE, *(f"training.{word}" for word in words)])


@pytest.mark.parametrize("wish", ["liger=true", "attention=flash_attention_2"])
def test_kernels_for_gpus_are_refused_without_gpus(wish: str) -> None:
    with pytest.raises(ConfigError, match=rf"training\.{wish} has kernels for GPUs only, and scheduling\.gpus_per_rank=0"):
        load_config([*WHOLE, f"training.{wish}"])
    assert load_config([*WHOLE, f"training.{wish}", "scheduling.gpus_per_rank=1"]).scheduling.gpus_per_rank == 1
