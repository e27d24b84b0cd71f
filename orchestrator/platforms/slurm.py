"""Slurm: one batch script a submission, for a run or for an array of runs."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.platforms.job import Job, JobState, check_shared
from orchestrator.platforms.settings import SlurmSettings, seconds_of
from orchestrator.platforms.slurm_client import SilentError, ask, tell
from orchestrator.platforms.slurm_partitions import check_partition, read_nodes
from orchestrator.platforms.submissions import newest_submission
from orchestrator.platforms.templates import render
from orchestrator.runs.attempts import failed_hosts
from orchestrator.runs.directory import RunDirectory

SCRIPT = "job.sh"
_TRIES = 3
_LATE_SECONDS = 30  # signals before the time limit come up to this late
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")


class Slurm:
    """The cluster that the Slurm commands on the PATH belong to."""

    has_arrays = True

    def check(self, job: Job) -> None:
        settings: SlurmSettings = job.settings
        _check_times(job, settings)
        for run in job.runs:
            if set("%\\") & set(str(run.root)):
                raise ConfigError(
                    f"run.dir={run.root} has a % or a backslash in it, which Slurm gives a meaning of its own. Choose another."
                )
        check_shared([*job.paths, *_python(job.settings)], job.shape, job.settings.shared_paths)
        check_partition(read_nodes(ask("sinfo", "--noheader", "--exact", "--format=%R|%a|%l|%D|%c|%G")), job)
        ask("sbatch", "--test-only", text=self.render(job)[SCRIPT])

    def render(self, job: Job) -> dict[str, str]:
        return {SCRIPT: render(job.settings.template, _values(job, job.settings))}

    def submit(self, job: Job, file: Path) -> str:
        for again in range(_TRIES):
            try:
                return tell("sbatch", "--parsable", str(file)).strip().partition(";")[0]
            except SilentError:
                if found := self.find(job.key):
                    return found
                if again + 1 == _TRIES:
                    raise
        raise AssertionError

    def find(self, key: str) -> str | None:
        for line in ask("squeue", "--me", "--noheader", "--states=all", "--format=%F|%k").splitlines():
            number, _, comment = line.partition("|")
            if comment.strip() == key:
                return number
        return None

    def look(self, jobs: Sequence[str]) -> dict[str, JobState]:
        try:
            known = _queued(jobs)
            return {job: known[job] if job in known else _accounted(job) for job in jobs}
        except OrchestratorError as error:
            return dict.fromkeys(jobs, JobState(phase="unknown", why=str(error)))

    def cancel(self, job: str) -> None:
        ask("scancel", job)


def _python(settings: SlurmSettings) -> Iterator[tuple[str, str]]:
    """The environment that this command runs in, which is the jobs', too, unless the profile brings another."""
    if settings.container is None and not settings.setup:
        yield "the Python environment", sys.prefix


def _check_times(job: Job, settings: SlurmSettings) -> None:
    limit, before, grace = seconds_of(settings.time_limit), settings.stop_before_seconds, job.scheduling.preemption.grace_seconds
    if before < grace + _LATE_SECONDS:
        raise ConfigError(
            f"launch.stop_before_seconds={before} is less than scheduling.preemption.grace_seconds={grace:g} and the {_LATE_SECONDS} s "
            f"that Slurm's signals can be late. Set it to {grace + _LATE_SECONDS:g} or more."
        )
    least = before + job.first_checkpoint_seconds
    if limit <= least:
        raise ConfigError(
            f"launch.time_limit={settings.time_limit} is {limit:,} s, and the run is asked to stop {before:,} s before its end, so it "
            f"would not come to its first checkpoint, {job.first_checkpoint_seconds:,.0f} s after its start. Set it to more than "
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
        "job_name": f"midtrain-{job.name}",
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
        "bin": str(Path(sys.executable).parent) if list(_python(settings)) else None,
        "environment": settings.environment,
        "setup": settings.setup,
        "container": settings.container,
        "max_restarts": settings.max_restarts,
    }


def _options(job: Job, settings: SlurmSettings) -> Iterator[tuple[str, str]]:
    for option in ("partition", "account", "qos", "constraint", "reservation"):
        if value := getattr(settings, option):
            yield option, value
    if exclude := sorted({*settings.exclude, *_failed_hosts(job)}):
        yield "exclude", ",".join(exclude)
    if settings.after:
        yield "dependency", "afterok:" + ":".join(_job_of(RunDirectory(Path(place))) for place in settings.after)


def _failed_hosts(job: Job) -> set[str]:
    """Nodes on which ranks of these runs failed so often that they are not to be used again."""
    return {host for run in job.runs for host, count in failed_hosts(run).items() if count >= job.scheduling.exclude_node_after}


def _job_of(run: RunDirectory) -> str:
    submission = newest_submission(run)
    if submission is None or submission.platform != "slurm" or submission.job is None:
        raise ConfigError(f"launch.after={run.root} is no run that was launched on Slurm. Launch it first.")
    return submission.job


def _queued(jobs: Sequence[str]) -> dict[str, JobState]:
    """Those that the controller knows: jobs that wait or run, and for some minutes those that have ended."""
    try:
        said = ask("squeue", f"--jobs={','.join(jobs)}", "--array", "--noheader", "--states=all", "--format=%i|%T|%r|%N")
    except ConfigError as refusal:  # when it knows none of them
        if "Invalid job id" in str(refusal):
            return {}
        raise
    return dict(_read_job(line.strip()) for line in said.splitlines())


def _read_job(line: str) -> tuple[str, JobState]:
    job, word, reason, nodes = line.split("|")
    why = "" if reason in ("None", "") else reason
    if word in _WAITING:
        return job, JobState(phase="waiting", word=word, why=why)
    return job, JobState(phase="running" if word in _RUNNING else "ended", word=word, why=why, nodes=nodes)


def _accounted(job: str) -> JobState:
    try:
        said = ask("sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={job}", "--format=State,Reason,NodeList").strip()
    except ConfigError:  # no accounting here
        said = ""
    if not said:
        return JobState(phase="gone", why="Slurm does not know it any more")
    word, reason, nodes = said.splitlines()[-1].split("|")
    return JobState(phase="ended", word=word, why="" if reason == "None" else reason, nodes=nodes)
