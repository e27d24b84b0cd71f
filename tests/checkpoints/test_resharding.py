"""A state that was saved at one world size and ZeRO stage is loaded at any other: the same to the bit, and trained on from there."""

from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints import engines
from tests.support.rank_processes import on_ranks
from tests.support.tiny import write_model, write_weights

Found = dict[str, dict[str, Any]]
SAVED: dict[str, dict[str, Any]] = {f"zero {stage}": {"stage": stage} for stage in range(4)}
SAVED |= {f"adapters, zero {stage}": {"stage": stage, "lora": True} for stage in (0, 1, 3)}
SAVED |= {f"bf16, zero {stage}": {"stage": stage, "precision": "bf16"} for stage in range(4)}
SAVED |= {"offloaded, zero 2": {"stage": 2, "offload": "{optimizer:cpu,parameters:none,nvme_path:null}"}}
SAVED |= {"offloaded, zero 3": {"stage": 3, "offload": "{optimizer:cpu,parameters:cpu,nvme_path:null}"}}
STAGES = {"zero": range(4), "adapters": (0, 1, 3), "bf16": range(4), "offloaded": (3,)}
BOUNDS = {
    "zero": 1e-6,
    "adapters": 1e-6,
    "bf16": 1e-3,
    "offloaded": 1e-6,
}  # of a loss at another world size, where sums are made in another order


def kind_of(name: str) -> str:
    return name.split(",")[0].split(" ")[0]


def moved(saved: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every stage that a saved state can be loaded at."""
    return {f"{saved} to {stage}": (saved, SAVED[saved] | {"stage": stage}) for stage in STAGES[kind_of(saved)]}


MOVED = {name: case for saved in SAVED for name, case in moved(saved).items()}
BACK = {f"{name} and back": (name, SAVED[MOVED[name][0]]) for name in MOVED if "zero 1 to" in name or "zero 3 to" in name}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resharding")
    write_weights(write_model(folder / "model"))
    return folder


@pytest.fixture(scope="module")
def saved(folder: Path) -> Found:
    """On two ranks: trained, saved, and trained on."""
    return dict(on_ranks(engines.train_and_save, {"folder": str(folder), "cases": SAVED})[0])


@pytest.fixture(scope="module")
def on_one(folder: Path, saved: Found) -> Found:
    """Loaded on one rank, at every stage, saved again and trained on."""
    return dict(on_ranks(engines.load_and_train, {"folder": str(folder), "cases": MOVED}, world_size=1)[0])


@pytest.fixture(scope="module")
def on_two(folder: Path, on_one: Found) -> Found:
    """Loaded on two ranks: what two ranks have saved, and what one has saved after it had loaded that."""
    same = {f"{name} again": (name, case) for name, case in SAVED.items()}
    return dict(on_ranks(engines.load_and_train, {"folder": str(folder), "cases": same | BACK})[0])


@pytest.mark.parametrize("name", SAVED)
def test_at_the_same_world_size_and_stage_training_goes_on_to_the_bit(saved: Found, on_two: Found, name: str) -> None:
    assert on_two[f"{name} again"] == saved[name]


@pytest.mark.parametrize("name", MOVED)
def test_two_ranks_to_one_at_any_stage_is_the_same_state_to_the_bit(saved: Found, on_one: Found, name: str) -> None:
    before, now = saved[MOVED[name][0]], on_one[name]
    assert now["state"] == before["state"]
    assert now["losses"] == pytest.approx(before["losses"], abs=BOUNDS[kind_of(name)])


@pytest.mark.parametrize("name", BACK)
def test_a_resume_of_a_resume_comes_back_to_two_ranks_to_the_bit(saved: Found, on_two: Found, name: str) -> None:
    assert on_two[name] == saved[MOVED[BACK[name][0]][0]]


def test_a_state_of_another_model_is_refused(folder: Path) -> None:
    said = on_ranks(engines.refusals, str(folder))[0]
    assert "lacks" not in said["plain"]
    for refusal in said.values():
        assert "does not hold all of what is trained now" in refusal
        assert "model.path and training.lora" in refusal
