"""Facts as text, at most 80 characters wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pyfairme.metrics.names import short_names
from pyfairme.report.display.facts import Amount, Cell, Facts, Fields, Findings, Grid, Span, Tally
from pyfairme.report.display.short_number import TINY, short_number

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


def cell_texts(grid: Grid) -> list[list[str]]:
    """Return the cells of a table as text, with the same digits in a column and its intervals.

    Examples
    --------
    >>> rows = ((Amount(0.024), Span(0.01, 0.04)), (Amount(-0.00023), Span(-0.001, 0.00004)))
    >>> cell_texts(Grid("", ("value", "interval"), rows))
    [['.024', '.010 to .040'], ['.000', '-.001 to .000']]
    >>> cell_texts(Grid("", ("value",), ((Amount(0.00023),), (Amount(0.00004),))))
    [['.00023'], ['4e-05']]
    """
    size: list[float] = []  # of each column: the largest number in it and in its intervals
    family: list[int] = []
    for at in range(len(grid.columns)):
        cells = [row[at] for row in grid.rows]
        beside = size and any(isinstance(cell, Span) for cell in cells)
        numbers = (
            abs(n) for cell in cells if isinstance(cell, Amount | Span) for n in cell if n == n
        )
        largest = max(numbers, default=0.0)
        if beside:
            size[-1] = max(size[-1], largest)
        else:
            size.append(largest)
        family.append(len(size) - 1)
    coarse = [size[one] >= TINY for one in family]
    return [
        [cell_text(cell, coarse=each) for cell, each in zip(row, coarse, strict=True)]
        for row in grid.rows
    ]


def cell_text(cell: Cell, *, coarse: bool = False) -> str:
    """Return one cell of a table as text; coarse: what would be rounded to 0 is .000.

    Examples
    --------
    >>> cell_text(Amount(0.0812)), cell_text(Tally(1234)), cell_text(Span(0.01, 0.2))
    ('.081', '1,234', '.010 to .200')
    """
    match cell:
        case Amount(value):
            return _number(value, coarse)
        case Tally(value):
            return f"{value:,}"
        case Span(low, high):
            return "" if low != low else f"{_number(low, coarse)} to {_number(high, coarse)}"
        case str():
            return cell


def _number(value: float, coarse: bool) -> str:
    return ".000" if coarse and 0 < abs(value) < TINY else short_number(value)


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
            if part.note:
                yield _wrapped(part.note, "  ", "  ")
            for name, text in part.items:
                head = f"  {name:<{LABEL - 3}} " if len(name) <= LABEL - 3 else f"  {name}: "
                yield _wrapped(text, head, " " * LABEL)
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
        [names[at][cell] if isinstance(cell, str) else text
         for at, (cell, text) in enumerate(zip(row, said, strict=True))]
        for row, said in zip(shown, cell_texts(grid), strict=False)
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
