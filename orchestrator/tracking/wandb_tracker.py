"""Weights & Biases, the mirror. Whatever it does, training goes on: its first failure is told once and turns it off."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

_LOG = logging.getLogger(__name__)


class WandbTracker:
    """One run in W&B, or none."""

    def __init__(
        self, mode: Literal["off", "offline", "online"], *, project: str, name: str, directory: Path, config: Mapping[str, Any]
    ) -> None:
        """
        Args:
            mode: `off` tracks nothing.
            project: in W&B.
            name: the run's.
            directory: the run directory; W&B writes below its `wandb`.
            config: the resolved configuration.
        """
        self._run: Any = None
        if mode != "off":
            self._guarded(lambda: self._start(mode, project, name, directory, config))

    def log(self, record: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._guarded(lambda: self._run.log(dict(record), step=record["step"]))

    def finish(self) -> None:
        if self._run is not None:
            self._guarded(lambda: self._run.finish())

    def _start(self, mode: Literal["offline", "online"], project: str, name: str, directory: Path, config: Mapping[str, Any]) -> None:
        import wandb

        os.environ.setdefault("WANDB_CACHE_DIR", str(directory / "wandb" / "cache"))  # its logs, too, stay with the run
        settings = wandb.Settings(init_timeout=60, disable_git=True, disable_code=True, save_code=False, console="off", silent=True)
        self._run = wandb.init(mode=mode, project=project, name=name, dir=directory, config=dict(config), settings=settings)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # whatever the tracker raises, the run must not end by it
            self._run = None
            _LOG.warning("W&B is off for the rest of this attempt: %s: %s. metrics.jsonl has everything.", type(error).__name__, error)
