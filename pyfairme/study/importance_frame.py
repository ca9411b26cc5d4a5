"""Importance of every feature in a study: its share and rank, over folds and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["importance_frame"]


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
