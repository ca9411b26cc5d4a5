"""Partial dependence: the average prediction against one variable, a panel per cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = ("class", "estimate", "sd", "low", "high", "n")
MOST_PANELS = 12
COLUMNS = 4


def plot_partial_dependence(
    found: pd.DataFrame, *, label: str = "average prediction", title: str = "Partial dependence"
) -> Figure:
    """Draw curves of `pyfairme.explain.partial_dependence` with their bands.

    Parameters
    ----------
    found
        The ``frame`` of its result, of one class.
    label
        What the vertical axis shows.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        A panel per cluster: its curve with the interval as a band, those of the other clusters in
        grey, and the average over clusters dashed. Of more than 12 clusters those with the lowest
        and the highest curves have panels. Levels are points with whiskers.

    Raises
    ------
    ValueError
        For a frame that is not of `partial_dependence`, or of several classes.

    Examples
    --------
    >>> import pandas as pd
    >>> lines = {"x": [0, 1, 2], "estimate": [1.0, 2, 4], "low": [0.5, 1, 3], "high": [2, 3, 5.0]}
    >>> len(plot_partial_dependence(pd.DataFrame(lines)).axes)
    1
    """
    keys = [str(name) for name in found.columns if name not in MEASURES]
    if len(keys) not in (1, 2) or not {"estimate", "low", "high"} <= set(found.columns):
        raise ValueError(
            "Expected the frame of partial_dependence, with columns of a variable (and a cluster), "
            f"estimate, low and high; got {', '.join(map(str, found.columns))}. [not-in-table]"
        )
    classes = list(dict.fromkeys(found["class"])) if "class" in found else []
    if len(classes) > 1:
        raise ValueError(
            f"The frame has lines of each class, {classes}: choose one, "
            f"frame[frame['class'] == {classes[0]!r}]. [choose-one]"
        )
    variable = keys[-1]
    curves = {"": found} if len(keys) == 1 else dict(iter(found.groupby(keys[0], sort=False)))
    chosen = _extremes(curves)
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    width, height = (4.6, 3.4) if len(chosen) == 1 else (1.0 + 2.1 * columns, 0.9 + 1.9 * rows)
    figure = empty_figure(width, height)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    names = tick_names(chosen)
    middle: Any = found.groupby(variable, sort=False)["estimate"].mean()
    for axes, name, shown in zip(grid, chosen, names, strict=False):
        _panel(axes, curves, name, variable, middle)
        axes.set_title(shown, fontsize=8)
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    figure.supxlabel(variable, fontsize=9)
    figure.supylabel(label, fontsize=9)
    several = f"\n{_legend(found[variable])}" if len(curves) > 1 else ""
    left = f" ({len(chosen)} of {len(curves)} clusters)" if len(chosen) < len(curves) else ""
    figure.suptitle(f"{title}{left}{several}", fontsize=9)
    return figure


def _legend(values: Any) -> str:
    if pd.api.types.is_numeric_dtype(values):
        return "band: interval; grey: the other panels; dashed: mean of the panels"
    return "whiskers: interval; grey dash: mean of the clusters"


def _extremes(curves: dict[Any, pd.DataFrame]) -> list[Any]:
    """Return the curves that have panels: all, or the lowest and the highest ones."""
    if len(curves) <= MOST_PANELS:
        return list(curves)
    heights = {name: np.mean(curve["estimate"].to_numpy()) for name, curve in curves.items()}
    order = sorted(heights, key=lambda name: heights[name])
    return [*order[: MOST_PANELS // 2], *order[-MOST_PANELS // 2 :]]


def _panel(
    axes: Axes, curves: dict[Any, pd.DataFrame], name: Any, variable: str, middle: pd.Series
) -> None:
    own = curves[name]
    x, numbers = own[variable], pd.api.types.is_numeric_dtype(own[variable])
    place = x.to_numpy() if numbers else np.arange(len(x))
    if numbers:
        for other in curves:
            if other != name:
                line = curves[other]
                axes.plot(line[variable], line["estimate"], color="#cccccc", linewidth=0.7)
        low, high = own["low"].to_numpy(float), own["high"].to_numpy(float)
        axes.fill_between(place, low, high, color=COLOURS[0], alpha=0.25, linewidth=0)
        axes.plot(place, own["estimate"], color=COLOURS[0], linewidth=1.6)
        if len(curves) > 1:
            axes.plot(middle.index, middle, color=GREY, linewidth=0.9, linestyle="--")
    else:
        axes.vlines(place, own["low"], own["high"], color=COLOURS[0], linewidth=1.4)
        axes.scatter(place, own["estimate"], color=COLOURS[0], s=18, zorder=3)
        if len(curves) > 1:
            axes.scatter(place, middle, color=GREY, marker="_", s=40)
        axes.set_xticks(place, tick_names(x), rotation=30, ha="right")
    finish_axes(axes, "y")
