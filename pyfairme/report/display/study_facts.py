"""What studies found: cross-validations, comparisons, frontiers, choices, searches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import label_of
from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import ALL, listed, listed_name
from pyfairme.report.display.facts import Amount, Cell, Facts, Fields, Finding, Findings, Grid, Span
from pyfairme.report.display.report_remarks import constant_decisions, nearly_constant, no_skill
from pyfairme.report.display.short_number import short_number
from pyfairme.study.comparison.compare import Comparisons
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.frontier.frontier_choice import FrontierChoice
from pyfairme.study.frontier.frontier_result import Frontier
from pyfairme.study.tuning.tuning_result import Tuning

ACCURACY = ("balanced_accuracy", "auroc", "r2", "mse")
SPREADS = ("tpr_sd", "fpr_sd", "residual_sd", "mse_sd")
LATER = "Metrics are computed when they are asked for: summary(), or .frame."
MOST_TRIALS = 10
MOST_LINES = 60
MOST_SAID = 4
ALPHA = 0.05  # of the p-values after Holm's correction


def cross_validation_facts(study: CrossValidation, *, compute: bool = True) -> Facts:
    """Gather what a cross-validation found.

    Parameters
    ----------
    study
        Of `cross_validate`.
    compute
        Compute the metrics, which takes time, unless that has been done.
    """
    variants = listed(dict.fromkeys(variant for variant, _ in study.runs))
    seeds = dict.fromkeys(seed for _, seed in study.runs)
    items = (
        ("data set", ", ".join(listed([study.dataset]))),
        ("models", ", ".join(variants)),
        ("fits", f"{study.turns} of {study.folds} folds for {len(seeds)} seeds"),
        ("clusters", ", ".join(listed(study.seen)) + " seen" if study.seen else "all seen"),
    )
    known = compute or "frame" in vars(study)
    frame = study.frame if known else None
    found = study.warnings if study.configurations else pd.DataFrame()
    warnings = [
        Finding(str(line["variant"]), f"{line['warning']} ({line['fits']} fits)", "warn")
        for line in found.to_dict("records")
    ]
    tables = [] if frame is None else _of_models(frame)
    skill = () if frame is None else tuple(_without_skill(frame))
    parts = (
        *_to_know(skill),
        Findings("Warnings", tuple(warnings)),
        Fields("", items),
        *tables,
    )
    return Facts("Cross-validation", "" if known else LATER, parts)


def _without_skill(frame: pd.DataFrame) -> Iterator[Finding]:
    """Say which models' mixed predictions are near chance, or decide (nearly) all rows alike."""
    kinds = set(frame["effects"])
    lines: Any = frame.loc[frame["effects"] == ("mixed" if "mixed" in kinds else min(kinds))]
    cure = "threshold='balanced_accuracy'"
    for (variant, clusters), mine in lines.groupby(["variant", "clusters"], sort=False):
        subject = f"{variant}, {clusters} clusters"
        spread = mine.loc[(mine["attribute"] != ALL) & (mine["group"] == ALL)]
        alike = (*constant_decisions(spread, cure), *nearly_constant(mine, cure))
        for one in (*no_skill(mine), *alike):
            yield Finding(subject, one.text, one.tone)


def _of_models(frame: pd.DataFrame) -> Iterator[Grid]:
    """Yield for known and new clusters a line per model and effects: accuracy and spreads."""
    lines: Any = frame.loc[frame["group"] == ALL]
    for clusters, block in lines.groupby("clusters", sort=False):
        there = set(block["metric"])
        overall = [m for m in ACCURACY if m in there]
        attributes = [a for a in dict.fromkeys(block["attribute"]) if a != ALL]
        spreads = [(m, a) for a in attributes for m in SPREADS if m in there]
        wanted = [*((m, ALL) for m in overall), *spreads]
        classes = block["class"].nunique() if "class" in block else 1
        head = ["model", "effects", *(["class"] if classes > 1 else [])]
        columns = [metric_label(m) if a == ALL else f"{metric_label(m)} {a}" for m, a in wanted]
        rows: list[tuple[Cell, ...]] = []
        keys = ["variant", "effects", *(["class"] if classes > 1 else [])]
        for key, mine in block.groupby(keys, sort=False):
            values = mine.set_index(["metric", "attribute"])["value"].to_dict()
            cells = [Amount(float(values.get(pair, np.nan))) for pair in wanted]
            rows.append((*map(label_of, key), *cells))
        yield Grid(f"Means over seeds, {clusters} clusters", (*head, *columns), tuple(rows))


def comparisons_facts(found: Comparisons) -> Facts:
    """Gather what a comparison found: the mixed predictions of every model and its baseline."""
    frame: Any = found.frame
    lines: Any = (
        frame.loc[frame["effects"] == "mixed"] if "mixed" in set(frame["effects"]) else frame
    )
    several = lines["class"].nunique() > 1
    rows = [
        (str(line["variant"]), str(line["baseline"]), str(line["clusters"]),
         "" if line["attribute"] == ALL else str(line["attribute"]),
         *([label_of(line["class"])] if several else []),
         metric_label(str(line["metric"])), Amount(float(line["baseline_value"])),
         Amount(float(line["value"])), Amount(float(line["difference"])),
         Span(float(line["low"]), float(line["high"])),
         Amount(float(line["p_bootstrap_holm"])), Amount(float(line["p_nadeau_bengio_holm"])))
        for line in lines.to_dict("records")
    ]  # fmt: skip
    columns = (
        *("model", "baseline", "clusters", "attribute", *(["class"] if several else []), "measure"),
        *("baseline", "model", "difference", "interval", "p (rows)", "p (fits)"),
    )
    note = (
        "p (rows): paired bootstrap of the rows, by which the verdict goes; p (fits): corrected "
        "resampled t-test over folds and seeds; both with Holm's correction for several tests."
    )
    models = ", ".join(listed(dict.fromkeys(lines["variant"])))
    beside = ", ".join(listed(dict.fromkeys(lines["baseline"])))
    said = Findings("Verdict", tuple(_of_pairs(lines)))
    lead = f"{models} beside {beside}; differences are model less baseline, intervals of them."
    grid = Grid("Differences", columns, tuple(rows), note, folded=len(rows) > MOST_LINES)
    return Facts("Comparison with a baseline", lead, (said, grid))


def _of_pairs(lines: Any) -> Iterator[Finding]:
    """Say of each model and its baseline what the bootstrap of the rows tells apart."""
    for (variant, baseline, clusters), mine in lines.groupby(
        ["variant", "baseline", "clusters"], sort=False
    ):
        tested = mine.loc[mine["p_bootstrap_holm"].notna()]
        clear = tested.loc[tested["p_bootstrap_holm"] < ALPHA]
        parts = []
        for word, chosen in (
            ("better", clear.loc[clear["improved"].astype(bool)]),
            ("worse", clear.loc[~clear["improved"].astype(bool)]),
        ):
            if len(chosen):
                each = [_difference(line) for line in chosen.head(MOST_SAID).to_dict("records")]
                more = len(chosen) - MOST_SAID
                parts.append(f"{word}: {', '.join(each)}{f' and {more} more' if more > 0 else ''}")
        left = len(tested) - len(clear)
        if left or not parts:
            parts.append(f"{left} of {len(tested)} differences are not told apart from 0")
        good = [bool(one) for one in clear["improved"]]
        tone: Any = "good" if good and all(good) else "warn" if good and not any(good) else "plain"
        one, two = listed([str(variant), str(baseline)])
        yield Finding(f"{one} beside {two}, {clusters} clusters", "; ".join(parts), tone)


def _difference(line: dict[str, Any]) -> str:
    of = "" if line["attribute"] == ALL else f" {listed_name(str(line['attribute']))}"
    change = float(line["difference"])
    sign = "+" if change > 0 else ""
    return f"{metric_label(str(line['metric']))}{of} {sign}{short_number(change)}"


def frontier_facts(frontier: Frontier, *, compute: bool = True) -> Facts:
    """Gather the points of a frontier.

    Parameters
    ----------
    frontier
        Of `frontier`.
    compute
        Compute the metrics, which takes time, unless that has been done.
    """
    items = (
        ("weights", ", ".join(listed(frontier.weights))),
        ("chosen on", f"seeds {', '.join(map(str, frontier.choosing_seeds)) or 'none'}"),
        ("reported on", f"seeds {', '.join(map(str, frontier.reported_seeds))}"),
    )
    known = compute or "points" in vars(frontier)
    tables = _points(frontier.points) if known else ()
    said = tuple(_useless(frontier.points)) if known else ()
    lead = "Accuracy against the worst difference between groups, point by point."
    parts = (*_to_know(said), Fields("", items), *tables)
    return Facts("Frontier", lead if known else LATER, parts)


def _useless(points: Any) -> Iterator[Finding]:
    """Name the points of mixed predictions whose equal groups are no merit."""
    used = "mixed" if "mixed" in set(points["effects"]) else points["effects"].iloc[0]
    for line in points.loc[points["effects"] == used].to_dict("records"):
        if line["useless"]:
            subject = f"{line['variant']}, {line['clusters']} clusters"
            yield Finding(subject, str(line["useless"]), "warn")


def _points(points: Any) -> Iterator[Grid]:
    accuracy = "balanced_accuracy" if "balanced_accuracy" in points else "r2"
    blocks = points.groupby(["effects", "clusters"], sort=False)
    for (effects, clusters), block in sorted(blocks, key=lambda one: one[0][0] != "mixed"):
        rows = tuple(
            (str(line["variant"]), Amount(float(line[accuracy])), Amount(float(line["cost"])),
             Span(float(line["cost_low"]), float(line["cost_high"])),
             Amount(float(line["worst_sd"])),
             Span(float(line["worst_sd_low"]), float(line["worst_sd_high"])),
             _worst(line["worst_sd_of"]), "yes" if line["non_dominated"] else "")
            for line in block.to_dict("records")
        )  # fmt: skip
        columns = ("weight", metric_label(accuracy), "cost", "interval", "worst SD", "interval",
                   "of", "on the frontier")  # fmt: skip
        mixed = effects == "mixed"
        yield Grid(f"{effects} effects, {clusters} clusters", columns, rows, folded=not mixed)


def _worst(of: object) -> str:
    """Return "tpr_sd sex" as people read it."""
    metric, *attribute = str(of).split(" ", 1)
    return " ".join([metric_label(metric), *attribute])


def choice_facts(choice: FrontierChoice) -> Facts:
    """Gather what was chosen on a frontier, and what it costs."""
    found: Any = choice.point
    before: Any = choice.unfair
    accuracy = "balanced_accuracy" if "balanced_accuracy" in found else "r2"
    rows = tuple(
        (name, Amount(float(line[accuracy])), Amount(float(line["worst_sd"])),
         _worst(line["worst_sd_of"]))
        for name, line in (("without fairness", before), ("chosen", found))
    )  # fmt: skip
    notes = (Finding("", choice.note, "warn"),) if choice.note else ()
    lead = (
        f"fairness_weight {choice.variant}, at a cost of {short_number(float(found['cost']))} "
        f"({short_number(float(found['cost_low']))} to {short_number(float(found['cost_high']))})."
    )
    columns = ("", metric_label(accuracy), "worst SD", "of")
    parts = (Findings("", notes), Grid("On the reported seeds", columns, rows))
    return Facts("Choice on a frontier", lead, parts)


def tuning_facts(tuning: Tuning) -> Facts:
    """Gather what a search found: the best keywords, and its best trials."""
    frame: Any = tuning.frame
    best = tuple((name, str(value)) for name, value in tuning.best.items())
    states = frame["state"].value_counts()
    lead = ", ".join(f"{n} {state}" for state, n in states.items()) + " trials."
    numbers = [c for c in ("accuracy", "worst_sd", "loss") if c in frame]
    done = frame.loc[frame["state"] == "complete"]
    order = [c for c in ("worst_sd", "loss") if c in done]
    ranked = done.sort_values(["best", *order], ascending=[False, *([True] * len(order))])
    rows = tuple(
        (str(line["number"]), *(Amount(float(line[c])) for c in numbers),
         "best" if line["best"] else "on the frontier" if line["on_frontier"] else "")
        for line in ranked.head(MOST_TRIALS).to_dict("records")
    )  # fmt: skip
    columns = ("trial", *map(metric_label, numbers), "")
    best_line = done.loc[done["best"]]
    said = tuple(_beside_constant(best_line.iloc[0].to_dict())) if len(best_line) else ()
    base = tuple((metric_label(k), short_number(float(v))) for k, v in tuning.baseline.items())
    return Facts(
        "Search",
        lead,
        (
            *_to_know(said),
            Fields("Best keywords", best),
            Fields("The unfair model on the same folds", base),
            Grid("First trials", columns, rows, "All are in .frame; judge() uses untouched rows."),
        ),
    )


def _beside_constant(trial: dict[Any, Any]) -> Iterator[Finding]:
    """Say where the best trial's log loss is not below a constant's."""
    loss, constant = trial.get("loss", np.nan), trial.get("constant_loss", np.nan)
    if loss >= constant:  # NaN: an older trial, or a regression
        yield Finding(
            "best trial",
            f"log loss {short_number(float(loss))}, of a constant {short_number(float(constant))}: "
            "its probabilities are no better than one constant for all rows",
            "warn",
        )


def _to_know(said: tuple[Finding, ...]) -> tuple[Findings, ...]:
    return (Findings("To know", said),) if said else ()


def cheap_facts(study: Any) -> Facts:
    """Gather what is known of a study without computing metrics, for its repr."""
    gather: Any = frontier_facts if isinstance(study, Frontier) else cross_validation_facts
    return gather(study, compute=False)
