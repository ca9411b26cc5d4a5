"""The stages of a fit, and how far the present one is: what a progress bar is made of.

Whoever computes calls a `Report` that it was given; who draws is no business of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

STAGES = (
    "encoding",
    "compiling",  # of the training program; that of later stages counts as theirs
    "training",
    "posterior",
    "diagnostics",
    "cluster classifier",
    "threshold",
)
"""All stages of a fit in their order; one without work is left out."""

RESTARTING = "restarting adversaries"
"""A stage after the posterior that only a fit has whose adversaries collapsed."""


class Progress(NamedTuple):
    """Steps done of a stage, and those that it has at most.

    Attributes
    ----------
    stage : str
        Its name.
    done, total : int
        Steps. Training that stops early ends before its total.
    note : str
        What is being done, or how well it goes.
    unit : str
        The steps' name where they take the same time each, so that they tell the time left.
    """

    stage: str
    done: int
    total: int
    note: str = ""
    unit: str = ""


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report to nobody."""


def parts(
    report: Report, stage: str, names: Sequence[str], turn: int = 0, turns: int = 1
) -> Callable[[int], None]:
    """Return a function that reports the begin of a part, by its place in ``names``.

    Parameters
    ----------
    report
        Whom to tell.
    stage, names
        The stage, and the parts that it goes through in each of its turns.
    turn, turns
        Number of the present turn, from 0, and of all: members of an ensemble.

    Examples
    --------
    >>> begin = parts(print, "posterior", ("scales", "draws"), turn=1, turns=2)
    >>> begin(0)
    Progress(stage='posterior', done=2, total=4, note='scales', unit='')
    """
    total = turns * len(names)
    return lambda part: report(Progress(stage, turn * len(names) + part, total, names[part]))
