"""A sweep before it starts, as tables: its trials, what is held fixed, how they stand for a longer run."""

from collections.abc import Mapping, Sequence

from orchestrator.commands.console import Console
from orchestrator.commands.sweeping.designing import Design, Trial
from orchestrator.sweep.directory import TrialEntry
from orchestrator.sweep.settings import CONTROL, Value

_HELD = {
    "total_tokens": "the trained tokens",
    "spec_tokens": "the spec's trained tokens",
    "epochs": "the spec's epochs",
    "updates": "the number of updates",
}


def show_trials(trials: Sequence[Trial], design: Design, console: Console) -> None:
    """One row a setting, with all its seeds."""
    by_setting: dict[tuple[str, str, int], list[TrialEntry]] = {}
    for trial in trials:
        entry = trial.entry
        by_setting.setdefault((entry.arm, str(entry.setting), entry.total_tokens), []).append(entry)
    columns = [
        "arm",
        *(short(key) for key in design.keys),
        "seeds",
        "spec share",
        "spec tokens",
        "epochs",
        "unique",
        "total tokens",
        "updates",
    ]
    rows = [_row(entries, design.keys) for entries in by_setting.values()]
    console.table(f"{len(trials)} trials of {len(rows)} settings", columns, rows)
    console.say(held(trials, design))
    _show_matches(trials, design, console)


def held(trials: Sequence[Trial], design: Design) -> str:
    """What is held fixed, and what it comes to."""
    entries = [trial.entry for trial in trials if trial.entry.arm != CONTROL]
    by_hold: dict[str, list[float]] = {
        "total_tokens": [entry.total_tokens for entry in entries],
        "spec_tokens": [entry.spec_tokens for entry in entries],
        "epochs": [entry.spec_epochs for entry in entries],
        "updates": [entry.steps for entry in entries],
    }
    values = by_hold[design.sweep.hold]
    low, high = min(values), max(values)
    said = f"{low:,.3g}" if low < 1000 else f"{low:,.0f}"
    span = said if low == high else f"{said} to {f'{high:,.3g}' if high < 1000 else f'{high:,.0f}'}"
    return f"Held fixed (sweep.hold={design.sweep.hold}): {_HELD[design.sweep.hold]}, {span}."


def short(key: str) -> str:
    """The last part of a key, for the head of a column."""
    return key.rpartition(".")[2].replace("_", " ")


def shown(value: Value) -> str:
    """A value in a cell."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _row(entries: Sequence[TrialEntry], keys: Sequence[str]) -> list[str]:
    first = entries[0]
    return [
        first.arm,
        *(shown(first.setting.get(key)) for key in keys),
        ", ".join(str(seed) for seed in dict.fromkeys(entry.seed for entry in entries)),
        f"{first.spec_share:.3%}",
        f"{first.spec_tokens:,}",
        f"{first.spec_epochs:.3f}",
        f"{first.unique_spec_tokens:,}",
        f"{first.total_tokens:,}",
        f"{first.steps:,}",
    ]


def _show_matches(trials: Sequence[Trial], design: Design, console: Console) -> None:
    proxy = design.sweep.proxy
    if proxy is None:
        return
    shown_shares: Mapping[float, Trial] = {trial.entry.spec_share: trial for trial in trials if trial.matches}
    rows = [
        [
            f"{share:.3%}",
            match.source,
            f"{match.target_tokens:,.0f} of {match.target_unique_tokens:,}",
            f"{match.target_epochs:.3f}",
            "all" if match.unique_tokens is None else f"{match.unique_tokens:,}",
            f"{match.epochs:.3f}",
        ]
        for share, trial in sorted(shown_shares.items())
        for match in trial.matches
    ]
    columns = ["spec share", "source", "tokens of unique, in the run", "epochs", "unique tokens of the trial", "its epochs"]
    console.table(f"how the trials stand for a run of {proxy.total_tokens:,} tokens", columns, rows)
