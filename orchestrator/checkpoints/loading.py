"""From a checkpoint into the ranks that are there now, at whatever world size and ZeRO stage each of the two was made."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from orchestrator.checkpoints.ranks import Ranks
from orchestrator.checkpoints.state_file import Holders, RankState, StateReader, bits_sum, holders_of, read_spans, state_path
from orchestrator.errors import CheckpointError
from orchestrator.training.fragments import KINDS, TrainedState

_MODULUS = 1 << 64


def load_state(directory: Path, manifest: Mapping[str, Any], state: TrainedState, ranks: Ranks) -> None:
    """Fill the state. A collective.

    A rank that holds now what a rank of its number held then reads that file alone. Else the ranks look up together which file holds what,
    and each reads the pieces that it needs, a few files open at a time.

    Args:
        directory: the checkpoint, its bytes verified.
        manifest: its manifest.
        state: of this rank.
        ranks: all of them.

    Raises:
        CheckpointError: it lacks a part of what is trained now, or what arrived is not what was saved.
    """
    wanted = [fragment.span for fragment in state.everything()]
    own = directory / state_path(ranks.rank)
    is_same = own.is_file() and read_spans(own) == wanted
    holders: Holders = {span.parameter: [(span, ranks.rank)] for span in wanted}
    if not all(ranks.gather(is_same)):
        holders = _holders(directory, manifest["world_size"], ranks)
    missing = _fill(state, StateReader(directory, holders))
    if lacking := [name for names in ranks.gather(missing) for name in names]:
        raise CheckpointError(
            f"{directory} does not hold all of what is trained now, such as {lacking[0]}: it is of another model, or of other adapters. "
            f"Set model.path and training.lora back in config.yaml."
        )
    state.restore(manifest["updates"])
    _check(directory, manifest["checksums"], state, ranks)


def host_copy(state: TrainedState, into: torch.Tensor | None = None) -> RankState:
    """This rank's part of the state, copied to host memory.

    Args:
        state: of this rank.
        into: (len(KINDS), n) float32 host memory to copy to, of an earlier copy; none: new memory.
    """
    spans, at = [], 0
    buffer = into if into is not None else _host_memory(state)
    for fragment in state.fragments():
        for row, values in zip(buffer, fragment.values, strict=True):
            row[at : at + fragment.span.size].copy_(values)
        spans.append(fragment.span)
        at += fragment.span.size
    return RankState(spans, buffer[:, :at].numpy())


def _host_memory(state: TrainedState) -> torch.Tensor:
    size = sum(fragment.span.size for fragment in state.fragments())
    return torch.empty(len(KINDS), size, dtype=torch.float32, pin_memory=torch.cuda.is_available())


def _holders(directory: Path, world_size: int, ranks: Ranks) -> Holders:
    """Which file holds what, the headers read by all ranks together."""
    mine = [(rank, read_spans(directory / state_path(rank))) for rank in range(ranks.rank, world_size, ranks.world_size)]
    return holders_of(entry for found in ranks.gather(mine) for entry in found)


def _fill(state: TrainedState, reader: StateReader) -> list[str]:
    """Read everything; the parameters of which some part is not there."""
    missing = []
    with closing(reader):
        for fragment in state.everything():
            filled = 0
            for at, values in reader.read(fragment.span):
                size = values.shape[1]
                for target, row in zip(fragment.values, values, strict=True):
                    target[at : at + size].copy_(torch.from_numpy(row))
                filled += size
            if filled != fragment.span.size:
                missing.append(fragment.span.parameter)
    return missing


def _check(directory: Path, saved: Mapping[str, int], state: TrainedState, ranks: Ranks) -> None:
    """The sums over all ranks of the parameters' and moments' bits are those of the save."""
    mine = [0] * len(KINDS)
    for fragment in state.fragments():
        mine = [total + bits_sum(values.cpu().numpy()) for total, values in zip(mine, fragment.values, strict=True)]
    for kind, *sums in zip(KINDS, *ranks.gather(mine), strict=True):
        if sum(sums) % _MODULUS != saved[kind]:
            raise CheckpointError(
                f"{directory}: its files are as they were written, and after loading them {kind} is not what was saved. This machine's "
                f"memory, or midtrain, is at fault: resume on another machine, and report it if that does not help."
            )
