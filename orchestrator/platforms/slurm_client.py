"""Slurm's commands, each with a time to answer. A controller that does not answer is asked again, then is an error of infrastructure."""

import os
import subprocess
import time
from collections.abc import Sequence

from orchestrator.errors import ConfigError, InfrastructureError

_ANSWER_SECONDS = 30.0
_TRIES = 3
_AGAIN_SECONDS = 2.0
_CLIENTS = ("SBATCH_", "SQUEUE_", "SCANCEL_", "SINFO_", "SACCT_", "SRUN_", "SLURM_CLUSTERS")
_OF_A_JOB = ("MIDTRAIN_JOB", "MIDTRAIN_RUN", "MIDTRAIN_CLUSTER", "MIDTRAIN_DOCTOR", "RAY_ADDRESS")
_SILENT = ("Unable to contact slurm controller", "Socket timed out", "Connection refused", "Communication connection failure", "Zero Bytes")


class SilentError(InfrastructureError):
    """Slurm's controller does not answer: it may or may not have heard."""


def ask(*words: str, text: str | None = None) -> str:
    """Run one of Slurm's commands, again if the controller does not answer. For questions only: see `tell`.

    Args:
        words: the command.
        text: its standard input.

    Returns:
        What it prints.

    Raises:
        SilentError: the controller did not answer, three times.
        ConfigError: Slurm refuses; its words are in the message.
    """
    for again in range(_TRIES):
        try:
            return tell(*words, text=text)
        except SilentError:
            if again + 1 == _TRIES:
                raise
            time.sleep(_AGAIN_SECONDS * 2**again)
    raise AssertionError


def tell(*words: str, text: str | None = None, seconds: float = _ANSWER_SECONDS) -> str:
    """Run one of Slurm's commands, once, for so many seconds at most. Other arguments and errors as `ask`."""
    try:
        done = subprocess.run(
            words,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=_environment(),
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError(f"{words[0]} is not on the PATH. Give this command on a login node of the Slurm cluster.") from None
    except subprocess.TimeoutExpired:
        raise SilentError(_message(words, f"no answer within {seconds:g} s")) from None
    if done.returncode == 0:
        return done.stdout
    said = " ".join(line.removeprefix(f"{words[0]}: ").removeprefix("error: ") for line in done.stderr.splitlines() if line.strip())
    if any(sign in said for sign in _SILENT):
        raise SilentError(_message(words, said))
    raise ConfigError(f"Slurm refuses {words[0]}: {said or f'exit code {done.returncode}'}. Change the launch.* keys that it names.")


def _message(words: Sequence[str], said: str) -> str:
    return (
        f"Slurm's controller does not answer {words[0]}: {said.removesuffix('.')}. Nothing is lost; try again when `scontrol ping` says UP."
    )


def _environment() -> dict[str, str]:
    """Without what would change the meaning of commands and of the script's own options, or make an allocation that this command stands in
    stand for the job's."""
    dropped = _CLIENTS + (("SLURM_",) if "SLURM_JOB_ID" in os.environ else ())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped) or name == "SLURM_CONF"}
    return {name: value for name, value in kept.items() if name not in _OF_A_JOB}
