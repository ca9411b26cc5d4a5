"""A forest of cluster effects: one panel per term, one interval per cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.inference.posterior_draws import INTERCEPT
from pyfairme.metrics.names import words
from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_ROW = 4


def plot_cluster_effects(
    cluster_effects: pd.DataFrame,
    *,
    slopes: int = 7,
    unit: str = "log-odds",
    title: str = "Cluster effects",
) -> Figure:
    """Draw the effects of every cluster with their posterior intervals.

    Parameters
    ----------
    cluster_effects
        Frame ``cluster_effects_`` of an estimator with one grouping factor: factor, cluster, term,
        mean, sd, low, high.
    slopes
        How many slopes to draw beside the intercept: those whose largest effect among
        the clusters is most standard deviations from 0, since covariates differ in unit.
    unit
        Unit of the linear predictor.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Points are posterior means, lines reach from ``low`` to ``high`` (90 % by default).
        Intervals that exclude 0 are coloured.

    Raises
    ------
    ValueError
        When the frame is empty, or has effects of several factors.

    Examples
    --------
    >>> effects = pd.DataFrame(
    ...     {
    ...         "factor": "school",
    ...         "cluster": ["a", "b"],
    ...         "term": "Intercept",
    ...         "mean": [-0.4, 0.5],
    ...         "sd": 0.2,
    ...         "low": [-0.7, 0.2],
    ...         "high": [-0.1, 0.8],
    ...     }
    ... )
    >>> figure = plot_cluster_effects(effects)  # estimator.cluster_effects_
    >>> figure.axes[0].get_title()
    'intercept'
    """
    factors = list(cluster_effects["factor"].unique())
    if len(factors) != 1:
        raise ValueError(
            f"Expected the effects of one grouping factor, got {factors}: a model without random "
            "effects has none; of several factors choose one, effects[effects['factor'] == name]."
            " [choose-one]"
        )
    terms = _terms(cluster_effects, slopes)
    clusters = list(dict.fromkeys(cluster_effects["cluster"]))
    columns = min(len(terms), PER_ROW)
    rows = -(-len(terms) // columns)
    width = 2.0 + 2.3 * columns
    figure = empty_figure(width, 1.0 + rows * (0.9 + 0.24 * len(clusters)))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, term in zip(panels.flat, terms, strict=False):
        lines = cluster_effects[cluster_effects["term"] == term].set_index("cluster").loc[clusters]
        _panel(axes, lines, *_heading(term, unit))
    for axes in panels.flat[len(terms) :]:
        axes.set_visible(False)
    panels[0, 0].invert_yaxis()  # shared: the first cluster stands on top
    (name,) = tick_names(factors, blanks=True)
    heading = f"{title}: {name}\nmean and posterior interval; grey: it contains 0"
    figure.suptitle(heading, fontsize=10)
    return figure


def _terms(effects: pd.DataFrame, slopes: int) -> list[str]:
    """Return the intercept, if there is one, and the clearest slopes from large to small."""
    distance = effects["mean"].abs() / effects["sd"].where(effects["sd"] > 0)
    ordered = effects.assign(distance=distance).sort_values("distance", ascending=False)
    terms = list(dict.fromkeys(ordered["term"]))  # by their largest distance
    first = [INTERCEPT] if INTERCEPT in terms else []
    return [*first, *[term for term in terms if term != INTERCEPT][:slopes]]


def _heading(term: str, unit: str) -> tuple[str, str]:
    """Return a panel's title and the label of its x axis."""
    if term == INTERCEPT:
        return "intercept", unit
    if term.endswith("]"):  # a level of a categorical column
        column, level = tick_names(term[:-1].split("[", 1))
        return f"{words(column)}:\n{level}", unit
    (name,) = tick_names([term], blanks=True)
    return f"slope of\n{name}", f"{unit} per unit"


def _panel(axes: Any, lines: pd.DataFrame, title: str, label: str) -> None:
    place = np.arange(len(lines))
    clear = (lines["low"] > 0) | (lines["high"] < 0)
    colours = np.where(clear, COLOURS[0], GREY)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.hlines(place, lines["low"], lines["high"], colors=colours, linewidth=1.8)
    axes.scatter(lines["mean"], place, c=colours, s=18, zorder=3)
    axes.set_yticks(place, tick_names(lines.index))
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(label, fontsize=8)
    axes.locator_params(axis="x", nbins=4)
    axes.ticklabel_format(axis="x", scilimits=(-3, 4))
    axes.xaxis.get_offset_text().set_fontsize(7)
    finish_axes(axes, "x")
