"""The engine on two real gloo ranks."""

from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator.training.engine import checksum, own_part
from tests.support.rank_processes import on_ranks
from tests.support.tiny import write_model, write_weights
from tests.training import ranks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine")
    write_weights(write_model(folder / "model"))
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return dict(on_ranks(ranks.everything, str(folder))[0])


@pytest.fixture(scope="module")
def stages(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found["losses_of_every_stage"])


@pytest.mark.parametrize("stage", ["1", "2", "3"])
def test_losses_and_gradient_norms_do_not_depend_on_the_zero_stage(stages: dict[str, Any], stage: str) -> None:
    assert stages[stage]["losses"] == pytest.approx(stages["0"]["losses"], abs=1e-5)
    assert stages[stage]["norms"] == pytest.approx(stages["0"]["norms"], rel=1e-4)


def test_a_model_from_scratch_has_the_initialisation_of_its_config_at_every_stage(found: dict[str, Any]) -> None:
    by_stage = found["initialisation_of_every_stage"]
    assert by_stage == {stage: pytest.approx(0.02, rel=0.05) for stage in "0123"}


def test_with_adapters_too_the_losses_do_not_depend_on_the_zero_stage(found: dict[str, Any]) -> None:
    by_stage = found["losses_of_adapters_at_every_stage"]
    assert by_stage["0"]["losses"][-1] < by_stage["0"]["losses"][0]
    for stage in "123":
        assert by_stage[stage]["losses"] == pytest.approx(by_stage["0"]["losses"], abs=1e-5)
        assert by_stage[stage]["norms"] == pytest.approx(by_stage["0"]["norms"], rel=1e-4)


def test_the_frozen_weights_have_one_checksum_at_every_stage_and_another_once_they_change(found: dict[str, Any]) -> None:
    sums = found["checksums_of_the_base"]
    assert sums["stage 1"] == sums["stage 3"] != 0
    assert sums["changed"] != sums["stage 1"]


def test_the_padding_of_partitioned_weights_is_no_part_of_their_checksum() -> None:
    def part(values: list[float], padding: float) -> torch.Tensor:
        parameter = torch.nn.Parameter(torch.empty(0), requires_grad=False)
        parameter.ds_numel, parameter.ds_tensor = 7, torch.tensor([*values, padding])  # type: ignore[attr-defined]
        return parameter

    sums = [checksum([own_part(part([1.5, 2.5, 3.5], padding), rank=1)]) for padding in (0.0, 9.9)]
    assert sums[0] == sums[1] == checksum([torch.tensor([1.5, 2.5, 3.5])])
    assert checksum([own_part(part([1.5, 2.5, 3.5], 4.5), rank=0)]) == checksum([torch.tensor([1.5, 2.5, 3.5, 4.5])])
    assert checksum([torch.tensor([1.5, 2.5, 3.25])]) != sums[0]


def test_training_learns(stages: dict[str, Any]) -> None:
    assert stages["0"]["losses"][0] > 5.5
    assert min(stages["0"]["norms"]) > 0


def test_measuring_changes_nothing(found: dict[str, Any]) -> None:
    first, second = found["held_out_losses_with_no_training_between"]
    assert first == second


@pytest.mark.parametrize("stage", ["0", "3"])
def test_the_loss_of_a_step_is_the_mean_over_the_trained_labels_of_all_micro_batches_and_ranks(found: dict[str, Any], stage: str) -> None:
    norms = found["losses_of_masked_steps"]
    assert norms[f"{stage} uneven"] == pytest.approx(norms["one process"], rel=1e-5)
    assert norms[f"{stage} all"] == pytest.approx(norms[f"{stage} none"], rel=1e-5)
    assert norms[f"{stage} uneven"] != pytest.approx(norms[f"{stage} none"], rel=1e-2)


def test_documents_in_one_sequence_have_the_losses_that_each_has_alone(found: dict[str, Any]) -> None:
    losses = found["document_attention"]
    for together, alone in zip(losses["together"], losses["alone"], strict=True):
        assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("kind", ["0 fp32", "1 fp32", "2 fp32", "3 fp32", "1 bf16", "2 bf16", "3 bf16"])
def test_an_update_that_is_not_made_leaves_weights_moments_and_counts_as_they_were(found: dict[str, Any], kind: str) -> None:
    around = found["states_around_an_update_that_is_not_made"][kind]
    assert around["made"] == [True, True, True, False, True]
    assert around["with"] == around["without"]
