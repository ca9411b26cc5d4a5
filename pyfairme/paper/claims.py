"""Every number and claim of the paper beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from pyfairme.metrics.metric import metric_label
from pyfairme.metrics.names import words
from pyfairme.paper.improved_cells import Pair, count_cells, count_of_paper, metrics_of
from pyfairme.paper.probe_tables import short
from pyfairme.paper.published_values import paper_dataset, paper_values
from pyfairme.paper.study_lines import EFFECTS, Lines, change, number, p_value
from pyfairme.paper.table_cells import interval
from pyfairme.report.markdown import markdown_table
from pyfairme.study.evaluation.importance_frame import features_of, probes_in_top

HEADER = ("data", "model", "against", "effects", "clusters", "attribute", "metric", "claim",
          "paper", "ours", "holds here", "source and note")  # fmt: skip
EXPLANATION = (
    "*holds here*: for a change, whether ours is at least as large (`smaller`: the right "
    "direction only); for a direction, whether ours has it; for a count, whether ours is at "
    "least as good, as a share of the cells; for a p value, whether both Holm-corrected ones are "
    "below it. "
    "Values are shown without a verdict: they start from different models. `~`: the baseline is "
    "not resolvable."
)


class _Ours(NamedTuple):
    text: str
    verdict: str


NOTHING = _Ours("-", "")
Claim = Mapping[str, Any]  # a line of the published values


def claims_table(lines: Lines, importance: pd.DataFrame | None = None) -> str:
    """Return the paper's claims about the data sets that were run; empty when it has none.

    Parameters
    ----------
    lines
        Results and tests.
    importance
        Ranks of features (columns as of `probes_table`), for the claims about them.
    """
    known = paper_values().to_dict("records")
    rows = []
    for dataset in lines.datasets():
        for claim in known:
            if claim["dataset"] == paper_dataset(dataset) and not _is_total(claim):
                rows.append(_row(lines, importance, dataset, claim))
    if not rows:
        return ""
    rows += [_row(lines, importance, "all", claim) for claim in known if claim["dataset"] == "all"]
    return f"{markdown_table(HEADER, rows)}\n\n{EXPLANATION}"


def _is_total(claim: Claim) -> bool:
    """Whether it is the denominator of another claim, which shows it."""
    return claim["metric"].startswith("cells_considered")


def _row(lines: Lines, importance: pd.DataFrame | None, dataset: str, claim: Claim) -> list[str]:
    ours = _ours(lines, importance, dataset, claim)
    remark = "; ".join(part for part in (claim["source"], claim["note"]) if part)
    attribute, metric = words(claim["attribute"]), metric_label(claim["metric"])
    return [
        *(dataset, claim["variant"], claim["baseline"] or "-", claim["effects"]),
        *(claim["clusters"], attribute, metric, words(claim["kind"])),
        *(_paper(dataset, claim), ours.text, ours.verdict or "-", remark),
    ]


def _paper(dataset: str, claim: Claim) -> str:
    value, kind = claim["value"], claim["kind"]
    if kind == "change_percent":
        return change(value)
    if kind == "difference":
        return f"{100 * value:+.2f} points"
    if kind == "p_value_below":
        return f"<{number(value)}"
    if kind == "direction":
        return "improves" if claim["metric"].startswith("cells") else "falls"
    if claim["metric"].startswith("cells"):
        improved, cells = _count_of_paper(dataset, claim)
        return f"{improved:.0f} of {cells:.0f}"
    return f"{value:.0f}" if _is_rank(claim) else number(value)


def _is_rank(claim: Claim) -> bool:
    return claim["metric"].startswith("probe") or claim["metric"] == "importance_rank"


def _ours(lines: Lines, importance: pd.DataFrame | None, dataset: str, claim: Claim) -> _Ours:
    if _is_rank(claim):
        return NOTHING if importance is None else _rank(importance, dataset, claim)
    if claim["metric"].startswith("cells"):
        return _count(lines, dataset, claim)
    if claim["metric"].endswith("_improvement"):
        return _extreme(lines, claim)
    names = ("variant", "effects", "clusters", "attribute", "metric")
    key = (dataset, *(claim[name] for name in names))
    if claim["kind"] == "value":
        line = lines.results.get(key)
        return NOTHING if line is None else _Ours(
            interval(line["value"], line["low"], line["high"]), "")  # fmt: skip
    test = lines.test(key, claim["baseline"])
    return NOTHING if test is None else _tested(test, claim["kind"], claim["value"])


def _tested(test: Any, kind: str, value: float) -> _Ours:
    mark = "" if test["resolvable"] else " ~"
    if kind == "p_value_below":
        both = [test["p_bootstrap_holm"], test["p_nadeau_bengio_holm"]]
        holds = test["improved"] and all(p < value for p in both)
        return _Ours(", ".join(map(p_value, both)) + mark, _yes(holds))
    percent, difference = test["change_percent"], test["difference"]
    if kind == "difference":
        low, high = 100 * test["low"], 100 * test["high"]
        text = f"{100 * difference:+.2f} ({low:+.2f}, {high:+.2f}) points"
        return _Ours(text, _yes(difference >= value))  # of accuracy: not less
    text = f"{change(percent)}{mark}"
    if kind == "direction":
        return _Ours(text, _yes(difference * value > 0))
    if value > 0:  # a disparity that the paper saw grow, or an accuracy: nothing to keep up with
        return _Ours(text, "")
    if test["metric"] in ("auroc", "balanced_accuracy"):
        return _Ours(text, _yes(percent >= value))
    return _Ours(text, "yes" if percent <= value else "smaller" if percent < 0 else "no")


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _count(lines: Lines, dataset: str, claim: Claim) -> _Ours:
    name = claim["metric"]
    if claim["kind"] == "direction":  # all cells of all metrics
        name = "cells_improved_all"
    metrics = metrics_of(name, lines.values("metric", dataset))
    pair = Pair(dataset, claim["variant"], claim["baseline"])
    count = count_cells(lines, pair, metrics, claim["effects"], claim["clusters"])
    if not count.cells:
        return NOTHING
    resolvable = f"{count.improved_resolvable} of {count.resolvable} resolvable"
    text = f"{count.improved} of {count.cells} ({resolvable})"
    improved, cells = _count_of_paper(dataset, claim)
    share = 1.0 if math.isnan(improved) else improved / cells
    return _Ours(text, _yes(count.improved / count.cells >= share))


def _count_of_paper(dataset: str, claim: Claim) -> tuple[float, float]:
    pair = Pair(dataset, claim["variant"], claim["baseline"])
    return count_of_paper(pair, claim["metric"], claim["effects"], claim["clusters"])


def _rank(importance: pd.DataFrame, dataset: str, claim: Claim) -> _Ours:
    variant, effects, metric = claim["variant"], claim["effects"], claim["metric"]
    if metric.startswith("probes_in_top_"):
        top = int(metric.rsplit("_", 1)[1])
        found = probes_in_top(importance, dataset, variant, effects, top)
        if math.isnan(found):
            return NOTHING
        fair = variant.endswith("_adb")  # a fair model should have few, a plain one many
        holds = found <= claim["value"] if fair else found >= claim["value"]
        return _Ours(short(found), _yes(holds))
    features = features_of(importance, dataset, variant, effects)
    ranks = sorted(
        feature["rank"]
        for feature in features
        if (
            feature["probe"] if metric == "probe_rank" else feature["feature"] == claim["attribute"]
        )
    )
    return _Ours(", ".join(f"{rank:.1f}" for rank in ranks), "") if ranks else NOTHING


def _extreme(lines: Lines, claim: Claim) -> _Ours:
    """Largest or smallest improvement of an attribute over all cells of all data sets."""
    chosen = [
        (test["change_percent"], (pair[0], *key))
        for pair, tests in lines.tests.items()
        if pair[1:] == (claim["variant"], claim["baseline"])
        for key, test in tests.items()
        if key[0] in EFFECTS
        and key[2] == claim["attribute"]
        and key[3] in (*metrics_of("cells_improved_all", ()), "mse_sd")
        and test["change_percent"] == test["change_percent"]
    ]
    if not chosen:
        return NOTHING
    pick = min if claim["metric"].startswith("largest") else max
    percent, key = pick(chosen)
    where = f"{key[0]}, {key[1]}, {key[2]}, {metric_label(key[4])}"
    return _Ours(f"{change(percent)} ({where})", "yes" if percent <= claim["value"] else "no")
