"""What a sweep costs over its trainings: `python -m benchmarks.sweeps`, into `.bench/sweeps.json`; see `docs/benchmarks-sweeps.md`.

On the demo's model and corpora: 6 ratios x 2 seeds and their controls as one sweep, and as `midtrain train` one after the other; two trials
side by side, and one after the other; and a sweep whose command is killed (kill -9) three times.
"""

import argparse
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.measures.bench import tell
from benchmarks.processes import ROOT, MeasurementError
from orchestrator.runs.lines import read_lines
from orchestrator.sweep.directory import SweepDirectory, read_trials

_MIDTRAIN = (sys.executable, "-c", "from orchestrator.cli import main; main()")
_SHARES = "0.02,0.05,0.1,0.2,0.35,0.5"
_PARTS = ("overhead", "beside", "kills")
_LOOK_SECONDS = 0.5
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
        self.folder, self._steps, self._sequences = folder, steps, sequences
        folder.mkdir(parents=True, exist_ok=True)

    def words(self, name: str, **changes: object) -> list[str]:
        """The overrides of a sweep without what it varies."""
        values: dict[str, object] = {
            "run.name": name,
            "mixture.total_tokens": self._steps * self._sequences * 128,
            "training.sequences_per_step": self._sequences,
            "checkpoints.every_steps": self._steps,
            "checkpoints.insurance_minutes": 0.5,
            "evaluation.every_steps": self._steps,
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
    first = bench.sweep("ratios", *varied)
    tell(f"sweep: {first:.1f} s")
    bare = bench.bare("ratios")
    second = bench.sweep("ratios-again", *varied)
    whole, sweeps = sum(bare.values()), [first, second]
    return {"bare_seconds": bare, "sum_of_bare_seconds": whole, "sweep_seconds": sweeps, "overhead": sum(sweeps) / 2 / whole - 1}


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
    """A sweep whose command is killed at three random moments and gone on with each time."""
    pick = random.Random(seed)
    sweep = SweepDirectory(bench.folder / "sweeps" / "killed")
    shutil.rmtree(sweep.root, ignore_errors=True)
    words = ["sweep", *bench.words("killed"), f"mixture.spec_share={_SHARES}", f"sweep.seeds={seeds}"]
    moments = []
    for _ in range(3):
        process = bench.start(*words)
        before = _made(sweep)
        wanted = before + pick.randint(bench_steps(sweep) or 20, 2 * (bench_steps(sweep) or 20))
        while process.poll() is None and _made(sweep) < wanted:
            time.sleep(_LOOK_SECONDS)
        process.send_signal(signal.SIGKILL)
        process.wait()
        moments.append(_made(sweep))
        tell(f"killed after {moments[-1]} steps")
        words = ["resume", str(sweep.root)]
    process = bench.start(*words)
    if process.wait(_TIMEOUT_SECONDS):
        raise MeasurementError(f"the sweep did not come to its end; its words are in {bench.folder}/log")
    return {"killed_after_steps": moments, **_lost(sweep)}


def bench_steps(sweep: SweepDirectory) -> int:
    """Steps of a trial."""
    return max((entry.steps for entry in read_trials(sweep)), default=0) if sweep.exists else 0


def _made(sweep: SweepDirectory) -> int:
    return sum(_last_step(sweep, entry.trial_id) for entry in read_trials(sweep)) if sweep.exists else 0


def _last_step(sweep: SweepDirectory, trial: str) -> int:
    return max((int(line["step"]) for line in read_lines(sweep.run(trial).metrics)), default=0)


def _lost(sweep: SweepDirectory) -> dict[str, Any]:
    """What was made again, by the ledgers of the trials: where each attempt began, and where the one before it had come to."""
    again, finished_twice = [], 0
    for entry in read_trials(sweep):
        run = sweep.run(entry.trial_id)
        starts = [line for line in read_lines(run.attempts) if line["event"] == "start"]
        done = [line for line in read_lines(run.attempts) if line["event"] == "stop" and line["class"] == "done"]
        finished_twice += len(done) > 1 or (bool(done) and starts[-1]["attempt"] != done[0]["attempt"])
        saved = sorted(int(line["step"]) for line in read_lines(run.events) if line["event"] == "saved")
        for start in starts[1:]:
            newest = max((step for step in saved if step <= start["from_step"]), default=0)
            again.append({"trial": entry.trial_id, "from_step": start["from_step"], "newest_checkpoint": newest})
    return {"restarts": again, "finished_trials_that_were_begun_again": finished_twice}


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
