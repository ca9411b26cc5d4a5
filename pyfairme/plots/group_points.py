"""Rates of every group of one report: points with intervals, and the rows behind them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.plots.style import (
    COLOURS,
    GREY,
    empty_figure,
    finish_axes,
    name_panels,
    tick_names,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OBSERVED = "base_rate"  # no error of the model: what its errors are read beside
PANELS = {
    "tpr": ("true positive rate", "positives"),
    "fpr": ("false positive rate", "negatives"),
    "rmse": ("root mean squared error", "rows"),
    "mse": ("mean squared error", "rows"),
    "mean_residual": ("mean residual", "rows"),
}


def panels_of(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that have a panel, in order; of a squared error its root is enough."""
    there = set(metrics)
    return [m for m in PANELS if m in there and not (m == "mse" and "rmse" in there)]


def plot_group_points(
    report: pd.DataFrame,
    *,
    effects: str = "mixed",
    clusters: str = "seen",
    label: Any = None,
    title: str = "Rates by group",
    width: float = 9.0,
) -> Figure:
    """Draw base rate, TPR and FPR (regression: RMSE and mean residual) of every group of a report.

    Parameters
    ----------
    report
        Fairness report.
    effects, clusters
        Which predictions and rows of the report to draw.
    label
        Of more than two classes the one to draw against the rest; None: the first.
    title
        Heading of the figure.
    width
        Of the figure, in inches.

    Returns
    -------
    Figure
        A row of panels per attribute, a point per group with the report's interval; n counts the
        rows (positives, negatives) that the point rests on. Rates share one axis. A report without
        the RMSE, which is in the unit of y, has the MSE instead. Groups with fewer than 30 are
        grey. The dotted line is the mean over groups.

    Raises
    ------
    ValueError
        When the report has no rates of groups for these effects, clusters and class.

    Examples
    --------
    >>> from pyfairme.metrics import regression_report_frame
    >>> sex = {"sex": ["m", "m", "w", "w"]}
    >>> lines = regression_report_frame([1, 2, 3, 4], [1, 2, 3, 6], sensitive=sex, rng=0, n_boot=9)
    >>> lines = lines.assign(**{"effects": "mixed", "clusters": "seen", "class": ""})
    >>> figure = plot_group_points(lines)  # of an estimator: what `fairness_report` returns
    >>> [axes.get_title().strip() for axes in figure.axes]
    ['root mean squared error (n = rows)', 'mean residual (n = rows)']
    """
    lines = _group_lines(report, effects, clusters, label)
    metrics = panels_of(lines["metric"])
    rates = not {"rmse", "mse"} & set(metrics)
    titles = [f"{name} (n = {counted})" for name, counted in (PANELS[m] for m in metrics)]
    if OBSERVED in set(lines["metric"]):
        metrics = [OBSERVED, *metrics]
        titles = [t.replace(" (", "\n(") for t in ("base rate, observed (n = rows)", *titles)]
    attributes = list(dict.fromkeys(lines["attribute"]))
    sizes = [lines.loc[lines["attribute"] == name, "group"].nunique() for name in attributes]
    figure = empty_figure(width, 1.1 + sum(0.3 * size + 0.45 for size in sizes))
    panels = figure.subplots(
        len(attributes), len(metrics), sharex=True if rates else "col", sharey="row", squeeze=False,
        height_ratios=[size + 0.5 for size in sizes],
    )  # fmt: skip
    for row, attribute in zip(panels, attributes, strict=True):
        for axes, metric in zip(row, metrics, strict=True):
            chosen = (lines["attribute"] == attribute) & (lines["metric"] == metric)
            _points(axes, lines.loc[chosen])
        row[0].invert_yaxis()
    name_panels(panels, attributes, titles)
    figure.suptitle(title, fontsize=11)
    return figure


def _group_lines(report: pd.DataFrame, effects: str, clusters: str, label: Any) -> pd.DataFrame:
    chosen = (report["effects"] == effects) & (report["clusters"] == clusters)
    chosen &= report["metric"].isin([OBSERVED, *PANELS]) & (report["group"] != "all")
    lines = pd.DataFrame(report).loc[chosen]
    if len(lines):
        wanted = lines["class"].iloc[0] if label is None else label
        lines = lines.loc[lines["class"] == wanted]
    if lines.empty:
        raise ValueError(
            f"The report has no rates of groups for effects={effects!r}, clusters={clusters!r}, "
            f"label={label!r}. It has effects {sorted(report['effects'].unique())} and clusters "
            f"{sorted(report['clusters'].unique())[:10]}. [not-in-table]"
        )
    return lines


def _points(axes: Axes, lines: pd.DataFrame) -> None:
    place = np.arange(len(lines))
    few = lines["n"].to_numpy() < 30
    values = lines["value"].to_numpy(float)
    colours = [GREY if small else COLOURS[0] for small in few]
    axes.hlines(place, lines["low"], lines["high"], color=colours, linewidth=1.4)
    axes.scatter(values, place, color=colours, s=26, zorder=3)
    if np.isfinite(values).any():
        axes.axvline(float(np.nanmean(values)), color=GREY, linewidth=0.8, linestyle=":")
    for where, size in zip(place, lines["n"], strict=True):
        axes.text(1.01, float(where), f"n = {size:,}", transform=axes.get_yaxis_transform(),
                  va="center", fontsize=7, color=GREY)  # fmt: skip
    axes.set_yticks(place, tick_names(lines["group"]))
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.locator_params(axis="x", nbins=6)
    finish_axes(axes, "x")
