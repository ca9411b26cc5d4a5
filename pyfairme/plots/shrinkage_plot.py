"""Shrinkage: every cluster's own estimate and what partial pooling makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.plots.one_factor import one_factor
from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 40
SIZES = (8.0, 90.0)  # points^2 of the smallest and the largest cluster
BEYOND = 0.06  # where infinite estimates are drawn: so much of the range beyond its end


def plot_shrinkage(
    frame: pd.DataFrame,
    factor: str | None = None,
    *,
    unit: str = "linear predictor",
    title: str = "Partial pooling",
) -> Figure:
    """Draw raw cluster estimates, their posterior means, and how rows decide between them.

    Parameters
    ----------
    frame
        As of `shrinkage_frame`: factor, cluster, n, raw, pooled; of a model of more than two
        classes the lines of one class.
    factor
        Grouping factor; needed where the frame has several.
    unit
        Unit of the estimates.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Left: a line for every cluster from its own estimate (no pooling) to its posterior mean
        (partial pooling); the dashed line at 0 is the common mean (complete pooling). Points grow
        with rows. Right, where clusters differ in rows: both estimates against the rows. Clusters
        without a finite estimate of their own are triangles at the edge.

    Raises
    ------
    ValueError
        When the factor is unknown or has to be named, or the frame has several classes.
    """
    lines, name = one_factor(frame, factor)
    raw, pooled = _inside(lines["raw"].to_numpy(), lines["pooled"].to_numpy()), lines["pooled"]
    rows = lines["n"].to_numpy(dtype=float)
    named = len(lines) <= MOST_LABELS
    vary = rows.max() > rows.min()
    height = max(4.2, 1.6 + 0.17 * len(lines)) if named else 5.0
    figure = empty_figure(9.0 if vary else 5.5, height)
    panels = figure.subplots(1, 1 + vary, squeeze=False)[0]
    _slopes(panels[0], lines, raw, rows)
    if named:
        _labels(panels[0], tick_names(lines["cluster"].astype(str)), pooled.to_numpy())
    if vary:
        _by_rows(panels[1], lines, raw, rows)
    for axes in panels:
        axes.set_ylabel(f"estimate ({unit})", fontsize=8)
    infinite = int(np.isinf(lines["raw"]).sum())
    note = f"; triangles: {infinite} without a finite estimate" if infinite else ""
    (factor,) = tick_names([name], blanks=True)
    figure.suptitle(f"{title}: {factor}, {len(lines):,} clusters{note}", fontsize=10)
    return figure


def _inside(raw: np.ndarray, pooled: np.ndarray) -> np.ndarray:
    """Put infinite estimates a little beyond the finite ones."""
    both = np.concatenate([raw[np.isfinite(raw)], pooled, [0.0]])
    beyond = BEYOND * (np.ptp(both) or 1.0)
    return np.clip(raw, both.min() - beyond, both.max() + beyond)


def _slopes(axes: Axes, lines: pd.DataFrame, raw: np.ndarray, rows: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    pooled, finite = lines["pooled"].to_numpy(), np.isfinite(lines["raw"].to_numpy())
    shown = finite | (len(lines) <= MOST_LABELS)  # many lines to one edge would hide the others
    ends = [((0.0, start), (1.0, end)) for start, end in zip(raw, pooled, strict=True)]
    chosen = [pair for pair, keep in zip(ends, shown, strict=True) if keep]
    axes.add_collection(LineCollection(chosen, colors=GREY, linewidths=0.8, alpha=_alpha(lines)))
    size = np.maximum(SIZES[0], SIZES[1] * rows / rows.max()) * min(1.0, 10 * _alpha(lines))
    _points(axes, np.zeros(len(raw)), raw, size, lines)
    axes.scatter(np.ones(len(raw)), pooled, s=size, color=COLOURS[0], alpha=0.7, zorder=3)
    axes.axhline(0, color="black", linewidth=0.9, linestyle="--")
    axes.set_xlim(-0.25, 1.25)
    axes.set_xticks([0, 1], ["no pooling:\nthe cluster alone", "partial pooling:\nposterior mean"])
    finish_axes(axes, "y")


def _by_rows(axes: Axes, lines: pd.DataFrame, raw: np.ndarray, rows: np.ndarray) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    pooled, alpha = lines["pooled"].to_numpy(), _alpha(lines)
    if len(lines) > MOST_LABELS:  # clusters of equal size side by side
        rows = rows * np.exp(np.random.default_rng(0).uniform(-0.04, 0.04, len(rows)))
    ends = np.minimum(raw, pooled), np.maximum(raw, pooled)
    axes.vlines(rows, *ends, colors=GREY, linewidth=0.8, alpha=alpha)
    size = np.full(len(rows), 14.0 if len(lines) <= MOST_LABELS else 5.0)
    _points(axes, rows, raw, size, lines, label="the cluster alone")
    axes.scatter(rows, pooled, s=size, color=COLOURS[0], alpha=0.7, zorder=3,
                 label="posterior mean")  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.9, linestyle="--", label="common mean")
    if rows.max() > 4 * rows.min():
        axes.set_xscale("log")
        wide = rows.max() > 500 * rows.min()  # more labels would run into each other
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rows, _: f"{rows:,.0f}"))
        axes.xaxis.set_minor_locator(LogLocator(subs=()))
    axes.set_xlabel("rows of the cluster", fontsize=8)
    finish_axes(axes, "y")
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=3)


def _points(
    axes: Axes, x: np.ndarray, raw: np.ndarray, size: np.ndarray, lines: pd.DataFrame,
    label: str | None = None,
) -> None:  # fmt: skip
    """Draw clusters' own estimates, infinite ones as triangles that point to where they lie."""
    sign = np.where(np.isinf(lines["raw"]), np.sign(lines["raw"]), 0)
    here = sign == 0
    axes.scatter(x[here], raw[here], s=size[here], color=COLOURS[1], alpha=0.7, zorder=3,
                 label=label)  # fmt: skip
    for marker, side in (("v", -1), ("^", 1)):
        there = sign == side
        axes.scatter(x[there], raw[there], s=size[there] + 10, marker=marker, facecolors="none",
                     edgecolors=COLOURS[1], zorder=3)  # fmt: skip


def _alpha(lines: pd.DataFrame) -> float:
    return max(0.04, min(0.8, 40 / len(lines)))


def _labels(axes: Axes, names: list[str], pooled: np.ndarray) -> None:
    """Name the clusters right of their posterior means, moved apart where they would overlap."""
    order = np.argsort(pooled, kind="stable")
    low, high = axes.get_ylim()
    place = _apart(pooled[order], (high - low) / max(30, 1.2 * len(names)))
    axes.set_ylim(min(low, place[0] - (high - low) / 40), max(high, place[-1] + (high - low) / 40))
    axes.set_xlim(-0.25, 1.2 + 0.035 * max(map(len, names)))
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "relpos": (0, 0.5), "shrinkA": 0}
    for where, index in zip(place, order, strict=True):
        axes.annotate(names[index], (1.03, pooled[index]), (1.14, where), fontsize=7, va="center",
                      arrowprops=line)  # fmt: skip


def _apart(places: np.ndarray, gap: float) -> np.ndarray:
    """Move sorted places until neighbours are ``gap`` apart, as little as need be."""
    # places with fixed distances taken off must rise: isotonic regression (least squares)
    from sklearn.isotonic import isotonic_regression

    steps = gap * np.arange(len(places))
    return isotonic_regression(places - steps) + steps
