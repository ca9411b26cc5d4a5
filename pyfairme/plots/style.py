"""What all pictures share: colours that colour-blind readers tell apart, and an empty figure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pyfairme.metrics.names import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette without yellow, which is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#666666"
IN_A_CELL = 110  # dots per inch: 9 inches are a cell's width
LONGEST = 40  # letters of a name in a picture


def empty_figure(width: float, height: float) -> Figure:
    """Return a figure of that size in inches, laid out without overlaps, free of pyplot's state.

    A notebook shows it where a cell returns it, with or without ``%matplotlib inline``. Its texts
    are drawn as they are: the name "$x$" is no formula.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    class Plain(Figure):
        """A figure without formulas, also in texts that are made as it is drawn."""

        def draw(self, renderer: Any) -> None:
            """Draw it."""
            with rc_context({"text.parse_math": False}):
                for text in self.findobj(Text):
                    text.set_parse_math(False)
                super().draw(renderer)

        def _repr_png_(self) -> bytes:
            """Show it in a notebook, which knows of pyplot's figures only."""
            from io import BytesIO

            file = BytesIO()
            self.savefig(file, format="png", dpi=IN_A_CELL)
            return file.getvalue()

    return Plain(figsize=(width, height), dpi=150, layout="constrained")


def finish_axes(axes: Axes, grid: Literal["both", "x", "y"]) -> None:
    """Remove the upper and right frame, and draw a faint grid along "x", "y" or "both"."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def name_panels(panels: Any, attributes: Iterable[str], titles: Iterable[str]) -> None:
    """Write attributes above their row of panels, and titles above the columns.

    Parameters
    ----------
    panels
        Axes, shape (attributes, titles).
    attributes, titles
        Of the rows and of the columns. A row's stands above its first panel, where a long name has
        room, a line below the titles.
    """
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(f"{title}\n", fontsize=9)
    for row, name in zip(panels, tick_names(attributes, blanks=True), strict=True):
        row[0].set_title(name, loc="left", fontsize=9, fontweight="bold")


def tick_names(names: Iterable[Any], *, blanks: bool = False) -> list[str]:
    """Return names as the labels of an axis, one for each, see `short_names`."""
    names = [str(name) for name in names]
    short = short_names(names, LONGEST, blanks=blanks)
    return [short[name] for name in names]
