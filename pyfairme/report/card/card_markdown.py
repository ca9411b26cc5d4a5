"""A card as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pyfairme.report.card.section import Section, filled
from pyfairme.report.display.facts import Fields, Findings, Part
from pyfairme.report.display.facts_html import visible
from pyfairme.report.display.facts_text import cell_texts
from pyfairme.report.markdown import markdown_table

MOST_ROWS = 300


def card_markdown(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Write a card as Markdown.

    Parameters
    ----------
    title, lead
        What it is of.
    sections
        Its sections, in order.

    Returns
    -------
    str
        A heading per section and part. Names are text: no HTML, no links, no emphasis. Of tables
        with more than 300 lines the first ones; JSON has all.
    """
    lines = [f"# {_text(title)}", "", _text(lead)]
    for section in filled(sections):
        lines += ["", f"## {section.name}"]
        for part in section.parts:
            lines += ["", *_part(part)]
    return "\n".join(lines) + "\n"


def _part(part: Part) -> Iterator[str]:
    if part.heading:
        yield from (f"### {_text(part.heading)}", "")
    match part:
        case Findings():
            for item in part.items:
                subject = f"**{_text(item.subject)}**: " if item.subject else ""
                warning = "⚠ " if item.tone == "warn" else ""
                yield f"- {warning}{subject}{_text(item.text)}"
        case Fields():
            if part.note:
                yield from (_text(part.note), "")
            yield from (f"- **{_text(name)}**: {_text(text)}" for name, text in part.items)
        case _:
            rows = [[_text(text) for text in row] for row in cell_texts(part)[:MOST_ROWS]]
            yield markdown_table(part.columns, rows)
            if len(part.rows) > MOST_ROWS:
                yield from ("", f"and {len(part.rows) - MOST_ROWS:,} more, which JSON has.")
            if part.note:
                yield from ("", _text(part.note))


def _text(text: str) -> str:
    """Return text that Markdown shows as it is, on one line; bars are the table's matter."""
    one = " ".join(visible(text).split())
    one = one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]~$#])", r"\\\1", one)
