"""The demo's results as files: tables, configuration and pictures."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pyfairme.atomic import write_text
from pyfairme.paper.demo_comparison import AFTER, BEFORE, Comparison
from pyfairme.plots.cluster_forest import plot_cluster_effects
from pyfairme.plots.group_rates import plot_group_rates
from pyfairme.plots.training_curves import plot_training
from pyfairme.report.writing import write_csv, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USE = "A demonstration on census data of 1994. Not for decisions about people."
CARD_BOOT = 50  # replicates: a page to look at, in seconds


def write_demo(found: Comparison, text: str, folder: Path) -> dict[str, str]:
    """Write everything that the demo found into an existing folder.

    Parameters
    ----------
    found
        What `compare_variants` returned.
    text
        The table as it was printed.
    folder
        Existing folder; files of the same names are overwritten.

    Returns
    -------
    dict
        Name of each file written, with what it holds.
    """
    tables = {"comparison.csv": (found.table, "the table with intervals and null bands")}
    for name, report in ((BEFORE, found.before), (AFTER, found.after)):
        tables[f"fairness_report_{name}.csv"] = (report, f"every metric and group of {name}")
    for name, effects in found.cluster_effects.items():
        tables[f"cluster_effects_{name}.csv"] = (effects, f"every cluster effect of {name}")
    for name, (frame, _) in tables.items():
        write_csv(frame, folder / name)
    write_text(folder / "comparison.txt", text + "\n")
    configuration = {**found.configuration, "notes": list(found.notes)}
    written = json.dumps(configuration, indent=2, ensure_ascii=False)
    write_text(folder / "configuration.json", written + "\n")
    drawn = {"card.html": f"fairness card of {AFTER}, one page to hand on"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the card holds them
        found.fair.card(*found.held_out, intended_use=USE, n_boot=CARD_BOOT).save(
            folder / "card.html"
        )
    for name, (figure, meaning) in demo_figures(found).items():
        write_figure(figure, folder / name)
        drawn[name] = meaning
    return {
        "comparison.txt": "the table above",
        **{name: meaning for name, (_, meaning) in tables.items()},
        "configuration.json": "settings, every lambda, versions, seed, wall times, warnings",
        **drawn,
    }


def demo_figures(found: Comparison) -> Mapping[str, tuple[Figure, str]]:
    """Draw the demo's pictures: file name to figure and what it shows."""
    return dict(_figures(found))


def _figures(found: Comparison) -> Iterator[tuple[str, tuple[Figure, str]]]:
    for name, effects in found.cluster_effects.items():
        figure = plot_cluster_effects(effects, title=f"Cluster effects of {name}")
        yield f"cluster_effects_{name}.png", (figure, f"forest of the cluster effects of {name}")
    for clusters in found.table["clusters"].unique():
        figure = plot_group_rates(
            found.before,
            found.after,
            names=(BEFORE, AFTER),
            clusters=clusters,
            title=f"Rates by group: {clusters} clusters, mixed effects, 90 % intervals",
        )
        yield (
            f"group_rates_{clusters}.png",
            (figure, f"TPR and FPR by group before and after, {clusters} clusters"),
        )
    for name, history in found.history.items():
        figure = plot_training(history, title=f"Training of {name}, first rotation")
        yield f"training_{name}.png", (figure, f"training curves of {name}")
