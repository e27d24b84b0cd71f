"""Where the trials of a sweep come from: a queue of those of a grid, or proposals that follow from what was measured."""

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.commands.sweeping.running import Ending
from orchestrator.errors import ConfigError, DataError
from orchestrator.sweep.directory import TrialEntry
from orchestrator.sweep.sampler import Sampler
from orchestrator.sweep.settings import CONTROL, Setting


class Queue:
    """The trials of a grid or a list that are not done."""

    def __init__(self, entries: Sequence[TrialEntry]) -> None:
        self._entries = deque(entries)

    def take(self) -> TrialEntry | None:
        return self._entries.popleft() if self._entries else None

    def done(self, entry: TrialEntry, ending: Ending) -> None:
        """Nothing follows from it."""

    @property
    def is_empty(self) -> bool:
        return not self._entries

    @property
    def steps(self) -> int:
        return sum(entry.steps for entry in self._entries)


@dataclass(frozen=True, kw_only=True, slots=True)
class Works:
    """What is done with a setting that is proposed.

    Attributes:
        make: makes its trials, controls included; raises when it cannot be trained.
        is_left: whether a trial is to be trained yet.
        measure: what a trial that has ended has come to; none: nothing was measured.
        say: told of settings that cannot be trained.
    """

    make: Callable[[Setting], Sequence[TrialEntry]]
    is_left: Callable[[TrialEntry], bool]
    measure: Callable[[TrialEntry], tuple[float, float] | None]
    say: Callable[[str], None]


class Proposals:
    """Trials of the settings that a sampler proposes, with every seed and their controls."""

    def __init__(self, sampler: Sampler, first: Sequence[TrialEntry], works: Works) -> None:
        """
        Args:
            sampler: is asked and told.
            first: trials to begin with that nobody proposed.
            works: what is done with a setting and its trials.
        """
        self._sampler, self._works = sampler, works
        self._queue = deque(first)
        self._waiting: dict[int, list[TrialEntry]] = {}  # setting -> its trials
        self._taken: set[str] = set()
        self._ended: set[str] = set()
        self._is_over = sampler.is_over
        for number, setting in sampler.open_ones():
            self._enter(number, setting)

    def take(self) -> TrialEntry | None:
        while not self._queue and not self._is_over:
            asked = self._sampler.ask()
            if asked is None:
                self._is_over = True
            else:
                self._enter(*asked)
        if not self._queue:
            return None
        entry = self._queue.popleft()
        self._taken.add(entry.trial_id)
        return entry

    def done(self, entry: TrialEntry, ending: Ending) -> None:
        if ending != "stopped":  # that is gone on with later, and its setting is told of then
            self._ended.add(entry.trial_id)
        self._tell()

    @property
    def is_empty(self) -> bool:
        return self._is_over and not self._queue

    def _enter(self, number: int, setting: Setting) -> None:
        try:
            entries = self._works.make(setting)
        except (ConfigError, DataError) as error:
            self._works.say(f"a setting that was proposed cannot be trained, and another is asked for: {error}")
            self._sampler.tell_failed(number)
            return
        queued = {entry.trial_id for entry in self._queue}
        for entry in entries:
            if entry.trial_id not in queued | self._ended | self._taken:
                if self._works.is_left(entry):
                    self._queue.append(entry)
                else:
                    self._ended.add(entry.trial_id)
        self._waiting[number] = [entry for entry in entries if entry.arm != CONTROL]
        self._tell()

    def _tell(self) -> None:
        """Tell the sampler of settings all of whose trials have ended; of one without the spec, or
        with a trial that failed or measured nothing, that it has failed."""
        for number, entries in list(self._waiting.items()):
            if not all(entry.trial_id in self._ended for entry in entries):
                continue
            del self._waiting[number]
            found = [one for one in map(self._works.measure, entries) if one is not None]
            if entries and len(found) == len(entries):
                uptakes, forgetting = zip(*found, strict=True)
                self._sampler.tell(number, uptake=statistics.fmean(uptakes), forgetting=statistics.fmean(forgetting))
            else:
                self._sampler.tell_failed(number)
