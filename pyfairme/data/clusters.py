"""Grouping factors: the clusters that training rows have."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pyfairme.data.columns import MISSING, lookup, natural_order, read_labels

__all__ = ["Factor"]


@dataclass(frozen=True)
class Factor:
    """A grouping factor.

    Parameters
    ----------
    column
        Its column.
    levels
        Labels of the training clusters in natural order. A label is `str(value)`, whole numbers
        without ".0": 7, 7.0 and "7" are one cluster.
    """

    column: str
    levels: tuple[str, ...]

    @classmethod
    def fit(cls, series: pd.Series) -> "Factor":
        """Learn from the training rows; raise ValueError when they have one cluster only."""
        labels = read_labels(series)
        gaps = [MISSING] * bool((labels.codes < 0).any())
        levels = tuple(natural_order(labels.names + gaps))
        if len(levels) < 2:
            raise ValueError(
                f"The cluster column {series.name!r} needs at least two clusters in the training "
                f"rows to have random effects, got {len(levels)} ({', '.join(levels)}): drop it "
                "from cluster, or give rows of other clusters."
            )
        return cls(str(series.name), levels)

    def encode(self, series: pd.Series) -> np.ndarray:
        """Return int64[n] codes, -1 for a cluster that training rows do not have."""
        return lookup(read_labels(series), self.levels)
