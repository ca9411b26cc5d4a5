"""Prior and posterior predictive checks: the observed outcomes among replicated ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pyfairme.metrics.array_inputs import as_groups, as_real
from pyfairme.metrics.names import words
from pyfairme.metrics.predictive_draws import as_draws
from pyfairme.plots.outcome_curves import (
    MOST_BARS,
    OutcomeCurve,
    bar_curve,
    density_curve,
    ecdf_curve,
    is_whole,
)
from pyfairme.plots.style import COLOURS, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"density": density_curve, "ecdf": ecdf_curve, "bars": bar_curve}
HEIGHTS = {"density": "density", "ecdf": "ECDF", "bars": "share of rows"}
MOST_PANELS = 12
PER_ROW = 4
LONG = 5.0  # times the middle of a grid of counts that its end is when it is drawn on a log scale


def plot_predictive_check(
    observed: ArrayLike,
    draws: ArrayLike,
    kind: str | None = None,
    *,
    groups: ArrayLike | None = None,
    labels: Sequence[Any] | None = None,
    level: float = 0.9,
    name: str = "y",
    title: str = "Posterior predictive check",
) -> Figure:
    """Draw the distribution of the outcomes among those that the model draws.

    Parameters
    ----------
    observed
        Shape ``(n,)``: outcomes; labels of classes where ``labels`` is given.
    draws
        Shape ``(draws, n)`` or ``(chain, draw, n)``: predictive draws, of the posterior
        (``sample_predictive``) or of the prior.
    kind
        "density" or "ecdf" for real outcomes, "bars" for counts and classes. By default bars for
        whole numbers (the ECDF where 40 bars would hold less than 90 % of them), else the density.
    groups
        Shape ``(n,)``: labels of clusters or of a sensitive attribute: one panel each, for the 12
        with most rows.
    labels
        Classes in the order of the draws' codes: ``classes_`` of a classifier.
    level
        Part of the draws inside the band.
    name
        Name of the outcome.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        The observed distribution in black or as bars; of the draws the median and the pointwise
        band that holds ``level`` of them.

    Raises
    ------
    ValueError
        For an unknown kind, shapes that differ, or a label that is no class.

    Notes
    -----
    The draws meet the rows that made the posterior, so this finds gross misfit (tails, zeros,
    groups), not overfitting: pass rows held out for that.
    """
    outcome = as_real(_codes(observed, labels), "observed")
    matrix = as_draws(draws, len(outcome))
    chosen = _kind(kind, outcome)
    panels = list(_panels(outcome, matrix, groups))
    columns = min(len(panels), PER_ROW)
    rows = -(-len(panels) // columns)
    size = (5.0, 3.6) if len(panels) == 1 else (1.2 + 2.3 * columns, 1.2 + 1.9 * rows)
    figure = empty_figure(*size)
    share = "all" if chosen != "density" else "none"  # a narrow group's density is higher
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=share)
    for index, (axes, (label, y, replicated)) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw(axes, KINDS[chosen](y, replicated, outcome, level), chosen, level)
        if label is not None:
            axes.set_title(f"{label} (n = {len(y):,})", fontsize=8)
        if labels is not None:
            axes.set_xticks(range(len(labels)), tick_names(map(str, labels)))
        if index + columns >= len(panels):  # the last one of its column
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(words(name), fontsize=8)
        finish_axes(axes, "y")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(HEIGHTS[chosen], fontsize=8)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False, fontsize=8)  # fmt: skip
    figure.suptitle(title, fontsize=10)
    return figure


def _codes(observed: ArrayLike, labels: Sequence[Any] | None) -> Any:
    if labels is None:
        return observed
    known = {label: code for code, label in enumerate(labels)}
    values = np.asarray(observed).tolist()
    if unknown := [value for value in values if value not in known]:
        raise ValueError(
            f"observed has {unknown[0]!r}, which is none of the labels {list(known)}: give the "
            "outcomes as the classifier saw them, and labels=clf.classes_. [unknown-label]"
        )
    return np.array([known[value] for value in values], float)


def _kind(kind: str | None, outcome: np.ndarray) -> str:
    if kind is None:
        if not is_whole(outcome):
            return "density"
        return (
            "bars" if np.ptp(outcome[outcome <= np.quantile(outcome, 0.9)]) < MOST_BARS else "ecdf"
        )
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}. [unknown-choice]")
    if kind == "bars" and not is_whole(outcome):
        raise ValueError(
            "kind='bars' is for counts and classes; real outcomes have a 'density'."
            " [unknown-choice]"
        )
    return kind


def _panels(
    outcome: np.ndarray, draws: np.ndarray, groups: ArrayLike | None
) -> Iterator[tuple[str | None, np.ndarray, np.ndarray]]:
    if groups is None:
        yield None, outcome, draws
        return
    found = as_groups(groups, "groups", len(outcome))
    sizes = np.bincount(found.codes, minlength=len(found.levels))
    largest = np.argsort(-sizes, kind="stable")[:MOST_PANELS]
    for code in sorted(largest.tolist()):
        if sizes[code]:
            inside = found.codes == code
            yield found.levels[code], outcome[inside], draws[:, inside]


def _draw(axes: Axes, curve: OutcomeCurve, kind: str, level: float) -> None:
    band = f"draws: {100 * level:g} %"
    if kind == "bars":
        axes.bar(curve.x, curve.observed, 0.8, color=COLOURS[0], alpha=0.45, label="observed")
        axes.vlines(curve.x, curve.low, curve.high, colors=COLOURS[1], linewidth=1.8, label=band)
        axes.scatter(curve.x, curve.middle, color=COLOURS[1], s=12, zorder=3, label="draws: median")
        if len(curve.x) <= 12 or curve.tail:
            ticks = curve.x[:: max(1, len(curve.x) // 8)]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        if curve.tail:
            last = f"≥{curve.x[-1]:g}"
            ticks = [tick for tick in axes.get_xticks() if tick < curve.x[-1] - len(curve.x) / 12]
            axes.set_xticks([*ticks, curve.x[-1]], [*(f"{tick:g}" for tick in ticks), last])
        return
    if kind == "ecdf" and is_whole(curve.x) and curve.x[-1] > LONG * max(1.0, np.median(curve.x)):
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
    axes.fill_between(curve.x, curve.low, curve.high, color=COLOURS[5], alpha=0.5, label=band,
                      linewidth=0)  # fmt: skip
    axes.plot(curve.x, curve.middle, color=COLOURS[0], linewidth=1, label="draws: median")
    axes.plot(curve.x, curve.observed, color="black", linewidth=1.2, label="observed")
