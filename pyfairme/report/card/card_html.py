"""A card as one HTML document: it loads nothing, prints well, and lines can be chosen."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence

from pyfairme.report.card.card_pictures import CardPicture
from pyfairme.report.card.section import Section, filled
from pyfairme.report.display.facts_html import MOST_ROWS, environment


def card_html(
    title: str, lead: str, sections: Sequence[Section], pictures: Iterable[CardPicture]
) -> str:
    """Write a card as HTML.

    Parameters
    ----------
    title, lead
        What it is of.
    sections
        Its sections, in order.
    pictures
        Pictures, each beside the part with its heading.

    Returns
    -------
    str
        A document whose policy forbids every request. Measured numbers carry their whole value in
        ``data-value``, ``data-low`` and ``data-high``.
    """
    shown: dict[str, list[tuple[str, str]]] = {}
    for each in pictures:
        data = b64encode(each.png).decode("ascii")
        shown.setdefault(each.heading, []).append((each.text, f"data:image/png;base64,{data}"))
    page = environment().get_template("card.html.jinja")
    names = [(section, re.sub(r"\W+", "-", section.name.lower())) for section in filled(sections)]
    return page.render(title=title, lead=lead, sections=names, pictures=shown, most=MOST_ROWS)
