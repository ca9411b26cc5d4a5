"""What a reader of a fairness report must know beside its numbers, in one wording everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pyfairme.metrics.constant_baseline import FEW_DECISIONS, NO_BETTER
from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import ALL, listed, listed_name
from pyfairme.metrics.report_notes import SMALL
from pyfairme.report.display.facts import Finding
from pyfairme.report.display.short_number import short_number

CONSTANT = "for every row: no sign of fairness"  # as the notes of a report say
CHOSEN = ("left out by choice: ", "put together as ")
TINY = "moved by tiny groups: "
MOST_NAMED = 4
CURE = (
    "Read the interval rather than the rate; judge more rows, or put levels together (merge=) or "
    "leave them out (exclude=)."
)
OF_MANY = "class_weight='balanced', or more steps of training"
NOTHING_LEARNT = {  # the level that an interval must lie above
    "auroc": (0.5, "these rows do not show that it tells the classes apart"),
    "r2": (0.0, "these rows do not show that it predicts better than their mean"),
}


def constant_decisions(spread: pd.DataFrame, cure: str) -> Iterator[Finding]:
    """Say where all rows are decided alike.

    Parameters
    ----------
    spread
        Lines of a report about attributes, group "all".
    cure
        What to try, as it is written where the reader is. Of more than two classes thresholds are
        refused: there it is `OF_MANY`.
    """
    if len(set(spread["class"])) > 1:
        cure = OF_MANY
    said = spread.loc[spread["note"].str.contains(CONSTANT, regex=False), "note"]
    for note in dict.fromkeys(text.partition(" for every row")[0] for text in said):
        what = listed_name(note.removeprefix("decides "))
        text = f"every row is decided {what}: equal rates are no sign of fairness"
        yield Finding("", f"{text}. Try {cure}.", "warn")


def nearly_constant(lines: pd.DataFrame, cure: str) -> Iterator[Finding]:
    """Say where nearly all rows are decided alike: rates near 0 or 1 can hardly differ.

    ``lines`` are all of a report's of one kind of effects and clusters; ``cure`` as above.
    """
    rates = lines.loc[(lines["metric"] == "selection_rate") & (lines["attribute"] != ALL)]
    if rates["class"].nunique() != 1:
        return
    rates = rates.loc[rates["attribute"] == rates["attribute"].iloc[0]]
    share = float(np.average(rates["value"], weights=rates["n"]))
    if not 0 < min(share, 1 - share) < FEW_DECISIONS:
        return
    rows = round(min(share, 1 - share) * int(rates["n"].sum()))
    what = "are" if share < 0.5 else "are not"
    text = (
        f"only {max(rows, 1):,} of {int(rates['n'].sum()):,} rows {what} selected: rates this near "
        f"{'0' if share < 0.5 else '1'} can hardly differ, which is no sign of fairness"
    )
    yield Finding("", f"{text}. Try {cure}.", "warn")


def no_skill(lines: pd.DataFrame) -> Iterator[Finding]:
    """Say where the rows do not show that a model predicts better than chance, or than the mean."""
    for metric, (level, text) in NOTHING_LEARNT.items():
        own = lines.loc[(lines["attribute"] == ALL) & (lines["metric"] == metric)]
        for value, low in own[["value", "low"]].itertuples(index=False):
            if low <= level or value <= level:
                said = f"{metric_label(metric)} {short_number(value)} (from {short_number(low)})"
                yield Finding("accuracy", f"{said}: {text}, and equal rates of a model that "
                              "predicts nothing are no sign of fairness", "warn")  # fmt: skip
                return
    yield from _beside_constant(lines)


def _beside_constant(lines: pd.DataFrame) -> Iterator[Finding]:
    """Say where a loss is not below that of a constant, though rows are told apart."""
    own = lines.loc[(lines["attribute"] == ALL) & lines["note"].str.contains(NO_BETTER)]
    for note in dict.fromkeys(own["note"]):
        said = next(part for part in str(note).split("; ") if part.startswith(NO_BETTER))
        text = said.removeprefix(f"{NO_BETTER}: ")
        what = "probabilities" if text.startswith("log loss") else "predictions"
        yield Finding(
            "accuracy",
            f"{text}: these rows do not show that {what} are better than one constant for all "
            "rows. Decisions may still order rows; do not read the numbers as they stand",
            "warn",
        )
        return


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
        yield Finding(listed_name(attribute), f"{text}. {CURE}")
