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
        *(short(key) for key in design.stored.keys),
        "seeds",
        "share",
        "spec tokens",
        "epochs",
        "unique",
        "total tokens",
        "updates",
    ]
    rows = [_row(entries, design.stored.keys) for entries in by_setting.values()]
    console.table(f"{len(trials)} trials of {len(rows)} settings", columns, rows)
    words = held_words([trial.entry for trial in trials], design.sweep.hold)
    console.say(f"{words[0].upper()}{words[1:]} (sweep.hold={design.sweep.hold}).")
    _show_matches(trials, design, console)


def held_words(entries: Sequence[TrialEntry], hold: str) -> str:
    """What is held fixed, and what it comes to in the trials with the spec."""
    spec = [entry for entry in entries if entry.arm != CONTROL]
    if not spec:
        return f"held fixed: {_HELD[hold]}, and no trial has the spec"
    by_hold: dict[str, list[float]] = {
        "total_tokens": [entry.total_tokens for entry in spec],
        "spec_tokens": [entry.spec_tokens for entry in spec],
        "epochs": [entry.spec_epochs for entry in spec],
        "updates": [entry.steps for entry in spec],
    }
    low, high = (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in (min(by_hold[hold]), max(by_hold[hold])))
    return f"held fixed: {_HELD[hold]}, {low if low == high else f'{low} to {high}'}"


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
