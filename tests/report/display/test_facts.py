"""Facts are written as text and as HTML that is escaped, valid and stands alone."""

import math
import re
from html.parser import HTMLParser

import pytest

from pyfairme.report.display.facts import (
    Amount,
    Facts,
    Fields,
    Finding,
    Findings,
    Grid,
    Span,
    Tally,
)
from pyfairme.report.display.facts_html import facts_html

HOSTILE = [
    "<script>alert(1)</script>",
    "\"quotes\" & 'more' {{ 7 * 7 }} {% x %}",
    "👩‍👩‍👧 🏳️‍🌈",
    "x" * 300,
    "שלום עולם",
    "\u202egnp.exe",
    "two\nlines\x00",
]
VOID = {"meta", "br", "img", "hr", "input", "link"}


class Parsed(HTMLParser):
    """Text and attributes of a document; refuses tags that do not nest."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


@pytest.fixture
def facts():
    return Facts(
        HOSTILE[0],
        HOSTILE[1],
        (
            Findings("Found", tuple(Finding(name, name, "warn") for name in HOSTILE)),
            Fields("Said", tuple((name, name) for name in HOSTILE)),
            Grid(
                "Measured",
                ("name", "value", "n", "interval"),
                tuple((n, Amount(0.08125), Tally(1234), Span(0.01, math.nan)) for n in HOSTILE),
                note=HOSTILE[0],
            ),
            Grid("Nothing", ("name",), ()),
            Grid("More", ("name",), (("b",), ("c",)), folded=True),
        ),
    )


def test_hostile_names_are_text(facts):
    page = Parsed(facts_html(facts))
    text = "".join(page.texts)
    assert "script" not in page.tags
    for name in HOSTILE[:5]:
        assert text.count(name) >= 4
    assert r"\u202egnp.exe" in text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_nothing_is_loaded(facts):
    html = facts_html(facts)
    assert not re.search(r"https?:|url\(|@import|src=|href=", html)
    assert html == facts._repr_html_()


def test_html_carries_whole_numbers_and_text_three_digits(facts):
    page = Parsed(facts_html(facts))
    cells = [a for a in page.attributes if "data-value" in a or "data-low" in a]
    assert [list(c.values())[1:] for c in cells[:3]] == [["0.08125"], ["1234"], ["0.01", "nan"]]
    line = next(line for line in str(facts).splitlines() if "שלום" in line and ".081" in line)
    assert line.split()[-5:] == [".081", "1,234", ".010", "to", "-"]


def test_text_is_at_most_80_wide_in_sentences_and_fields(facts):
    lines = str(facts).splitlines()
    assert lines[0] == HOSTILE[0]
    assert max(len(line) for line in lines if "xxx" not in line) <= 80
    assert "Nothing" not in str(facts)  # an empty part is left out
    assert lines[-2:] == ["More", "  2 lines, shown in a notebook"]
    assert repr(facts) == str(facts)
