"""The command's side of the uploader: it is started, asked to finish, waited for a while, and ended. The run is as it would be without."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.config.operation import CheckpointsConfig
from orchestrator.errors import InfrastructureError, InterruptedRunError
from orchestrator.runs.companion import finish_companion, kill_group, last_words, start_companion
from orchestrator.runs.directory import RunDirectory
from orchestrator.second_home.home import SecondHome

_MODULE = "orchestrator.second_home.uploader"
_ORPHAN_SECONDS = 30.0  # when the command is killed; the next one's uploader finishes what this one has begun


@contextmanager
def uploading(
    run: RunDirectory, checkpoints: CheckpointsConfig, warn: Callable[[str], None], *, preempted_seconds: float
) -> Iterator[None]:
    """Copy a run's checkpoints to its second home, if it has one, for as long as the context lasts.

    Args:
        run: its directory, in which its W&B id is chosen.
        checkpoints: of its configuration.
        warn: told what the second home lacks at the end.
        preempted_seconds: how long a run that is asked to stop waits for it at most.

    Raises:
        ConfigError: the second home cannot be opened, whatever its state.
    """
    if checkpoints.second_home is None:
        yield
        return
    open_home(checkpoints)
    behind = f"The run is not affected. Copy the rest with: midtrain sync {run.root}"
    patience_seconds = checkpoints.finish_upload_seconds
    try:
        uploader = start_companion(_MODULE, [str(run.root), str(min(patience_seconds, _ORPHAN_SECONDS))], run.upload_log)
    except OSError as error:
        warn(f"{checkpoints.second_home} gets nothing: {error}. {behind}")
        yield
        return
    try:
        yield
    except InterruptedRunError:
        patience_seconds = min(patience_seconds, preempted_seconds)
        raise
    finally:
        if code := finish_companion(uploader, patience_seconds, lambda: kill_group(uploader)):
            warn(f"The second home is behind: {last_words(run.upload_log, code)} {behind}")


def upload_all(run: RunDirectory, *, seconds: float) -> None:
    """Copy what the second home lacks of a run that has stopped.

    Raises:
        InfrastructureError: it has not taken everything in time.
    """
    uploader = start_companion(_MODULE, [str(run.root), str(seconds)], run.upload_log)
    if code := finish_companion(uploader, seconds, lambda: kill_group(uploader)):
        raise InfrastructureError(f"The second home is behind: {last_words(run.upload_log, code)} Run it again; whole files are kept.")


def open_home(checkpoints: CheckpointsConfig) -> SecondHome:
    """A run's second home, of which nothing is asked.

    Raises:
        ConfigError: fsspec knows no such protocol, or a package is missing.
    """
    assert checkpoints.second_home is not None
    return SecondHome(checkpoints.second_home, answer_seconds=checkpoints.answer_seconds)
