"""The one door to wandb: a run there is opened, given lines, and finished. It may raise anything, and may never return."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import ConfigError

_OPEN_SECONDS = 60


class WandbRun:
    """A run in W&B, open.

    Attributes:
        next_step: online, the first step that the service does not have; offline, 0.
    """

    def __init__(
        self, mode: Literal["offline", "online"], *, wandb_id: str, project: str, name: str, directory: Path, config: Mapping[str, Any]
    ) -> None:
        """
        Args:
            mode: `online` goes on with the service's run of that id, if it has one; `offline` writes another directory of it.
            wandb_id, project, name: the run's, in W&B.
            directory: the run directory; W&B writes below its `wandb`.
            config: the resolved configuration.

        Raises:
            ConfigError: the key is missing or wrong, or the project's name is none.
            Exception: anything else that W&B raises.
        """
        os.environ.setdefault("WANDB_CACHE_DIR", str(directory / "wandb" / "cache"))  # its logs, too, stay with the run
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to its makers
        import wandb

        online = mode == "online"
        settings = wandb.Settings(
            init_timeout=_OPEN_SECONDS, disable_git=True, disable_code=True, save_code=False, console="off", silent=True,
            x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True, x_save_requirements=False,
            x_skip_transaction_log=online,  # metrics.jsonl has it all
        )  # fmt: skip
        try:
            self._run = wandb.init(
                mode=mode, id=wandb_id, resume="allow" if online else None, project=project, name=name, dir=directory,
                config=dict(config), settings=settings,
            )  # fmt: skip
        except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
            raise ConfigError(f"W&B refuses WANDB_API_KEY or tracking.project={project}: {error}") from error
        self.next_step: int = self._run.starting_step

    def log(self, line: Mapping[str, Any]) -> None:
        """Give it a line of metrics.jsonl; steps must rise."""
        self._run.log(dict(line), step=line["step"], commit=True)

    def finish(self) -> None:
        """Wait until it has all lines. Online it may drop them with no more than a line in its log: see whether `next_step` has risen."""
        self._run.finish()


def end_wandb() -> None:
    """End W&B's own process, so that the next run that is opened starts anew, whatever became of this one."""
    import wandb

    with suppress(Exception):
        wandb.teardown()
