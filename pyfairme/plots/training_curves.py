"""Training curves: the terms of the loss, the adversaries' skill, validation disparities."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pyfairme.metrics.names import short_names
from pyfairme.plots.style import COLOURS, GREY, LONGEST, empty_figure, finish_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HELD_OUT = "validation/"
DASHES = {"mixed": "-", "fixed": "--", "random": ":"}


class _Curve(NamedTuple):
    column: str
    label: str
    colour: str
    dash: str


def plot_training(history: pd.DataFrame, *, title: str = "Training") -> Figure:
    """Draw what happened during training, epoch by epoch.

    Parameters
    ----------
    history
        Frame ``history_`` of an estimator.
    title
        Heading of the figure.

    Returns
    -------
    Figure
        Up to five panels, those that the history has columns for: the likelihood terms L_M and
        L_F on training and validation rows; KL / n; the cross-entropy of cluster adversaries; the
        skill of the adversaries of sensitive attributes, 1 - cross-entropy / chance, 0 where one
        knows nothing; the disparities on validation rows. The first member of an ensemble is drawn.

    Raises
    ------
    ValueError
        When the history has no epoch.
    """
    if history.empty:
        raise ValueError("The history has no epoch: fit the estimator first. [nothing-to-draw]")
    if "member" in history:
        history = history.loc[history["member"] == history["member"].iloc[0]]
    drawn = [(heading, curves) for heading, curves in _panels(history) if curves]
    figure = empty_figure(10.0, 0.6 + 3.1 * (-(-len(drawn) // 2)))
    panels = figure.subplots(-(-len(drawn) // 2), 2, squeeze=False)
    for axes, (heading, curves) in zip(panels.flat, drawn, strict=False):
        _panel(axes, history, heading, curves)
    for axes in panels.flat[len(drawn) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _panels(history: pd.DataFrame) -> list[tuple[str, list[_Curve]]]:
    skill = [name for name in history if name.startswith("skill/")]
    disparity = [name for name in history if name.startswith(f"{HELD_OUT}disparity/")]
    kl = [_Curve("kl", "KL / n", COLOURS[0], "-")] if "kl" in history else []
    return [
        ("likelihood terms, mean over rows (nats)", _losses(history)),
        ("KL / n of the random effects (nats)", kl),
        ("cluster adversary's cross-entropy (nats)", _cluster(history)),
        ("adversaries' skill (0: at chance)", _by_attribute(skill)),
        ("disparity on validation rows", _by_attribute(disparity)),
    ]


def _losses(history: pd.DataFrame) -> list[_Curve]:
    found = []
    names = {"mixed": "mixed, L_M", "fixed": "fixed, L_F"}
    for (term, name), colour in zip(names.items(), COLOURS, strict=False):
        for prefix, dash, rows in (("", "-", "training"), (HELD_OUT, "--", "validation")):
            if prefix + term in history:
                found.append(_Curve(prefix + term, f"{name}, {rows}", colour, dash))
    return found


def _cluster(history: pd.DataFrame) -> list[_Curve]:
    """One colour per grouping factor, dashed on validation rows."""
    found = []
    columns = [name for name in history if name.startswith("cluster_adversary/")]
    short = short_names((name.partition("/")[2] for name in columns), LONGEST, blanks=True)
    for name, colour in zip(columns, COLOURS, strict=False):
        for prefix, dash, rows in (("", "-", "training"), (HELD_OUT, "--", "validation")):
            if prefix + name in history:
                label = f"{short[name.partition('/')[2]]}, {rows}"
                found.append(_Curve(prefix + name, label, colour, dash))
    return found


def _by_attribute(columns: list[str]) -> list[_Curve]:
    """One colour per attribute, one dash per kind of effects; names end in effects/attribute."""
    # skill/mixed/sex: the attribute may have a slash in its name
    parts = {name: name.removeprefix(HELD_OUT).split("/", 2)[1:] for name in columns}
    attributes = sorted({attribute for _, attribute in parts.values()})
    short = short_names(attributes, LONGEST, blanks=True)
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(attributes)}
    ordered = sorted(columns, key=lambda name: parts[name][::-1])
    return [
        _Curve(name, f"{short[attribute]}, {view}", colour[attribute], DASHES.get(view, "-."))
        for name in ordered
        for view, attribute in [parts[name]]
    ]


def _panel(axes: Axes, history: pd.DataFrame, heading: str, curves: list[_Curve]) -> None:
    mark = "o" if len(history) == 1 else None  # of one epoch a line would not be seen
    for curve in curves:
        axes.plot(history["epoch"], history[curve.column], curve.dash, color=curve.colour,
                  linewidth=1.4, marker=mark, label=curve.label)  # fmt: skip
    if "skill" in heading:
        axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_title(heading, fontsize=9)
    axes.set_xlabel("epoch", fontsize=8)
    if len(curves) > 1:
        axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    finish_axes(axes, "both")
