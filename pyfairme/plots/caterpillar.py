"""Caterpillar plot: clusters sorted by one effect, with their posterior intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.inference.posterior_draws import INTERCEPT
from pyfairme.plots.one_factor import one_factor
from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LABELS = 60  # clusters that are named; more of them are ranks


def plot_caterpillar(
    cluster_effects: pd.DataFrame,
    term: str = INTERCEPT,
    factor: str | None = None,
    top: int | None = None,
    *,
    unit: str = "linear predictor",
    title: str = "Cluster effects",
) -> Figure:
    """Draw one effect of every cluster, sorted by its posterior mean.

    Parameters
    ----------
    cluster_effects
        Frame ``cluster_effects_`` of an estimator: factor, cluster, term, mean, low, high; of a
        model of more than two classes the lines of one class.
    term
        The effect: "Intercept" or a column with random slopes.
    factor
        Grouping factor; needed where the frame has several.
    top
        Draw only that many of the smallest and as many of the largest effects.
    unit
        Unit of the effect.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Points are posterior means, lines reach from ``low`` to ``high`` (90 % by default), coloured
        where they exclude 0. Clusters are named up to 60 of them; beyond, the axis counts ranks.

    Raises
    ------
    ValueError
        When the factor or the term is unknown or has to be named, or ``top`` is below 1.
    """
    lines, name = one_factor(cluster_effects, factor)
    if term not in set(lines["term"]):
        known = ", ".join(map(repr, dict.fromkeys(lines["term"])))
        raise ValueError(
            f"The factor {name!r} has no term {term!r}; it has {known}. [not-in-table]"
        )
    if top is not None and top < 1:
        raise ValueError(
            f"top must be at least 1, got {top}: it counts clusters at each end. [plot-number]"
        )
    lines = lines[lines["term"] == term].sort_values("mean", kind="stable")
    number = len(lines)
    rank = np.arange(1, number + 1)
    shown = rank > 0 if top is None else (rank <= top) | (rank > number - top)
    height = 0.19 * shown.sum() if shown.sum() <= MOST_LABELS else 4.5
    figure = empty_figure(5.5, 1.3 + height)
    axes = figure.subplots()
    _draw(axes, lines[shown], rank[shown])
    of_term, of_factor = tick_names([term, name], blanks=True)
    effect = "intercept" if term == INTERCEPT else f"slope of {of_term}"
    axes.set_xlabel(f"{effect} ({unit})", fontsize=8)
    count = f"{number:,} clusters" if shown.all() else f"{shown.sum()} of {number:,} clusters"
    heading = f"{title}: {of_factor}, {count}\nmean and posterior interval; grey: it contains 0"
    figure.suptitle(heading, fontsize=10)
    return figure


def _draw(axes: Any, lines: pd.DataFrame, rank: np.ndarray) -> None:
    named = len(lines) <= MOST_LABELS
    place = np.arange(1, len(lines) + 1) if named else rank
    clear = (lines["low"] > 0) | (lines["high"] < 0)
    colours = np.where(clear, COLOURS[0], GREY)
    axes.axvline(0, color="black", linewidth=0.8)
    width, size = (1.6, 14) if named else (0.5, 1.5)
    # thousands of opaque ticks would be one block, in which the means cannot be seen
    alpha = 1.0 if named else max(0.15, min(1.0, 150 / len(lines)))
    axes.hlines(place, lines["low"], lines["high"], colors=colours, linewidth=width, alpha=alpha)
    axes.scatter(lines["mean"], place, c=colours if named else "black", s=size, zorder=3)
    if named:
        axes.set_yticks(place, tick_names(lines["cluster"]))
        axes.set_ylim(0.3, len(lines) + 0.7)
    else:
        axes.set_ylabel("rank of the cluster", fontsize=8)
        axes.margins(y=0.01)
    finish_axes(axes, "x")
    if named and (gap := np.flatnonzero(np.diff(rank) > 1)).size:
        axes.axhline(gap[0] + 1.5, color=GREY, linewidth=0.8, linestyle=":")
