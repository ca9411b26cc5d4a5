"""What all pictures share: colours that colour-blind readers tell apart, and an empty figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "GREY", "empty_figure", "finish_axes", "words"]

# Okabe & Ito's palette without yellow, which is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#666666"


def empty_figure(width: float, height: float) -> Figure:
    """Return a figure of that size in inches, laid out without overlaps, free of pyplot's state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def finish_axes(axes: Any, grid: str) -> None:
    """Remove the upper and right frame, and draw a faint grid along "x", "y" or "both"."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def words(name: str) -> str:
    """Return a column name as words.

    Examples
    --------
    >>> words("marital_status")
    'marital status'
    """
    return name.replace("_", " ")
