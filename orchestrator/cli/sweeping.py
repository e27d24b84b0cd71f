"""The command that makes sweeps."""

from typing import Annotated

import typer

from orchestrator.cli.words import Overrides, app


@app.command()
def sweep(
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the trials and what they will cost, and do nothing.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try trials again that have failed for good.")] = False,
) -> None:
    """Train a run for each of several values, such as mixture.spec_share=0.05,0.1,0.2, with control arms. Goes on where it stopped."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.sweeping.sweep import How, sweep

    sweep(overrides or [], How(dry_run=dry_run, retry_failed=retry_failed), Console())
