"""Importance of features with the probes marked, as the paper's figures 3, 5 and 7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.metrics.names import words
from pyfairme.plots.style import COLOURS, empty_figure, finish_axes
from pyfairme.study.evaluation.importance_frame import features_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = (("nnet", "mixed"), ("medl_adb", "fixed"), ("medl_adb", "mixed"))
HATCH = "////"
LONGEST = 28  # letters of a feature's name


def plot_importance(
    importance: pd.DataFrame,
    *,
    dataset: str,
    panels: tuple[tuple[str, str], ...] = PANELS,
    top: int = 10,
    title: str = "Importance of features",
) -> Figure:
    """Draw the share of importance of the first features of each model, and of every probe.

    Parameters
    ----------
    importance
        dataset, variant, effects, feature, probe, share, share_sd, rank, rank_sd; means and SDs
        over seeds.
    dataset
        The data set to draw.
    panels
        Model and effects of each panel; without random effects, fixed and mixed are the same.
    top
        How many features to draw; probes further down follow below a gap.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Bars are shares of the sum over all features, whiskers one SD over seeds; the number is the
        mean rank. Probes have another colour and hatching.

    Raises
    ------
    ValueError
        When a model has no features, or a column is missing.

    Examples
    --------
    >>> importance = pd.DataFrame(
    ...     {
    ...         "dataset": "adult",
    ...         "variant": "medl",
    ...         "effects": "fixed",
    ...         "feature": ["age", "noise"],
    ...         "probe": [False, True],
    ...         "share": [0.8, 0.2],
    ...         "share_sd": 0.0,
    ...         "rank": [1.0, 2.0],
    ...         "rank_sd": 0.0,
    ...     }
    ... )
    >>> figure = plot_importance(importance, dataset="adult", panels=(("medl", "fixed"),))
    >>> len(figure.axes)
    1
    """
    drawn = [_chosen(importance, dataset, *panel, top) for panel in panels]
    rows = max(len(lines) for lines in drawn)
    figure = empty_figure(1.0 + 3.9 * len(panels), 1.3 + 0.25 * rows)
    row = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
    several = {variant for variant, effects in panels if effects == "fixed"}
    for axes, (variant, effects), lines in zip(row, panels, drawn, strict=True):
        _panel(axes, lines, top)
        name = f"{variant}, {effects} effects" if variant in several else variant
        axes.set_title(name, fontsize=9)
        axes.set_ylim(rows, -1)  # the first on top, bars of all panels equally thick
        axes.set_xlabel("share of all features (%)", fontsize=8)
    row[0].set_xlim(left=0)
    figure.suptitle(title, fontsize=11)
    handles = _handles()
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(panels), 2),
        frameon=False,
        fontsize=8,
    )
    return figure


def _chosen(
    importance: pd.DataFrame, dataset: str, variant: str, effects: str, top: int
) -> list[dict[str, Any]]:
    """Return the first features and all probes, ordered by rank."""
    features = features_of(importance, dataset, variant, effects)
    if not features:
        raise ValueError(
            f"No importance of {variant!r} on {dataset!r}; there is that of "
            f"{', '.join(map(str, importance['variant'].unique()))} on "
            f"{', '.join(map(str, importance['dataset'].unique()))}. [not-in-table]"
        )
    return [line for place, line in enumerate(features) if place < top or line["probe"]]


def _panel(axes: Axes, lines: list[dict[str, Any]], top: int) -> None:
    place = np.arange(len(lines)) + 0.5 * (np.arange(len(lines)) >= top)  # a gap after the first
    shares = np.array([100 * line["share"] for line in lines])
    spread = np.nan_to_num([100 * line["share_sd"] for line in lines])
    for at, share, line in zip(place, shares, lines, strict=True):
        axes.barh(at, share, 0.72, **_look(bool(line["probe"])))
    axes.hlines(place, np.maximum(shares - spread, 0), shares + spread, color="black",
                linewidth=0.9)  # fmt: skip
    for at, end, line in zip(place, shares + spread, lines, strict=True):
        axes.annotate(f"{line['rank']:.1f}".removesuffix(".0"), (end, at), xytext=(3, 0),
                      textcoords="offset points", va="center", fontsize=7)  # fmt: skip
    axes.set_yticks(place, [_short(line["feature"]) for line in lines])
    axes.margins(x=0.12)
    finish_axes(axes, "x")


def _look(probe: bool) -> dict[str, Any]:
    if probe:
        return {"facecolor": COLOURS[1], "hatch": HATCH, "edgecolor": "white", "linewidth": 0}
    return {"facecolor": COLOURS[0]}


def _short(feature: str) -> str:
    name = words(feature)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."


def _handles() -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(**_look(False), label="feature (the number is its rank, mean over seeds)"),
        Patch(**_look(True), label="probe: knows cluster and target, no domain"),
    ]
