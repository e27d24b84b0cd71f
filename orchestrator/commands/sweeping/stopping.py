"""`midtrain stop SWEEP`: its command has the trials save and begins no other; those that are jobs are stopped one by one."""

import time
from collections.abc import Sequence

from orchestrator.commands.console import Console
from orchestrator.commands.jobs import jobs_of
from orchestrator.commands.stopping import Asked, ask_to_stop, wait_until_stopped
from orchestrator.errors import InfrastructureError, OrchestratorError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.locks import is_held
from orchestrator.sweep.directory import SweepDirectory, read_trials
from orchestrator.sweep.stored import read_stored

_LOOK_SECONDS = 0.5
_BESIDE_GRACE_SECONDS = 90.0


def stop_sweep(sweep: SweepDirectory, console: Console, *, now: bool) -> None:
    """Stop a sweep.

    Args:
        sweep: its directory.
        console: told what is done.
        now: end jobs at once, without a save. A command that trains here has its trials save all the same.

    Raises:
        InfrastructureError: it has not stopped in its time, or a platform does not answer.
    """
    runs = [sweep.run(entry.trial_id) for entry in read_trials(sweep)]
    alive = [run for run, found in zip(runs, jobs_of(runs), strict=True) if found and found[1].is_alive]
    is_here = is_held(sweep.lock)
    if is_here:
        sweep.stop_request.touch()
    _stop_jobs(alive, console, now=now)
    if is_here:
        _wait(sweep, console)
    elif not alive:
        console.say(f"{sweep.root} is not running. Nothing was done.")


def _stop_jobs(runs: Sequence[RunDirectory], console: Console, *, now: bool) -> None:
    """Ask all of them, then wait for all of them: what one of them does keeps no other running.

    Raises:
        OrchestratorError: the first that could not be asked, or has not stopped.
    """
    errors: list[OrchestratorError] = []
    asked: list[Asked] = []
    for run in runs:
        try:
            if one := ask_to_stop(run, console, now=now):
                asked.append(one)
        except OrchestratorError as error:
            errors.append(error)
    for one in asked:
        try:
            wait_until_stopped(one, console)
        except OrchestratorError as error:
            errors.append(error)
    for other in errors[1:]:
        console.warn(str(other))
    if errors:
        raise errors[0]


def _wait(sweep: SweepDirectory, console: Console) -> None:
    seconds = read_stored(sweep).values["scheduling"]["preemption"]["grace_seconds"] + _BESIDE_GRACE_SECONDS
    console.note(f"{sweep.root} is asked to have its trials save and stop; it has {seconds:.0f} s. Ctrl-C ends the wait, not the request.")
    deadline = time.monotonic() + seconds
    while is_held(sweep.lock):
        if time.monotonic() > deadline:
            raise InfrastructureError(f"{sweep.root} has not stopped within {seconds:.0f} s. See `midtrain status {sweep.root}`.")
        time.sleep(_LOOK_SECONDS)
    console.say(f"{sweep.root} has stopped, and its trials are saved. Go on with: midtrain resume {sweep.root}")
