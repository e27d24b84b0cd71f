"""A rank of midtrain's engine and saver, without the rest: how long a save stalls training, beside it and waited for."""

import shutil
import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from benchmarks import answers
from benchmarks.training.building import batches, configuration
from orchestrator.checkpoints.retention import INSURANCE
from orchestrator.checkpoints.saver import Saver
from orchestrator.scheduling.process_group import ranks_beside_training
from orchestrator.training.engine import Engine

_TIMEOUT = 600.0


class Saving:
    """One rank of it, built by the first request."""

    def build(self, request: dict[str, Any]) -> None:
        distributed.init_process_group("gloo")
        config = configuration(request)
        torch.set_num_threads(config.scheduling.threads_per_rank)
        self._engine = Engine(config.model, config.training, distributed.get_world_size())
        self._batches, self._step = batches(request), 0
        checkpoints = Path(request["checkpoints"])
        if distributed.get_rank() == 0:
            shutil.rmtree(checkpoints, ignore_errors=True)
        self._saver = Saver(
            checkpoints, ranks_beside_training(_TIMEOUT), max_failed_saves=0, may_commit=lambda: True, tell=lambda *_, **__: None
        )
        self.save({"beside": False})  # the first one allocates

    def steps(self, request: dict[str, Any]) -> list[float]:
        """Seconds of each step."""
        seconds = []
        for _ in range(request["steps"]):
            began = time.perf_counter()
            for _ in self._engine.step(self._step, next(self._batches), 1e-4):
                pass
            self._step += 1
            seconds.append(time.perf_counter() - began)
        return seconds

    def save(self, request: dict[str, Any]) -> float:
        """Seconds that training stands still for a save: until the copy is made, or, if it is not `beside` training, committed."""
        self._saver.settle()
        distributed.barrier()
        self._step += 1
        began = time.perf_counter()
        self._saver.begin(self._step, self._engine.state, {"kind": INSURANCE})
        if not request["beside"]:
            self._saver.settle()
        return time.perf_counter() - began

    def settle(self, _: dict[str, Any]) -> float:
        """Seconds until the save under way is committed."""
        began = time.perf_counter()
        self._saver.settle()
        return time.perf_counter() - began


if __name__ == "__main__":
    saving = Saving()
    answers.serve({"build": saving.build, "steps": saving.steps, "save": saving.save, "settle": saving.settle})
