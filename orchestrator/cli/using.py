"""Commands after a run: models and reports."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.words import AsJson, app, print_json, sweep_at

if TYPE_CHECKING:
    from orchestrator.runs.directory import RunDirectory
    from orchestrator.sweep.directory import SweepDirectory

Output = Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; none: below RUN/export.")]
Merge = Annotated[bool, typer.Option("--merge", help="Put adapters into the base model's weights, which must fit into memory.")]
Check = Annotated[bool, typer.Option(help="Load the model and let it generate; it must fit into memory.")]


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
def report(run: Annotated[Path, typer.Argument(help="A run's or a sweep's directory.")], as_json: AsJson = False) -> None:
    """Write its report.html: what was learned, what was forgotten, and what it cost; of a sweep the frontier of all its trials."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.report import make_report, show_summary
    from orchestrator.runs.directory import RunDirectory

    if (sweep := sweep_at(run)) is not None:
        _report_sweep(sweep, as_json=as_json)
        return
    directory = RunDirectory(run.absolute())
    summary = make_report(directory)
    if as_json:
        print_json(summary)
    else:
        show_summary(summary, directory, Console())


def _export(run: "RunDirectory", steps: list[int], output: Path, merge: bool, check: bool) -> None:
    from orchestrator.commands.console import Console
    from orchestrator.commands.export import Wanted, export

    console = Console()
    said = export(run, Wanted(steps=steps, output=output.absolute(), merge=merge, check=check), console)
    if said is not None:
        console.note(f"it goes on from nothing with: {said!r}")
    console.say(f"written: {output}")


def _report_sweep(sweep: "SweepDirectory", *, as_json: bool) -> None:
    from orchestrator.commands.console import Console
    from orchestrator.commands.sweeping.reporting import make_sweep_report, show_report, summary_of

    records = make_sweep_report(sweep)
    if as_json:
        print_json(summary_of(records))
    else:
        show_report(records, sweep, Console())
