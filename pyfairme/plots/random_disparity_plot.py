"""Forest plot of the random part's disparity: groups, with posterior intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.plots.style import COLOURS, GREY, empty_figure, finish_axes, tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_random_disparity"]

LABELS = {
    "excess": "what random effects do for a group, beyond what they do for all",
    "tilt": "mean change of the prediction by random effects",
    "random_mean": "mean random part, linear predictor",
}
SPREADS = {"excess": "tilt_sd", "tilt": "tilt_sd", "random_mean": "random_mean_sd"}


def plot_random_disparity(
    frames: pd.DataFrame | Mapping[str, pd.DataFrame],
    measure: str = "excess",
    cluster: str = "all",
    factor: str | None = None,
    *,
    title: str = "Disparity of the random part",
) -> Figure:
    """Draw what random effects do to every group, as a forest of posterior intervals.

    Parameters
    ----------
    frames
        Frame of `random_disparity`, or several of the same rows by the name of their model.
    measure
        "excess", "tilt" or "random_mean".
    cluster
        "all", every row; or the label of one cluster.
    factor
        Grouping factor of that cluster, where several have one of this label.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        One block per attribute: a line per group from ``low`` to ``high`` with its posterior mean,
        filled where the interval excludes 0, and its rows at the right. The heading of a block has
        the SD over groups with its interval, and the 95 % quantile of that SD by chance.

    Raises
    ------
    ValueError
        When the measure or the cluster is unknown or has to be told apart, the models judged other
        groups, or the frames have lines of several classes.
    """
    if measure not in LABELS:
        raise ValueError(
            f"Expected measure to be one of {list(LABELS)}, got {measure!r}. [unknown-choice]"
        )
    named = dict(frames) if isinstance(frames, Mapping) else {"": frames}
    chosen = {name: _lines(frame, cluster, factor) for name, frame in named.items()}
    first = _groups(next(iter(chosen.values())), measure)
    keys = list(zip(first["attribute"], first["group"], strict=True))
    for name, lines in chosen.items():
        other = _groups(lines, measure)
        if list(zip(other["attribute"], other["group"], strict=True)) != keys:
            raise ValueError(
                f"The model {name!r} judged other groups than {next(iter(chosen))!r}: call "
                "random_disparity with the same rows and attributes. [other-rows]"
            )
    step = 0.22 * len(named) + 0.12
    head = 1 + 0.13 * len(named) / step  # the name, and below it a line for each model
    place, heads, height = _layout(first["attribute"], head)
    figure = empty_figure(7.0, 1.3 + step * height + 0.2 * (len(named) > 1))
    axes = figure.subplots()
    for index, (name, lines) in enumerate(chosen.items()):
        offset = (index - (len(named) - 1) / 2) * 0.6 / len(named)
        _draw(axes, _groups(lines, measure), place + offset, COLOURS[index], name)
    _write(axes, first, place, heads, chosen, SPREADS[measure])
    axes.set_ylim(height - 0.4, -0.6)
    axes.set_xlabel(LABELS[measure], fontsize=8)
    where = "" if cluster == "all" else f", cluster {cluster}"
    figure.suptitle(
        f"{title}{where}\nmean and posterior interval; open: it contains 0", fontsize=10
    )
    if len(named) > 1:
        figure.legend(loc="outside lower center", ncols=len(named), frameon=False, fontsize=8)
    return figure


def _lines(frame: pd.DataFrame, cluster: str, factor: str | None) -> Any:
    """Return the lines of one cluster, of one class."""
    found: Any = frame[frame["cluster"] == cluster]
    if factor is not None:
        found = found[found["factor"] == factor]
    if found.empty:
        known = list(dict.fromkeys(frame["cluster"]))
        raise ValueError(
            f"The frame has no cluster {cluster!r}; it has {known[:10]}. [not-in-table]"
        )
    factors = list(dict.fromkeys(found["factor"]))
    if len(factors) > 1:
        raise ValueError(
            f"{cluster!r} is a cluster of {factors}: choose one with factor='...'. [choose-one]"
        )
    classes = list(dict.fromkeys(found["class"]))
    if len(classes) > 1:
        raise ValueError(
            f"The frame has lines of each class, {classes}: choose one, "
            f"frame[frame['class'] == {classes[0]!r}]. [choose-one]"
        )
    return found


def _groups(lines: pd.DataFrame, measure: str) -> Any:
    return lines[(lines["measure"] == measure) & (lines["group"] != "all")]


def _layout(attributes: Iterable[str], head: float) -> tuple[np.ndarray, dict[str, float], float]:
    """Places of groups and of headings of that height, from the top down, and the whole height."""
    place, heads, at = [], {}, 0.0
    for attribute in attributes:
        if attribute not in heads:
            heads[attribute] = at + (0.4 if heads else 0.0)
            at = heads[attribute] + head
        place.append(at)
        at += 1
    return np.array(place), heads, at


def _draw(axes: Axes, lines: pd.DataFrame, place: np.ndarray, colour: str, name: str) -> None:
    clear = ((lines["low"] > 0) | (lines["high"] < 0)).to_numpy()
    axes.hlines(place, lines["low"], lines["high"], color=colour, linewidth=1.6, label=name)
    faces = np.where(clear, colour, "white")
    axes.scatter(lines["value"], place, c=faces, edgecolors=colour, s=26, zorder=3)


def _write(
    axes: Axes, first: pd.DataFrame, place: np.ndarray, heads: dict[str, float],
    chosen: dict[str, Any], spread: str,
) -> None:  # fmt: skip
    """Write groups, numbers of rows, and each attribute's spread."""
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(place, tick_names(first["group"]))
    shown = dict(zip(heads, tick_names(heads, blanks=True), strict=True))
    side = axes.get_yaxis_transform()
    for at, n in zip(place, first["n"], strict=True):
        axes.text(1.01, at, f"n {n:,}", transform=side, fontsize=7, color=GREY, va="center")
    for attribute, at in heads.items():
        parts = []
        for name, lines in chosen.items():
            found = lines[(lines["attribute"] == attribute) & (lines["measure"] == spread)]
            for line in found.itertuples():
                text = f"SD {line.value:.3f} ({line.low:.3f} to {line.high:.3f})"
                text += f", by chance up to {line.null_high:.3f}"
                parts.append(f"{name}: {text}" if name else text)
        box = {"color": "white", "pad": 1.0}
        axes.text(0.01, at - 0.1, shown[attribute], transform=side, fontsize=8.5, weight="bold",
                  va="center", bbox=box)  # fmt: skip
        axes.text(0.01, at + 0.25, "\n".join(parts), transform=side, fontsize=6.5, color=GREY,
                  va="top", linespacing=1.1, bbox=box)  # fmt: skip
    finish_axes(axes, "x")
