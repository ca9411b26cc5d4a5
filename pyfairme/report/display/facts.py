"""Facts about an object, from which its text and its HTML are both written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Tone = Literal["good", "warn", "plain"]


class Amount(NamedTuple):
    """A measured number: shown with three digits, kept whole beside them."""

    value: float


class Tally(NamedTuple):
    """A number of rows, or of other things."""

    value: int


class Span(NamedTuple):
    """The lower and upper limit of an interval."""

    low: float
    high: float


Cell = str | Amount | Tally | Span


class Finding(NamedTuple):
    """A sentence about one thing: what it is about, what was found, and what to do."""

    subject: str
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Findings:
    """Sentences under a heading."""

    heading: str
    items: tuple[Finding, ...]


@dataclass(frozen=True)
class Fields:
    """Names with what is said of each; a note stands in front, folded: closed at first."""

    heading: str
    items: tuple[tuple[str, str], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Grid:
    """A table.

    Parameters
    ----------
    heading
        What it holds.
    columns
        Names of the columns.
    rows
        A tuple of cells for each line.
    note
        What a reader must know.
    folded
        Closed at first where it can be opened.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False


Part = Findings | Fields | Grid


@dataclass(frozen=True, repr=False)
class Facts:
    """What an object shows of itself: text when printed, HTML in a notebook.

    Parameters
    ----------
    title
        What it is.
    lead
        The shortest account of it.
    parts
        What follows, in order; parts without content are left out.
    """

    title: str
    lead: str
    parts: tuple[Part, ...] = ()

    def filled(self) -> Iterator[Part]:
        """Yield the parts that have content."""
        yield from (p for p in self.parts if (p.rows if isinstance(p, Grid) else p.items))

    def __str__(self) -> str:
        """Write them as text, at most 80 characters wide."""
        from pyfairme.report.display.facts_text import facts_text

        return facts_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from pyfairme.report.display.facts_html import facts_html

        return facts_html(self)
