"""Coverage of predictive intervals against the level that they can attain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.plots.style import COLOURS, empty_figure, finish_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

APART = 0.012  # between the intervals of two models at one level


def plot_coverage(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    title: str = "Coverage of predictive intervals",
) -> Figure:
    """Draw the coverage of one or several models.

    Parameters
    ----------
    tables
        What `pyfairme.metrics.coverage_table` returned, or name to table.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Points are the share of outcomes inside the interval, lines its interval; short bars are the
        attainable coverage, which lies on the dashed diagonal for real outcomes and above it for
        counts and classes. A right model has its points at its bars.

    Raises
    ------
    ValueError
        When there is no table, or one without the columns of a coverage table.
    """
    named = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    if not named:
        raise ValueError(
            "tables is empty: pass coverage_table(y, draws), or several. [nothing-to-draw]"
        )
    figure = empty_figure(4.8, 4.6)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.9, linestyle="--")
    places = (np.arange(len(named)) - (len(named) - 1) / 2) * APART
    levels = []
    for index, (name, table) in enumerate(named.items()):
        _check(table)
        levels.extend(table["level"])
        _draw(axes, table, places[index], COLOURS[index % len(COLOURS)], name)
    start = min([*levels, *(float(np.min(table["low"])) for table in named.values())])
    axes.set_xlim(max(0.0, min(levels) - 0.08), 1.0)
    axes.set_ylim(max(0.0, start - 0.08), 1.01)
    axes.set_xticks(sorted(set(levels)), [f"{100 * level:g} %" for level in sorted(set(levels))])
    axes.set_xlabel("level of the central interval", fontsize=8)
    axes.set_ylabel("share of outcomes inside", fontsize=8)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    finish_axes(axes, "both")
    figure.suptitle(title, fontsize=10)
    return figure


def _check(table: pd.DataFrame) -> None:
    needed = ["level", "attainable", "covered", "low", "high"]
    if missing := [column for column in needed if column not in table]:
        raise ValueError(
            f"A coverage table has the columns {', '.join(needed)}; {', '.join(missing)} missing. "
            "Make it with pyfairme.metrics.coverage_table. [other-table]"
        )


def _draw(axes: Axes, table: pd.DataFrame, shift: float, colour: str, name: str) -> None:
    x, prefix = table["level"] + shift, f"{name}: " if name else ""
    axes.vlines(x, table["low"], table["high"], colors=colour, linewidth=1.4)
    axes.scatter(x, table["covered"], color=colour, s=22, zorder=3, label=f"{prefix}covered")
    axes.scatter(x, table["attainable"], color=colour, s=120, marker="_", zorder=2,
                 label=f"{prefix}attainable")  # fmt: skip
