"""The one door to wandb: a run there is opened, given what it is to show, and finished. It may raise anything, and may never return."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import ConfigError
from orchestrator.tracking.ledger import Alert, End
from orchestrator.tracking.lineage import Reference

_OPEN_SECONDS = 60
_SAMPLE_SECONDS = 30.0  # between W&B's own figures of the machine
_ANSWER_SECONDS = 5.0  # for what W&B says of all artifacts after it has finished; the answers are there, or never come


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What W&B knows a run by.

    Attributes:
        wandb_id, project, name, group, tags: the run's, in W&B.
        config: what is shown as its configuration.
        sources: names, whose held-out losses have a lowest value in the summary beside the last.
    """

    wandb_id: str
    project: str
    name: str
    group: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    sources: Sequence[str]


class WandbRun:
    """A run in W&B, open.

    Attributes:
        next_step: online, the first step that the service does not have; offline, 0.
    """

    def __init__(self, mode: Literal["offline", "online"], identity: Identity, *, directory: Path, watched: int | None) -> None:
        """
        Args:
            mode: `online` goes on with the service's run of that id, if it has one; `offline` writes another directory of it.
            identity: of the run.
            directory: the run directory; W&B writes below its `wandb`.
            watched: a process on this machine, of which and of which machine W&B samples its own figures; none: it does not.

        Raises:
            ConfigError: the key is missing or wrong, or the project's name is none.
            Exception: anything else that W&B raises.
        """
        os.environ.setdefault("WANDB_CACHE_DIR", str(directory / "wandb" / "cache"))  # its logs, too, stay with the run
        os.environ.setdefault("WANDB_DATA_DIR", str(directory / "wandb" / "data"))
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to its makers
        import wandb

        self._is_online = mode == "online"
        settings = wandb.Settings(
            init_timeout=_OPEN_SECONDS, disable_git=True, disable_code=True, save_code=False, console="off", silent=True,
            program="midtrain",  # else the path of a module, which has people's names in it
            x_disable_meta=True,  # the command line, the account, the paths
            x_disable_stats=watched is None, x_disable_machine_info=watched is None, x_save_requirements=False,
            x_stats_pid=watched or os.getpid(), x_stats_sampling_interval=_SAMPLE_SECONDS, x_stats_disk_paths=(str(directory),),
            x_skip_transaction_log=self._is_online,  # metrics.jsonl has it all
        )  # fmt: skip
        try:
            self._run = wandb.init(
                mode=mode, id=identity.wandb_id, resume="allow" if self._is_online else None, project=identity.project, name=identity.name,
                group=identity.group, tags=list(identity.tags) or None, dir=directory, config=dict(identity.config), settings=settings,
            )  # fmt: skip
        except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
            raise ConfigError(f"W&B refuses WANDB_API_KEY or tracking.project={identity.project}: {error}") from error
        self._sources, self._given = identity.sources, list[tuple[str, Any]]()
        self.next_step: int = self._run.starting_step

    def define(self) -> None:
        """Say how curves are drawn: over the step, and of held-out losses the lowest is kept beside the last."""
        self._run.define_metric("*", step_metric="step")
        for name in self._sources:  # by name: of two patterns that fit, W&B takes one
            self._run.define_metric(f"heldout/{name}", step_metric="step", summary="min,last")

    def log(self, line: Mapping[str, Any]) -> None:
        """Give it a line of metrics.jsonl; steps must rise."""
        self._run.log(dict(line), step=line["step"], commit=True)

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Put values into its summary, in the place of those that have the same names."""
        self._run.summary.update(dict(values))

    def show_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Put a table into its summary. Online, the service is asked first, and this waits up to 19 seconds for each of two answers."""
        import wandb

        self._run.summary.update({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    def give(self, reference: Reference) -> None:
        """Tell it of an artifact. Nothing is read at the place that the reference names, or sent from there, and nothing is waited for.

        `add_reference` would walk through a directory of files, and wants each store's own library; `use_artifact` waits for the service,
        and does not work offline. Both come down to the calls below.
        """
        import wandb
        from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry

        artifact = wandb.Artifact(reference.name, type=reference.kind, metadata=reference.metadata)
        artifact.manifest.add_entry(ArtifactManifestEntry(path=reference.kind, ref=reference.uri, digest=reference.digest))
        give = self._run._interface.deliver_artifact if self._is_online else self._run._interface.publish_artifact
        answer = give(self._run, artifact, ["latest", *reference.aliases], is_user_created=True, use_after_commit=reference.is_input)
        self._given.append((reference.key, answer))

    def alert(self, alert: Alert) -> None:
        """Tell people. W&B leaves out a second one with the same title within a minute."""
        self._run.alert(alert.title, alert.text, level=alert.level)

    def finish(self, end: End) -> None:
        """Wait until it has everything. Online it may drop lines with no more than a line in its log: see whether `next_step` has risen."""
        if end.is_preempted:
            self._run.mark_preempting()
        self._run.finish(exit_code=end.exit_code)

    def refused(self) -> dict[str, str]:
        """The keys of the artifacts that it was told of and has not taken, and why. It has finished."""
        until = time.monotonic() + _ANSWER_SECONDS
        return {key: why for key, answer in self._given if answer is not None and (why := _why_not(answer, until))}


def end_wandb() -> None:
    """End W&B's own process, so that the next run that is opened starts anew, whatever became of this one."""
    import wandb

    with suppress(Exception):
        wandb.teardown()


def _why_not(answer: Any, until: float) -> str | None:
    try:
        return answer.wait_or(timeout=until - time.monotonic()).response.log_artifact_response.error_message or None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
