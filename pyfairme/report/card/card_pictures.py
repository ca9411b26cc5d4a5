"""Pictures of a card: rates of groups, cluster effects, what random effects do to groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.metrics.names import ALL
from pyfairme.plots.caterpillar import plot_caterpillar
from pyfairme.plots.group_points import plot_group_points
from pyfairme.plots.random_disparity_plot import plot_random_disparity
from pyfairme.report.card.card_summary import SUMMARY
from pyfairme.report.card.evidence import CardEvidence
from pyfairme.report.display.fairness_facts import BLOCKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_AT_FIRST = 20  # groups whose rates are drawn in the summary; of more further down
BESIDE_TEXT = 7.2  # inches
MOST_GROUPS = 60  # beyond, names would overlap
MOST_CLUSTERS = 20  # at either end
DPI = 130


@dataclass(frozen=True)
class CardPicture:
    """A picture as PNG, what it shows, and the part of the card that it goes with."""

    heading: str
    text: str
    png: bytes


def card_pictures(evidence: CardEvidence) -> Iterator[CardPicture]:
    """Draw what a card shows; of more than two classes nothing, as tables say it better.

    Parameters
    ----------
    evidence
        What the card rests on.
    """
    if len(evidence.judged.classes) > 2:
        return
    groups = sum(
        len(np.unique(labels.astype(str))) for labels in evidence.judged.sensitive.values()
    )
    block = str(evidence.report["clusters"].iloc[0])
    if 0 < groups <= MOST_GROUPS:
        title = f"Rates by group, {BLOCKS[block]}"
        several = len(set(evidence.report["clusters"])) > 1
        heading = f"Rates of every group: {BLOCKS[block]}" if several else "Rates of every group"
        first = groups <= MOST_AT_FIRST
        size: Any = {"width": BESIDE_TEXT} if first else {}
        figure = plot_group_points(evidence.report, clusters=block, title=title, **size)
        yield _drawn(SUMMARY if first else heading, title, figure)
    effects = pd.DataFrame() if evidence.hides else evidence.estimator.cluster_effects_
    for factor in dict.fromkeys(effects["factor"]) if len(effects) else ():
        lines = effects.loc[effects["factor"] == factor]
        for term in list(dict.fromkeys(lines["term"]))[:1]:
            few = lines["cluster"].nunique() <= 2 * MOST_CLUSTERS
            figure = plot_caterpillar(lines, str(term), str(factor), None if few else MOST_CLUSTERS,
                                      unit=evidence.estimator.target_.link_name)  # fmt: skip
            yield _drawn("Cluster effects", f"Effects of clusters of {factor}", figure)
    if 0 < groups <= MOST_GROUPS and len(evidence.random_parts):
        figure = plot_random_disparity(evidence.random_parts, cluster=ALL)
        heading = "What random effects do to each group"
        yield _drawn(heading, f"{heading}: excess", figure)


def _drawn(heading: str, text: str, figure: Figure) -> CardPicture:
    held = BytesIO()
    figure.savefig(held, format="png", dpi=DPI, metadata={"Software": None})
    return CardPicture(heading, text, held.getvalue())
