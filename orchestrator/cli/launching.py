"""Commands that reach runs wherever they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.words import AsJson, Overrides, RunPlace, app, print_json, sweep_at

if TYPE_CHECKING:
    from orchestrator.commands.console import Console
    from orchestrator.sweep.directory import SweepDirectory

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The run's directory.")]


@app.command()
def launch(
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help="slurm, kubernetes or local.")],
    overrides: Overrides = None,
    *,
    sweep: Annotated[bool, typer.Option("--sweep", help="The trials of a sweep: on Slurm one array, launch.at_once side by side.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be submitted, and do nothing.")] = False,
    no_submit: Annotated[bool, typer.Option("--no-submit", help="Make the run and the file, for somebody else to submit.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, tell, and submit again what its platform gives up.")] = False,
) -> None:
    """Plan a run or a sweep, check it against a cluster, and submit it; launch.profile=NAME picks a site's settings."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.launching import launch
    from orchestrator.commands.submitting import How
    from orchestrator.commands.watching import watch_runs

    console = Console()
    how = How.PRINT if dry_run else How.MAKE if no_submit else How.SUBMIT
    if sweep:
        from orchestrator.commands.sweeping.launching import launch_sweep

        runs = launch_sweep(platform, overrides or [], console, how=how)
    else:
        runs = [launch(platform, overrides or [], console, how=how)]
    if watch and how is How.SUBMIT:
        watch_runs(runs, console)


@app.command(hidden=True)
def job() -> None:
    """What a submitted job runs: the run that MIDTRAIN_RUN names, here."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.job import run_job

    run_job(Console())


@app.command()
def status(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run's or a sweep's directory, or the URL of a second home; none: all below runs/."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Of a sweep: stay, and show it as it goes on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell how runs stand, there and on their platforms: how far, how fast, why they stopped. Submits again what a platform gave up."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.status import all_statuses, show_seconds, show_statuses
    from orchestrator.commands.sweeping.watching import sweep_lines
    from orchestrator.commands.watching import submit_again

    console = Console()
    if run and (sweep := sweep_at(run)) is not None:
        _sweep_status(sweep, console, watch=watch, as_json=as_json)
        return
    statuses = all_statuses(run, console, submit_again)
    if as_json:
        print_json(statuses[0] if run else statuses)
    else:
        show_statuses(statuses, console)
        for line in [] if run else sweep_lines(Path("sweeps")):
            console.say(line)
        if run:
            show_seconds(statuses[0], console)


@app.command()
def logs(
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written, until the run is over.")] = False,
    rank: Annotated[int | None, typer.Option(min=0, help="Of a rank; none: of the job.")] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="Of which attempt; none: the newest.")] = None,
) -> None:
    """Print what a run says, from its directory. Reading, and ending to read, do nothing to the run."""
    import sys

    from orchestrator.commands.logs import log_file, show_log
    from orchestrator.commands.status import is_over
    from orchestrator.runs.directory import RunDirectory

    directory = RunDirectory(run.absolute())
    show_log(log_file(directory, rank=rank, attempt=attempt), sys.stdout.write, follow=follow, is_over=lambda: is_over(directory))


@app.command()
def stop(run: Run, now: Annotated[bool, typer.Option("--now", help="End its job at once, without a save.")] = False) -> None:
    """Have a run or a sweep save and stop, wherever it runs. `midtrain resume` goes on with it."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.stopping import stop
    from orchestrator.runs.directory import RunDirectory

    if (sweep := sweep_at(run)) is not None:
        from orchestrator.commands.sweeping.stopping import stop_sweep

        stop_sweep(sweep, Console(), now=now)
        return
    stop(RunDirectory(run.absolute()), Console(), now=now)


@app.command()
def resume(
    run: RunPlace,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[launch.KEY=VALUE]...", help="Changes of how it is launched.")] = None,
    *,
    until_step: Annotated[
        int | None, typer.Option(min=1, help="Stop after this step, saved; `midtrain resume` goes on. None: at the end of the plan.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="With a URL: where to make the run's directory; none: where it was.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(metavar="PLATFORM", help="slurm, kubernetes, local; here: in this command; none: as it was launched."),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Of a sweep: try trials again that have failed for good.")] = False,
) -> None:
    """Go on with a run from its newest checkpoint, verified byte by byte: here, or where it was launched. Or with a sweep."""
    from orchestrator.commands.console import Console
    from orchestrator.commands.fetching import find_run
    from orchestrator.commands.jobs import refuse_alive
    from orchestrator.commands.launching import relaunch
    from orchestrator.commands.training import resume
    from orchestrator.errors import ConfigError
    from orchestrator.platforms.submissions import newest_submission

    console = Console()
    if (sweep := sweep_at(run)) is not None:
        _resume_sweep(sweep, overrides, retry_failed=retry_failed, console=console)
        return
    found = find_run(run, directory, console)
    if on == "here" or (on is None and newest_submission(found) is None):
        if overrides:
            raise ConfigError(f"{overrides[0]}: a run goes on with the configuration in its directory. Leave it out.")
        refuse_alive(found)
        resume(found, console, until_step)
    elif until_step is not None:
        raise ConfigError("--until-step is for a run that goes on in this command. Add --on here, or leave it out.")
    else:
        relaunch(found, overrides or [], console, platform=on)


def _resume_sweep(sweep: "SweepDirectory", overrides: list[str] | None, *, retry_failed: bool, console: "Console") -> None:
    from orchestrator.commands.sweeping.sweep import How, resume_sweep
    from orchestrator.errors import ConfigError

    if overrides:
        raise ConfigError(f"{overrides[0]}: a sweep goes on as it is. Leave it out, or add to the sweep with the command that made it.")
    resume_sweep(sweep, How(retry_failed=retry_failed), console)


def _sweep_status(sweep: "SweepDirectory", console: "Console", *, watch: bool, as_json: bool) -> None:
    from orchestrator.commands.sweeping.watching import show_status, sweep_status, tend, watch_sweep

    tend(sweep, console)
    if as_json:
        print_json(sweep_status(sweep))
    elif watch:
        watch_sweep(sweep, console)
    else:
        show_status(sweep, console)
