"""The command line: words in, an exit code out. Each command imports what it needs when it is called, so that --help is quick."""

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.config.schema import Config
    from orchestrator.runs.directory import RunDirectory

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Midtrain a language model on its own model spec."
)

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Configuration, such as experiment=demo mixture.spec_share=0.1")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

Output = Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; none: below RUN/export.")]
Merge = Annotated[bool, typer.Option("--merge", help="Put adapters into the base model's weights, which must fit into memory.")]
Check = Annotated[bool, typer.Option(help="Load the model and let it generate; it must fit into memory.")]


def main() -> None:
    """Run the command line. An error that its user can fix is one message and its exit code; a bug is a traceback and 1."""
    try:
        code = app(standalone_mode=False)
    except OrchestratorError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except typer.Abort:
        code = 130
    except Exception as error:
        code = getattr(error, "exit_code", 1)
        if hasattr(error, "format_message"):  # the command line itself was wrong; without a word, the help was printed instead
            if message := error.format_message():
                print(f"error: {message} See midtrain --help.", file=sys.stderr)
        else:
            traceback.print_exc()
            print("error: this is a bug in midtrain; please report it with the lines above.", file=sys.stderr)
    sys.exit(code or 0)


@app.command()
def demo() -> None:
    """Run the main job, small and real, on this machine: prepare, plan, train two ranks, evaluate, report."""
    from orchestrator.commands.console import Console
    from orchestrator.demo.demo import run_demo

    run_demo(Console())


@app.command()
def prepare(overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Turn sources into token shards. Goes on where it stopped; says what it rejected and why."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.prepare import prepare
    from orchestrator.commands.prepared import show_prepared, summarise_prepared

    console = Console()
    manifests = prepare(_config(overrides), console)
    if as_json:
        _print_json(summarise_prepared(manifests))
    else:
        show_prepared(manifests, console)


@app.command()
def inspect(
    shards: Annotated[Path, typer.Argument(help="A prepared source's directory, or shards.dir for all of them.")],
    documents: Annotated[int, typer.Option(help="How many documents to decode of each source and split.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Show what prepared shards hold: statistics, lengths of documents, and some of them decoded."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.inspection import inspect, show_inspection

    entries = inspect(shards.absolute(), num_documents=documents)
    if as_json:
        _print_json(entries)
    else:
        show_inspection(entries, Console())


@app.command()
def plan(overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show what would be trained when: exact tokens, sequences, epochs and updates of each source. Spends nothing."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.planning import plan_run, show_plan
    from orchestrator.mixture.summary import summarise

    config = _config(overrides)
    summary = summarise(plan_run(config))
    if as_json:
        _print_json(summary)
    else:
        show_plan(summary, config, Console())


@app.command()
def train(overrides: Overrides = None) -> None:
    """Start a run on this machine, or on the Ray cluster that RAY_ADDRESS names."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.training import train

    console = Console()
    run = train(_config(overrides), console)
    console.say(f"done: {run.root}. See what it learned: midtrain report {run.root}")


@app.command()
def resume(run: Annotated[Path, typer.Argument(help="The run's directory.")]) -> None:
    """Go on with a run from its newest checkpoint, every byte of which is verified first."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.training import resume
    from orchestrator.runs.directory import RunDirectory

    resume(RunDirectory(run.absolute()), Console())


@app.command()
def amend(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    from_step: Annotated[int, typer.Option("--from-step", help="The first step that changes.")],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Change a run's mixture from a later step on: add, reweight or drop a source. What is trained before stays as it is."""
    from orchestrator.commands.amending import amend
    from orchestrator.commands.console import Console
    from orchestrator.commands.planning import show_plan
    from orchestrator.mixture.summary import summarise
    from orchestrator.runs.directory import RunDirectory

    config, plan = amend(RunDirectory(run.absolute()), overrides or [], from_step=from_step)
    if as_json:
        _print_json(summarise(plan))
    else:
        show_plan(summarise(plan), config, Console())


@app.command()
def replay(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    step: Annotated[int | None, typer.Option(help="Which documents this step trains.")] = None,
    document: Annotated[str | None, typer.Option(metavar="ID", help="When this document is trained.")] = None,
    export: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows as Parquet, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell which documents a step trains, or when and how often a document is trained. Computed from the plan."""
    from orchestrator.commands import replay
    from orchestrator.commands.console import Console
    from orchestrator.errors import ConfigError
    from orchestrator.runs.directory import RunDirectory

    directory = RunDirectory(run.absolute())
    if (step is None) == (document is None):
        raise ConfigError("midtrain replay needs one of --step N and --document ID.")
    found = replay.replay_step(directory, step) if step is not None else replay.replay_document(directory, document or "")
    if export:
        replay.export(found, export)
    if as_json:
        _print_json(found)
    elif step is not None:
        replay.show_step(found, Console())
    else:
        replay.show_document(found, Console())


@app.command()
def status(
    run: Annotated[Path | None, typer.Argument(help="A run's directory; none: all below runs/.")] = None, as_json: AsJson = False
) -> None:
    """Tell how a run stands, how far it is, and why it stopped."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.status import find_runs, run_status, show_statuses
    from orchestrator.runs.directory import RunDirectory

    statuses = [run_status(found) for found in ([RunDirectory(run.absolute())] if run else find_runs(Path("runs")))]
    if as_json:
        _print_json(statuses[0] if run else statuses)
    else:
        show_statuses(statuses, Console())


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    step: Annotated[int | None, typer.Option(help="Of which checkpoint; none: the newest.")] = None,
    output: Output = None,
    merge: Merge = False,
    check: Check = True,
) -> None:
    """Write a checkpoint as a Hugging Face model: safetensors, configuration, tokenizer. Needs no GPU and little memory."""
    from orchestrator.commands.export import newest_step
    from orchestrator.runs.directory import RunDirectory

    directory = RunDirectory(run.absolute())
    steps = [newest_step(directory) if step is None else step]
    _export(directory, steps, output or directory.root / "export" / f"step_{steps[0]:08d}", merge, check)


@app.command()
def average(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    steps: Annotated[str, typer.Option(metavar="N,N,...", help="Of which checkpoints.")],
    output: Output = None,
    merge: Merge = False,
    check: Check = True,
) -> None:
    """Write the mean of several checkpoints' weights as a Hugging Face model."""
    from orchestrator.errors import ConfigError
    from orchestrator.runs.directory import RunDirectory

    directory = RunDirectory(run.absolute())
    if not all(step.strip().isdigit() for step in steps.split(",")):
        raise ConfigError(f"--steps {steps} is not a list of steps. Write it as --steps 100,200,300.")
    chosen = [int(step) for step in steps.split(",")]
    _export(directory, chosen, output or directory.root / "export" / f"average_{'_'.join(map(str, chosen))}", merge, check)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="The run's directory.")], as_json: AsJson = False) -> None:
    """Write RUN/report.html: what was learned, what was forgotten, and what it cost."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.report import make_report, show_summary
    from orchestrator.runs.directory import RunDirectory

    directory = RunDirectory(run.absolute())
    summary = make_report(directory)
    if as_json:
        _print_json(summary)
    else:
        show_summary(summary, directory, Console())


@app.command()
def sync(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for W&B.", min=1)] = 600,
    as_json: AsJson = False,
) -> None:
    """Push to Weights & Biases what it lacks of a run that has stopped, whatever its tracking mode was. Sends nothing twice."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.sync import show_sync, sync
    from orchestrator.runs.directory import RunDirectory

    synced = sync(RunDirectory(run.absolute()), timeout_seconds=timeout)
    if as_json:
        _print_json(synced)
    else:
        show_sync(synced, Console())


def _export(run: "RunDirectory", steps: list[int], output: Path, merge: bool, check: bool) -> None:
    from orchestrator.commands.console import Console
    from orchestrator.commands.export import Wanted, export

    console = Console()
    said = export(run, Wanted(steps=steps, output=output.absolute(), merge=merge, check=check), console)
    if said is not None:
        console.note(f"it goes on from nothing with: {said!r}")
    console.say(f"written: {output}")


def _config(overrides: list[str] | None) -> "Config":
    from orchestrator.config.load import load_config

    return load_config(overrides or [])


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
