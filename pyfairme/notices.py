"""Warnings that point at the user's own line.

Every message of pyfairme, warning or error, ends with its code in square brackets, such as
``[one-cluster]``; ``docs/faq.md`` has a heading of that name with the cause and the cure. Codes
stay when wordings change, so that they can be searched for and filtered by.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

with warnings.catch_warnings():
    # NumPyro imports it too. In Jupyter without ipywidgets it would greet every user with a
    # warning, though its bars are drawn as text there.
    warnings.simplefilter("ignore")
    import tqdm.auto  # noqa: F401

_OURS = str(Path(__file__).parent)
_BETWEEN = ("sklearn", "joblib", "fairlearn")  # what may stand between a user's line and ours
_MOST_ITEMS, _MOST_LETTERS = 20, 120  # of a value that a message shows
_left_out: ContextVar[tuple[str, ...]] = ContextVar("left_out", default=())  # ends of messages
_notes: ContextVar[tuple[list[str], ...]] = ContextVar("notes", default=())  # who keeps messages
_firsts: ContextVar[tuple[Callable[[], None], ...]] = ContextVar("firsts", default=())
_waiting: ContextVar[dict[tuple[str, type[Warning]], None] | None]
_waiting = ContextVar("waiting", default=None)  # what is said when a function has returned
Given = ParamSpec("Given")
Made = TypeVar("Made")


class DataWarning(UserWarning):
    """Something in the table is probably not what the user thinks it is."""


class StateError(ValueError):
    """A saved state is not what it should be.

    It has no code: whoever reads the file says which one it is (`persistence.as_of_a_file`).
    """


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest line outside of pyfairme, scikit-learn, joblib and fairlearn.

    Parameters
    ----------
    message
        What was found and what to do, ending with its code in square brackets.
    category
        Class of the warning.
    """
    waiting = _waiting.get()
    if message.endswith(_left_out.get()):
        return
    if waiting is not None:
        waiting[message, category] = None
    else:
        for messages in _notes.get():
            messages.append(message)
        for first in _firsts.get():
            first()
        warnings.warn(message, category, stacklevel=_level_of_user())


@contextmanager
def unsaid(code: str | None = None) -> Iterator[None]:
    """Leave warnings with a code, or all that `warn` gives, unsaid in this thread.

    Filters of the module `warnings` are those of all threads: two that change them at once can
    leave the filters of one behind for ever.
    """
    before = _left_out.set((*_left_out.get(), f"[{code}]" if code else ""))
    try:
        yield
    finally:
        _left_out.reset(before)


def errors_alone(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """Give the warnings of a function once it has returned, each once: an error comes alone."""

    @wraps(function)
    def run(*args: Given.args, **keywords: Given.kwargs) -> Made:
        waiting: dict[tuple[str, type[Warning]], None] = {}
        before = _waiting.set(waiting)
        try:
            made = function(*args, **keywords)
        finally:
            _waiting.reset(before)
        say(waiting)
        return made

    return run


@contextmanager
def first_of_each() -> Iterator[None]:
    """Give warnings in the end, of each code the first: a table that is read in blocks has many."""
    waiting: dict[tuple[str, type[Warning]], None] = {}
    before = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(before)
    codes = set()
    for message, category in waiting:
        code = message.rpartition("[")[2]
        if code not in codes:
            warn(message, category)
        codes.add(code)


@contextmanager
def held_back() -> Iterator[dict[tuple[str, type[Warning]], None]]:
    """Keep what `warn` would say, for who may find that it no longer holds: see `say`."""
    waiting: dict[tuple[str, type[Warning]], None] = {}
    before = _waiting.set(waiting)
    try:
        yield waiting
    finally:
        _waiting.reset(before)


def say(kept: dict[tuple[str, type[Warning]], None]) -> None:
    """Give the warnings that were held back."""
    for message, category in kept:
        warn(message, category)


@contextmanager
def noted() -> Iterator[list[str]]:
    """Keep what `warn` says in this thread in a list as well, whatever filters do with it."""
    messages: list[str] = []
    before = _notes.set((*_notes.get(), messages))
    try:
        yield messages
    finally:
        _notes.reset(before)


@contextmanager
def before_warnings(first: Callable[[], None]) -> Iterator[None]:
    """Call ``first`` before `warn` says anything in this thread: a bar may stand in the line."""
    before = _firsts.set((*_firsts.get(), first))
    try:
        yield
    finally:
        _firsts.reset(before)


def shown(value: Any) -> str:
    """Return a value for a message, in a few words however large it is.

    Examples
    --------
    >>> shown("infre"), shown(range(1000)), shown([1] * 1000)
    ("'infre'", 'range(0, 1000)', 'a list of 1000 items')
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"a {type(value).__name__} of shape {shape}"
    sized = isinstance(value, Collection) and not isinstance(value, str | bytes | range)
    if sized and len(value) > _MOST_ITEMS:
        return f"a {type(value).__name__} of {len(value)} items"
    text = repr(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}..."


def _level_of_user() -> int:
    """Return the ``stacklevel`` for `warn`; that of the outermost frame where all are ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    return level


def _is_between(file: str) -> bool:
    if file.startswith(_OURS):
        return True
    parts = Path(file).parts
    return "site-packages" in parts and parts[parts.index("site-packages") + 1] in _BETWEEN
