"""How Slurm's jobs stand, from what squeue and sacct say. Pure."""

from collections.abc import Iterator, Mapping

from orchestrator.platforms.job import JobState

QUEUED = "%i|%k|%T|%r|%N"  # squeue's format: id, comment, state, reason, nodes
ACCOUNTED = "JobID,State,Reason,NodeList,Comment,JobName"  # sacct's; few clusters keep comments
NAMED = "midtrain-"  # begins the names of jobs

_WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_GIVEN_UP = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "TIMEOUT")  # where Slurm does not requeue; what was cancelled is as somebody wants it


def read_queued(said: str, jobs: Mapping[str, str]) -> dict[str, JobState]:
    """Of jobs with their keys, those that squeue knows. One of the same id and another key is another cluster's, or of before a restart."""
    return {job: state for job, key, state in _queued(said) if jobs.get(job) == key}


def _queued(said: str) -> Iterator[tuple[str, str, JobState]]:
    for line in said.splitlines():
        job, *rest = line.strip().split("|")
        if len(rest) >= 4:  # what is no job is a title, or a warning
            yield job, rest[0].strip(), _state(*rest[-3:])


def read_accounted(said: str, jobs: Mapping[str, str]) -> dict[str, JobState]:
    """What sacct says of jobs with their keys; of one that was requeued, its last start. A stranger's of the same id has another name."""
    lines = [line.split("|", 5) for line in said.splitlines() if line.count("|") >= 5]
    return {
        job: _state(word, reason, nodes)
        for job, word, reason, nodes, key, name in lines
        if key in ("", jobs.get(job)) and name.startswith(NAMED)
    }


def _state(word: str, reason: str, nodes: str) -> JobState:
    why = "" if reason in ("None", "") else reason
    if word in _WAITING:
        return JobState(phase="waiting", word=word, why=why)
    phase = "running" if word in _RUNNING else "ended"
    return JobState(phase=phase, word=word, why=why, nodes=nodes, given_up=word in _GIVEN_UP, failed=word == "FAILED")
