from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.training.profiling import seconds_by_kind
from benchmarks.training.sizes import LARGE, SIZES, SMALL, Size
from benchmarks.training.tables import BEGIN, END, between_markers, render


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.key)
def test_the_parameters_that_a_token_is_multiplied_by_are_the_matrices_of_the_model(size: Size, tmp_path: Any) -> None:
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(size.write(tmp_path)))
    assert size.matrix_parameters == sum(each.numel() for each in model.parameters() if each.dim() == 2)


def test_a_ratio_is_that_of_the_same_turn() -> None:
    found = {
        "limit": [1e12, 1e12],
        "bare": [100.0, 200.0],
        "bare_head": [100.0, 100.0],
        "midtrain": [99.0, 198.0],
        "trainer": {"error": "it broke"},
    }
    text = render({"machine": {"cpu": "a processor"}, LARGE.key: found})
    assert "**0.990** (0.990 to 0.990)" in text
    assert "fails: it broke" in text
    assert SMALL.title not in text


def test_the_prose_around_the_markers_stays() -> None:
    assert between_markers(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_the_kinds_of_a_step_sum_to_all_of_it() -> None:
    import torch

    left, right = torch.ones(64, 32), torch.ones(32, 77)
    kinds = seconds_by_kind(lambda: torch.mm(left, right).exp(), steps=3, vocabulary=77)
    assert kinds["output layer: products"] > 0
    assert kinds["output layer: the rest of the loss"] > 0
    assert sum(seconds for kind, seconds in kinds.items() if kind != "all") == pytest.approx(kinds["all"])
