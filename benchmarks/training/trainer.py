"""Hugging Face Trainer with DeepSpeed, held at the beginning of each step until it is asked for more."""

import itertools
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import deepspeed
import torch
from torch.utils.data import IterableDataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks import answers
from benchmarks.training.building import batches, build_model, settings

_FOREVER = 1_000_000


class _Tokens(IterableDataset):  # type: ignore[type-arg]
    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for batch in batches(self._request):
            for sequence in batch:
                yield {"input_ids": sequence[:-1], "labels": sequence[:-1]}


class _Gate(TrainerCallback):
    """Arrivals at the beginnings of steps, and permits to go on."""

    def __init__(self) -> None:
        self.arrivals: queue.Queue[float | Exception] = queue.Queue()
        self.permits = threading.Semaphore(0)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.arrivals.put(time.perf_counter())
        self.permits.acquire()


class Held:
    """One rank's Trainer, in a thread of its own."""

    def build(self, request: dict[str, Any]) -> None:
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        self._gate = _Gate()
        threading.Thread(target=self._train, args=(request,), daemon=True).start()
        self._arrival()

    def steps(self, request: dict[str, Any]) -> list[float]:
        """Seconds from step to step, all that the Trainer does between them with it; one before them is not counted."""
        number = request["steps"] + 1
        self._gate.permits.release(number)
        times = [self._arrival() for _ in range(number)]
        return [after - before for before, after in itertools.pairwise(times)]

    def _arrival(self) -> float:
        time_or_error = self._gate.arrivals.get()
        if isinstance(time_or_error, Exception):
            raise time_or_error
        return time_or_error

    def _train(self, request: dict[str, Any]) -> None:
        try:
            self._trainer(request).train()
        except Exception as error:
            self._gate.arrivals.put(error)

    def _trainer(self, request: dict[str, Any]) -> Trainer:
        config = settings(request)
        arguments = TrainingArguments(
            output_dir=request["output"],
            max_steps=_FOREVER,
            per_device_train_batch_size=request["micro_batch"],
            learning_rate=1e-4,
            weight_decay=config["optimizer"]["params"]["weight_decay"],
            adam_beta2=config["optimizer"]["params"]["betas"][1],
            lr_scheduler_type="constant",
            bf16=request["precision"] == "bf16",
            deepspeed=config,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        return Trainer(model=build_model(request), args=arguments, train_dataset=_Tokens(request), callbacks=[self._gate])


if __name__ == "__main__":
    held = Held()
    answers.serve({"build": held.build, "steps": held.steps})
