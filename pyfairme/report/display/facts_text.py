"""Facts as text, at most 80 characters wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pyfairme.metrics.names import short_names
from pyfairme.report.display.facts import Amount, Cell, Facts, Fields, Findings, Grid, Span, Tally
from pyfairme.report.display.short_number import short_number

WIDTH = 80
LABEL = 16
LONGEST = 28  # letters of a name in a table
MOST_ROWS = 60


def facts_text(facts: Facts) -> str:
    """Write facts as text.

    Parameters
    ----------
    facts
        What an object shows of itself.

    Returns
    -------
    str
        Title and lead, then one block per part. Of tables with more than 60 lines the first ones.
    """
    head = [facts.title, *([_wrapped(facts.lead)] if facts.lead else [])]
    blocks = ["\n".join(head), *("\n".join(_lines(part)) for part in facts.filled())]
    return "\n\n".join(blocks)


def cell_text(cell: Cell) -> str:
    """Return one cell of a table as text.

    Examples
    --------
    >>> cell_text(Amount(0.0812)), cell_text(Tally(1234)), cell_text(Span(0.01, 0.2))
    ('.081', '1,234', '.010 to .200')
    """
    match cell:
        case Amount(value):
            return short_number(value)
        case Tally(value):
            return f"{value:,}"
        case Span(low, high):
            return "" if low != low else f"{short_number(low)} to {short_number(high)}"
        case str():
            return cell


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )


def _lines(part: Findings | Fields | Grid) -> Iterator[str]:
    if part.heading:
        yield part.heading
    match part:
        case Findings():
            marks = {"good": "  + ", "warn": "  ! ", "plain": "  - "}
            for item in part.items:
                said = f"{item.subject}: {item.text}" if item.subject else item.text
                yield _wrapped(said, marks[item.tone], "    ")
        case Fields():
            for name, text in part.items:
                yield _wrapped(text, f"  {name:<{LABEL - 3}} ", " " * LABEL)
        case Grid() if part.folded:
            lines = "line" if len(part.rows) == 1 else "lines"
            yield f"  {len(part.rows):,} {lines}, shown in a notebook"
        case Grid():
            yield from _table(part)
            if part.note:
                yield _wrapped(part.note, "  ", "  ")


def _table(grid: Grid) -> Iterator[str]:
    shown = grid.rows[:MOST_ROWS]
    names = [short_names((str(row[at]) for row in shown if isinstance(row[at], str)), LONGEST)
             for at in range(len(grid.columns))]  # fmt: skip
    texts = [
        [names[at][cell] if isinstance(cell, str) else cell_text(cell)
         for at, cell in enumerate(row)]
        for row in shown
    ]  # fmt: skip
    left = [bool(shown) and isinstance(shown[0][at], str) for at in range(len(grid.columns))]
    widths = [
        max(len(name), *(len(row[at]) for row in texts)) for at, name in enumerate(grid.columns)
    ]
    for line in [list(grid.columns), *texts]:
        cells = zip(line, widths, left, strict=True)
        padded = [text.ljust(width) if start else text.rjust(width) for text, width, start in cells]
        yield f"  {'  '.join(padded)}".rstrip()
    if len(grid.rows) > MOST_ROWS:
        yield f"  and {len(grid.rows) - MOST_ROWS:,} more"
