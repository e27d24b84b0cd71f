"""What is measured of a data plane, inside its own process."""

import itertools
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.port import Mix, Peer
from benchmarks.rows import ROW, SEQUENCE_LENGTH, identify


def throughput(peer: Peer, folder: Path, mix: Mix, seconds: float) -> float:
    """Trained tokens a second of a loader that has started: neither its construction nor its first batch is counted.

    A run that ends before the time is up is begun anew, off the clock.

    Args:
        peer, folder, mix: what is measured.
        seconds: how long.

    Returns:
        Tokens a second.
    """
    spent, sequences = 0.0, 0
    while spent < seconds:
        batches = iter(peer.load(folder, mix))
        _check(next(batches), mix)
        began = now = time.perf_counter()
        until = began + seconds - spent
        for batch in batches:
            sequences += len(batch)
            now = time.perf_counter()
            if now >= until:
                break
        spent += now - began
    return sequences * SEQUENCE_LENGTH / spent


def _check(batch: object, mix: Mix) -> None:
    """A batch is whole and in memory of its own, not a promise of one."""
    tokens = np.asarray(batch)
    assert tokens.shape in {(mix.batch, ROW), (mix.batch, SEQUENCE_LENGTH)}, f"a batch of shape {tokens.shape}"
    assert not isinstance(batch, np.memmap) and tokens.strides[1] == tokens.itemsize, "a batch that is not copied yet"


def ids(peer: Peer, folder: Path, mix: Mix, steps: int) -> list[list[int]]:
    """The sequences of the first steps of a rank; fewer when its loader ends before."""
    return [identify(np.asarray(batch)).tolist() for batch in itertools.islice(peer.load(folder, mix), steps)]


@dataclass(frozen=True, slots=True)
class Saved:
    """An unbroken run: how many steps came before the state was saved, and the sequences of the steps after it."""

    steps: int
    after: list[list[int]]


@dataclass(frozen=True, slots=True)
class Resumed:
    """A resumed run: the time from nothing but the state to the first batch, and the sequences of its steps."""

    seconds: float
    after: list[list[int]]


def save(peer: Peer, folder: Path, mix: Mix, state: Path, more_steps: int) -> Saved:
    """Run to nine tenths of the run, save the loader's state, and go on for some steps."""
    loader = peer.load(folder, mix)
    batches = iter(loader)
    steps = sum(1 for _ in itertools.islice(batches, mix.steps * 9 // 10))
    state.write_bytes(pickle.dumps(loader.state(steps)))
    return Saved(steps, [identify(np.asarray(batch)).tolist() for batch in itertools.islice(batches, more_steps)])


def resume(peer: Peer, folder: Path, mix: Mix, state: Path, more_steps: int) -> Resumed:
    """Go on from a saved state in a process that has loaded nothing yet."""
    saved = pickle.loads(state.read_bytes())
    began = time.perf_counter()
    batches = iter(peer.load(folder, mix, saved))
    first = next(batches)
    seconds = time.perf_counter() - began
    rest = itertools.islice(batches, more_steps - 1)
    return Resumed(seconds, [identify(np.asarray(batch)).tolist() for batch in itertools.chain([first], rest)])
