"""What a person sees of a long computation: a bar in terminals and notebooks, else lines."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

from pyfairme.inference.fit_stages import Progress, Report, silent
from pyfairme.notices import before_warnings

LOG = logging.getLogger("pyfairme.progress")
BETWEEN_LINES = 30.0  # seconds between two lines of one stage
BETWEEN_DRAWINGS = 0.1  # seconds between two drawings of a bar
LONG_CHUNK = 20.0  # seconds of a first chunk that what was compiled beside it hardly matters to
COLUMNS, NOTEBOOK_COLUMNS = 80, 90
ROWS = 20  # up to where bars stand below each other
STEADY = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}{postfix}"


class ProgressView(Protocol):
    """Where progress is shown."""

    def show(self, now: Progress, left: float | None, begins: bool) -> None:
        """Show how far a stage is, and the seconds left in it where they are known."""
        ...

    def close(self, seconds: dict[str, float], last: Progress | None, finished: bool) -> None:
        """Take away what is shown; ``seconds`` are those of each stage."""
        ...


@contextmanager
def progress_display(progress: object, title: str) -> Iterator[Report]:
    """Yield whom to tell of progress.

    Parameters
    ----------
    progress
        "auto": a bar in terminals and notebooks, elsewhere lines in the log "pyfairme.progress" at
        level INFO, which nobody sees unasked. True: lines on stderr instead of the log. Anything
        else: nothing.
    title
        What is computed, in a word or two.
    """
    view = _view(progress, title)
    if view is None:
        yield silent
        return
    timed = _Timed(view)
    with before_warnings(view.clear if isinstance(view, _Bar) else _nothing):
        try:
            yield timed
        except BaseException:  # Ctrl-C too: no half of a bar is left
            timed.close(finished=False)
            raise
    timed.close(finished=True)


def _view(progress: object, title: str) -> ProgressView | None:
    if progress is not True and not (isinstance(progress, str) and progress == "auto"):
        return None
    if _in_notebook():
        return _Bar(title, _Cell())
    if sys.stderr is not None and sys.stderr.isatty():
        return _Bar(title, sys.stderr)
    if progress is True:
        return _Lines(lambda text: print(f"{title}: {text}", file=sys.stderr, flush=True))
    if LOG.isEnabledFor(logging.INFO):
        return _Lines(lambda text: LOG.info("%s: %s", title, text))
    return None


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", _nothing)()
    return hasattr(shell, "kernel")


def _nothing() -> None:
    pass


class _Timed:
    """A report that measures how long stages take, and how fast the present one is."""

    def __init__(self, view: ProgressView) -> None:
        self._view = view
        self._last: Progress | None = None
        self._seconds: dict[str, float] = {}
        self._begun = perf_counter()
        self._from = (0, 0.0)  # steps and time from which the speed is measured

    def __call__(self, now: Progress) -> None:
        time, last = perf_counter(), self._last
        begins = last is None or now.stage != last.stage
        if begins:
            self._end_stage(time)
            self._from = (now.done, time)
        steps, seconds = now.done - self._from[0], time - self._from[1]
        left = seconds / steps * (now.total - now.done) if steps > 0 and now.unit else None
        if now.stage == "training" and last is not None and last.done == 0 < now.done:
            left = left if seconds > LONG_CHUNK else None
            self._from = (now.done, time)  # it ran beside the last compilation
        self._last = now
        self._view.show(now, left, begins)

    def close(self, finished: bool) -> None:
        self._end_stage(perf_counter())
        self._view.close(self._seconds, self._last, finished)

    def _end_stage(self, time: float) -> None:
        if self._last is not None:
            before = self._seconds.get(self._last.stage, 0.0)
            self._seconds[self._last.stage] = before + time - self._begun
        self._begun = time


class _Bar:
    """One line, drawn anew and gone in the end; tqdm makes room beside bars of others."""

    def __init__(self, title: str, file: Any) -> None:
        from tqdm.std import tqdm

        self._title, self._file, self._drawn = title, file, 0.0
        self._bar = tqdm(
            desc=title, file=file, leave=False, bar_format="{desc}",
            ncols=_columns(file), nrows=ROWS,
        )  # fmt: skip

    def show(self, now: Progress, left: float | None, begins: bool) -> None:
        time = perf_counter()
        if not begins and time - self._drawn < BETWEEN_DRAWINGS and now.done < now.total:
            return
        self._drawn, bar = time, self._bar
        if now.unit:
            bar.bar_format, bar.unit = STEADY, now.unit
            bar.set_description_str(f"{self._title}: {now.stage}", refresh=False)
            bar.set_postfix_str(", ".join(_said(now, left)), refresh=False)
        else:
            bar.bar_format = "{desc}"
            text = f"{self._title}: {_part(now)}"
            bar.set_description_str(text[: _columns(self._file) - 1], refresh=False)
        bar.total, bar.n, bar.ncols = max(now.total, 1), now.done, _columns(self._file)
        bar.refresh()

    def clear(self) -> None:
        self._bar.clear()

    def close(self, seconds: dict[str, float], last: Progress | None, finished: bool) -> None:
        self._bar.close()


class _Cell:
    """A file of one line, which is an output of a notebook's cell.

    The text of a bar written to stderr would stay in the file of the notebook, all of it.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        self._handle, self._line = None, ""

    def write(self, text: str) -> None:
        if not text.startswith("\r"):  # tqdm moves the cursor past other bars: not here
            return
        line = text.strip()
        if line == self._line:
            return
        self._line = line
        data = {"text/plain": line} | ({} if line else {"text/html": ""})  # no empty line is left
        if self._handle is None:
            from IPython.display import display

            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def flush(self) -> None:
        pass


class _Lines:
    """A line as each stage begins, of long ones more, and a last one about all of it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._said = say, 0.0

    def show(self, now: Progress, left: float | None, begins: bool) -> None:
        time = perf_counter()
        if not begins and (time - self._said < BETWEEN_LINES or now.done == now.total):
            return
        self._said = time
        if now.unit and (not begins or now.done):
            done = f"{now.done:,} of {now.total:,} {now.unit}"
            self._say(", ".join([f"{now.stage}, {done}", *_said(now, left)]))
        elif begins and now.total > 1:
            self._say(f"{now.stage}, {now.total:,} {now.unit or 'parts'}")
        else:
            self._say(_part(now))

    def close(self, seconds: dict[str, float], last: Progress | None, finished: bool) -> None:
        if last is None:
            return
        if finished:
            each = ", ".join(f"{stage} {_duration(value)}" for stage, value in seconds.items())
            self._say(f"done in {_duration(sum(seconds.values()))} ({each})")
            return
        at = f", {last.done:,} of {last.total:,} {last.unit}" if last.unit else ""
        self._say(f"stopped after {_duration(sum(seconds.values()))} in {last.stage}{at}")


def _columns(file: Any) -> int:
    """Return the width of a terminal; some, such as a container's, do not tell theirs."""
    if isinstance(file, _Cell):
        return NOTEBOOK_COLUMNS
    try:
        return os.get_terminal_size(file.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        return COLUMNS


def _part(now: Progress) -> str:
    """Name a stage whose parts do not take the same time each, and the present one."""
    number = f" {min(now.done + 1, now.total)} of {now.total}" if now.total > 1 else ""
    return f"{now.stage}{number}" + (f": {now.note}" if now.note else "")


def _said(now: Progress, left: float | None) -> list[str]:
    time = [] if left is None or now.done == now.total else [f"{_duration(left)} left"]
    return time + ([now.note] if now.note else [])


def _duration(seconds: float) -> str:
    """Return it in words.

    Examples
    --------
    >>> [_duration(seconds) for seconds in (0.26, 12.3, 200, 7800)]
    ['0.3 s', '12 s', '3 min 20 s', '2 h 10 min']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
