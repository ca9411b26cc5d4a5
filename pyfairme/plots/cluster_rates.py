"""Rates of every group in every cluster of one report: where a group is treated differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.metrics.names import ALL
from pyfairme.plots.group_points import PANELS, panels_of
from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREADS = {
    "tpr": "tpr_sd",
    "fpr": "fpr_sd",
    "mse": "mse_sd",
    "rmse": "mse_sd",  # they differ where those of the MSE do
    "mean_residual": "residual_sd",
}
BAND = "#fae3c8"  # behind clusters whose groups differ by more than chance
APART = 0.56  # of a cluster's place, that its groups share


def plot_cluster_rates(
    report: pd.DataFrame,
    attribute: str | None = None,
    *,
    effects: str = "mixed",
    label: Any = None,
    fewest: int = 10,
    title: str | None = None,
) -> Figure:
    """Draw TPR and FPR (regression: error and mean residual) of every group in every cluster.

    Parameters
    ----------
    report
        Fairness report by cluster: ``fairness_report(X, y, by_cluster=True)``.
    attribute
        Whose groups to draw; None: the first of the report.
    effects
        Which predictions to draw.
    label
        Of more than two classes the one to draw against the rest; None: the first.
    fewest
        A point that rests on fewer rows (of a TPR: positives) is left out, and so is a cluster that
        has fewer than two points in both panels.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        A row per cluster, those with most rows on top, a point per group with the report's
        interval, and at the right how many rows each rests on. A cluster is marked where its groups
        differ by more than chance would make them (the report's SD over groups against its 95 %
        quantile for groups that are treated alike, of all groups of the cluster).

    Raises
    ------
    ValueError
        When the report is not by cluster, or has no rates of this attribute, effects and class, or
        no cluster with two groups of so many rows.

    Examples
    --------
    >>> from pyfairme.metrics import regression_report_frame
    >>> sex = {"sex": ["m", "m", "w", "w"]}
    >>> lines = regression_report_frame([1, 2, 3, 4], [1, 2, 3, 6], sensitive=sex, rng=0, n_boot=9)
    >>> lines = lines.assign(**{"effects": "mixed", "clusters": "north", "class": ""})
    >>> figure = plot_cluster_rates(lines, fewest=2)  # fairness_report(X, y, by_cluster=True)
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['north']
    """
    lines = _lines(report, attribute, effects, label)
    groups = list(dict.fromkeys(lines.loc[lines["group"] != ALL, "group"]))
    metrics = panels_of(lines["metric"])
    enough = lines["metric"].isin(metrics) & (lines["group"] != ALL) & (lines["n"] >= fewest)
    points = lines.loc[enough & lines["value"].notna()]
    clusters = _clusters(lines, points)
    if not clusters:
        raise ValueError(
            f"No cluster has two groups with {fewest} rows behind a rate: give a smaller fewest, "
            "or judge more rows. [nothing-to-draw]"
        )
    figure = empty_figure(9.0, 1.5 + 0.36 * len(clusters))
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        mine = points.loc[points["metric"] == metric]
        _panel(axes, mine, clusters, groups)
        compared = list(mine.loc[mine.duplicated("clusters"), "clusters"])
        spreads = lines.loc[(lines["metric"] == SPREADS[metric]) & lines["clusters"].isin(compared)]
        _mark(axes, spreads, clusters)
        name, counted = PANELS[metric]
        axes.set_title(f"{name} (n = {counted})", fontsize=9)
    panels[0].set_yticks(np.arange(len(clusters)), tick_names(clusters))
    panels[0].set_ylim(len(clusters) - 0.5, -0.5)
    (name,) = tick_names([str(lines["attribute"].iloc[0])], blanks=True)
    figure.suptitle(title or f"Rates by cluster and {name}", fontsize=11)
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(text, handle)
    figure.legend(list(found.values()), list(found), loc="outside lower center",
                  ncols=min(len(found), 5), frameon=False, fontsize=9)  # fmt: skip
    return figure


def _lines(report: pd.DataFrame, attribute: str | None, effects: str, label: Any) -> pd.DataFrame:
    """Return the lines of one attribute, effects and class."""
    frame: Any = pd.DataFrame(report)
    judged = list(dict.fromkeys(frame.loc[frame["attribute"] != ALL, "attribute"]))
    wanted = attribute if attribute is not None or not judged else judged[0]
    chosen = frame.loc[(frame["attribute"] == wanted) & (frame["effects"] == effects)]
    if len(chosen):
        own = chosen["class"].iloc[0] if label is None else label
        chosen = chosen.loc[chosen["class"] == own]
    if not set(PANELS) & set(chosen.loc[chosen["group"] != ALL, "metric"]):
        raise ValueError(
            f"The report has no rates of groups for attribute={attribute!r}, effects={effects!r}, "
            f"label={label!r}. It has attributes {judged} and effects "
            f"{sorted(frame['effects'].unique())}. [not-in-table]"
        )
    if set(chosen["clusters"]) <= {"seen", "unseen"}:
        raise ValueError(
            "The report is not by cluster: make it with by_cluster=True, or draw it with "
            "plot_group_points. [other-table]"
        )
    return chosen


def _clusters(lines: pd.DataFrame, points: pd.DataFrame) -> list[str]:
    """List clusters with two groups to compare in a panel, from many to few rows."""
    compared = list(points.loc[points.duplicated(["clusters", "metric"]), "clusters"])
    mine: Any = lines.loc[lines["clusters"].isin(compared)]
    sizes = mine.groupby("clusters", sort=False)["n"].max().sort_values(ascending=False)
    return [str(name) for name in sizes.index]


def _panel(axes: Axes, points: pd.DataFrame, clusters: list[str], groups: list[str]) -> None:
    step = APART / len(groups)
    for number, group in enumerate(groups):
        mine = points.loc[points["group"] == group].set_index("clusters")
        mine = mine.reindex(clusters)
        place = np.arange(len(clusters)) + step * (number - (len(groups) - 1) / 2)
        colour = COLOURS[number % len(COLOURS)]
        axes.hlines(place, mine["low"], mine["high"], color=colour, linewidth=1.4)
        axes.scatter(mine["value"], place, color=colour, s=20, zorder=3, label=str(group))
    sizes = points.pivot(index="clusters", columns="group", values="n").reindex(clusters)
    for place, counted in enumerate(sizes.reindex(columns=groups).to_numpy(float)):
        text = " / ".join("-" if n != n else f"{int(n):,}" for n in counted)
        axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center",
                  fontsize=6.5, color=GREY)  # fmt: skip
    axes.locator_params(axis="x", nbins=6)
    finish_axes(axes, "x")


def _mark(axes: Axes, spreads: pd.DataFrame, clusters: list[str]) -> None:
    """Shade the clusters whose groups differ by more than chance."""
    whole = spreads.loc[spreads["group"] == ALL].set_index("clusters").reindex(clusters)
    more = whole["value"].to_numpy(float) > whole["null_high"].to_numpy(float)
    for place in np.flatnonzero(more):
        axes.axhspan(place - 0.46, place + 0.46, color=BAND, linewidth=0, zorder=0,
                     label="groups differ by more than chance")  # fmt: skip
