"""The id under which W&B knows a run: chosen once, the same for all its attempts."""

import secrets

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole


def wandb_id(run: RunDirectory) -> str:
    """A run's id in W&B, chosen at the first call. The driver makes that call, alone, before there are ranks."""
    if not run.wandb_id.exists():
        keep_wandb_id(run, secrets.token_hex(8))
    return run.wandb_id.read_text(encoding="ascii").strip()


def keep_wandb_id(run: RunDirectory, chosen: str) -> None:
    """Give a run an id: a new one, or the one that came with its checkpoint from another machine."""
    write_whole(run.wandb_id, f"{chosen}\n".encode())
