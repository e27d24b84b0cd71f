"""Commands before a run: the demo, data and plans."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.words import AsJson, Overrides, app, config_of, print_json


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
    manifests = prepare(config_of(overrides), console)
    if as_json:
        print_json(summarise_prepared(manifests))
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
        print_json(entries)
    else:
        show_inspection(entries, Console())


@app.command()
def plan(overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show what would be trained when: exact tokens, sequences, epochs and updates of each source. Spends nothing."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.planning import plan_run, show_plan
    from orchestrator.commands.probes import show_probes, summarise_probes
    from orchestrator.mixture.summary import summarise

    config = config_of(overrides)
    summary, probes = summarise(plan_run(config)), summarise_probes(config)
    if as_json:
        print_json(summary | ({"probes": probes} if probes else {}))
    else:
        show_plan(summary, config, Console())
        show_probes(probes, Console())
