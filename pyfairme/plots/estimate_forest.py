"""Answers of `pyfairme.explain` as a forest: a line each with its posterior interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.explain.estimates import MEASURES, Estimates, line_names
from pyfairme.plots.partial_dependence_plot import plot_partial_dependence
from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 20  # lines at either end, of more than twice as many
CURVE = 3  # values of a number from which predictions are a curve


def plot_estimates(found: Estimates, *, title: str = "") -> Figure:
    """Draw estimates with their intervals.

    Parameters
    ----------
    found
        What a function of `pyfairme.explain` returned.
    title
        Heading of the figure; empty: what the estimates are.

    Returns
    -------
    Figure
        A point per line of the frame, from the top down, with its interval; of comparisons, slopes
        and gaps coloured where the interval leaves out the value that means no difference, which is
        drawn. Of more than 40 lines the 20 highest and the 20 lowest. Predictions at three or more
        values of a number are curves, see `plot_partial_dependence`.

    Raises
    ------
    ValueError
        When there is no line.

    Examples
    --------
    >>> frame = pd.DataFrame({"sex": ["f", "m"], "estimate": [0.1, 0.3], "low": 0.0, "high": 0.4})
    >>> figure = plot_estimates(Estimates(frame, np.empty((2, 0)), "mixed", 0.9))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['f', 'm']
    """
    frame = found.frame
    if frame.empty:
        raise ValueError("There is no estimate to draw. [nothing-to-draw]")
    if _is_curve(found):
        return plot_partial_dependence(frame, title=title or "Average predictions")
    names = pd.Series(line_names(frame), frame.index)
    if len(frame) > 2 * MOST:
        order = np.argsort(-frame["estimate"].to_numpy(float), kind="stable")
        kept = [*order[:MOST], *order[-MOST:]]
        frame, names = frame.iloc[kept], names.iloc[kept]
    place = np.arange(len(frame))
    low, high = frame["low"].to_numpy(float), frame["high"].to_numpy(float)
    clear = np.ones(len(frame), bool)
    figure = empty_figure(8.0, 1.2 + 0.3 * len(frame))
    axes = figure.subplots()
    if found.no_difference is not None:
        clear = (low > found.no_difference) | (high < found.no_difference)
        axes.axvline(found.no_difference, color="black", linewidth=0.8)
    colours = [COLOURS[0] if each else GREY for each in clear]
    axes.hlines(place, low, high, color=colours, linewidth=1.6)
    axes.scatter(frame["estimate"].to_numpy(float), place, color=colours, s=26, zorder=3)
    axes.set_yticks(place, tick_names(names))
    axes.set_ylim(len(frame) - 0.4, -0.6)
    axes.set_xlabel(f"{found.what}, with {100 * found.level:g} % intervals", fontsize=9)
    grey = "; grey: the interval holds what means no difference"
    said = grey if found.no_difference is not None else ""
    few = f", {2 * MOST} of {len(found)}" if len(found) > 2 * MOST else ""
    figure.suptitle(title or f"{found.title}{few}{said}", fontsize=10)
    finish_axes(axes, "x")
    return figure


def _is_curve(found: Estimates) -> bool:
    """Tell whether these are predictions at several values of a number, of one class."""
    frame: Any = found.frame
    keys = [name for name in frame.columns if name not in MEASURES]
    if found.no_difference is not None or not 1 <= len(keys) <= 2 or "class" in frame:
        return False
    values = frame[keys[-1]]
    return bool(pd.api.types.is_numeric_dtype(values)) and values.nunique() >= CURVE
