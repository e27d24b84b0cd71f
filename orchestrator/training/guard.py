"""Which updates are not made: those whose loss leaps. The decision is the same on all ranks, and no rank waits for it."""

from collections.abc import Sequence

import torch
from torch import Tensor

_FEWEST = 16  # losses to compare with; before, nothing is a spike
_NARROWEST = 0.01  # of the median: what a spread is at least, so that a loss that hardly moves has no spikes
_MAD_TO_SIGMA = 1.4826  # of a normal distribution (Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", 1993)


class SpikeGuard:
    """Compares each update's loss with the median of the updates before it, in units of their median absolute deviation.

    All of it stays on the device: the answer is a factor of the loss that is NaN for a spike, so that the gradients are NaN and DeepSpeed
    throws the update away, as it does with every gradient that is not finite.
    """

    def __init__(self, *, window_steps: int, sigmas: float, device: torch.device, history: Sequence[float] = ()) -> None:
        """
        Args:
            window_steps: how many updates are looked back on.
            sigmas: how many deviations above the median a spike begins.
            device: of the losses.
            history: what an earlier guard gave out.
        """
        self._sigmas = sigmas
        self._losses = torch.full((window_steps,), torch.nan, dtype=torch.float64, device=device)
        self._losses[: len(history)] = torch.tensor(history, dtype=torch.float64)
        self._count = torch.tensor(len(history), device=device)
        self._is_spike = torch.tensor(False, device=device)

    def factor(self, loss: Tensor) -> Tensor:
        """Judge an update, and remember its loss when it is to be made.

        Args:
            loss: () its mean over all ranks, the same on each.

        Returns:
            () 1, or NaN when it is a spike.
        """
        loss = loss.detach().double()
        median = self._losses.nanmedian()
        deviation = (self._losses - median).abs().nanmedian() * _MAD_TO_SIGMA
        limit = median + self._sigmas * torch.maximum(deviation, _NARROWEST * median.abs())
        self._is_spike = (self._count >= min(_FEWEST, len(self._losses))) & (loss > limit)
        kept = ~self._is_spike & loss.isfinite()
        place = (self._count % len(self._losses)).unsqueeze(0)
        self._losses.index_copy_(0, place, torch.where(kept, loss, self._losses[place].squeeze(0)).unsqueeze(0))
        self._count += kept
        return torch.where(self._is_spike, torch.nan, 1.0)

    @property
    def was_spike(self) -> bool:
        """Whether the last update was one. Waits for the device."""
        return bool(self._is_spike)

    def history(self) -> list[float]:
        """The losses looked back on, oldest first. Waits for the device."""
        count, size = int(self._count), len(self._losses)
        return [float(loss) for loss in (self._losses[:count] if count <= size else self._losses.roll(-(count % size)))]
