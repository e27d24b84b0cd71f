"""What a plan says of probes, and what a run that goes on must still have of them."""

from typing import Any

from orchestrator.commands.console import Console
from orchestrator.config.schema import Config
from orchestrator.errors import ConfigError
from orchestrator.evaluation.probe_sequences import probes_of
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines


def summarise_probes(config: Config) -> list[dict[str, Any]]:
    """The figures of each probe, ready for JSON: items, choices, those that are cut, and the tokens of one evaluation, padding included.

    Raises:
        OrchestratorError: a probe cannot be read.
    """
    probes = probes_of(config)
    longest = max((probe.longest for probe in probes), default=0)
    return [
        {
            "name": probe.name,
            "num_items": len(probe.answers),
            "num_choices": len(probe.sequences),
            "tokens": len(probe.sequences) * longest,
            "num_cut": probe.num_cut,
        }
        for probe in probes
    ]


def show_probes(summary: list[dict[str, Any]], console: Console) -> None:
    """A row a probe, where there are any."""
    if summary:
        figures = ("num_items", "num_choices", "tokens", "num_cut")
        rows = [[row["name"], *(f"{row[figure]:,}" for figure in figures)] for row in summary]
        console.table("probes of every evaluation", ["probe", "items", "choices", "tokens", "items cut"], rows)


def warn_of_cuts(config: Config, console: Console) -> None:
    """Say which probes have items that are longer than a sequence."""
    for row in summarise_probes(config):
        if row["num_cut"]:
            console.warn(
                f"probe {row['name']!r}: {row['num_cut']:,} of {row['num_items']:,} items are longer than "
                f"training.sequence_length={config.training.sequence_length} and lose the beginning of their prompt."
            )


def refuse_other_items(run: RunDirectory, config: Config) -> None:
    """Make sure that a run that goes on asks what it has asked before.

    Raises:
        OrchestratorError: a probe cannot be read, or has other items.
    """
    now = {probe.name: probe.items for probe in probes_of(config)}
    for line in read_lines(run.probes):
        if line["items"] != now.get(line["probe"], line["items"]):
            raise ConfigError(
                f"probe {line['probe']!r} has other items than {run.root} was asked at step {line['step']}, and its answers could not be "
                f"compared. Restore the files of evaluation.probes.{line['probe']}, or start a new run."
            )
