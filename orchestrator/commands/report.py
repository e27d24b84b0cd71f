"""`midtrain report`: from a run directory to its summary and its page."""

from collections.abc import Mapping
from typing import Any

from orchestrator.commands.console import Console
from orchestrator.errors import InfrastructureError
from orchestrator.mixture.plan_file import read_plan
from orchestrator.report import wording
from orchestrator.report.page import render_page
from orchestrator.report.probes import ProbeChange, make_asked, probe_changes_of
from orchestrator.report.records import model_name, read_records
from orchestrator.report.summary import changes_of, summarise_run
from orchestrator.report.timeline import make_evaluations, make_timeline
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.durable import write_whole


def make_report(run: RunDirectory) -> dict[str, Any]:
    """Write RUN/report.html.

    Returns:
        The run's summary.

    Raises:
        ConfigError: it is not a run, or it has trained nothing yet.
        DataError: its files contradict each other.
        InfrastructureError: the page cannot be written.
    """
    records = read_records(run)
    timeline = make_timeline(records.metrics, [source.name for source in records.plan.sources])
    evaluations = make_evaluations(records.metrics, records.heldout)
    summary = summarise_run(
        model=model_name(records.config),
        plan=records.plan,
        timeline=timeline,
        evaluations=evaluations,
        probes=make_asked(records.metrics, records.probes),
        stall_seconds=records.stall_seconds,
    )
    page = render_page(records, timeline=timeline, evaluations=evaluations, summary=summary)
    try:
        write_whole(run.report, page.encode())
    except OSError as error:
        raise InfrastructureError(f"cannot write {run.report}: {error}. Make room or give yourself the right to write there.") from error
    return summary


def show_summary(summary: dict[str, Any], run: RunDirectory, console: Console) -> None:
    """The summary as sentences and a table, and where the page is."""
    changes = changes_of(summary)
    if unfinished := wording.progress(summary["steps"], read_plan(run.plan).steps):
        console.warn(unfinished)
    console.say(wording.headline(changes))
    columns = ["source", "role", "before", "after", "change", "sequences", "documents"]
    rows = [
        [
            name,
            c.role,
            f"{c.before:.4f}",
            _with_error(c.after, c.stderr),
            wording.change_in_words(c, signed=True),
            f"{c.num_sequences:,}",
            "not known" if c.num_documents is None else f"{c.num_documents:,}",
        ]
        for name, c in changes.items()
    ]
    if wording.measured_since(changes):
        console.table("held-out loss, nats a token", columns, rows)
    _show_probes(probe_changes_of(summary), console)
    console.say(
        f"{summary['tokens']:,} tokens in {summary['steps']:,} steps, {summary['tokens_per_second']:,.0f} tokens a second, "
        f"{wording.percent(summary['data_wait_share'], 2)} of step time waiting for data, "
        f"{wording.duration(summary['checkpoint_stall_seconds'])} stalled by checkpoints."
    )
    console.say(f"page: {run.report}")


def _show_probes(changes: Mapping[str, ProbeChange], console: Console) -> None:
    """A row a probe that was asked again since its first time."""
    columns = ["probe", "before", "after", "change, points", "margin before", "margin after", "items"]
    rows = [
        [
            name,
            wording.percent(c.before),
            wording.percent(c.after),
            wording.points(c.change, c.change_stderr),
            wording.number(c.margin_before, 3, signed=True),
            wording.number(c.margin_after, 3, signed=True),
            wording.items_in_words(c.num_items, c.num_cut),
        ]
        for name, c in changes.items()
        if c.was_repeated
    ]
    if rows:
        console.table("probes: items answered right, and margins in nats a token", columns, rows)


def _with_error(value: float, stderr: float | None) -> str:
    return f"{value:.4f}" if stderr is None else f"{value:.4f} ± {stderr:.4f}"
