"""Accuracy and disparity in new clusters against the number of their rows that are labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEEDED = ("model", "method", "rows")
APART = 0.035  # between the intervals of two methods, in decades


def plot_adaptation(
    frame: pd.DataFrame,
    metrics: Mapping[str, str],
    *,
    level: float = 0.9,
    title: str = "New clusters, by the number of their labelled rows",
) -> Figure:
    """Draw one panel per metric (down) and model (across), one line per method.

    Parameters
    ----------
    frame
        One line per model, method, number of labelled rows and draw of these rows: columns
        ``model``, ``method``, ``rows`` (per cluster) and one column per metric.
    metrics
        Column of a metric to its label.
    level
        Part of the draws inside the intervals.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Points are means over draws, bars central intervals of the draws. The axis of rows is
        logarithmic, with 0 at its left end. A method without labels is a point there and a dotted
        line across the panel.

    Raises
    ------
    ValueError
        When the frame is empty or lacks a column, or no metric is given.

    Examples
    --------
    >>> lines = [("fair", "adapt", 1, 0.5), ("fair", "adapt", 10, 0.4)]
    >>> frame = pd.DataFrame(lines, columns=["model", "method", "rows", "loss"])
    >>> figure = plot_adaptation(frame, {"loss": "log loss"})
    >>> len(figure.axes)
    1
    """
    _check(frame, metrics)
    models = list(dict.fromkeys(frame["model"]))
    methods = list(dict.fromkeys(frame["method"]))
    numbers = sorted(set(frame["rows"]))
    figure = empty_figure(2.6 * len(models) + 0.6, 1.9 * len(metrics) + 0.9)
    panels = figure.subplots(len(metrics), len(models), squeeze=False, sharex=True, sharey="row")
    for down, (metric, label) in enumerate(metrics.items()):
        panels[down, 0].set_ylabel(label, fontsize=8)
        for across, model in enumerate(models):
            own = frame.loc[frame["model"] == model]
            _panel(panels[down, across], own, metric, methods, numbers, level)
    for axes, model in zip(panels[0], models, strict=True):
        axes.set_title(model, fontsize=9)
    for axes in panels[-1]:
        axes.set_xticks(_places(numbers), [f"{number:g}" for number in numbers])
        axes.set_xlabel("labelled rows per cluster", fontsize=8)
    found = {h.get_label(): h for axes in panels.flat for h in axes.get_legend_handles_labels()[0]}
    handles = [found[method] for method in methods if method in found]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside lower center", ncols=6)
    figure.suptitle(title, fontsize=10)
    return figure


def _check(frame: pd.DataFrame, metrics: Mapping[str, str]) -> None:
    if not metrics:
        raise ValueError(
            "metrics is empty: name columns to draw, such as {'log_loss': 'log loss'}."
            " [nothing-to-draw]"
        )
    missing = [name for name in (*NEEDED, *metrics) if name not in frame]
    if missing or not len(frame):
        what = f"lacks the columns {', '.join(missing)}" if missing else "has no lines"
        raise ValueError(
            "Expected a line per model, method, number of labelled rows and draw, with a column "
            f"per metric; the frame {what}. [other-table]"
        )


def _places(numbers: Sequence[float]) -> np.ndarray:
    """Return where a number of rows lies: its decade; 0 a decade left of 5 rows, or of 1."""
    values = np.asarray(numbers, float)
    return np.where(values > 0, np.log10(np.maximum(values, 1.0)), -0.1)


def _panel(
    axes: Axes, own: pd.DataFrame, metric: str, methods: list[str], numbers: list, level: float
) -> None:
    tails = [(1 - level) / 2, (1 + level) / 2]
    for index, method in enumerate(methods):
        lines = own.loc[(own["method"] == method) & own[metric].notna()]
        if lines.empty:
            continue
        colour = COLOURS[index % len(COLOURS)]
        drawn = {
            rows: lines.loc[lines["rows"] == rows, metric] for rows in sorted(set(lines["rows"]))
        }
        mean = [float(np.mean(values)) for values in drawn.values()]
        bars = [np.quantile(values, tails) for values in drawn.values()]
        x = _places(list(drawn)) + APART * (index - (len(methods) - 1) / 2)
        axes.vlines(x, *np.transpose(bars), colors=colour, linewidth=1.2)
        axes.plot(x, mean, color=colour, linewidth=1.2, marker="o", markersize=3, label=method)
        if list(drawn) == [0] and len(numbers) > 1:
            axes.axhline(mean[0], color=colour, linewidth=0.8, linestyle=":")
    if 0 in numbers:
        axes.axvline(0.3, color=GREY, linewidth=0.6, linestyle=(0, (1, 3)))
    finish_axes(axes, "y")
