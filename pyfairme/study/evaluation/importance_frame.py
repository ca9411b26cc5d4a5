"""Importance of every feature in a study: its share and rank, over folds and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ("dataset", "variant", "effects", "feature", "probe", "share", "share_sd", "rank",
           "rank_sd")  # fmt: skip


def importance_frame(dataset: str, configurations: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Average importance over folds, then over seeds; see ``CrossValidation.importance``."""
    lines = [
        (fit["variant"], effects, fit["seed"], feature, value)
        for fit in configurations
        for effects, features in fit["importance"].items()
        for feature, value in features.items()
    ]
    model, per_seed = ["variant", "effects"], ["variant", "effects", "seed"]
    found: Any = pd.DataFrame(lines, columns=pd.Index([*per_seed, "feature", "importance"]))
    found = found.groupby([*per_seed, "feature"], sort=False, as_index=False).mean()
    sums = found.groupby(per_seed, sort=False)["importance"]
    found["share"] = (found["importance"] / sums.transform("sum")).fillna(0.0)
    found["rank"] = sums.rank(ascending=False, method="first")
    table = (
        found.groupby([*model, "feature"], sort=False)
        .agg(
            importance=("importance", "mean"),
            share=("share", "mean"),
            share_sd=("share", "std"),
            rank=("rank", "mean"),
            rank_sd=("rank", "std"),
            in_top_5=("rank", lambda rank: (rank <= 5).mean()),
            in_top_10=("rank", lambda rank: (rank <= 10).mean()),
            seeds=("seed", "size"),
        )
        .reset_index()
    )
    table.insert(0, "dataset", dataset)
    order = table.groupby(model, sort=False).ngroup()
    return table.iloc[np.lexsort((table["rank"], order))].reset_index(drop=True)


def features_of(
    importance: pd.DataFrame, dataset: str, variant: str, effects: str
) -> list[dict[str, Any]]:
    """Return the lines of one model's features, the first in rank first.

    Parameters
    ----------
    importance
        Means over seeds: dataset, variant, effects, feature, probe, share, share_sd, rank, rank_sd,
        and in_top_5, in_top_10.
    dataset, variant, effects
        The model; one without the asked effects is read by those that it has.

    Raises
    ------
    ValueError
        When a column is missing.
    """
    if missing := [name for name in COLUMNS if name not in importance]:
        raise ValueError(
            f"The importance of features has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, importance.columns))}. Mark the probes in a column 'probe'."
            " [other-table]"
        )
    lines: list[Any] = importance.to_dict("records")
    lines = [line for line in lines if (line["dataset"], line["variant"]) == (dataset, variant)]
    asked = [line for line in lines if line["effects"] == effects]
    return sorted(asked or lines, key=lambda line: line["rank"])


def probes_in_top(
    importance: pd.DataFrame, dataset: str, variant: str, effects: str, top: int
) -> float:
    """Return how many probes are among the first ``top``, mean over seeds; NaN without probes.

    Parameters
    ----------
    importance
        Means over seeds: dataset, variant, effects, feature, probe, share, share_sd, rank, rank_sd,
        and in_top_5, in_top_10.
    dataset, variant, effects
        The model; one without the asked effects is read by those that it has.
    top
        5 or 10.
    """
    features = features_of(importance, dataset, variant, effects)
    among = [line[f"in_top_{top}"] for line in features if line["probe"]]
    return float(sum(among)) if among else float("nan")
