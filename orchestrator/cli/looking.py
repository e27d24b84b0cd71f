"""Commands that look and change nothing."""

from typing import Annotated

import typer

from orchestrator.cli.words import AsJson, Overrides, app, config_of, print_json

Quick = Annotated[bool, typer.Option("--quick", help="Look at this machine only, and start no ranks: a second instead of half a minute.")]
On = Annotated[str | None, typer.Option(metavar="PLATFORM", help="slurm or kubernetes: as a job on the nodes that the run would have.")]


@app.command()
def doctor(overrides: Overrides = None, quick: Quick = False, on: On = None, as_json: AsJson = False) -> None:
    """Tell what would go wrong, before GPU time is spent on it: this machine, storage, inputs, the nodes and what is between them."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.doctor import doctor, show_report, summarise_report
    from orchestrator.commands.examining import examine
    from orchestrator.doctor.findings import refuse_bad

    console = Console()
    report = examine(on, overrides or [], console) if on else doctor(config_of(overrides), console, quick=quick)
    if as_json:
        print_json(summarise_report(report))
    else:
        show_report(report, console)
    refuse_bad(report.findings)
