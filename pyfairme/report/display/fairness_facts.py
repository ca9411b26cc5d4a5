"""A fairness report: a verdict per attribute, accuracy, disparities, and rates of every group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import label_of
from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import ALL, listed, listed_name
from pyfairme.metrics.report_notes import SMALL
from pyfairme.report.display.facts import Amount, Cell, Facts, Finding, Findings, Grid, Span, Tally
from pyfairme.report.display.report_remarks import (
    chosen_groups,
    constant_decisions,
    nearly_constant,
    no_skill,
    small_groups,
    tiny_groups,
)
from pyfairme.report.display.short_number import short_number

SPREADS = {  # metrics that a verdict is about: what differs, and the group's own metric
    "tpr_sd": ("true positive rates", "tpr"),
    "fpr_sd": ("false positive rates", "fpr"),
    "mse_sd": ("mean squared errors", "mse"),
    "residual_sd": ("mean residuals", "mean_residual"),
    "coverage_sd": ("coverages", "coverage"),
}
MAIN = (
    *("tpr_sd", "fpr_sd", "equalized_odds_difference", "mse_sd", "residual_sd"),
    *("demographic_parity", "counterfactual_gap", "coverage_sd", "interval_width_sd"),
    "set_size_sd",
)
RATES = {  # of a group: heading and whether its interval is shown
    "base_rate": ("base rate", True),
    "tpr": ("TPR", True),
    "fpr": ("FPR", True),
    "selection_rate": ("selected", False),
    "accuracy": ("accuracy", False),
    "mse": ("MSE", True),
    "rmse": ("RMSE", False),
    "mae": ("MAE", False),
    "mean_residual": ("mean residual", True),
    "mean_prediction": ("mean prediction", False),
    "coverage": ("coverage", True),
    "set_size": ("set size", False),
    "interval_width": ("width", False),
    "calibration_error": ("calibr. error", False),
}
BLOCKS = {"seen": "seen clusters", "unseen": "unseen clusters"}
CHANCE = (
    "SD: standard deviation over groups, 0 where all are alike. By chance up to: what groups that "
    "are treated alike show in 95 of 100 tables of this size."
)
MOST_CLASSES = 6
MOST_GROUPS = 5  # whose base rates are said; of more the lowest and the highest
NOT_SEEN_HERE = (
    "Equal error rates cannot show a biased outcome: rates given an outcome look fair even where "
    "the outcome itself was decided unfairly."
)
MORE, NOT_MORE = "more than chance", "no more than chance"


def fairness_facts(report: pd.DataFrame, effects: str | None = None) -> Facts:
    """Gather what a report says.

    Parameters
    ----------
    report
        Frame of ``fairness_report``.
    effects
        Predictions to show; None: the mixed ones where the report has them.

    Raises
    ------
    ValueError
        When the report has no such effects.
    """
    frame = pd.DataFrame(report)
    known = list(dict.fromkeys(frame["effects"]))
    chosen = effects or ("mixed" if "mixed" in known else known[0])
    if chosen not in known:
        raise ValueError(
            f"The report has no effects {chosen!r}; it has {', '.join(known)}. [not-in-table]"
        )
    lines = frame.loc[frame["effects"] == chosen]
    blocks = list(dict.fromkeys(lines["clusters"]))
    positive = report.attrs.get("positive")
    of = "" if positive is None else f"; the positive class is {listed_name(label_of(positive))}"
    if not set(blocks) <= set(BLOCKS):
        sizes = f"{len(blocks):,} clusters, {chosen} effects{of}."
        return Facts("Fairness report by cluster", sizes, (_by_cluster(lines),))
    rows = [f"{_rows(lines.loc[lines['clusters'] == b]):,} rows of {BLOCKS[b]}" for b in blocks]
    parts: list[Any] = []
    for name in blocks:
        block, every = lines.loc[lines["clusters"] == name], frame.loc[frame["clusters"] == name]
        where = BLOCKS[name] if len(blocks) > 1 else ""
        parts += _block(block, every, where, folded=name != blocks[0])
    lead = f"{' and '.join(rows)}, {chosen} effects{of}."
    return Facts("Fairness report", lead, tuple(parts))


def _rows(lines: pd.DataFrame) -> int:
    return int(lines["n"].to_numpy().max())


def _block(
    lines: pd.DataFrame, every: pd.DataFrame, where: str, *, folded: bool
) -> Iterator[Findings | Grid]:
    def heading(text: str) -> str:
        return f"{text}: {where}" if where else text

    yield Findings(heading("Verdict"), tuple(verdicts(lines)))
    yield Findings(heading("Base rates"), tuple(base_rates(lines, first=not folded)))
    yield _accuracy(every, lines["effects"].iloc[0], heading("Accuracy"))
    spread = lines.loc[(lines["attribute"] != ALL) & (lines["group"] == ALL)]
    place = {name: at for at, name in enumerate(MAIN)}
    keys = [
        spread["metric"].map(lambda name: place.get(name, len(MAIN))).to_numpy(),
        pd.factorize(spread["class"])[0],
        pd.factorize(spread["attribute"])[0],
    ]
    spread = spread.iloc[np.lexsort(keys)]
    main = spread["metric"].isin(MAIN)
    yield _disparities(spread.loc[main], heading("Differences between groups"), CHANCE, folded)
    yield _groups(lines, heading("Rates of every group"), folded)
    yield _disparities(spread.loc[~main], heading("Further measures of difference"), "", True)


# --- verdicts -----------------------------------------------------------------------------------


def verdicts(
    lines: pd.DataFrame, verdict: Callable[[str, pd.DataFrame], Iterable[Finding]] | None = None
) -> Iterator[Finding]:
    """Yield the verdict on every attribute, and what makes it worth less.

    Parameters
    ----------
    lines
        Of a report, of one kind of effects and clusters.
    verdict
        What is said of the lines of an attribute and class, whose name comes first; None: what
        differs, by how much, and whether by more than chance.
    """
    spread = lines.loc[(lines["attribute"] != ALL) & (lines["group"] == ALL)]
    yield from no_skill(lines)
    yield from constant_decisions(spread, "threshold='balanced_accuracy'")
    yield from nearly_constant(lines, "threshold='balanced_accuracy'")
    classes = list(dict.fromkeys(spread["class"]))
    for attribute, label in _in_turn(spread, ["attribute", "class"]):
        if classes.index(label) >= MOST_CLASSES:
            continue
        here = (lines["attribute"] == attribute) & (lines["class"] == label)
        subject = listed_name(attribute)
        if len(classes) > 1:
            subject += f", class {listed_name(label_of(label))}"
        yield from (verdict or verdict_of)(subject, lines.loc[here])
    if len(classes) > MOST_CLASSES:
        yield Finding("", f"{len(classes) - MOST_CLASSES} more classes are in the lines.")
    yield from chosen_groups(spread)
    yield from small_groups(lines)


def _in_turn(lines: pd.DataFrame, names: list[str]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(lines[names].itertuples(index=False, name=None)))


def verdict_of(subject: str, lines: pd.DataFrame) -> Iterator[Finding]:
    """Say what differs over the groups of an attribute, by how much, and whether beyond chance."""
    spread = lines.loc[lines["group"] == ALL].set_index("metric")
    said, unequal = [], False
    for metric, (what, own) in SPREADS.items():
        if metric not in spread.index:
            continue
        line: Any = spread.loc[metric]
        value, chance = float(line["value"]), float(line["null_high"])
        if np.isnan(value):
            said.append(f"{what} cannot be compared")
            continue
        # an SD of two groups is half of what they differ by: both are said
        ends = ends_of(lines.loc[lines["metric"] == own])
        text = f"{what}: {ends}{', ' * bool(ends)}SD {short_number(value)}"
        if np.isfinite(chance):
            more = value > chance
            unequal |= more
            text += f", {MORE if more else NOT_MORE} ({short_number(chance)})"
        tiny = tiny_groups(str(line["note"]))
        said.append(f"{text}, {tiny}" if tiny else text)
    if said:
        yield Finding(subject, "; ".join(said), "warn" if unequal else "plain")


def ends_of(lines: pd.DataFrame) -> str:
    """Name the groups with the lowest and the highest rate; "" where fewer than two have one."""
    there = lines.loc[lines["value"].notna()]
    if len(there) < 2:
        return ""
    values = there["value"].to_numpy(float)
    if values.min() == values.max():
        return f"every group {short_number(float(values[0]))}"
    ends = [there.iloc[int(values.argmin())], there.iloc[int(values.argmax())]]
    names = listed(str(line["group"]) for line in ends)
    each = [
        f"{name} {short_number(float(line['value']))}"
        + (f" (n = {line['n']})" if line["n"] < SMALL else "")
        for name, line in zip(names, ends, strict=True)
    ]
    return " to ".join(each)


def base_rates(lines: pd.DataFrame, *, first: bool = True) -> Iterator[Finding]:
    """Say how often outcome and decision are positive in each group.

    Parameters
    ----------
    lines
        Of a report, of one kind of effects and clusters; nothing is said where none has a base
        rate.
    first
        Also say what error rates do not show.
    """
    rates = lines.loc[(lines["metric"] == "base_rate") & lines["value"].notna()]
    classes = list(dict.fromkeys(rates["class"]))
    for attribute, label in _in_turn(rates, ["attribute", "class"]):
        if classes.index(label) >= MOST_CLASSES:
            continue
        mine = rates.loc[(rates["attribute"] == attribute) & (rates["class"] == label)]
        subject = listed_name(attribute)
        if len(classes) > 1:
            subject += f", class {listed_name(label_of(label))}"
        several = len(mine) > MOST_GROUPS
        if several:
            ordered = mine.iloc[mine["value"].to_numpy(float).argsort(kind="stable")]
            mine = ordered.iloc[[0, -1]]
        names = listed(map(str, mine["group"]))
        decided = lines.loc[
            (lines["metric"] == "selection_rate") & (lines["attribute"] == attribute)
            & (lines["class"] == label)
        ].set_index("group")["value"]  # fmt: skip
        each = []
        for name, line in zip(names, mine.to_dict("records"), strict=True):
            text = f"{name} {short_number(float(line['value']))}{_said_limits(line)}"
            if line["group"] in decided.index:
                text += f" and {short_number(float(decided.loc[line['group']]))}"
            each.append(text)
        what = "outcomes observed" + (", and decided positive" if len(decided) else "")
        joint = " to " if several else "; "
        yield Finding(subject, f"share of positive {what}: {joint.join(each)}")
    if len(rates) and first:
        yield Finding("", NOT_SEEN_HERE)


def _said_limits(line: Any) -> str:
    low, high = float(line["low"]), float(line["high"])
    return "" if np.isnan(low) else f" ({short_number(low)} to {short_number(high)})"


# --- tables -------------------------------------------------------------------------------------


def _limits(line: Any) -> Span:
    return Span(float(line["low"]), float(line["high"]))


def _several(lines: pd.DataFrame) -> bool:
    return len(set(lines["class"])) > 1


def _class_head(lines: pd.DataFrame) -> list[str]:
    return ["class"] if _several(lines) else []


def _labels(lines: pd.DataFrame) -> Callable[[Any], list[str]]:
    """Return what gives the cell of a line's class; none where there is one class only."""
    if not _several(lines):
        return lambda label: []
    return lambda label: [label_of(label)]


def _accuracy(every: pd.DataFrame, effects: str, heading: str) -> Grid:
    """Return accuracy with its interval, and that of the other effects beside it."""
    overall = every.loc[every["attribute"] == ALL]
    others = [name for name in dict.fromkeys(overall["effects"]) if name != effects]
    keys = ["class", "metric"]
    beside = {
        name: overall.loc[overall["effects"] == name].set_index(keys)["value"].to_dict()
        for name in others
    }
    own = overall.loc[overall["effects"] == effects]
    classes = _labels(own)
    rows = [
        (
            metric_label(str(line["metric"])),
            *classes(line["class"]),
            Amount(float(line["value"])),
            _limits(line),
            *(Amount(beside[o].get((line["class"], line["metric"]), np.nan)) for o in others),
        )
        for line in own.to_dict("records")
    ]
    head = ("metric", *_class_head(own), effects, "interval")
    return Grid(heading, (*head, *others), tuple(rows), folded=len(rows) > 3 * MOST_CLASSES)


def _disparities(spread: pd.DataFrame, heading: str, note: str, folded: bool) -> Grid:
    classes = _labels(spread)
    rows = []
    for line in spread.to_dict("records"):
        value, chance = float(line["value"]), float(line["null_high"])
        known = np.isfinite(value) and np.isfinite(chance)
        mark = (MORE if value > chance else NOT_MORE) if known else ""
        rows.append(
            (
                str(line["attribute"]),
                *classes(line["class"]),
                metric_label(str(line["metric"])),
                Amount(value),
                _limits(line),
                Amount(chance),
                mark,
            )
        )
    head = ("attribute", *_class_head(spread), "measure", "value")
    columns = (*head, "interval", "by chance up to", "differs")
    return Grid(heading, columns, tuple(rows), note, folded)


def _groups(lines: pd.DataFrame, heading: str, folded: bool) -> Grid:
    """Return a line per group with its rows and rates."""
    groups = lines.loc[(lines["attribute"] != ALL) & (lines["group"] != ALL)]
    there = [name for name in RATES if name in set(groups["metric"])]
    classes = _labels(groups)
    keys = ["attribute", "class", "group"]
    records = groups.to_dict("records")
    found = {(r["attribute"], r["class"], r["group"], r["metric"]): r for r in records}
    rows = []
    for key in _in_turn(groups, keys):
        own = {m: found[(*key, m)] for m in there if (*key, m) in found}
        cells: list[Cell] = [key[0], *classes(key[1]), str(key[2])]
        cells += [Tally(max(int(line["n"]) for line in own.values()))]
        for metric in there:
            line = own.get(metric, {"value": np.nan, "low": np.nan, "high": np.nan})
            cells += [Amount(float(line["value"])), *([_limits(line)] if RATES[metric][1] else [])]
        rows.append(tuple(cells))
    rates = [[RATES[m][0], *(["interval"] if RATES[m][1] else [])] for m in there]
    head = ("attribute", *_class_head(groups), "group", "rows")
    columns = (*head, *(name for each in rates for name in each))
    return Grid(heading, columns, tuple(rows), folded=folded or len(rows) > 3 * SMALL)


def _by_cluster(lines: pd.DataFrame) -> Grid:
    """Return a line per cluster: rows, accuracy, and its largest spread beyond chance."""
    metrics = set(lines["metric"])
    classify = "tpr_sd" in metrics
    accuracy = next(m for m in ("balanced_accuracy", "mse", *metrics) if m in metrics)
    spread = "tpr_sd" if classify else next((m for m in SPREADS if m in metrics), "")
    rows = []
    for name, mine in lines.loc[lines["group"] == ALL].groupby("clusters", sort=False):
        overall = mine.loc[mine["metric"] == accuracy]
        differ = mine.loc[(mine["metric"] == spread) & mine["value"].notna()]
        ends: Iterable[Cell] = ("", Amount(np.nan), Amount(np.nan))
        if len(differ):
            beyond = differ["value"] - differ["null_high"].fillna(0)
            worst: Any = differ.iloc[int(beyond.to_numpy(float).argmax())]
            ends = (
                str(worst["attribute"]),
                Amount(float(worst["value"])),
                Amount(float(worst["null_high"])),
            )
        mean = float(overall["value"].to_numpy().mean()) if len(overall) else np.nan
        rows.append((str(name), Tally(_rows(mine)), Amount(mean), *ends))
    label = metric_label(spread) if spread else "spread"
    columns = ("cluster", "rows", metric_label(accuracy), "attribute", label, "by chance up to")
    note = f"Of several attributes the one whose {label} exceeds chance most. {CHANCE}"
    return Grid("Clusters", columns, tuple(rows), note)
