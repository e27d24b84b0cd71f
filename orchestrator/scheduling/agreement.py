"""What the ranks decide together at the end of a step, without waiting for each other."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import distributed


class Agreement:
    """Named wishes, each a small number: what any rank wishes for is agreed on by all at the same step, one step later.

    At the end of each step every rank sends its wishes into an all-reduce of their maximum and reads what the one of the step before has
    come to, which was under way while the step was made. So no step waits for it, on GPUs not even the host.
    """

    def __init__(self, device: torch.device, names: Sequence[str]) -> None:
        """
        Args:
            device: where the process group reduces.
            names: of the wishes, the same on every rank.
        """
        self._names, self._device = list(names), device
        self._wishes = dict.fromkeys(names, 0)
        self._under_way: _Reduction | None = None
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def wish(self, name: str, value: int = 1) -> None:
        """Wish for something, once; the largest value of all ranks counts. It is agreed on at the end of the step after this one."""
        self._wishes[name] = max(self._wishes[name], value)

    def exchange(self) -> dict[str, int]:
        """A collective, at the end of each step.

        Returns:
            What was wished for by the end of the step before, by name, 0 for what nobody wished; the same on every rank.
        """
        agreed = self.settle()
        values = [self._wishes[name] for name in self._names]
        self._wishes = dict.fromkeys(self._names, 0)
        self._under_way = _Reduction(values, self._device, self._stream)
        return agreed

    def settle(self) -> dict[str, int]:
        """What the last exchange has come to. Every rank calls it before it ends, so that none leaves while another reduces."""
        values = self._under_way.result() if self._under_way else [0] * len(self._names)
        self._under_way = None
        return dict(zip(self._names, values, strict=True))


class _Reduction:
    """An all-reduce under way."""

    def __init__(self, values: Sequence[int], device: torch.device, stream: Any) -> None:
        self._stream, self._done = stream, None
        if stream is None:
            self._values = torch.tensor(values, dtype=torch.int64, device=device)
            self._work = distributed.all_reduce(self._values, distributed.ReduceOp.MAX, async_op=True)
            return
        with torch.cuda.stream(stream):  # apart from the stream that trains, which would else wait for the slowest rank here
            reduced = torch.tensor(values, dtype=torch.int64).pin_memory().to(device, non_blocking=True)
            distributed.all_reduce(reduced, distributed.ReduceOp.MAX, async_op=True).wait()
            self._values = torch.empty(len(values), dtype=torch.int64, pin_memory=True)
            self._values.copy_(reduced, non_blocking=True)
            self._done = stream.record_event()

    def result(self) -> list[int]:
        if self._done is None:
            self._work.wait()
        else:
            self._done.synchronize()
        return [int(value) for value in self._values]
