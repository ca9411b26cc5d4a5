"""Reliability diagram: observed frequencies against predicted probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_reliability(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame], *, title: str = "Reliability"
) -> Figure:
    """Draw the reliability of one or several models.

    Parameters
    ----------
    tables
        What `pyfairme.metrics.reliability_table` returned, or name to table.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Above: the observed frequency of each bin with its interval; calibrated bins lie on the
        dashed diagonal. Below: rows per bin at the mean prediction. The legend has the expected
        calibration error of the table's bins.

    Raises
    ------
    ValueError
        When there is no table, or one without the columns of a reliability table.
    """
    named = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    if not named:
        raise ValueError(
            "tables is empty: pass reliability_table(y, probability), or several. [nothing-to-draw]"
        )
    figure = empty_figure(4.8, 5.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot([0, 1], [0, 1], color="black", linewidth=0.9, linestyle="--")
    for index, (name, table) in enumerate(zip(tick_names(named), named.values(), strict=True)):
        _check(table)
        _draw(above, below, table, name, COLOURS[index % len(COLOURS)])
    above.set_ylabel("observed frequency", fontsize=8)
    above.set_xlim(-0.02, 1.02)
    above.set_ylim(-0.02, 1.02)
    above.legend(fontsize=8, frameon=False, loc="upper left")
    below.set_xlabel("mean predicted probability", fontsize=8)
    below.set_ylabel("rows", fontsize=8)
    below.set_ylim(bottom=0)
    for axes in (above, below):
        finish_axes(axes, "both")
    figure.suptitle(title, fontsize=10)
    return figure


def _check(table: pd.DataFrame) -> None:
    needed = ["n", "mean_predicted", "observed", "low", "high"]
    if missing := [column for column in needed if column not in table]:
        raise ValueError(
            f"A reliability table has the columns {', '.join(needed)}; {', '.join(missing)} "
            "missing. Make it with pyfairme.metrics.reliability_table. [other-table]"
        )


def _draw(above: Axes, below: Axes, table: pd.DataFrame, name: str, colour: str) -> None:
    x, y = table["mean_predicted"].to_numpy(), table["observed"].to_numpy()
    error = np.average(np.abs(y - x), weights=table["n"])
    label = f"{name + ': ' if name else ''}ECE {error:.3f}"
    above.plot(x, y, color=colour, linewidth=0.9, marker="o", markersize=4, label=label)
    above.vlines(x, table["low"], table["high"], colors=colour, linewidth=1.4)
    below.vlines(x, np.zeros(len(x)), table["n"], colors=colour, linewidth=3, alpha=0.8)
    below.axhline(0, color=GREY, linewidth=0.6)
