"""What a pod does before it is stopped: it asks the run's processes in it to save and stop, and waits until they are gone.

`python -m orchestrator.scheduling.leave`, as the preStop hook of a pod: Kubernetes stops Ray only when it has returned, or when the
grace period is over. One rank's wish is enough for all (`stopping.py`); the run's command, in the head's pod, leaves when they have left.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

from orchestrator.scheduling.processes import send

_LOOK_SECONDS = 0.2
_RUN = "MIDTRAIN_RUN"
_RANK = "ray::RankProcess"  # how Ray calls a rank's process


def processes_of_the_run() -> Iterator[psutil.Process]:
    """Ranks, and commands that supervise, of the run that MIDTRAIN_RUN names, as far as this process can see them."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            is_command = words[-1:] == ["job"] and any(word.endswith("/midtrain") for word in words)
            is_ours = process.environ().get(_RUN) == os.environ.get(_RUN) and process.status() != psutil.STATUS_ZOMBIE
            if is_ours and (is_command or (words and words[0].startswith(_RANK))):
                yield process


def leave() -> None:
    """Ask, and wait: for as long as the caller lets it."""
    asked = set()
    while processes := list(processes_of_the_run()):
        for process in processes:
            if process not in asked:
                asked.add(process)
                send(process, signal.SIGINT)  # of all signals, the one that is always heeded
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    leave()
