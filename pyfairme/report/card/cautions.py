"""Cautions of a card: what was found in this model and these rows that a reader must know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import MISSING, NEW_LEVEL, label_of
from pyfairme.metrics.names import ALL, listed, listed_name
from pyfairme.metrics.report_notes import SMALL
from pyfairme.report.card.evidence import CardEvidence
from pyfairme.report.display.estimator_facts import message_finding
from pyfairme.report.display.facts import Finding
from pyfairme.report.display.short_number import short_number

STRONG = 0.3  # of Cramer's V
MOST_NAMED = 8
FLIP = (
    "it changes an attribute alone and keeps all other columns. People who differ in the attribute "
    "differ in more, so the gap says what the model does with the column; it is not the causal "
    "effect of the attribute."
)


def cautions(evidence: CardEvidence) -> Iterator[Finding]:
    """Yield what a reader must know before they rely on the numbers.

    Parameters
    ----------
    evidence
        What the card rests on.
    """
    yield from map(message_finding, evidence.warnings)
    if evidence.hides:
        yield Finding(
            "small groups",
            f"groups of fewer than {evidence.min_group_size} rows are put together, and what would "
            "show them by subtraction is left out: lines and effects of single clusters, what "
            "random effects do to groups, sizes of groups in training"
            + (
                " and, over seen and unseen clusters together, calibration by group."
                if evidence.judged.sensitive and not evidence.groups
                else "."
            ),
        )
    yield from _biased_probabilities(evidence)
    yield from _small_groups(evidence)
    yield from _unknown_groups(evidence)
    yield from _overlap(evidence)
    yield from _random_parts(evidence)
    yield from _same_rows(evidence)
    if evidence.estimator.network_posterior_ == "none" and evidence.estimator.fit_.spec.factors:
        yield Finding(
            "intervals of effects",
            "they hold the uncertainty about clusters alone, as the network is a point estimate.",
        )
    if evidence.judged.sensitive:
        yield Finding("counterfactual gap", FLIP)


def _biased_probabilities(evidence: CardEvidence) -> Iterator[Finding]:
    """Say for which groups predictions are wrong on average: observed ones leave them out."""
    frame: Any = evidence.calibration
    if frame.empty:
        lines: Any = evidence.report.frame
        lines = lines.loc[(lines["metric"] == "mean_residual") & (lines["effects"] == "mixed")]
        off = lines.loc[(lines["low"] > 0) | (lines["high"] < 0)]
        off = off.assign(over=off["value"] < 0)
    else:
        whole = frame.loc[frame["bin"] == ALL]
        over = whole["mean_predicted"] > whole["high"]
        off = whole.loc[over | (whole["mean_predicted"] < whole["low"])].assign(over=over)
    what = "predictions" if frame.empty else "probabilities"
    several = "class" in off and not frame.empty and frame["class"].nunique() > 1
    for attribute, lines in off.groupby("attribute", sort=False):
        said = []
        for line in lines.head(MOST_NAMED).to_dict("records"):
            of = "" if attribute == ALL else f" of {listed_name(str(line['group']))}"
            of += f" for class {listed_name(label_of(line['class']))}" if several else ""
            way = "high" if line["over"] else "low"
            said.append(f"{what}{of} are too {way}: {_beside(line)}")
        more = f"; and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else ""
        subject = "calibration" if attribute == ALL else listed_name(str(attribute))
        cure = "recalibrate on rows held out, or do not read them as frequencies"
        yield Finding(subject, f"{'; '.join(said)}{more}. Before use, {cure}.", "warn")


def _beside(line: Any) -> str:
    low, high = short_number(float(line["low"])), short_number(float(line["high"]))
    if "mean_predicted" not in line:
        return f"outcome less prediction {short_number(float(line['value']))} ({low} to {high})"
    return f"predicted {short_number(float(line['mean_predicted']))}, observed {low} to {high}"


def _small_groups(evidence: CardEvidence) -> Iterator[Finding]:
    for attribute, labels in evidence.groups.items():
        sizes = pd.Series(labels).value_counts()
        small = sizes.loc[sizes < SMALL]
        if len(small):
            names = listed(map(str, small.index))
            each = [f"{name} {n:,}" for name, n in zip(names, small, strict=True)]
            more = f" and {len(each) - MOST_NAMED} more" if len(each) > MOST_NAMED else ""
            yield Finding(
                listed_name(attribute),
                f"groups with fewer than {SMALL} rows here: {', '.join(each[:MOST_NAMED])}{more}. "
                "Their rates are mostly noise: get more rows before you judge them.",
                "warn",
            )


def _unknown_groups(evidence: CardEvidence) -> Iterator[Finding]:
    for attribute, labels in evidence.groups.items():
        for label, what in ((NEW_LEVEL, "a level that training never saw"), (MISSING, "no level")):
            known = [a.levels for a in evidence.estimator.design_.attributes if a.name == attribute]
            rows = int((labels == label).sum())
            if rows and not any(label in levels for levels in known):
                said = f"{rows:,} rows have {what}: no penalty knew of them."
                yield Finding(listed_name(attribute), said, "warn")


def _overlap(evidence: CardEvidence) -> Iterator[Finding]:
    """Say where clusters and groups go together: effects of clusters are then those of groups."""
    if not evidence.estimator.fit_.spec.factors:
        return
    for attribute, labels in evidence.groups.items():
        there = labels != None  # noqa: E711 (element by element)
        table = pd.crosstab(evidence.judged.cluster[there], labels[there]).to_numpy()
        alone = table[(table > 0).sum(axis=1) == 1].sum() / table.sum()
        v = cramers_v(table)
        also = f"; {alone:.0%} of rows are in clusters of one group" if alone >= 0.01 else ""
        if v >= STRONG:
            yield Finding(
                listed_name(attribute),
                f"clusters and groups go together (Cramer's V {short_number(v)}{also}): an effect "
                "of a cluster is partly that of a group, and the two are hard to tell apart.",
                "warn",
            )


def cramers_v(table: np.ndarray) -> float:
    """Return Cramer's V of a table of counts, corrected for its bias (Bergsma 2013).

    Parameters
    ----------
    table
        Shape (R, C): rows of each cluster and group.

    Examples
    --------
    >>> tables = [[20, 0], [0, 20]], [[10, 10], [10, 10]]
    >>> [round(cramers_v(np.array(table)), 3) for table in tables]
    [1.0, 0.0]
    """
    counts = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(float)
    n, (r, c) = counts.sum(), counts.shape
    if min(r, c) < 2 or n < 2:
        return 0.0
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / n
    phi = ((counts - expected) ** 2 / expected).sum() / n
    phi = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    least = min(size - (size - 1) ** 2 / (n - 1) for size in (r, c)) - 1
    return float(min(1.0, np.sqrt(phi / least))) if least > 0 else 0.0


def _random_parts(evidence: CardEvidence) -> Iterator[Finding]:
    """Say where random effects move groups apart by more than chance."""
    found = evidence.random_parts
    if found.empty:
        return
    spread = found.loc[(found["cluster"] == ALL) & (found["measure"] == "tilt_sd")]
    more = spread.loc[spread["low"] > spread["null_high"]]
    for attribute, lines in more.groupby("attribute", sort=False):
        worst = lines.iloc[int(lines["value"].to_numpy(float).argmax())]
        yield Finding(
            listed_name(str(attribute)),
            "what is particular to clusters moves predictions of its groups apart (random effects: "
            f"SD {short_number(float(worst['value']))}, by chance up to "
            f"{short_number(float(worst['null_high']))}). What is fair over all clusters need not "
            "be fair with them: see fairness_on='mixed'.",
            "warn",
        )


def _same_rows(evidence: CardEvidence) -> Iterator[Finding]:
    advice = "Accuracy, calibration and fairness look better than they are: give rows held out."
    if evidence.known is not None:
        by_nature = evidence.known.twins
        twins = f" ({by_nature:.0%} of those have twins by nature)" if by_nature >= 0.01 else ""
        yield Finding(
            "evaluation data",
            f"about {evidence.known.share:.0%} of the rows are rows that the model was trained on: "
            f"the same covariates, clusters, groups and outcomes{twins}. {advice}",
            "warn",
        )
        return
    record = getattr(evidence.estimator, "_record", None)
    compared = getattr(evidence.estimator, "_training", None) is not None
    rows = len(evidence.judged.y)
    if not compared and record and record.rows + record.held_out + record.left_out == rows:
        yield Finding(
            "evaluation data",
            "they have as many rows as the fit was given. If they are the same rows: "
            f"{advice[0].lower()}{advice[1:]}",
        )
