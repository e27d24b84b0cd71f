"""What a rank holds of the trained state, whatever the ZeRO stage: parts of flattened parameters with what AdamW keeps of them.

A part is known by its parameter's name and its place in it, so that a state that was saved at one world size and ZeRO stage can be loaded
at any other. What is read and written here are attributes of DeepSpeed's optimisers; `tests/checkpoints/test_resharding.py` pins
them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

KINDS = ("weight", "exp_avg", "exp_avg_sq")  # the float32 weights, and AdamW's two moments
_MOMENTS = KINDS[1:]


@dataclass(frozen=True, slots=True)
class Span:
    """Elements `start` to `start + size` of a flattened parameter."""

    parameter: str
    start: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """A span and its values: for each of `KINDS` a (size,) float32 view of the live state."""

    span: Span
    values: tuple[Tensor, Tensor, Tensor]


class TrainedState:
    """A rank's share of the state. Together the ranks hold every element once."""

    def __init__(self, optimizer: Any, module: torch.nn.Module, *, stage: int, rank: int, world_size: int) -> None:
        """
        Args:
            optimizer: DeepSpeed's; torch's own at stage 0 in float32.
            module: the model.
            stage: of ZeRO.
            rank: of this process.
            world_size: ranks.
        """
        self._optimizer, self._stage, self._rank, self._world_size = optimizer, stage, rank, world_size
        self._names = {id(parameter): name for name, parameter in module.named_parameters()}
        self._trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._adam = getattr(optimizer, "optimizer", optimizer)
        masters = zip(getattr(optimizer, "fp16_groups", []), getattr(optimizer, "fp32_groups", []), strict=True) if stage == 0 else ()
        self._masters = {id(low): (low, master) for lows, group in masters for low, master in zip(lows, group, strict=True)}

    def fragments(self) -> Iterator[Fragment]:
        """This rank's fragments, always in the same order. What is written into one stays; each is to be used before the next is taken."""
        return {0: self._replicated, 1: self._flat, 2: self._flat, 3: self._partitioned}[self._stage]()

    @property
    def updates(self) -> int:
        """How many updates AdamW has made, which its bias correction depends on."""
        steps = [state["step"] for state in self._adam.state.values() if "step" in state]
        return int(steps[0]) if steps else 0

    def restore(self, updates: int) -> None:
        """Make the model's weights those of the fragments, once new values were written into all of them. A collective.

        Args:
            updates: that AdamW is to have made.
        """
        for state in self._adam.state.values():
            state["step"] = torch.full_like(state["step"], updates)
        for low, master in self._masters.values():
            low.data.copy_(master.data)
        if self._stage in (1, 2):
            self._optimizer.update_lp_params()
        elif self._stage == 3:
            self._restore_partitioned()

    def _replicated(self) -> Iterator[Fragment]:
        """Stage 0: every rank holds everything, and answers for an even share of it."""
        ends = list(accumulate(parameter.numel() for parameter in self._trained))
        first, last = (ends[-1] * rank // self._world_size for rank in (self._rank, self._rank + 1))
        for parameter, end in zip(self._trained, ends, strict=True):
            begin = end - parameter.numel()
            start, stop = max(first, begin), min(last, end)
            if start < stop:
                yield self._fragment(parameter, self._master(parameter), start - begin, stop - start, at=start - begin)

    def everything(self) -> Iterator[Fragment]:
        """What this rank must be given at a load: at stage 0 all of it."""
        if self._stage > 0:
            yield from self.fragments()
            return
        for parameter in self._trained:
            yield self._fragment(parameter, self._master(parameter), 0, parameter.numel(), at=0)

    def _master(self, parameter: Tensor) -> Tensor:
        """What AdamW updates at stage 0: the float32 weights of a bfloat16 parameter, or the parameter."""
        return self._masters[id(parameter)][1] if id(parameter) in self._masters else parameter

    def _flat(self) -> Iterator[Fragment]:
        """Stages 1 and 2: each group of parameters is one flat tensor, of which each rank has an even part."""
        for group, flat in zip(self._optimizer.bit16_groups, self._optimizer.single_partition_of_fp32_groups, strict=True):
            for parameter in group:
                if mapping := parameter._hp_mapping:
                    address = mapping.lp_fragment_address
                    yield self._fragment(parameter, flat, address.start, address.numel, at=mapping.hp_fragment_address.start)

    def _partitioned(self) -> Iterator[Fragment]:
        """Stage 3: of every parameter each rank has an even part, the last ones padded."""
        zero = self._optimizer
        for number, (group, flat) in enumerate(zip(zero.fp16_groups, zero.fp32_partitioned_groups_flat, strict=True)):
            swapped = zero._swappable_optimizer_subgroup(number)
            if swapped:
                zero._optimizer_states_and_gradient_swap_in(number)
            at = 0
            for parameter in group:
                part = parameter.partition_numel()
                start = self._rank * part
                if (size := min(part, parameter.ds_numel - start)) > 0:
                    yield self._fragment(parameter, flat, start, size, at=at)
                at += part
            if swapped:
                zero._optimizer_states_and_gradient_swap_out(number)

    def _fragment(self, parameter: Tensor, holder: Tensor, start: int, size: int, *, at: int) -> Fragment:
        """A fragment whose values begin at `at` in a tensor that AdamW updates and in what it keeps of that."""
        state = self._adam.state[holder]
        if not state:  # no update was made yet
            state["step"] = torch.zeros((), dtype=torch.float32, device=holder.device)
            state.update({moment: torch.zeros_like(holder.detach()) for moment in _MOMENTS})
        weight, first, second = (tensor.detach().view(-1).narrow(0, at, size) for tensor in (holder, *map(state.__getitem__, _MOMENTS)))
        return Fragment(Span(self._names[id(parameter)], start, size), (weight, first, second))

    def _restore_partitioned(self) -> None:
        zero = self._optimizer
        persistent: Sequence[Any] = zero.persistent_parameters  # small ones, which every rank holds whole
        if persistent:
            persistent[0].partition(persistent)
        for number in range(len(zero.fp16_groups)):
            if zero._swappable_optimizer_subgroup(number):
                zero._optimizer_states_and_gradient_swap_in(number)
            zero._reassign_or_swap_out_partitioned_parameters(number)
            if zero._swappable_optimizer_subgroup(number):
                zero._optimizer_states_and_gradient_swap_out(number)
        zero.checkpoint_event_epilogue()
