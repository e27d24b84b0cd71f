"""Early stopping at work: what trials measure is looked at as it comes, and the dominated ones are asked to save and stop."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from orchestrator.commands.submitting import last_step
from orchestrator.commands.sweeping.running import Board
from orchestrator.config.sweep import EarlyStoppingConfig
from orchestrator.frontier.coordinates import coordinates
from orchestrator.runs.attempts import has_newest_ended, newest_start, read_status
from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.lines import read_lines, version_of
from orchestrator.runs.stop_request import request_stop
from orchestrator.sweep.directory import SweepDirectory, TrialEntry, Verdict, enter_verdict, read_trials, read_verdicts
from orchestrator.sweep.early_stopping import Doomed, Measured, halved, outrun
from orchestrator.sweep.settings import CONTROL

_LOOK_SECONDS = 2.0
_HELDOUT = "heldout/"


class Pruning:
    """Of one command."""

    def __init__(self, sweep: SweepDirectory, config: EarlyStoppingConfig, roles: Mapping[str, str], say: Callable[[str], None]) -> None:
        """
        Args:
            sweep: whose trials are compared, those of earlier commands too.
            config: the rule.
            roles: source -> `spec` or `general`.
            say: told which trials are stopped.
        """
        self._sweep, self._config, self._roles, self._say = sweep, config, roles, say
        self._next = 0.0

    def look(self, board: Board) -> None:
        """Stop what is dominated of the running trials, now and then. A control is never stopped."""
        if time.monotonic() < self._next or not board.running:
            return
        self._next = time.monotonic() + _LOOK_SECONDS
        entries = {entry.trial_id: entry for entry in read_trials(self._sweep) if entry.arm != CONTROL}
        measured = {name: measured_so_far(self._sweep.run(name), entry, self._roles) for name, entry in entries.items()}
        for doomed in self._doomed({name: one for name, one in measured.items() if one.shares}):
            if doomed.trial_id in board.running and doomed.trial_id not in board.pruned:
                self._stop(doomed, board, entries[doomed.trial_id])

    def _doomed(self, measured: Mapping[str, Measured]) -> Sequence[Doomed]:
        if self._config.rule == "halving":
            return halved(measured, from_share=self._config.from_share, keep_share=self._config.keep_share)
        return outrun(measured, from_share=self._config.from_share)

    def _stop(self, doomed: Doomed, board: Board, entry: TrialEntry) -> None:
        run = self._sweep.run(doomed.trial_id)
        board.pruned.add(doomed.trial_id)
        step = last_step(run)
        enter_verdict(self._sweep, doomed.trial_id, Verdict(word="pruned", step=step, reason=doomed.reason))
        request_stop(run, through_attempt=newest_start(run) + int(has_newest_ended(run)), by="early stopping")
        self._say(f"{doomed.trial_id} is stopped early, at step {step:,} of {entry.steps:,}: {doomed.reason}")


def measured_so_far(run: RunDirectory, entry: TrialEntry, roles: Mapping[str, str]) -> Measured:
    """What a trial has measured, as shares of its steps. Its file is read again only when it has changed."""
    return _measured(run, version_of(run.metrics), entry.steps, str(sorted(entry.setting.items())), tuple(roles.items()))


@lru_cache(maxsize=4096)
def _measured(run: RunDirectory, version: tuple[int, int, int], steps: int, setting: str, roles: tuple[tuple[str, str], ...]) -> Measured:
    lines = [(line["step"], _losses(line)) for line in read_lines(run.metrics) if any(key.startswith(_HELDOUT) for key in line)]
    before = next((losses for step, losses in lines if step == 0), {})
    points = [(step, coordinates(dict(roles), before, losses)) for step, losses in lines if step > 0 and before]
    known = [(step, at) for step, at in points if at.uptake is not None and at.forgetting is not None]
    return Measured(
        setting=setting,
        shares=[step / steps for step, _ in known],
        uptake=[at.uptake for _, at in known if at.uptake is not None],
        forgetting=[at.forgetting for _, at in known if at.forgetting is not None],
    )


def saved_words(sweep: SweepDirectory) -> str | None:
    """What early stopping has spared, in a sentence; none when it stopped nothing."""
    entries = {entry.trial_id: entry for entry in read_trials(sweep)}
    stopped = {name: verdict for name, verdict in read_verdicts(sweep).items() if verdict.word == "pruned" and name in entries}
    pruned = {name: verdict for name, verdict in stopped.items() if read_status(sweep.run(name)).state != "finished"}  # came too late
    if not pruned:
        return None
    spared, whole = sum(entries[name].steps - verdict.step for name, verdict in pruned.items()), sum(e.steps for e in entries.values())
    return (
        f"Early stopping spared {spared:,} of {whole:,} steps, {spared / whole:.0%}: {len(pruned)} of {len(entries)} trials were stopped."
    )


def _losses(line: Mapping[str, float]) -> dict[str, float]:
    return {key.removeprefix(_HELDOUT): value for key, value in line.items() if key.startswith(_HELDOUT)}
