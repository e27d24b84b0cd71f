"""What a sweep costs over its trainings: `python -m benchmarks.sweeps`, into `.bench/sweeps.json`; see `docs/benchmarks-sweeps.md`.

On the demo's model and corpora: 6 ratios x 2 seeds and their controls as one sweep, one trial at a time, and as `midtrain train` one after
the other; two trials side by side, and one after the other; and a sweep whose command is killed (kill -9) at three random moments.
"""

import argparse
import json
import math
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.measures.bench import tell
from benchmarks.processes import ROOT, MeasurementError
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines
from orchestrator.runs.locks import is_held
from orchestrator.sweep.directory import SweepDirectory, read_trials

_MIDTRAIN = (sys.executable, "-c", "from orchestrator.cli import main; main()")
_SHARES = "0.02,0.05,0.1,0.2,0.35,0.5"
_PARTS = ("overhead", "beside", "kills")
_LOOK_SECONDS = 0.5
_LATER_SECONDS = 30.0  # about as long as a trial takes to start, and to measure what is held out
_TIMEOUT_SECONDS = 4 * 3600


class Bench:
    """One run of it, in a folder of its own."""

    def __init__(self, folder: Path, *, steps: int, sequences: int) -> None:
        """
        Args:
            folder: of the demo's data, runs and sweeps.
            steps: updates of a trial.
            sequences: of an update.
        """
        self.folder, self.steps, self._sequences = folder, steps, sequences
        folder.mkdir(parents=True, exist_ok=True)

    def words(self, name: str, **changes: object) -> list[str]:
        """The overrides of a sweep without what it varies."""
        values: dict[str, object] = {
            "run.name": name,
            "mixture.total_tokens": self.steps * self._sequences * 128,
            "training.sequences_per_step": self._sequences,
            "checkpoints.every_steps": self.steps,
            "checkpoints.insurance_minutes": 0.5,
            "evaluation.every_steps": self.steps,
            "mixture.max_epochs": "{spec:4}",
            "tracking": "off",
        }
        return ["experiment=demo", *(f"{key}={value}" for key, value in (values | changes).items())]

    def prepare(self) -> None:
        """Gather and tokenise the demo's data, once."""
        code = "from orchestrator.demo.demo import gather; from orchestrator.commands.console import Console; gather(Console())"
        self._run([sys.executable, "-c", code])
        self._run([*_MIDTRAIN, "prepare", "experiment=demo"])

    def sweep(self, name: str, *varied: str, **changes: object) -> float:
        """Seconds that a whole sweep takes."""
        shutil.rmtree(self.folder / "sweeps" / name, ignore_errors=True)
        return self._run([*_MIDTRAIN, "sweep", *self.words(name, **changes), *varied])

    def bare(self, name: str) -> dict[str, float]:
        """Trial -> seconds of the `midtrain train` that trains the same by itself, one after the other."""
        seconds = {}
        for trial, command in self.commands(name).items():
            shutil.rmtree(self.folder / "runs" / f"{trial}-again", ignore_errors=True)
            seconds[trial] = self._run([*_MIDTRAIN, *shlex.split(command)[1:]])
            tell(f"bare {trial}: {seconds[trial]:.1f} s")
        return seconds

    def commands(self, name: str) -> dict[str, str]:
        """Trial -> the command that reproduces it, as the report of the sweep tells it."""
        done = subprocess.run(
            [*_MIDTRAIN, "report", f"sweeps/{name}", "--json"], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return {trial["trial_id"]: trial["command"] for trial in json.loads(done.stdout)["trials"]}

    def trials(self, name: str) -> list[RunDirectory]:
        """Of a sweep."""
        sweep = SweepDirectory(self.folder / "sweeps" / name)
        return [sweep.run(entry.trial_id) for entry in read_trials(sweep)]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A command in the background."""
        return subprocess.Popen([*_MIDTRAIN, *words], cwd=self.folder, stdout=self._log(), stderr=self._log())

    def _log(self) -> Any:
        return (self.folder / "log").open("ab")

    def _run(self, command: Sequence[str]) -> float:
        began = time.monotonic()
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, cwd=self.folder, env=environment, stdout=self._log(), stderr=self._log(), timeout=_TIMEOUT_SECONDS)
        if done.returncode:
            raise MeasurementError(f"{shlex.join(command)[:200]} ended with {done.returncode}; its words are in {self.folder}/log")
        return time.monotonic() - began


def overhead(bench: Bench, *, seeds: str) -> dict[str, Any]:
    """The sweep and its bare trainings, the sweep before and after them, as the machine's speed drifts."""
    varied = (f"mixture.spec_share={_SHARES}", f"sweep.seeds={seeds}")
    first = bench.sweep("ratios", *varied, **{"sweep.at_once": 1})
    tell(f"sweep: {first:.1f} s")
    bare = bench.bare("ratios")
    second = bench.sweep("ratios-again", *varied, **{"sweep.at_once": 1})
    whole, sweeps = sum(bare.values()), [first, second]
    alone = [RunDirectory(bench.folder / "runs" / f"{trial}-again") for trial in bare]
    return {
        "bare_seconds": bare,
        "sum_of_bare_seconds": whole,
        "sweep_seconds": sweeps,
        "overhead": sum(sweeps) / 2 / whole - 1,
        "in_attempts_seconds": {"bare": _in_attempts(alone), "sweep": [_in_attempts(bench.trials(n)) for n in ("ratios", "ratios-again")]},
    }


def _in_attempts(runs: Sequence[RunDirectory]) -> float:
    """Seconds from start to stop of the attempts of runs: what is left of the whole is that of commands, clusters and between trials."""
    seconds = 0.0
    for run in runs:
        began: dict[int, float] = {}
        for line in read_lines(run.attempts):
            moment = datetime.fromisoformat(line["time"]).timestamp()
            if line["event"] == "start":
                began[line["attempt"]] = moment
            elif line["event"] == "stop":
                seconds += moment - began[line["attempt"]]
    return seconds


def beside(bench: Bench) -> dict[str, Any]:
    """Four trials of one rank each, two side by side and one after the other, in turns."""
    varied = ("mixture.spec_share=0.1,0.3", "sweep.seeds=[0,1]", "sweep.controls=false")
    seconds: dict[str, list[float]] = {"two side by side": [], "one after the other": []}
    for _ in range(2):
        for what, at_once in (("two side by side", 2), ("one after the other", 1)):
            changes = {"scheduling.world_size": 1, "sweep.at_once": at_once}
            seconds[what].append(bench.sweep(f"at-once-{at_once}", *varied, **changes))
            tell(f"{what}: {seconds[what][-1]:.1f} s")
    return seconds


def kills(bench: Bench, *, seeds: str, seed: int) -> dict[str, Any]:
    """A sweep whose command is killed once in each third of its steps, at a random step and some random seconds, and gone on with."""
    pick = random.Random(seed)
    sweep = SweepDirectory(bench.folder / "sweeps" / "killed")
    shutil.rmtree(sweep.root, ignore_errors=True)
    words = ["sweep", *bench.words("killed"), f"mixture.spec_share={_SHARES}", f"sweep.seeds={seeds}"]
    killed = []
    for third in range(3):
        process = bench.start(*words)
        wanted = pick.uniform(third / 3, (third + 1) / 3)
        while process.poll() is None and _share_made(sweep) < wanted:
            time.sleep(_LOOK_SECONDS)
        time.sleep(pick.uniform(0, _LATER_SECONDS))
        if process.poll() is not None:
            raise MeasurementError(f"the command ended with {process.returncode} before it was killed; its words are in {bench.folder}/log")
        process.send_signal(signal.SIGKILL)
        process.wait()
        at_once = _standing(sweep)
        while any(is_held(sweep.run(trial).lock) for trial in at_once):
            time.sleep(_LOOK_SECONDS)
        killed.append({trial: (step, attempts) for trial, (step, attempts) in at_once.items()})
        tell(f"killed after {sum(step for step, _ in at_once.values())} steps")
        words = ["resume", str(sweep.root)]
    if bench.start(*words).wait(_TIMEOUT_SECONDS):
        raise MeasurementError(f"the sweep did not come to its end; its words are in {bench.folder}/log")
    return {"kills": [_lost(sweep, standing) for standing in killed]}


def _standing(sweep: SweepDirectory) -> dict[str, tuple[int, int]]:
    """Trial -> its last step, and how many attempts it has had."""
    if not sweep.exists:
        return {}
    runs = {entry.trial_id: sweep.run(entry.trial_id) for entry in read_trials(sweep)}
    return {name: (_last_step(run), len(_starts(run))) for name, run in runs.items()}


def _share_made(sweep: SweepDirectory) -> float:
    """The share of all steps of a sweep that were made."""
    planned = sum(entry.steps for entry in read_trials(sweep)) if sweep.exists else 0
    return sum(step for step, _ in _standing(sweep).values()) / planned if planned else 0.0


def _last_step(run: RunDirectory) -> int:
    return max((int(line["step"]) for line in read_lines(run.metrics)), default=0)


def _starts(run: RunDirectory) -> list[dict[str, Any]]:
    return [line for line in read_lines(run.attempts) if line["event"] == "start"]


def _done(run: RunDirectory) -> float:
    """The attempt that came to the end of the run; infinite before."""
    stops = (line for line in read_lines(run.attempts) if line["event"] == "stop" and line["class"] == "done")
    return min((line["attempt"] for line in stops), default=math.inf)


def _lost(sweep: SweepDirectory, standing: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """What a kill has cost, by the ledgers of the trials: from which step each went on that had come to another by then."""
    finished = [trial for trial, (_, attempts) in standing.items() if _done(sweep.run(trial)) <= attempts]
    again = {trial: _starts(sweep.run(trial))[attempts:] for trial, (_, attempts) in standing.items()}
    went_on = {trial: (standing[trial][0], starts[0]["from_step"]) for trial, starts in again.items() if starts and standing[trial][0]}
    return {
        "steps_made": sum(step for step, _ in standing.values()),
        "finished": len(finished),
        "finished_and_begun_again": sum(bool(again[trial]) for trial in finished),
        "went_on": {trial: {"had_made": made, "from_step": start} for trial, (made, start) in went_on.items()},
        "steps_lost": sum(max(0, made - start) for made, start in went_on.values()),
    }


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweeps", description=__doc__)
    parser.add_argument("--parts", type=lambda given: given.split(","), default=_PARTS, help=f"of {', '.join(_PARTS)}")
    parser.add_argument("--steps", type=int, default=60, help="updates of a trial")
    parser.add_argument("--sequences", type=int, default=2, help="of 128 tokens, of an update")
    parser.add_argument("--seeds", default="[0,1]")
    parser.add_argument("--kill-seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=ROOT / ".bench")
    arguments = parser.parse_args()
    bench = Bench(arguments.work / "sweeps", steps=arguments.steps, sequences=arguments.sequences)
    bench.prepare()
    results: dict[str, Any] = {"machine": machine.facts(), "steps": arguments.steps, "sequences": arguments.sequences}
    for part, result in _measured(bench, arguments):
        results[part] = result
        (arguments.work / "sweeps.json").write_text(json.dumps(results, indent=1) + "\n")
    tell(f"results: {arguments.work}/sweeps.json")


def _measured(bench: Bench, arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    if "overhead" in arguments.parts:
        yield "overhead", overhead(bench, seeds=arguments.seeds)
    if "beside" in arguments.parts:
        yield "beside", beside(bench)
    if "kills" in arguments.parts:
        yield "kills", kills(bench, seeds=arguments.seeds, seed=arguments.kill_seed)


if __name__ == "__main__":
    main()
