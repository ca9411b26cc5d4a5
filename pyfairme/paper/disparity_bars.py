"""Disparities before and after, as the paper's figures 2, 4 and 6: bars by attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.metrics.metric import metric_label
from pyfairme.paper.study_lines import change
from pyfairme.paper.table_layouts import DISPARITY_METRICS
from pyfairme.plots.style import COLOURS, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 0.36  # of one bar; an attribute's two bars fill .72 of its place
BAND = "#c8c8c8"
BAND_LABEL = "equal groups by chance: 5-95 % and mean (inside it, the change is in brackets)"
CLUSTERS = {"seen": "seen clusters", "unseen": "unseen clusters"}


def plot_disparities(
    results: pd.DataFrame,
    *,
    pair: tuple[str, str] = ("medl", "medl_adb"),
    effects: str = "mixed",
    title: str = "Disparities before and after",
) -> Figure:
    """Draw the paper's disparities of two models, one bar each per sensitive attribute.

    Parameters
    ----------
    results
        Tidy results of one data set: variant, effects, clusters, attribute, group, metric, value,
        low, high, null, null_low, null_high.
    pair
        The model before and the one after.
    effects
        Which predictions.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        One row of panels per metric, columns seen and unseen clusters. Whiskers are the intervals
        of the results, grey boxes the band of values that equal groups would show by chance (5-95
        %, of the model before), with its mean as a line. Above each pair stands the change; it is
        in brackets where the model before lies inside the band, which cannot be improved on.

    Raises
    ------
    ValueError
        When the results have no disparities of both models.

    Examples
    --------
    >>> figure = plot_disparities(found.results.frame, pair=("medl", "medl_adb"))  # doctest: +SKIP
    >>> figure.savefig("disparities.png")  # doctest: +SKIP
    """
    chosen: Any = results[(results["effects"] == effects) & (results["group"] == "all")]
    before, after = (_lines(chosen, name) for name in pair)
    keys = before.index.intersection(after.index)
    if keys.empty:
        raise ValueError(
            f"Expected disparities of {pair[0]!r} and {pair[1]!r} for effects={effects!r}; the "
            f"results have the models {', '.join(map(str, results['variant'].unique()))} and "
            f"effects {', '.join(map(str, results['effects'].unique()))}. [not-in-table]"
        )
    metrics = [name for name in DISPARITY_METRICS if name in keys.unique("metric")]
    clusters = [name for name in CLUSTERS if name in keys.unique("clusters")]
    attributes = list(keys.unique("attribute"))
    ticks = [name.replace(" ", "\n", 1) for name in tick_names(attributes, blanks=True)]
    wide = 1.2 + len(clusters) * (0.9 + 0.95 * len(attributes))
    figure = empty_figure(max(wide, 7.0), 1.1 + 1.75 * len(metrics))
    panels = figure.subplots(len(metrics), len(clusters), sharey="row", squeeze=False)
    for row, metric in zip(panels, metrics, strict=True):
        for axes, name in zip(row, clusters, strict=True):
            index = pd.MultiIndex.from_product([[name], attributes, [metric]])
            _panel(axes, before.reindex(index), after.reindex(index), pair)
            axes.set_xticks(range(len(attributes)), ticks)
        row[0].set_ylabel(metric_label(metric), fontsize=9)
        top = max(_ends(lines.xs(metric, level="metric")) for lines in (before, after))
        row[0].set_ylim(0, 1.22 * top if top > 0 else 1)  # room for the changes above the bars
    for axes, name in zip(panels[0], clusters, strict=True):
        axes.set_title(CLUSTERS[name], fontsize=9)
    figure.align_ylabels(panels[:, 0])
    figure.suptitle(title, fontsize=11)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _lines(results: pd.DataFrame, variant: str) -> Any:
    """Return one model's disparities by clusters, attribute and metric."""
    chosen: Any = results[(results["variant"] == variant) & (results["attribute"] != "all")]
    chosen = chosen[chosen["metric"].isin(DISPARITY_METRICS)]
    return chosen.set_index(["clusters", "attribute", "metric"])


def _ends(lines: pd.DataFrame) -> float:
    return float(np.nanmax(lines[["value", "high", "null_high"]].to_numpy(float), initial=0.0))


def _panel(axes: Axes, before: pd.DataFrame, after: pd.DataFrame, names: tuple[str, str]) -> None:
    place = np.arange(len(before))
    low, high = before["null_low"].to_numpy(float), before["null_high"].to_numpy(float)
    for offset, lines, name, colour in (
        (-WIDTH / 2, before, names[0], COLOURS[0]),
        (WIDTH / 2, after, names[1], COLOURS[1]),
    ):
        axes.bar(place + offset, lines["value"], WIDTH, color=colour, label=name)
        axes.vlines(place + offset, lines["low"], lines["high"], color="black", linewidth=0.9,
                    zorder=4)  # fmt: skip
    axes.bar(place, high - low, 2 * WIDTH + 0.16, bottom=low, color=BAND, alpha=0.55, zorder=2.5,
             linewidth=0, label=BAND_LABEL)  # fmt: skip
    ends = WIDTH + 0.08
    axes.hlines(before["null"], place - ends, place + ends, color="#555555", linewidth=0.8,
                linestyle=":", zorder=3)  # fmt: skip
    for where, one, two in zip(place, before.itertuples(), after.itertuples(), strict=True):
        _write_change(axes, where, one, two)
    axes.set_xlim(-0.6, len(before) - 0.4)
    axes.locator_params(axis="y", nbins=5)
    finish_axes(axes, "y")


def _write_change(axes: Axes, where: Any, one: Any, two: Any) -> None:
    """Write the change above the two bars, in brackets where the first is not resolvable."""
    if not (one.value > 0 and two.value == two.value):
        return
    text = change(100 * (two.value - one.value) / one.value)
    text = f"({text})" if one.value <= one.null_high else text
    top = np.nanmax([one.value, two.value, one.high, two.high])
    axes.annotate(text, (where, top), xytext=(0, 2), textcoords="offset points", ha="center",
                  va="bottom", fontsize=7)  # fmt: skip
