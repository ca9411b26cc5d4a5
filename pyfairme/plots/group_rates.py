"""Rates of every group before and after: points with intervals and the rows behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

RATES = {
    "tpr": ("true-positive rate", "positives"),
    "fpr": ("false-positive rate", "negatives"),
}
ERRORS = {  # of a regression
    "mse": ("mean squared error", "rows"),
    "mean_prediction": ("mean prediction", "rows"),
}
APART = 0.18  # of a group's place: how far its two points lie from its middle


def plot_group_rates(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    names: tuple[str, str] = ("before", "after"),
    effects: str = "mixed",
    clusters: str = "seen",
    title: str = "Rates by group",
) -> Figure:
    """Draw TPR and FPR (regression: error and mean) of every group, before and after.

    Parameters
    ----------
    before, after
        Fairness reports (``FairMixedEffectsClassifier.fairness_report``) of the same rows.
    names
        What the legend calls the two.
    effects, clusters
        Which predictions and rows of the reports to draw.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        One row of panels per attribute, groups in the order of the report; columns TPR and FPR,
        or mean squared error and mean prediction. A point per group and model with the report's
        interval; n counts the positives (negatives, rows) that a value rests on. Axes reach as far
        as the points and intervals do: only bars would have to start at 0.

    Raises
    ------
    ValueError
        When a report has no rates for these effects and clusters.
    """
    first, second = (_rates(frame, effects, clusters) for frame in (before, after))
    titles = RATES if set(first["metric"]) & set(RATES) else ERRORS
    attributes = list(dict.fromkeys(first["attribute"]))
    sizes = [first.loc[first["attribute"] == name, "group"].nunique() for name in attributes]
    figure = empty_figure(9.0, 1.4 + sum(0.36 * size + 0.5 for size in sizes))
    panels = figure.subplots(
        len(attributes), 2, sharex=True if titles is RATES else "col", sharey="row", squeeze=False,
        height_ratios=sizes,
    )  # fmt: skip
    for row, attribute in zip(panels, attributes, strict=True):
        for axes, metric in zip(row, titles, strict=True):
            one, two = (
                frame[(frame["attribute"] == attribute) & (frame["metric"] == metric)]
                for frame in (first, second)
            )
            _panel(axes, one.set_index("group"), two.set_index("group"), names)
        row[0].invert_yaxis()
    name_panels(panels, attributes, (f"{name} (n = {n})" for name, n in titles.values()))
    figure.suptitle(title, fontsize=11)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  frameon=False, fontsize=9)  # fmt: skip
    return figure


def _rates(report: pd.DataFrame, effects: str, clusters: str) -> pd.DataFrame:
    """Return the lines of single groups' rates."""
    chosen = (report["effects"] == effects) & (report["clusters"] == clusters)
    metrics = report["metric"].isin([*RATES, *ERRORS])
    lines = report.loc[chosen & metrics & (report["group"] != "all")]
    if lines.empty:
        raise ValueError(
            f"The report has no TPR and FPR, or MSE, of groups for effects={effects!r}, "
            f"clusters={clusters!r}. It has effects {sorted(report['effects'].unique())} and "
            f"clusters {sorted(report['clusters'].unique())}. [not-in-table]"
        )
    return lines


def _panel(axes: Axes, before: pd.DataFrame, after: pd.DataFrame, names: tuple[str, str]) -> None:
    place = np.arange(len(before))
    after = after.loc[before.index]
    for offset, lines, name, colour, marker in (
        (-APART, before, names[0], COLOURS[0], "o"),
        (APART, after, names[1], COLOURS[1], "D"),
    ):
        axes.hlines(place + offset, lines["low"], lines["high"], color=colour, linewidth=1.4)
        axes.scatter(lines["value"], place + offset, color=colour, marker=marker, s=26, zorder=3,
                     label=name)  # fmt: skip
    for where, size in zip(place, before["n"], strict=True):
        axes.text(1.01, float(where), f"n = {size:,}", transform=axes.get_yaxis_transform(),
                  va="center", fontsize=7, color=GREY)  # fmt: skip
    axes.set_yticks(place, tick_names(before.index))
    axes.set_ylim(-0.6, len(before) - 0.4)
    axes.locator_params(axis="x", nbins=6)
    finish_axes(axes, "x")
