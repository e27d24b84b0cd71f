"""`midtrain demo`: what a user would do by hand with the commands, one after the other."""

import shutil
import time
from pathlib import Path

from orchestrator.commands.console import Console
from orchestrator.commands.planning import plan_run, show_plan
from orchestrator.commands.prepare import prepare
from orchestrator.commands.prepared import show_prepared
from orchestrator.commands.report import make_report, show_summary
from orchestrator.commands.status import run_status
from orchestrator.commands.training import resume, train
from orchestrator.config.load import load_config
from orchestrator.demo.base_model import convert, packaged_gguf
from orchestrator.demo.expectations import judge
from orchestrator.demo.general_text import write_general_text
from orchestrator.demo.speed import Speed, measure_speed
from orchestrator.mixture.summary import summarise
from orchestrator.resources import resource
from orchestrator.runs.directory import RunDirectory

_HOME = Path("data/demo")
_UPDATES = 180
_TRAINING_SECONDS = 270
_MOST_TOKENS = 280_000  # a quarter are the example spec's, which has 96,000 to train on, each once


def run_demo(console: Console) -> None:
    """Run the main job on this machine, and end with where the report is and what it says.

    A demo that was interrupted is resumed. A finished one moves aside to runs/demo.previous, and the job is done anew.
    """
    began = time.monotonic()
    gather(console)
    run = RunDirectory(Path("runs/demo").absolute())
    state = run_status(run).state if run.plan.exists() else "absent"
    if state in ("stopped", "lost"):
        resume(run, console)
    else:
        if state == "finished":
            _move_aside(run, console)
        _run_anew(console)
    summary = make_report(run)
    show_summary(summary, run, console)
    rows = [[expected.sentence, expected.seen, "yes" if expected.met else "no"] for expected in judge(summary)]
    console.table("what the demo is expected to show", ["expected", "seen", "met"], rows)
    console.say(f"the demo took {(time.monotonic() - began) / 60:.1f} minutes")


def gather(console: Console) -> None:
    """Make what `experiment=demo` names, where it is not there yet: base model, general text, the example spec."""
    console.note("base model and general text: gathering what is not there yet")
    convert(packaged_gguf(), _HOME / "base_model")
    write_general_text(_HOME / "general")
    shutil.copytree(resource("examples") / "spec", _HOME / "spec", dirs_exist_ok=True)


def _run_anew(console: Console) -> None:
    speed = measure_speed()
    config = load_config(["experiment=demo", *fit_to_machine(speed)])
    tokens = config.mixture.total_tokens
    minutes = tokens / speed.tokens_per_second / 60
    console.note(f"this machine is faster in {speed.precision}; training {tokens:,} tokens should take about {minutes:.0f} minutes")
    show_prepared(prepare(config, console), console)
    show_plan(summarise(plan_run(config)), config, console)
    train(config, console)


def fit_to_machine(speed: Speed) -> list[str]:
    """Overrides that make the demo's training take minutes.

    Many small updates teach more than few large ones, so their number is fixed; a fast machine gets larger batches, as far as the spec
    reaches.

    Args:
        speed: of the machine.
    """
    sequence_length = load_config(["experiment=demo"]).training.sequence_length
    sequences = min(speed.tokens_per_second * _TRAINING_SECONDS, _MOST_TOKENS) / sequence_length
    micro_batch = max(1, round(sequences / (_UPDATES * 2)))
    return [
        f"training.precision={speed.precision}",
        f"training.micro_batch={micro_batch}",
        f"training.sequences_per_step={2 * micro_batch}",
        f"mixture.total_tokens={_UPDATES * 2 * micro_batch * sequence_length}",
        f"checkpoints.every_steps={_UPDATES // 2}",
        f"evaluation.every_steps={_UPDATES // 2}",
    ]


def _move_aside(run: RunDirectory, console: Console) -> None:
    previous = run.root.with_name(run.root.name + ".previous")
    shutil.rmtree(previous, ignore_errors=True)
    run.root.rename(previous)
    console.note(f"the finished demo run is now {previous}")
