"""Signals that ask a process to stop: noted here, and acted on where stopping does no harm."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_noted: list[int] = []  # of this process, in its main thread


def name(number: int) -> str:
    """Such as SIGTERM."""
    return signal.Signals(number).name


def note_signals(names: Sequence[str]) -> None:
    """Have signals noted from now on, whoever handled them before, Ray included. Call it in the main thread.

    Args:
        names: without SIG; SIGINT is always one of them.
    """
    numbers = _numbers(names)
    for number in numbers:
        signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)  # `ray_node` starts Ray with some of them blocked


def ask_to_stop(number: int) -> None:
    """As if this process had got a signal."""
    _noted.append(number)


@contextmanager
def noting_signals(names: Sequence[str]) -> Iterator[None]:
    """Have signals noted within the context, in the main thread; what runs in another one has its main thread do that for all of them.

    One that was ignored before, as SIGHUP is under nohup, stays so.

    One that was blocked is not any more: Ray starts the entrypoints of its jobs with SIGINT blocked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [number for number in _numbers(names) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _note) for number in wanted}
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        _noted.clear()


def asked_to_stop() -> int:
    """The first signal that asked this process to stop; 0 when none has."""
    return _noted[0] if _noted else 0


def asked_to_hurry() -> bool:
    """Whether Ctrl-C came more than once."""
    return _noted.count(signal.SIGINT) > 1


def all_asked() -> Sequence[int]:
    """Every signal that asked this process to stop, in order."""
    return tuple(_noted)


def _numbers(names: Sequence[str]) -> list[int]:
    return sorted({signal.SIGINT, *(signal.Signals[f"SIG{name}"] for name in names)})


def _note(number: int, _: FrameType | None) -> None:
    _noted.append(number)
