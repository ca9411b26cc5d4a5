"""Caterpillar plot: clusters sorted by one effect, with their posterior intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.inference.posterior_draws import INTERCEPT
from pyfairme.plots.one_factor import one_factor
from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LABELS = 60  # clusters that are named; of more only the extremes
EXTREMES = 5  # at each end
APART = 0.035  # of the axis, between two names


def plot_caterpillar(
    cluster_effects: pd.DataFrame,
    term: str = INTERCEPT,
    factor: str | None = None,
    top: int | None = None,
    *,
    pick: Iterable[str] = (),
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
    pick
        Clusters to mark in orange and to name whatever their rank.
    unit
        Unit of the effect.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Points are posterior means, lines reach from ``low`` to ``high`` (90 % by default), coloured
        where they exclude 0. Clusters are named up to 60 of them; beyond, the five smallest and
        largest effects and those of ``pick``, and the axis counts ranks.

    Raises
    ------
    ValueError
        When the factor or the term is unknown or has to be named, ``top`` is below 1, or ``pick``
        names a cluster that is not there.
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
    picked = lines["cluster"].isin(_known(pick, lines["cluster"])).to_numpy()
    shown = rank > 0 if top is None else (rank <= top) | (rank > number - top) | picked
    height = 0.19 * shown.sum() if shown.sum() <= MOST_LABELS else 4.5
    figure = empty_figure(5.5, 1.3 + height)
    axes = figure.subplots()
    _draw(axes, lines[shown], rank[shown], picked[shown])
    of_term, of_factor = tick_names([term, name], blanks=True)
    effect = "intercept" if term == INTERCEPT else f"slope of {of_term}"
    axes.set_xlabel(f"{effect} ({unit})", fontsize=8)
    count = f"{number:,} clusters" if shown.all() else f"{shown.sum()} of {number:,} clusters"
    heading = f"{title}: {of_factor}, {count}\nmean and posterior interval; grey: it contains 0"
    figure.suptitle(heading, fontsize=10)
    return figure


def _known(pick: Iterable[str], clusters: pd.Series) -> list[str]:
    wanted = [pick] if isinstance(pick, str) else [str(name) for name in pick]
    if unknown := sorted(set(wanted) - set(clusters)):
        raise ValueError(
            f"pick names {', '.join(map(repr, unknown[:3]))}, which the frame does not have. "
            "[not-in-table]"
        )
    return wanted


def _draw(axes: Any, lines: pd.DataFrame, rank: np.ndarray, picked: np.ndarray) -> None:
    named = len(lines) <= MOST_LABELS
    place = np.arange(1, len(lines) + 1) if named else rank
    clear = (lines["low"] > 0) | (lines["high"] < 0)
    colours = np.where(picked, COLOURS[1], np.where(clear, COLOURS[0], GREY))
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
        _name_some(axes, lines, place, picked)
    finish_axes(axes, "x")
    if named and (gap := np.flatnonzero(np.diff(rank) > 1)).size:
        axes.axhline(gap[0] + 1.5, color=GREY, linewidth=0.8, linestyle=":")


def _name_some(axes: Any, lines: pd.DataFrame, place: np.ndarray, picked: np.ndarray) -> None:
    """Name the extremes and the picked clusters in the right margin, apart from each other."""
    order = np.arange(len(lines))
    chosen = np.flatnonzero(picked | (order < EXTREMES) | (order >= len(lines) - EXTREMES))
    room = APART * (place[-1] - place[0])
    heights = place[chosen].astype(float)
    for i in range(1, len(heights)):  # from below, at least so far apart
        heights[i] = max(heights[i], heights[i - 1] + room)
    heights[-1] = min(heights[-1], place[-1])
    for i in range(len(heights) - 2, -1, -1):  # and from above
        heights[i] = min(heights[i], heights[i + 1] - room)
    names = tick_names(lines["cluster"].iloc[chosen])
    at = axes.get_yaxis_transform()
    for row, height, name in zip(chosen, heights, names, strict=True):
        colour = COLOURS[1] if picked[row] else "black"
        axes.annotate(
            name, (lines["high"].iloc[row], place[row]), xytext=(1.02, height), textcoords=at,
            fontsize=7, va="center", color=colour,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "shrinkB": 0},
        )  # fmt: skip
