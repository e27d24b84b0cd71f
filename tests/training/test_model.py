"""What of a model can be wrong before the first step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError
from orchestrator.training.model import build_model
from tests.support.tiny import overrides, write_model


def test_a_model_without_weights_is_the_users_to_mend(tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    config = load_config(overrides(tmp_path, **{"model.initialise": "pretrained"}))
    with pytest.raises(ConfigError, match=f"model.path={tmp_path / 'model'} cannot be loaded"):
        build_model(config.model, config.training, None)


def built_with(folder: Path, **changes: object) -> torch.nn.Module:
    write_model(folder / "model")
    config = load_config(overrides(folder, **{f"training.{key}": value for key, value in changes.items()}))
    return build_model(config.model, config.training, None)


def adapted(model: torch.nn.Module) -> set[str]:
    """The endings of the layers that have adapters."""
    return {name.split(".lora_A")[0].rpartition(".")[2] for name, _ in model.named_parameters() if ".lora_A" in name}


def test_adapters_are_on_all_attention_and_mlp_projections_or_on_those_that_were_named(tmp_path: Path) -> None:
    attention, mlp = {"q_proj", "k_proj", "v_proj", "o_proj"}, {"gate_proj", "up_proj", "down_proj"}
    assert adapted(built_with(tmp_path, lora="{rank:4,alpha:8.0}")) == attention | mlp
    named = built_with(tmp_path, lora="{rank:4,alpha:8.0,dropout:0.1,targets:[self_attn.q_proj,down_proj]}")
    assert adapted(named) == {"q_proj", "down_proj"}
    assert {module.p for module in named.modules() if isinstance(module, torch.nn.Dropout)} == {0.1}


def test_a_target_that_no_layer_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets names 'query'.*down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj"):
        built_with(tmp_path, lora="{rank:4,alpha:8.0,targets:[q_proj,query]}")


def test_the_attention_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    found = {wish: built_with(tmp_path, attention=wish).config._attn_implementation for wish in ("auto", "sdpa", "eager")}  # type: ignore[union-attr]
    assert found == {"auto": "sdpa", "sdpa": "sdpa", "eager": "eager"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for what a machine without a GPU cannot give")
@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"attention": "flash_attention_2", "precision": "bf16"}, r"training\.attention=flash_attention_2 cannot be had.*Set it to auto"),
        ({"liger": True}, r"training\.liger=true needs a GPU and the package liger-kernel.*midtrain\[liger\]"),
    ],
)
def test_kernels_that_cannot_be_had_here_are_the_users_to_leave_out(tmp_path: Path, wish: dict[str, object], named: str) -> None:
    config = load_config(overrides(tmp_path))
    write_model(tmp_path / "model")
    with pytest.raises(ConfigError, match=named):
        build_model(config.model, replace(config.training, **wish), None)  # type: ignore[arg-type]
