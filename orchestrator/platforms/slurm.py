"""Slurm: one batch script a submission, for a run or for an array of runs."""

import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError, InfrastructureError, OrchestratorError
from orchestrator.platforms.job import Job, JobState, check_mounts, check_shared
from orchestrator.platforms.settings import ContainerSettings, SlurmSettings, seconds_of
from orchestrator.platforms.slurm_client import SilentError, ask, tell
from orchestrator.platforms.slurm_partitions import check_partition, read_nodes
from orchestrator.platforms.slurm_states import ACCOUNTED, NAMED, QUEUED, read_accounted, read_queued
from orchestrator.platforms.submissions import newest_submission
from orchestrator.platforms.templates import kept_template, render
from orchestrator.runs.attempts import failed_hosts, read_status
from orchestrator.runs.directory import RunDirectory

SCRIPT = "job.sh"
_TRIES = 3
_SUBMIT_SECONDS = 120.0
_FIND_AGAIN_SECONDS = (1.0, 5.0, 15.0, 30.0)
_LATE_SECONDS = 30  # signals before the time limit come up to this late,
_EARLY_SECONDS = 60  # and up to this early


class Slurm:
    """The cluster that the Slurm commands on the PATH belong to."""

    has_arrays = True

    def check_settings(self, job: Job) -> None:
        settings: SlurmSettings = job.settings
        _check_times(job, settings)
        for run in job.runs:
            if set("%\\") & set(str(run.root)):
                raise ConfigError(
                    f"run.dir={run.root} has a % or a backslash in it, which Slurm gives a meaning of its own. Choose another."
                )
        if settings.container:
            check_mounts(job.paths, settings.container.mounts)

    def check(self, job: Job) -> None:
        is_elsewhere = _node_names() != {socket.gethostname().partition(".")[0]}
        check_shared([*job.paths, *_python(job.settings)], job.settings.shared_paths, is_elsewhere=is_elsewhere)
        check_partition(read_nodes(ask("sinfo", "--all", "--noheader", "--exact", "--format=%R|%a|%l|%D|%c|%G")), job)
        try:
            ask("sbatch", "--test-only", text=self.render(job)[SCRIPT])
        except ConfigError as refusal:
            if not (failed := _failed_nodes(job)):
                raise
            raise ConfigError(
                f"{refusal} Excluded, because ranks failed alone there in the job before: {', '.join(sorted(failed))}; "
                f"launch.exclude_failed=false takes them back."
            ) from None

    def render(self, job: Job) -> dict[str, str]:
        return {SCRIPT: render(job.settings.template, _values(job, job.settings))}

    def own(self, job: Job) -> None:
        """They are run by whoever makes them."""

    def submit(self, job: Job, file: Path) -> str:
        for again in range(_TRIES):
            try:
                said = tell("sbatch", "--parsable", str(file), seconds=_SUBMIT_SECONDS)
                if number := _number(said) or self._find_patiently(job.key):
                    return number
                raise InfrastructureError(f"sbatch said {said.strip()[:200]!r}, which is no job's number, and no job has key {job.key}.")
            except SilentError:  # it may have the job, or be about to
                if found := self._find_patiently(job.key):
                    return found
                if again + 1 == _TRIES:
                    raise
        raise AssertionError

    def _find_patiently(self, key: str) -> str | None:
        for pause in _FIND_AGAIN_SECONDS:
            time.sleep(pause)
            if found := self.find(key):
                return found
        return None

    def find(self, key: str) -> str | None:
        for line in ask("squeue", "--noheader", "--states=all", "--format=%F|%k").splitlines():
            number, _, comment = line.partition("|")
            if comment.strip() == key:
                return number
        return None

    def look(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        try:
            known = _queued(jobs)
        except OrchestratorError as error:
            return dict.fromkeys(jobs, JobState(phase="unknown", why=str(error)))
        ended = {job: key for job, key in jobs.items() if job not in known}
        return known | (_accounted(ended) if ended else {})

    def cancel(self, job: str, key: str) -> None:
        if job in _queued({job: key}):
            ask("scancel", job)

    def kept(self, settings: SlurmSettings) -> SlurmSettings:
        """With the template's own place."""
        return replace(settings, template=kept_template(settings.template))


def _number(said: str) -> str | None:
    """Of a job, from what sbatch says; a site's own wrapper of it may say more."""
    lines = [line.strip().partition(";")[0] for line in said.splitlines()]
    return next((line for line in reversed(lines) if line.isdigit()), None)


def _python(settings: SlurmSettings) -> Iterator[tuple[str, str]]:
    """The environment that this command runs in, which is the jobs', too, unless the profile may bring another."""
    if settings.container is None and not settings.setup:
        yield "the Python environment", sys.prefix


def _check_times(job: Job, settings: SlurmSettings) -> None:
    if "USR1" not in job.scheduling.preemption.signals:
        raise ConfigError("scheduling.preemption.signals has no USR1, by which the batch script asks the run to save and stop. Add it.")
    limit, before, grace = seconds_of(settings.time_limit), settings.stop_before_seconds, job.scheduling.preemption.grace_seconds
    if before < grace + _LATE_SECONDS:
        raise ConfigError(
            f"launch.stop_before_seconds={before} is less than scheduling.preemption.grace_seconds={grace:g} and the {_LATE_SECONDS} s "
            f"that Slurm's signals can be late. Set it to {grace + _LATE_SECONDS:g} or more."
        )
    least = before + _EARLY_SECONDS + job.first_checkpoint_seconds
    if limit <= least:
        raise ConfigError(
            f"launch.time_limit={settings.time_limit} is {limit:,} s, and the run is asked to stop {before:,} s before its end, or up to "
            f"{_EARLY_SECONDS} s earlier, as Slurm's signals are. It might not come to its first checkpoint, "
            f"{job.first_checkpoint_seconds:,.0f} s after its start. Set it to more than "
            f"{least:,.0f} s, or lower checkpoints.insurance_minutes or launch.stop_before_seconds."
        )


def _values(job: Job, settings: SlurmSettings) -> dict[str, Any]:
    shape = job.shape
    last = len(job.runs) - 1
    gres = f"{settings.gres}:{shape.gpus_per_node}" if settings.gres and shape.gpus_per_node else None
    return {
        "name": job.name,
        "number": job.number,
        "profile": job.profile,
        "key": job.key,
        "job_name": f"{NAMED}{job.name}",
        "output": str(job.runs[0].launch / str(job.number) / f"%{'A_%a' if last else 'j'}.out"),
        "nodes": shape.nodes,
        "ranks_per_node": shape.ranks_per_node,
        "cpus_per_node": settings.cpus_per_node,
        "gpus_per_node": shape.gpus_per_node,
        "memory_per_node": settings.memory_per_node,
        "gres": gres,
        "time_limit": settings.time_limit,
        "signal": f"B:USR1@{settings.stop_before_seconds}",
        "options": dict(_options(job, settings)),
        "runs": [str(run.root) for run in job.runs],
        "array": f"0-{last}" + (f"%{settings.at_once}" if settings.at_once else ""),
        "bin": None if settings.container else str(Path(sys.executable).parent),
        "environment": settings.environment,
        "setup": settings.setup,
        "container": settings.container is not None,
        "pyxis": _pyxis(settings.container),
        "apptainer": _apptainer(settings.container, with_gpus=shape.gpus_per_node > 0),
        "max_restarts": settings.max_restarts,
    }


_TMP = "/tmp:/tmp"  # Ray's sockets are there, and the driver's step must see those of the head's


def _pyxis(container: ContainerSettings | None) -> list[str]:
    """Options of srun."""
    if container is None or container.runtime != "pyxis":
        return []
    return [f"--container-image={container.image}", f"--container-mounts={','.join([_TMP, *container.mounts])}"]


def _apptainer(container: ContainerSettings | None, *, with_gpus: bool) -> list[str]:
    """The words before a command."""
    if container is None or container.runtime != "apptainer":
        return []
    return ["apptainer", "exec", *(["--nv"] if with_gpus else []), f"--bind={','.join([_TMP, *container.mounts])}", container.image]


def _options(job: Job, settings: SlurmSettings) -> Iterator[tuple[str, str]]:
    for option in ("partition", "account", "qos", "constraint", "reservation"):
        if value := getattr(settings, option):
            yield option, value
    if exclude := sorted({*settings.exclude, *_failed_nodes(job)}):
        yield "exclude", ",".join(exclude)
    if waited_for := [name for place in settings.after if (name := _job_before(RunDirectory(Path(place))))]:
        yield "dependency", "afterok:" + ":".join(waited_for)


def _failed_nodes(job: Job) -> set[str]:
    """Nodes on which ranks of these runs failed so often that they are not to be used again, by the names that Slurm has for them."""
    failed = {
        host
        for run in job.runs
        for host, count in failed_hosts(run, read_status(run).job or "").items()
        if count >= job.scheduling.exclude_node_after
    }
    if not failed or not job.settings.exclude_failed:
        return set()
    try:
        known = _node_names()
    except OrchestratorError:  # nothing is submitted now, or the submission fails in its turn
        return failed
    return {name for host in failed for name in (host, host.partition(".")[0]) if name in known}


def _node_names() -> set[str]:
    return set(ask("sinfo", "--all", "--noheader", "--Node", "--format=%N").split())


def _job_before(run: RunDirectory) -> str | None:
    """The job of a run that must be done before; none when it is."""
    if read_status(run).state == "finished":
        return None
    submission = newest_submission(run)
    if submission is None or submission.platform != "slurm" or submission.job is None:
        raise ConfigError(f"launch.after={run.root} is neither finished nor launched on Slurm. Launch it first.")
    return submission.job


def _queued(jobs: Mapping[str, str]) -> dict[str, JobState]:
    """Those that the controller knows: jobs that wait or run, and for some minutes those that have ended."""
    try:
        said = ask("squeue", f"--jobs={','.join(jobs)}", "--array", "--noheader", "--states=all", f"--format={QUEUED}")
    except ConfigError as refusal:  # when it knows none of them
        if "Invalid job id" in str(refusal):
            return {}
        raise
    return read_queued(said, jobs)


def _accounted(jobs: Mapping[str, str]) -> dict[str, JobState]:
    """Those that the controller has forgotten, as far as there is accounting."""
    gone = dict.fromkeys(jobs, JobState(phase="gone", why="Slurm does not know it any more"))
    try:
        said = ask("sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={','.join(jobs)}", f"--format={ACCOUNTED}")
    except OrchestratorError:
        return gone
    return gone | {job: state for job, state in read_accounted(said, jobs).items() if job in gone}
