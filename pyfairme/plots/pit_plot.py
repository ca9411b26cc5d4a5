"""Histogram of PIT values with the band of uniformity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_pit(
    values: ArrayLike,
    *,
    bins: int = 20,
    level: float = 0.9,
    title: str = "Probability integral transform",
) -> Figure:
    """Draw PIT values as a histogram.

    Parameters
    ----------
    values
        Shape ``(n,)``, in [0, 1]: see `pyfairme.metrics.pit_values`.
    bins
        Number of equally wide bins.
    level
        Level of the band.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Heights are relative to the expected number of rows, so 1 is uniform. The grey band holds
        each bar of uniform values with probability ``level``, n independent rows: Binomial(n, 1 /
        bins). About ``(1 - level) bins`` bars leave it by chance; rows of a few clusters hang
        together and leave it more often.

    Raises
    ------
    ValueError
        When there are no values, one is outside [0, 1], or ``bins`` is below 2.
    """
    from scipy.stats import binom

    pit = np.asarray(values, np.float64)
    if pit.ndim != 1 or len(pit) == 0 or not ((pit >= 0) & (pit <= 1)).all():
        raise ValueError(
            "values must be a vector of numbers from 0 to 1: pass pit_values(y, draws)."
            " [metric-shape]"
        )
    if bins < 2:
        raise ValueError(f"bins must be at least 2, got {bins}. [plot-number]")
    expected = len(pit) / bins
    heights = np.histogram(pit, bins=bins, range=(0, 1))[0] / expected
    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], len(pit), 1 / bins) / expected
    figure = empty_figure(5.0, 3.4)
    axes = figure.subplots()
    axes.bar((np.arange(bins) + 0.5) / bins, heights, 0.92 / bins, color=COLOURS[5], alpha=0.7)
    label = f"{100 * level:g} % of uniform bars"
    axes.axhspan(low, high, color="#555555", alpha=0.3, linewidth=0, zorder=3, label=label)
    axes.axhline(1, color="black", linewidth=0.9, linestyle="--", zorder=4)
    axes.set_xlabel("PIT", fontsize=8)
    axes.set_ylabel("rows / expected", fontsize=8)
    axes.set_xlim(0, 1)
    finish_axes(axes, "y")
    outside = int(((heights < low) | (heights > high)).sum())
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.14))
    axes.text(1, -0.19, f"{outside} of {bins} bars outside", transform=axes.transAxes, ha="right",
              va="top", fontsize=7, color=GREY)  # fmt: skip
    figure.suptitle(f"{title}, n = {len(pit):,}", fontsize=10)
    return figure
