"""What goes to W&B beside the lines: summary, alerts, the plan's table, artifacts. Whatever becomes of it, the lines go on."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.checkpoints.store import DamagedError, committed_directories, open_checkpoint
from orchestrator.config.schema import Config
from orchestrator.config.secrets import without_secrets
from orchestrator.mixture.plan import Plan
from orchestrator.mixture.summary import summarise
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.tracking.ledger import Line, alerts, num_attempts, rank_hours
from orchestrator.tracking.lineage import Reference, checkpoint_reference, inputs_of, is_kept
from orchestrator.tracking.sent import Sent
from orchestrator.tracking.summary import coordinates, plan_table
from orchestrator.tracking.wandb_id import wandb_id
from orchestrator.tracking.wandb_run import WandbRun

_LOOK_EVERY_SECONDS = 30.0  # for new checkpoints
_MOST_SAID = 3
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrored:
    """A run that is mirrored.

    Attributes:
        run: its directory.
        config: of the run.
        plan: of the run; none: it was never planned.
        sources: the rows of the plan's summary.
    """

    run: RunDirectory
    config: Config
    plan: Plan | None
    sources: Sequence[dict[str, Any]]


def mirrored(run: RunDirectory, config: Config, plan: Plan | None) -> Mirrored:
    """A run, and its plan's summary, which takes a while for a long plan."""
    return Mirrored(run=run, config=config, plan=plan, sources=summarise(plan)["sources"] if plan else [])


class Extras:
    """What goes beside the lines while W&B is open. Each thing is tried once; what fails is told at the end, and is tried when W&B is
    opened the next time."""

    def __init__(self, of: Mirrored, target: WandbRun, sent: Sent, *, with_artifacts: bool) -> None:
        """
        Args:
            of: the run.
            target: open.
            sent: what W&B has had before.
            with_artifacts: whether W&B is told of artifacts and the table.
        """
        self._of, self._target, self._sent, self._with_artifacts = of, target, sent, with_artifacts
        self._tried = set[str]()
        self._seen = set[Path]()
        self._failed: dict[str, str] = {}
        self._look_at = 0.0

    def bring(self, ledger: Sequence[Line], lines: Sequence[Line], *, is_last: bool) -> None:
        """Bring what is new.

        Args:
            ledger: the lines of attempts.jsonl.
            lines: of metrics.jsonl that W&B was given since the last call.
            is_last: whether nothing comes after.
        """
        is_first = self._look_at == 0.0
        if is_first or is_last or any(key.startswith("heldout/") for line in lines for key in line):
            self._try("summary", lambda: self._summarise(ledger, None if is_last else datetime.now(UTC)))
        for alert in alerts(ledger, self._of.config.run.name):
            self._once(f"alert/{alert.attempt}", partial(self._target.alert, replace(alert, text=without_secrets(alert.text, os.environ))))
        if is_last or time.monotonic() > self._look_at:
            self._look_at = time.monotonic() + _LOOK_EVERY_SECONDS
            if self._with_artifacts:
                self._bring_artifacts(is_first=is_first)

    def settle(self) -> list[str]:
        """Keep what W&B has taken, once it has finished.

        Returns:
            What it has not taken, with the reasons of the first of it.
        """
        refused = self._failed | self._target.refused()
        if not self._with_artifacts:
            refused["artifacts"] = "left out, as W&B had failed before"
        self._sent.add(self._tried - refused.keys())
        said = [f"{key}: {' '.join(why.split())}" for key, why in refused.items()]
        return [*said[:_MOST_SAID], *([f"{len(said) - _MOST_SAID} more"] if len(said) > _MOST_SAID else [])]

    def _summarise(self, ledger: Sequence[Line], now: datetime | None) -> None:
        where = coordinates(self._of.sources, read_lines(self._of.run.heldout), read_lines(self._of.run.probes)) if self._of.plan else {}
        self._target.summarise({**where, "attempts": num_attempts(ledger), "gpu_hours": rank_hours(ledger, now)})

    def _bring_artifacts(self, *, is_first: bool) -> None:
        if self._of.plan and is_first:
            self._try("inputs", partial(self._give_inputs, self._of.plan))
        self._try("checkpoints", self._give_checkpoints)
        if self._of.plan and is_first:  # last, as W&B waits for the service
            columns, rows = plan_table(self._of.sources)
            self._once(f"plan/{self._of.plan.fingerprint}", partial(self._target.show_table, "plan", columns, rows))

    def _give_inputs(self, plan: Plan) -> None:
        for reference in inputs_of(self._of.config, plan):
            self._give(reference)

    def _give_checkpoints(self) -> None:
        home, run = self._of.config.checkpoints.second_home, self._of.run
        for directory in committed_directories(run.checkpoints):
            if directory in self._seen:
                continue
            try:
                checkpoint = open_checkpoint(directory)
            except DamagedError:
                continue  # the ranks set it aside
            self._seen.add(directory)
            if is_kept(checkpoint):
                self._give(checkpoint_reference(checkpoint, wandb_id=wandb_id(run), second_home=home))

    def _give(self, reference: Reference) -> None:
        self._once(reference.key, partial(self._target.give, reference))

    def _once(self, key: str, action: Callable[[], None]) -> None:
        if key not in self._sent and key not in self._tried:
            self._tried.add(key)
            self._try(key, action)

    def _try(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
            self._failed.pop(what, None)
        except Exception as error:  # W&B's own, and those of disks: neither is to hold up the lines
            _LOG.exception("%s does not go to W&B", what)
            self._failed[what] = without_secrets(f"{type(error).__name__}: {error}", os.environ)
