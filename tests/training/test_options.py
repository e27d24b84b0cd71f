"""Options that must not change what is learned, on two real gloo ranks."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.rank_processes import on_ranks
from tests.support.tiny import write_model, write_weights
from tests.training import option_ranks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    write_weights(write_model(folder / "model"))
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    return dict(on_ranks(option_ranks.losses_with_every_option, str(folder))[0])


def test_in_bfloat16_stages_0_and_1_train_with_the_same_numbers(made: dict[str, Any]) -> None:
    for kind in ("bf16", "adapters bf16"):
        assert made[f"{kind} 0"]["losses"] == made[f"{kind} 1"]["losses"]
        assert made[f"{kind} 0"]["norms"] == pytest.approx(made[f"{kind} 1"]["norms"], rel=1e-5)


@pytest.mark.parametrize("stage", [2, 3])
@pytest.mark.parametrize("kind", ["bf16", "adapters bf16"])
def test_in_bfloat16_the_other_stages_differ_by_its_rounding_alone(made: dict[str, Any], kind: str, stage: int) -> None:
    assert made[f"{kind} {stage}"]["losses"] == pytest.approx(made[f"{kind} 1"]["losses"], abs=5e-4)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_adapters_on_chosen_layers_with_dropout_do_not_depend_on_the_zero_stage(made: dict[str, Any], stage: int) -> None:
    assert made[f"adapters fp32 {stage}"]["losses"] == pytest.approx(made["adapters fp32 0"]["losses"], abs=1e-5)
    assert made[f"adapters fp32 {stage}"]["losses"][-1] < made[f"adapters fp32 {stage}"]["losses"][0]


@pytest.mark.parametrize(
    ("option", "plain"),
    [
        *((f"optimizer on cpu {stage}", f"plain {stage}") for stage in (1, 2, 3)),
        ("parameters on cpu", "plain 3"),
        ("all on cpu", "plain 3"),
    ],
)
def test_what_is_offloaded_changes_no_loss_by_more_than_rounding(made: dict[str, Any], option: str, plain: str) -> None:
    assert made[option]["losses"] == pytest.approx(made[plain]["losses"], abs=1e-6)
    assert made[option]["norms"] == pytest.approx(made[plain]["norms"], rel=1e-5)


def test_attention_is_computed_alike_however_it_is_computed(made: dict[str, Any]) -> None:
    assert made["eager"]["losses"] == pytest.approx(made["plain 1"]["losses"], abs=1e-5)


@pytest.mark.skipif("MIDTRAIN_BUILD_OPERATORS" not in os.environ, reason="torch.compile builds for minutes on two slow cores")
def test_a_compiled_model_has_the_losses_of_the_plain_one(folder: Path) -> None:
    made = on_ranks(option_ranks.losses_when_compiled, str(folder), timeout_seconds=580)[0]
    for stage in (0, 3):
        assert made[f"compiled {stage}"] == pytest.approx(made[f"plain {stage}"], abs=1e-5)


@pytest.mark.skipif("MIDTRAIN_BUILD_OPERATORS" not in os.environ, reason="builds DeepSpeed's async_io for minutes")
def test_weights_and_moments_on_disk_change_nothing_and_resume_to_the_bit(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", vocab_size=4096)
    config = json.loads((model / "config.json").read_text()) | {"hidden_size": 256, "intermediate_size": 1024}  # less stays in memory
    (model / "config.json").write_text(json.dumps(config))
    write_weights(model)
    made = on_ranks(option_ranks.losses_around_a_resume_with_weights_and_moments_on_disk, str(tmp_path), timeout_seconds=580)[0]
    assert made["bytes"] >= 4096 * 256 * 4 * 4  # the weights, what AdamW updates, and its two moments
    assert made["resumed"] == made["straight"]
    assert made["straight"]["losses"] == pytest.approx(made["plain"]["losses"][2:], abs=1e-6)
