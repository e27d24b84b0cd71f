"""What a person sees: tables, and progress with rate and time left. Not on a terminal, plain lines."""

import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

_FIGURE = re.compile(r"[-+~±]?[\d.]|$|never$")
_PLAIN_EVERY_SECONDS = 10.0
_RATE_MARKS = 50


class Console:
    """Standard output for results, standard error for everything on the way."""

    def __init__(self) -> None:
        out, err = (None if stream.isatty() else 200 for stream in (sys.stdout, sys.stderr))  # a file or a pipe has no edge to wrap at
        self._out = RichConsole(highlight=False, soft_wrap=True, width=out)
        self._err = RichConsole(stderr=True, highlight=False, soft_wrap=True, width=err)

    def aside(self) -> "Console":
        """One that has nothing to say on standard output: what would be results is on the way to those of another."""
        aside = Console()
        aside._out = aside._err
        return aside

    def say(self, text: str) -> None:
        self._out.print(text, markup=False)

    def print_text(self, text: str) -> None:
        """A file, as it is."""
        sys.stdout.write(text)

    def note(self, text: str) -> None:
        self._err.print(text, markup=False)

    def warn(self, text: str) -> None:
        self._err.print(text, style="yellow", markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table. Columns of figures are aligned to the right, but for the first."""
        self._out.print(_table(title, columns, rows))

    @contextmanager
    def live(self) -> Iterator[Callable[..., None]]:
        """Show a table with a line below it, again and again: in one place on a terminal, else whenever the line has changed.

        Yields:
            A function to call with a table's title, columns and rows, and the line.
        """
        if not self._out.is_terminal:
            said = [""]

            def tell(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], line: str) -> None:
                if line != said[0]:
                    said[0] = line
                    self.say(line)

            yield tell
            return
        with Live(console=self._out, auto_refresh=False, vertical_overflow="visible") as live:

            def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], line: str) -> None:
                live.update(Group(_table(title, columns, rows), Text(line)), refresh=True)

            yield show

    @contextmanager
    def progress(self, what: str, total: float, unit: str, done: float = 0) -> Iterator[Callable[..., None]]:
        """Show how far something is.

        Args:
            what: a verb in its -ing form.
            total: how much there is.
            unit: of the total.
            done: how much there is already.

        Yields:
            A function to call with how much more is done and, if wanted, `note`, a text beside it.
        """
        if not self._err.is_terminal:
            yield _PlainProgress(self, what, total, unit, done).advance
            return
        rate = _Rate()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"), TextColumn("{task.fields[note]}"))
        with Progress(*columns, console=self._err, transient=False) as bar:
            task = bar.add_task(what, total=total, completed=int(done), figures="starting", note="")

            def advance(amount: float, note: str = "") -> None:
                completed = bar.tasks[0].completed + amount
                rate.mark(completed)
                bar.update(task, completed=completed, figures=rate.figures(completed, total, unit), note=note)

            yield advance


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        is_figures = index > 0 and all(_FIGURE.match(row[index]) for row in rows)
        table.add_column(column, justify="right" if is_figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


class _Rate:
    """Rate and time left by the last marks. How long the first one took says nothing about either: processes were starting."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque(maxlen=_RATE_MARKS)

    def mark(self, done: float) -> None:
        self._marks.append((time.monotonic(), done))

    def figures(self, done: float, total: float, unit: str) -> str:
        (began, before), (now, _) = self._marks[0], self._marks[-1]
        if now <= began or done <= before:
            return f"{_amount(done)}/{_amount(total)} {unit}"
        rate = (done - before) / (now - began)
        left = f"{duration((total - done) / rate)} left"
        return f"{_amount(done)}/{_amount(total)} {unit}  {_amount(rate)} {unit}/s  {left}"


class _PlainProgress:
    """A line now and then, and one at the end."""

    def __init__(self, console: Console, what: str, total: float, unit: str, done: float) -> None:
        self._console, self._what, self._total, self._unit, self._done = console, what, total, unit, done
        self._rate, self._last_line = _Rate(), 0.0

    def advance(self, amount: float, note: str = "") -> None:
        self._done += amount
        self._rate.mark(self._done)
        now = time.monotonic()
        if now - self._last_line >= _PLAIN_EVERY_SECONDS or self._done >= self._total:
            self._last_line = now
            self._console.note(f"{self._what}: {self._rate.figures(self._done, self._total, self._unit)}  {note}".rstrip())


def _amount(number: float) -> str:
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (size if suffix != 'k' else 1e3):.1f}{suffix}"
    return f"{number:.0f}" if number == int(number) or number >= 100 else f"{number:.2f}"


def duration(seconds: float) -> str:
    """Such as 1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
