"""Which checkpoint a run goes on from: the newest whose every byte is as it was committed. Damaged ones are set aside, not deleted."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.checkpoints.ranks import Ranks, from_rank_zero
from orchestrator.checkpoints.store import COMMIT, Checkpoint, DamagedError, committed_directories, open_checkpoint, verify
from orchestrator.errors import CheckpointError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import sync_directory
from orchestrator.runs.lines import read_lines

_SET_ASIDE = "damaged_"


def newest_verified(run: RunDirectory, ranks: Ranks, on_damage: Callable[[str, Path], None]) -> Checkpoint | None:
    """Find the checkpoint to go on from. A collective: each rank reads a share of the files.

    Args:
        run: its directory.
        ranks: all of them.
        on_damage: told on rank 0 of each checkpoint that is damaged: why, and where it was put.

    Returns:
        The newest one that is whole; none when none was ever committed.

    Raises:
        CheckpointError: there were some, and none is left that is whole.
    """

    def set_aside(directory: Path, why: str) -> None:
        on_damage(why, quarantine(directory))

    def candidate() -> Checkpoint | None:
        for directory in reversed(committed_directories(run.checkpoints)):
            try:
                return open_checkpoint(directory)
            except DamagedError as error:
                set_aside(directory, str(error))
        refuse_fresh_start(run)
        return None

    while checkpoint := from_rank_zero(ranks, candidate):
        damage = [why for why in ranks.gather(_damage(checkpoint, ranks)) if why]
        if not damage:
            return checkpoint
        from_rank_zero(ranks, lambda c=checkpoint, why=damage[0]: set_aside(c.directory, why))  # type: ignore[misc]
    return None


def open_verified(directory: Path, ranks: Ranks) -> Checkpoint:
    """Open one checkpoint that must be whole. A collective: each rank reads a share of the files.

    Raises:
        DamagedError: it is not, or there is none.
    """
    checkpoint = from_rank_zero(ranks, lambda: open_checkpoint(directory))
    if damage := [why for why in ranks.gather(_damage(checkpoint, ranks)) if why]:
        raise DamagedError(f"{damage[0]}. Take another one, or set model.start_from to null.")
    return checkpoint


def quarantine(directory: Path) -> Path:
    """Take a checkpoint out of the way, whole, for whoever wants to look at it.

    Returns:
        Where it is now.
    """
    taken = len(list(directory.parent.glob(f"{_SET_ASIDE}{directory.name}*")))
    target = directory.with_name(f"{_SET_ASIDE}{directory.name}" + (f".{taken + 1}" if taken else ""))
    directory.rename(target)
    sync_directory(directory.parent)
    return target


def refuse_fresh_start(run: RunDirectory) -> None:
    """Make sure that a run without a checkpoint never had one.

    Raises:
        CheckpointError: it had.
    """
    saved = [line["step"] for line in read_lines(run.events) if line["event"] == "saved"]
    if saved or any(run.checkpoints.glob(f"{_SET_ASIDE}*")):
        last = f" of step {saved[-1]:,}" if saved else ""
        raise CheckpointError(
            f"no checkpoint in {run.checkpoints} is whole, and there was one{last}: a run is never begun again in silence. Bring one back "
            f"as step_… with its {COMMIT} (damaged ones are set aside there as {_SET_ASIDE}…), or start a new run."
        )


def _damage(checkpoint: Checkpoint, ranks: Ranks) -> str | None:
    try:
        verify(checkpoint, share=ranks.rank, shares=ranks.world_size)
    except DamagedError as error:
        return str(error)
    return None
