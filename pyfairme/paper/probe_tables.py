"""Ranks and shares of the probes: features that know the cluster and the target, but no domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from pyfairme.paper.published_values import paper_dataset, paper_values
from pyfairme.report.markdown import markdown_table
from pyfairme.study.evaluation.importance_frame import features_of, probes_in_top

RANDOM_ONLY = "random"


def probes_table(importance: pd.DataFrame) -> str:
    """Return one row per model and effects: probes among the first, their ranks and shares.

    Parameters
    ----------
    importance
        dataset, variant, effects, feature, probe, share (in 0-1), share_sd, rank, rank_sd, seeds;
        ranks and shares are means over seeds.
    """
    rows = list(_rows(importance))
    header = ["data", "model", "effects", "in top 5", "in top 10", "share of all probes",
              "each probe: mean rank (SD over seeds), share (SD)", "paper"]  # fmt: skip
    return (
        f"{markdown_table(header, rows)}\n\nImportance is the mean absolute derivative of the "
        "prediction by a feature in units of its SD (for a categorical one the root of the sum of "
        "squares over its columns); a share is that "
        "divided by the sum over features. In top 5 and 10 are numbers of probes, means over "
        "seeds."
    )


def _rows(importance: pd.DataFrame) -> Iterator[list[str]]:
    models = importance[["dataset", "variant", "effects"]].drop_duplicates()
    for dataset, variant, effects in models.itertuples(index=False):
        features = features_of(importance, dataset, variant, effects)
        probes = [line for line in features if line["probe"]]
        if not probes or effects == RANDOM_ONLY:
            continue
        yield [
            *(dataset, variant, effects),
            *(short(probes_in_top(importance, dataset, variant, effects, top)) for top in (5, 10)),
            f"{100 * sum(line['share'] for line in probes):.1f} %",
            "<br>".join(map(_one, probes)),
            paper_probes(dataset, variant) if effects == "mixed" else "-",
        ]


def short(count: float) -> str:
    """Write a mean count: "2", or "2.3"."""
    return f"{count:.1f}".removesuffix(".0")


def _one(line: Any) -> str:
    rank = f"{line['rank']:.1f}{_sd(line['rank_sd'])}"
    share = f"{100 * line['share']:.1f}{_sd(100 * line['share_sd'])} %"
    return f"{line['feature']}: {rank}, {share}"


def _sd(value: float) -> str:
    return "" if pd.isna(value) else f" ({value:.1f})"


def paper_probes(dataset: str, variant: str) -> str:
    """Return what the paper says about the probes of a model; "-" where it says nothing.

    Examples
    --------
    >>> paper_probes("adult", "nnet")
    '2 in the top 5; ranks 3, 5'
    """
    known = [
        line
        for line in paper_values().to_dict("records")
        if (line["dataset"], line["variant"]) == (paper_dataset(dataset), variant)
    ]
    parts = [
        f"{line['value']:.0f} in the top {line['metric'].rsplit('_', 1)[1]}"
        for line in known
        if line["metric"].startswith("probes_in_top_")
    ]
    ranks = [f"{line['value']:.0f}" for line in known if line["metric"] == "probe_rank"]
    parts += [f"ranks {', '.join(ranks)}"] if ranks else []
    return "; ".join(parts) or "-"
