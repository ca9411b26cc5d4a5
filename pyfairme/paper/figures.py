"""Every figure of a study: the counterparts of the paper's figures 2-7, and bars of groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pyfairme.file_names import file_name
from pyfairme.paper.disparity_bars import plot_disparities
from pyfairme.paper.published_values import paper_dataset
from pyfairme.paper.study_lines import EFFECTS
from pyfairme.plots.group_rates import plot_group_rates
from pyfairme.plots.importance_bars import plot_importance
from pyfairme.report.writing import write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# disparities and importance of each of the paper's data sets
NUMBERS = {"adult": ("figure_2", "figure_3"), "ipums": ("figure_4", "figure_5"),
           "heritage": ("figure_6", "figure_7")}  # fmt: skip
NO_NUMBER = ("disparities", "importance")


class _Drawn(NamedTuple):
    file: str
    meaning: str
    figure: Figure


def write_figures(
    results: pd.DataFrame,
    importance: pd.DataFrame | None,
    folder: Path,
    *,
    pair: tuple[str, str] = ("medl", "medl_adb"),
    plain: str = "nnet",
) -> dict[str, str]:
    """Draw every figure of a study into a folder.

    Parameters
    ----------
    results
        Tidy results of one data set or more: dataset, variant, effects, clusters, attribute,
        group, metric, value, low, high, null, null_low, null_high, n.
    importance
        Shares and ranks of features: dataset, variant, effects, feature, probe, share, share_sd,
        rank, rank_sd; ``None`` leaves those figures out.
    folder
        Folder to write into; made where missing, files of the same names are overwritten.
    pair
        The models before and after. A data set that lacks one gets no figure of the two.
    plain
        The model whose importance stands beside that of the second of the pair; a model that has
        no importance is left out.

    Returns
    -------
    dict
        Name of each PNG file, with what it shows.

    Examples
    --------
    >>> write_figures(found.results.frame, found.importance, Path("figures"))  # doctest: +SKIP
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for drawn in _figures(results, importance, pair, plain):
        write_figure(drawn.figure, folder / drawn.file)
        written[drawn.file] = drawn.meaning
    return written


def _figures(
    results: pd.DataFrame, importance: pd.DataFrame | None, pair: tuple[str, str], plain: str
) -> Iterator[_Drawn]:
    for dataset in results["dataset"].unique():
        lines = pd.DataFrame(results[results["dataset"] == dataset])
        if set(pair) <= set(lines["variant"]):
            yield from _before_after(dataset, lines, pair)
        if importance is not None:
            yield from _importance(dataset, importance, (plain, pair[1]))


def _before_after(dataset: str, lines: pd.DataFrame, pair: tuple[str, str]) -> Iterator[_Drawn]:
    name = NUMBERS.get(paper_dataset(dataset), NO_NUMBER)[0]
    what = f"{pair[0]} and {pair[1]} on {dataset}"
    for effects in (kind for kind in reversed(EFFECTS) if kind in set(lines["effects"])):
        yield _Drawn(
            f"{name}_{file_name(dataset)}_{effects}.png",
            f"disparities of {what}, {effects} effects",
            plot_disparities(
                lines, pair=pair, effects=effects,
                title=f"Disparities of {what}, {effects} effects, with intervals",
            ),
        )  # fmt: skip
    effects = EFFECTS[1] if EFFECTS[1] in set(lines["effects"]) else EFFECTS[0]
    before, after = (pd.DataFrame(lines[lines["variant"] == model]) for model in pair)
    for clusters in lines["clusters"].unique():
        yield _Drawn(
            f"groups_{file_name(dataset)}_{clusters}.png",
            f"rates by group of {what}, {clusters} clusters",
            plot_group_rates(
                before, after, names=pair, effects=effects, clusters=clusters,
                title=f"Groups on {dataset}: {clusters} clusters, {effects} effects",
            ),
        )  # fmt: skip


def _importance(
    dataset: str, importance: pd.DataFrame, variants: tuple[str, ...]
) -> Iterator[_Drawn]:
    have = set(importance.loc[importance["dataset"] == dataset, "variant"])
    present = tuple(name for name in variants if name in have)
    panels = [(name, "mixed") for name in present if name == variants[0]]
    panels += [(name, kind) for name in present[-1:] for kind in EFFECTS if name != variants[0]]
    if present:
        name = NUMBERS.get(paper_dataset(dataset), NO_NUMBER)[1]
        title = f"Importance of features on {dataset}"
        yield _Drawn(
            f"{name}_{file_name(dataset)}{'_importance' if name != NO_NUMBER[1] else ''}.png",
            f"importance of features of {' and '.join(present)} on {dataset}, probes marked",
            plot_importance(importance, dataset=dataset, panels=tuple(panels), title=title),
        )
