"""The bare loop: DeepSpeed, a model, tokens in memory, and nothing else. Its loss is the model's own, or comes from our loss head."""

import resource
import time
from typing import Any

import deepspeed
import torch
from torch import Tensor

from benchmarks import answers
from benchmarks.training import profiling
from benchmarks.training.building import batches, build_model, settings
from orchestrator.training.loss_head import LossHead


class Loop:
    """One rank of it, built by the first request."""

    def build(self, request: dict[str, Any]) -> None:
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # else it is compiled first, for 48 s
        deepspeed.init_distributed("gloo")
        model = build_model(request)
        self._engine, *_ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=settings(request))
        self._batches = batches(request)
        self._engine.eval()
        self._head = LossHead(model, lambda tokens, _: self._engine(input_ids=tokens, use_cache=False).logits, self._engine.device)
        self._engine.train()
        if request.get("compiles"):
            for layer in model.model.layers:  # one by one: the code of the first serves all
                layer.compile(dynamic=False)

    def steps(self, request: dict[str, Any]) -> list[float]:
        """Seconds of each step; one before them is not counted."""
        seconds = []
        for _ in range(request["steps"] + 1):
            began = time.perf_counter()
            self._step(request["head"])
            seconds.append(time.perf_counter() - began)
        return seconds[1:]

    def profile(self, request: dict[str, Any]) -> dict[str, float]:
        """Seconds a step by what they went into."""
        return profiling.seconds_by_kind(lambda: self._step(request["head"]), request["steps"], request["vocabulary"])

    def matmul(self, request: dict[str, Any]) -> float:
        """FLOP/s of the machine's own product of square bfloat16 matrices, in this process: the best of the sizes, the median of each."""
        return max(_square_rate(size, torch.bfloat16 if request["precision"] == "bf16" else torch.float32) for size in request["squares"])

    def peak_bytes(self, request: dict[str, Any]) -> int:
        """Of this process's memory, so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    def _step(self, head: bool) -> None:
        sequences = next(self._batches)
        self._engine.backward(self._head(sequences)[0] if head else self._own_loss(sequences[:, :-1]))
        self._engine.step()

    def _own_loss(self, tokens: Tensor) -> Tensor:
        return self._engine(input_ids=tokens, labels=tokens, use_cache=False).loss


def _square_rate(size: int, dtype: torch.dtype) -> float:
    left, right, out = (torch.ones(size, size, dtype=dtype) for _ in range(3))
    seconds = []
    while len(seconds) < 3 or sum(seconds) < 0.15:
        began = time.perf_counter()
        torch.mm(left, right, out=out)
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / sorted(seconds)[len(seconds) // 2]


if __name__ == "__main__":
    loop = Loop()
    answers.serve({"build": loop.build, "steps": loop.steps, "profile": loop.profile, "matmul": loop.matmul, "peak_bytes": loop.peak_bytes})
