"""The comparison of two models as plain text, at most 120 characters wide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.metrics.metric import higher_is_better, metric_label
from pyfairme.metrics.names import short_names

WIDTH = 118
LABEL = 22  # width of the first column; four attributes of 24 characters follow
CELL = 24
PER_LINE = 4

ACCURACY = ("auroc", "balanced_accuracy", "log_loss", "brier")
DISPARITIES = (  # the paper's first, then those whose noise is taken off, then the ecosystem's
    *("tpr_sd", "fpr_sd", "demographic_parity", "counterfactual_gap"),
    *("tpr_sd_corrected", "fpr_sd_corrected"),
    *("equalized_odds_difference", "demographic_parity_difference"),
    *("worst_group_accuracy", "worst_group_calibration_error"),
)
GAPS = ("tpr_sd_corrected", "equalized_odds_difference")  # an empty line stands before these
BLOCKS = {
    "mixed": "mixed effects: the model as it would be used",
    "fixed": "fixed effects only: the population's part of the model",
}
CLUSTERS = {
    "seen": "SEEN CLUSTERS, rows never trained on",
    "unseen": "UNSEEN CLUSTERS",
}


def comparison_text(table: pd.DataFrame, names: tuple[str, str] = ("before", "after")) -> str:
    """Write a comparison as text for a person who decides.

    One block per clusters and effects; metrics in rows, sensitive attributes in columns.

    Parameters
    ----------
    table
        Frame of `pyfairme.study.comparison.before_after.before_after`.
    names
        Names of the two models.

    Returns
    -------
    str
        Lines of at most 118 ASCII characters (unless a label has others). Metrics that are new to
        this module are listed after the known ones, under their own names.
    """
    parts = [_legend(names)]
    for clusters, effects in product(CLUSTERS, BLOCKS):
        block = table.loc[(table["clusters"] == clusters) & (table["effects"] == effects)]
        if len(block):
            parts.append("\n".join(_block(block, f"{CLUSTERS[clusters]} | {BLOCKS[effects]}")))
    return "\n\n".join(parts)


def _legend(names: tuple[str, str]) -> str:
    lines = [
        f"from: {names[0]}   to: {names[1]}   chg: change in percent",
        "null: what equal groups would show by chance (mean; its band is in the CSV file)",
        "  ~  not resolvable: 'from' is within its null band, "
        "these rows can show no improvement on it",
        "  =  'to' is within its null band: as equal as these rows can show",
        "Disparities and losses: lower is better. AUROC, accuracies: higher is better. "
        "Intervals are in the CSV file.",
    ]
    return "\n".join(lines)


def _block(block: pd.DataFrame, title: str) -> Iterator[str]:
    everything = block["attribute"] == "all"
    overall, rest = block.loc[everything], block.loc[~everything]
    rows = f" | n = {overall['n'].max():,}" if len(overall) else ""
    yield f"{title}{rows} ".ljust(WIDTH, "=")
    if len(overall):
        yield from _accuracy(overall)
    yield _verdict(rest)
    attributes = list(dict.fromkeys(rest["attribute"]))
    for start in range(0, len(attributes), PER_LINE):
        yield from _panel(rest, attributes[start : start + PER_LINE])


def _accuracy(overall: pd.DataFrame) -> Iterator[str]:
    """Yield lines of two metrics each."""
    lines = overall.set_index("metric")
    parts = [
        f"{metric_label(str(name))} {_number(line['before'])} -> "
        f"{_number(line['after'])} ({line['change_percent']:+.1f} %)"
        for name, line in lines.loc[_ordered(lines.index, ACCURACY)].iterrows()
    ]
    for start in range(0, len(parts), 2):
        yield "   ".join(parts[start : start + 2])


def _verdict(rest: pd.DataFrame) -> str:
    """Count the disparities that can be judged, and those that improved."""
    unclear = rest["note"].str.contains("not resolvable")
    known = rest.loc[rest["change_percent"].notna() & ~unclear]
    sign = [1 if higher_is_better(metric) else -1 for metric in known["metric"]]
    better = (known["change_percent"].to_numpy() * np.array(sign) > 0).sum()
    return f"{better} of {len(known)} resolvable fairness values improved"


def _panel(rest: pd.DataFrame, attributes: list[str]) -> Iterator[str]:
    yield ""
    short = short_names(attributes, CELL - 2, blanks=True)
    heads = [f"{short[name]:>{CELL - 2}}  " for name in attributes]
    yield (" " * LABEL + "".join(heads)).rstrip()
    under = f"{'from':>6}{'to':>5}{'chg':>6}{'null':>5}  "
    yield (" " * LABEL + under * len(attributes)).rstrip()
    lines = rest.set_index(["metric", "attribute"])
    for metric in _ordered(dict.fromkeys(rest["metric"]), DISPARITIES):
        if metric in GAPS:
            yield ""
        cells = "".join(
            _cell(lines.loc[(metric, name)]) if (metric, name) in lines.index else " " * CELL
            for name in attributes
        )
        label = metric_label(metric)
        yield f"{label[: LABEL - 1]:<{LABEL}}{cells}".rstrip()


def _ordered(present: Iterable[str], known: tuple[str, ...]) -> list[str]:
    present = list(present)
    return [*(n for n in known if n in present), *(n for n in present if n not in known)]


def _cell(line: Any) -> str:
    mark = "~" if "not resolvable" in line["note"] else ""
    mark += "=" if "after: inside" in line["note"] else ""
    numbers = f"{_number(line['before']):>6}{_number(line['after']):>5}"
    return f"{numbers}{_percent(line['change_percent']):>6}{_number(line['null']):>5}{mark:<2}"


def _number(value: float) -> str:
    """Return three decimals without the leading zero; empty where there is no value."""
    if np.isnan(value):
        return ""
    text = f"{value:.3f}" if abs(value) < 0.9995 else f"{value:.2f}"
    return text.replace("0.", ".", 1) if abs(value) < 0.9995 else text


def _percent(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:+.0f}%" if value < 999.5 else ">999%"
