"""The comparison of two models as plain text, at most 120 characters wide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.metrics.metric import ChosenMetrics, Metric, chosen_metrics
from pyfairme.metrics.names import short_names, words

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


def comparison_text(
    table: pd.DataFrame,
    names: tuple[str, str] = ("before", "after"),
    metrics: ChosenMetrics = None,
) -> str:
    """Write a comparison as text for a person who decides.

    One block per clusters and effects; metrics in rows, sensitive attributes in columns.

    Parameters
    ----------
    table
        Frame of `pyfairme.study.comparison.before_after.before_after`.
    names
        Names of the two models.
    metrics
        Those of the reports: labels and directions of your own ones are read here.

    Returns
    -------
    str
        Lines of at most 118 ASCII characters (unless a label has others). A metric that is neither
        one of the package nor given is listed last, and counts neither as better nor as worse.

    Examples
    --------
    >>> from pyfairme.metrics import regression_report_frame
    >>> from pyfairme.study import before_after
    >>> def report(predictions):
    ...     sex = {"sex": ["m", "m", "w", "w"]}
    ...     y = [1, 2, 3, 4]
    ...     lines = regression_report_frame(y, predictions, sensitive=sex, rng=0, n_boot=0)
    ...     return lines.assign(clusters="seen", effects="mixed")
    >>> both = before_after(report([1, 2, 4, 6]), report([1, 2, 3, 5]))
    >>> text = comparison_text(both, names=("plain", "fair"))
    >>> print([line for line in text.splitlines() if line.startswith("MSE SD")][0])
    MSE SD                  1.25 .250  -80% .943~=
    """
    known = {metric.name: metric for metric in chosen_metrics(metrics)}
    parts = [_legend(names)]
    for clusters, effects in product(CLUSTERS, BLOCKS):
        block = table.loc[(table["clusters"] == clusters) & (table["effects"] == effects)]
        if len(block):
            title = f"{CLUSTERS[clusters]} | {BLOCKS[effects]}"
            parts.append("\n".join(_block(block, title, known)))
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


def _block(block: pd.DataFrame, title: str, known: Mapping[str, Metric]) -> Iterator[str]:
    everything = block["attribute"] == "all"
    overall, rest = block.loc[everything], block.loc[~everything]
    rows = f" | n = {overall['n'].max():,}" if len(overall) else ""
    yield f"{title}{rows} ".ljust(WIDTH, "=")
    if len(overall):
        yield from _accuracy(overall, known)
    yield _verdict(rest, known)
    attributes = list(dict.fromkeys(rest["attribute"]))
    for start in range(0, len(attributes), PER_LINE):
        yield from _panel(rest, attributes[start : start + PER_LINE], known)


def _accuracy(overall: pd.DataFrame, known: Mapping[str, Metric]) -> Iterator[str]:
    """Yield lines of two metrics each."""
    lines = overall.set_index("metric")
    parts = [
        f"{_label(str(name), known)} {_number(line['before'])} -> "
        f"{_number(line['after'])} ({line['change_percent']:+.1f} %)"
        for name, line in lines.loc[_ordered(lines.index, ACCURACY)].iterrows()
    ]
    for start in range(0, len(parts), 2):
        yield "   ".join(parts[start : start + 2])


def _label(name: str, known: Mapping[str, Metric]) -> str:
    return (known[name].label if name in known else "") or words(name)


def _verdict(rest: pd.DataFrame, metrics: Mapping[str, Metric]) -> str:
    """Count the disparities that can be judged, and those that improved."""
    unclear = rest["note"].str.contains("not resolvable")
    known = rest.loc[rest["change_percent"].notna() & ~unclear & rest["metric"].isin(metrics)]
    sign = [1 if metrics[name].higher_is_better else -1 for name in known["metric"]]
    better = (known["change_percent"].to_numpy() * np.array(sign) > 0).sum()
    return f"{better} of {len(known)} resolvable fairness values improved"


def _panel(rest: pd.DataFrame, attributes: list[str], known: Mapping[str, Metric]) -> Iterator[str]:
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
        label = _label(metric, known)
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
