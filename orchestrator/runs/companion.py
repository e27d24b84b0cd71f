"""A process beside a run. Its command starts it, nothing of the run waits for it, and it is gone soon after the command is.

A pipe ties the two. When it closes, because the command asks for the end or because it is dead, the companion has some seconds left, as
many as were written there or else as it was told before, and then ends itself, whatever it waits for.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from orchestrator.config.secrets import without_secrets
from orchestrator.errors import InfrastructureError, OrchestratorError

_MARGIN_SECONDS = 3.0  # a companion ends itself when its time is over


def start_companion(module: str, words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a companion.

    Args:
        module: its `main` calls `be_companion`.
        words: its arguments.
        log: gets all that it prints.

    Raises:
        OSError: there is no process or no disk to be had.
    """
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *words], stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )


def finish_companion(companion: subprocess.Popen[bytes], seconds: float, kill: Callable[[], None]) -> int:
    """Ask a companion to finish, and wait.

    Args:
        companion: running, or ended by itself.
        seconds: how long it may take; a signal that asks this process to stop ends the wait, too.
        kill: ends it at once, with all that it has started.

    Returns:
        0: it has done everything; else its exit code.
    """
    assert companion.stdin is not None
    with suppress(OSError):  # it has ended already
        companion.stdin.write(str(seconds).encode())
        companion.stdin.close()
    with _impatient(kill):
        try:
            companion.wait(seconds + _MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            kill()
        finally:
            code = companion.wait()
    return code


def kill_group(companion: subprocess.Popen[bytes]) -> None:
    """End a companion and its process group at once."""
    with suppress(ProcessLookupError):
        os.killpg(companion.pid, signal.SIGKILL)


def last_words(log: Path, code: int) -> str:
    """What a companion says of its end.

    Args:
        log: of its own.
        code: its exit code.
    """
    words = "its process was killed" if code < 0 else "for no reason that it has written down"
    with suppress(OSError, IndexError):
        words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1] if code > 0 else words
    return f"{words} ({log})."


def be_companion(seconds: float, asked: threading.Event, give_up: Callable[[float], None]) -> None:
    """Make this process a companion: signals do not end it, its log has no secrets, and it does not outlive its time.

    Args:
        seconds: it has these if its command dies.
        asked: is set when it is to finish.
        give_up: called with the seconds that it had, when they are over; it ends the process.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # a batch system sends them to all; the command decides
        signal.signal(number, signal.SIG_IGN)
    handler = logging.StreamHandler()
    handler.setFormatter(_Discreet("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])

    def wait_for_the_end() -> None:
        granted = float(sys.stdin.buffer.read() or seconds)  # ends with the command, however that ends
        asked.set()
        time.sleep(granted)
        give_up(granted)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


def leave(error: Exception | None) -> NoReturn:
    """End this process at once, whatever its threads wait for. The last line of its log is what people are told."""
    if error:
        print(without_secrets(f"{type(error).__name__}: {' '.join(str(error).split())}", os.environ), file=sys.stderr, flush=True)
    os._exit(0 if error is None else error.exit_code if isinstance(error, OrchestratorError) else InfrastructureError.exit_code)


@contextmanager
def _impatient(kill: Callable[[], None]) -> Iterator[None]:
    """A signal that asks to stop ends the wait, not the command: training has ended, and how is in its exit code."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: kill()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Discreet(logging.Formatter):
    """Lines without the secrets of the environment."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record), os.environ)
