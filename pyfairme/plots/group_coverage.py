"""Coverage and width of prediction intervals by group: one or several ways to calibrate them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COVERAGE = "coverage"
WIDTHS = {"interval_width": "mean width", "set_size": "mean number of classes"}
APART = 0.7  # of a group's place, that several reports share


def plot_group_coverage(
    reports: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    level: float = 0.9,
    effects: str = "mixed",
    clusters: str = "seen",
    title: str = "Coverage by group",
) -> Figure:
    """Draw how often prediction intervals or sets hold the outcome in every group, and their size.

    Parameters
    ----------
    reports
        A fairness report of intervals (``ConformalIntervals.fairness_report``, or
        ``fairness_report(intervals=...)``), or several of the same rows by name.
    level
        Level of the intervals, the dashed line.
    effects, clusters
        Which predictions and rows of the reports to draw.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        One row of panels per attribute, groups in the order of the report; columns coverage and
        mean width (of sets: number of classes). Lines are the reports' intervals, n the rows of a
        group.

    Raises
    ------
    ValueError
        When there is no report, or one without coverage for these effects and clusters.
    """
    named = {"": reports} if isinstance(reports, pd.DataFrame) else dict(reports)
    if not named:
        raise ValueError(
            "reports is empty: pass a fairness report of intervals, or several. [nothing-to-draw]"
        )
    lines = {name: _lines(report, effects, clusters) for name, report in named.items()}
    first = next(iter(lines.values()))
    attributes = list(dict.fromkeys(first["attribute"]))
    sizes = [first.loc[first["attribute"] == name, "group"].nunique() for name in attributes]
    figure = empty_figure(8.0, 1.3 + sum(0.4 * size + 0.4 for size in sizes))
    panels = figure.subplots(
        len(attributes), 2, sharex="col", sharey="row", squeeze=False, height_ratios=sizes
    )
    names_of = tick_names(attributes, blanks=True)
    for row, attribute, shown in zip(panels, attributes, names_of, strict=True):
        mine = {name: one.loc[one["attribute"] == attribute] for name, one in lines.items()}
        _panel(row[0], {name: one.loc[one["metric"] == COVERAGE] for name, one in mine.items()})
        _panel(row[1], {name: one.loc[one["metric"] != COVERAGE] for name, one in mine.items()})
        row[0].axvline(level, color="black", linewidth=0.9, linestyle="--")
        row[0].set_ylabel(shown, fontsize=9)
        row[0].invert_yaxis()
        _write_rows(row[1], mine)
    panels[0, 0].set_title("share of outcomes inside", fontsize=9)
    width = next(name for name in WIDTHS if name in set(first["metric"]))
    panels[0, 1].set_title(WIDTHS[width], fontsize=9)
    panels[0, 1].set_xlim(left=0)
    figure.align_ylabels(panels[:, 0])
    figure.suptitle(title, fontsize=11)
    if len(named) > 1:
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=len(named), frameon=False, fontsize=9)  # fmt: skip
    return figure


def _lines(report: pd.DataFrame, effects: str, clusters: str) -> pd.DataFrame:
    """Return the lines of single groups' coverage and width."""
    chosen = (report["effects"] == effects) & (report["clusters"] == clusters)
    metrics = report["metric"].isin([COVERAGE, *WIDTHS])
    found = report.loc[chosen & metrics & (report["group"] != "all")]
    if not {COVERAGE} <= set(found["metric"]) or not set(WIDTHS) & set(found["metric"]):
        raise ValueError(
            f"The report has no coverage of groups for effects={effects!r}, clusters={clusters!r}. "
            f"It has effects {sorted(report['effects'].unique())} and clusters "
            f"{sorted(report['clusters'].unique())}; coverage comes with fairness_report("
            "intervals=...), or that of ConformalIntervals and ConformalSets. [not-in-table]"
        )
    return found


def _panel(axes: Axes, lines: Mapping[str, pd.DataFrame]) -> None:
    groups = list(dict.fromkeys(next(iter(lines.values()))["group"]))
    step = APART / len(lines)
    for number, (name, one) in enumerate(lines.items()):
        values = one.set_index("group").loc[groups]
        place = np.arange(len(groups)) + step * (number - (len(lines) - 1) / 2)
        colour = COLOURS[number % len(COLOURS)]
        axes.hlines(place, values["low"], values["high"], color=colour, linewidth=1.4)
        axes.scatter(values["value"], place, color=colour, s=22, zorder=3, label=name)
    axes.set_yticks(np.arange(len(groups)), tick_names(groups))
    axes.set_ylim(-0.5, len(groups) - 0.5)
    axes.locator_params(axis="x", nbins=6)
    finish_axes(axes, "x")


def _write_rows(axes: Axes, lines: Mapping[str, pd.DataFrame]) -> None:
    first = next(iter(lines.values()))
    sizes = first[first["metric"] == COVERAGE]["n"]
    for place, size in enumerate(sizes):
        axes.text(1.01, place, f"n = {size:,}", transform=axes.get_yaxis_transform(),
                  va="center", fontsize=7, color=GREY)  # fmt: skip
