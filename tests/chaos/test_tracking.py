"""W&B hangs and raises. (The service is a stand-in on this machine.)"""

import os
from pathlib import Path

from tests.chaos.breaking import classes, ended, finishes, moment, train, wait_for_step
from tests.tracking.stand_in import stand_in

KEY = "wandbkeyofatest" * 3
CHANGES = {"tracking": "online", "tracking.finish_seconds": 2}


def test_wandb_stops_answering(folder: Path, reference: Path) -> None:
    run = folder / "runs" / "wandb-hangs"
    with stand_in() as service, train(run, folder, changes=CHANGES, WANDB_BASE_URL=service.url, WANDB_API_KEY=KEY) as process:
        wait_for_step(run, moment("W&B stops answering"), process)
        service.behaviour = "hangs"
        said = ended(process)
        assert service.requests > 0
    is_done_without_wandb(run, reference, said)


def test_wandb_raises(folder: Path, reference: Path) -> None:
    run, broken = folder / "runs" / "wandb-raises", folder / "broken"
    (broken / "wandb").mkdir(parents=True)
    (broken / "wandb" / "__init__.py").write_text("raise RuntimeError('not today')")
    path = f"{broken}:{os.environ.get('PYTHONPATH', '')}"
    with train(run, folder, changes=CHANGES, PYTHONPATH=path, WANDB_API_KEY=KEY) as process:
        is_done_without_wandb(run, reference, ended(process))


def is_done_without_wandb(run: Path, reference: Path, said: str) -> None:
    assert said.count("W&B is behind") == 1
    assert f"midtrain sync {run}" in said
    assert classes(run) == ["done"]
    finishes(run, reference)
