"""A card as JSON: what it says, and the whole tables that its numbers are of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.report.card.section import Section
from pyfairme.report.display.facts import Amount, Cell, Fields, Findings, Part, Span, Tally

FORMAT = 2  # of the file: raised when names in it change


def card_json(
    title: str, lead: str, sections: Sequence[Section], tables: Mapping[str, pd.DataFrame]
) -> str:
    """Write a card as JSON.

    Parameters
    ----------
    title, lead
        What it is of.
    sections
        Its sections, in order.
    tables
        Tidy frames by name.

    Returns
    -------
    str
        An object with format, title, lead, sections (name, parts) and tables, each a list of
        objects. Values that are not defined or infinite are null; an interval is [low, high].
    """
    found = {
        "format": FORMAT,
        "title": title,
        "lead": lead,
        "sections": [
            {"name": section.name, "parts": [_part(part) for part in section.parts]}
            for section in sections
        ],
        "tables": {name: _records(frame) for name, frame in tables.items()},
    }
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)


def _part(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"heading": part.heading}
    match part:
        case Findings():
            return found | {"findings": [item._asdict() for item in part.items]}
        case Fields():
            fields = [{"name": n, "text": text} for n, text in part.items]
            return found | {"fields": fields, "note": part.note}
        case _:
            rows = [[_cell(cell) for cell in row] for row in part.rows]
            return found | {"columns": list(part.columns), "rows": rows, "note": part.note}


def _cell(cell: Cell) -> Any:
    match cell:
        case Amount(value) | Tally(value):
            return _plain(value)
        case Span(low, high):
            return [_plain(low), _plain(high)]
    return cell


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _plain(value) for name, value in line.items()}
        for line in frame.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
