"""Facts as HTML that stands alone: escaped, without scripts, for light and dark pages."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from pyfairme.report.display.facts import Amount, Cell, Facts, Fields, Findings, Span, Tally
from pyfairme.report.display.facts_text import cell_texts

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_ROWS = 300
SIGN = r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]"  # of Hebrew, Arabic and their kin
LEFTWARDS = re.compile(rf"{SIGN}(?:[^A-Za-z0-9\n]*{SIGN})*")


def facts_html(facts: Facts) -> str:
    """Write facts as a fragment of HTML with its own style sheet.

    Parameters
    ----------
    facts
        What an object shows of itself.

    Returns
    -------
    str
        One ``<div>``. Every measured number carries the whole value in ``data-value``, limits in
        ``data-low`` and ``data-high``. Nothing is loaded from elsewhere, names are text.
    """
    shell = environment().get_template("facts.html.jinja")
    return shell.render(facts=facts, most=MOST_ROWS)


@cache
def environment() -> Environment:
    """Return the templates' environment: everything is escaped unless a template says otherwise."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    rooms = ("pyfairme.report.display", "pyfairme.report.card")
    made = Environment(
        loader=ChoiceLoader([PackageLoader(room) for room in rooms]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["texts"] = cell_texts
    made.filters["plain"] = visible
    made.filters["whole"] = _attributes
    made.tests["numeric"] = lambda cell: not isinstance(cell, str)
    made.tests["findings"] = lambda part: isinstance(part, Findings)
    made.tests["fields"] = lambda part: isinstance(part, Fields)
    return made


def visible(text: str) -> str:
    """Write signs that HTML may not hold, or that nobody can see, as escapes (emoji apart).

    What is written from right to left stands by itself: it would else turn the numbers around it.
    """
    escaped = "".join(
        mark if mark.isprintable() or mark in "\n\u200d" else mark.encode("unicode_escape").decode()
        for mark in text
    )
    return LEFTWARDS.sub("\u2068\\g<0>\u2069", escaped)


def _attributes(cell: Cell) -> dict[str, str]:
    """Return the whole numbers behind a cell."""
    match cell:
        case Amount(value) | Tally(value):
            return {"data-value": repr(value)}
        case Span(low, high):
            return {"data-low": repr(low), "data-high": repr(high)}
    return {}
