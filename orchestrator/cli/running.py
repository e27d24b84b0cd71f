"""Commands that train, and that change or retell what is trained."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.words import AsJson, Overrides, app, config_of, print_json, sweep_at

UntilStep = Annotated[
    int | None, typer.Option(min=1, help="Stop after this step, saved; `midtrain resume` goes on. None: at the end of the plan.")
]


@app.command()
def train(overrides: Overrides = None, until_step: UntilStep = None) -> None:
    """Start a run on this machine, or on the Ray cluster that RAY_ADDRESS names."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.training import train

    console = Console()
    run = train(config_of(overrides), console, until_step)
    console.say(f"done: {run.root}. See what it learned: midtrain report {run.root}")


@app.command()
def prove_resume(
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps before the kill.")] = 4,
    more: Annotated[int, typer.Option(min=1, help="Steps after it.")] = 4,
    world_size: Annotated[int | None, typer.Option(min=1, help="Ranks that resume; none: as many as before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove on your configuration and machines that a run killed hard and resumed trains what an unbroken one does."""
    from orchestrator.commands import proving
    from orchestrator.commands.console import Console

    config, console = config_of(overrides), Console()
    proof = proving.Proof(steps=steps, more=more, world_size=world_size or config.scheduling.world_size)
    result = proving.prove_resume(config, proof, console)
    if as_json:
        print_json(result)
    else:
        proving.show_proof(result, console)
    proving.refuse_difference(result)


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
        print_json(summarise(plan))
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
        print_json(found)
    elif step is not None:
        replay.show_step(found, Console())
    else:
        replay.show_document(found, Console())


@app.command()
def sync(
    run: Annotated[Path, typer.Argument(help="A run's or a sweep's directory.")],
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for each.", min=1)] = 600,
    as_json: AsJson = False,
) -> None:
    """Push to Weights & Biases, and to the second home if there is one, what they lack of a run that has stopped. Sends nothing twice."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.sync import show_sync, sync
    from orchestrator.runs.directory import RunDirectory

    if (sweep := sweep_at(run)) is not None:
        from orchestrator.sweep.directory import read_trials

        runs = [sweep.run(entry.trial_id) for entry in read_trials(sweep)]
    else:
        runs = [RunDirectory(run.absolute())]
    synced = [sync(one, timeout_seconds=timeout) for one in runs]
    if as_json:
        print_json(synced if sweep else synced[0])
    else:
        for one in synced:
            show_sync(one, Console())
