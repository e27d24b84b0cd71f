"""A sweep's directory without a sweep: its files in their true format, with trials of made-up figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.config.varied import load_sweep
from orchestrator.runs.directory import RunDirectory
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, add_trials, enter_command
from orchestrator.sweep.settings import Value
from orchestrator.sweep.stored import Stored, write_stored
from tests.support.run_directory import SOURCES, MadeUpRun, MadeUpSource, write_run
from tests.support.tiny import overrides

SHARE, ADDED = "mixture.spec_share", "added"
STEPS, TOKENS_PER_STEP, UNIQUE = 20, 128, 640


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeUpTrial:
    """What of a trial matters to a report.

    Attributes:
        share: of the spec; 0: a control.
        setting: what else it varies.
        seed: of it.
        start: of the spec's loss, which trials of one base model have in common.
        is_amended: whether it was given another general source.
    """

    share: float
    setting: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    start: float = 4.14
    is_amended: bool = False

    @property
    def name(self) -> str:
        others = "".join(f"_{value}" for value in self.setting.values())
        return f"{'spec' if self.share else 'control'}_{self.share:g}{others}_{self.seed}"


def write_sweep(folder: Path, trials: Sequence[MadeUpTrial], *words: str) -> SweepDirectory:
    """Write a sweep whose trials have finished.

    Args:
        folder: for it.
        trials: in the order in which they were added.
        words: what its newest command varied.
    """
    values, settings, fixed = load_sweep([*overrides(folder, **{"run.dir": "null"}), *words])
    values["sources"] = {name: {"role": source.role} for name, source in SOURCES.items()}
    sweep = SweepDirectory(folder / "sweep")
    sweep.trials.mkdir(parents=True)
    write_stored(sweep, Stored(values=values, sweep=settings, overrides=fixed))
    enter_command(sweep, words)
    add_trials(sweep, [_entry(trial) for trial in trials])
    for trial in trials:
        changes = {"run.dir": sweep.run(trial.name).root}
        write_run(folder, MadeUpRun(steps=STEPS, evaluate_every=10, sources=_sources(trial), changes=changes))
    return sweep


def change_lines(path: Path, *lines: Mapping[str, object]) -> None:
    """Put other lines into a file of JSON lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def log_of(run: RunDirectory, attempt: int) -> Path:
    """A log that an attempt has left."""
    run.logs(attempt).mkdir(parents=True)
    path = run.logs(attempt) / "node-0.log"
    path.write_text("")
    return path


def _sources(trial: MadeUpTrial) -> dict[str, MadeUpSource]:
    sources = {**SOURCES, "spec": replace(SOURCES["spec"], start=trial.start, end=3.9 - trial.share)}
    if trial.is_amended:
        docs = sources["package_docs"]
        sources |= {"package_docs": replace(docs, share=docs.share / 2), ADDED: replace(docs, share=docs.share / 2)}
    return sources


def _entry(trial: MadeUpTrial) -> TrialEntry:
    spec_tokens = round(trial.share * STEPS * TOKENS_PER_STEP)
    return TrialEntry(
        trial_id=trial.name,
        arm="spec" if trial.share else "control",
        setting=({SHARE: trial.share} if trial.share else {}) | dict(trial.setting),
        seed=trial.seed,
        spec_share=trial.share,
        spec_tokens=spec_tokens,
        spec_epochs=spec_tokens / UNIQUE,
        unique_spec_tokens=UNIQUE,
        total_tokens=STEPS * TOKENS_PER_STEP,
        steps=STEPS,
    )
