"""What a reader of a fairness report must know beside its numbers, in one wording everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pyfairme.metrics.names import ALL, listed, listed_name
from pyfairme.metrics.report_notes import SMALL
from pyfairme.report.display.facts import Finding

CONSTANT = "for every row: no sign of fairness"  # as the notes of a report say
CHOSEN = ("left out by choice: ", "put together as ")
TINY = "moved by tiny groups: "
MOST_NAMED = 4


def constant_decisions(spread: pd.DataFrame, cure: str) -> Iterator[Finding]:
    """Say where all rows are decided alike.

    Parameters
    ----------
    spread
        Lines of a report about attributes, group "all".
    cure
        What to try, as it is written where the reader is.
    """
    said = spread.loc[spread["note"].str.contains(CONSTANT, regex=False), "note"]
    for note in dict.fromkeys(text.partition(" for every row")[0] for text in said):
        what = listed_name(note.removeprefix("decides "))
        text = f"every row is decided {what}: equal rates are no sign of fairness"
        yield Finding("", f"{text}. Try {cure}.", "warn")


def chosen_groups(spread: pd.DataFrame) -> Iterator[Finding]:
    """Say which groups were left out or put together by choice."""
    found = {}
    for attribute, note in zip(spread["attribute"], spread["note"], strict=True):
        said = [part for part in str(note).split("; ") if part.startswith(CHOSEN)]
        if said:
            found[attribute, "; ".join(said)] = None
    for attribute, text in found:
        yield Finding(listed_name(attribute), text)


def tiny_groups(note: str) -> str:
    """Return what a note says of groups of a few people that move the value, or ""."""
    return next((part for part in note.split("; ") if part.startswith(TINY)), "")


def small_groups(lines: pd.DataFrame) -> Iterator[Finding]:
    """Name the groups whose rates rest on few rows."""
    cells = lines.loc[lines["note"].str.contains("small cell|empty cell") & (lines["n"] < SMALL)]
    cells = cells.loc[cells["attribute"] != ALL]
    for attribute in dict.fromkeys(cells["attribute"]):
        mine = cells.loc[cells["attribute"] == attribute]
        fewest = mine.groupby("group", sort=False)["n"].min()
        names = listed(map(str, fewest.index))
        each = [f"{name} {n}" for name, n in zip(names, fewest, strict=True)]
        more = f" and {len(each) - MOST_NAMED} more" if len(each) > MOST_NAMED else ""
        text = f"fewer than {SMALL} rows behind a rate: {', '.join(each[:MOST_NAMED])}{more}"
        yield Finding(listed_name(attribute), text)
