"""What the groups of rows are inferred from where a classifier's own encoding is not known."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import logit

from pyfairme.postprocessing.inferred_groups import NEVER

MOST_LEVELS_SHOWN = 100  # of a column of labels: rarer ones are put together


class GroupFeatures(NamedTuple):
    """Covariates as numbers, by scikit-learn's encoders, beside the logit of the probability.

    Numbers are scaled, gaps filled with the median and marked; labels are a column each.
    """

    encoder: Any
    names: tuple[Any, ...]

    @classmethod
    def fit(cls, X: Any, hidden: Collection[str] = ()) -> GroupFeatures:
        """Learn from rows, of which columns ``hidden`` are left out."""
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        table = _table(X)
        names = tuple(name for name in table.columns if name not in hidden)
        numeric = [name for name in names if pd.api.types.is_numeric_dtype(table[name].dtype)]
        labels = [name for name in names if name not in numeric]
        numbers = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            StandardScaler(),
        )
        shown = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=MOST_LEVELS_SHOWN,
            sparse_output=False,
        )  # fmt: skip
        encoder = ColumnTransformer(
            [("numbers", numbers, numeric), ("labels", shown, labels)], sparse_threshold=0
        )
        return cls(encoder.fit(_typed(table, names)), names)

    def read(self, X: Any, p: np.ndarray) -> np.ndarray:
        """Return them for rows of probability ``p`` (n,): (n, features)."""
        score = logit(np.clip(p, NEVER, 1 - NEVER))[:, None]
        found = np.asarray(self.encoder.transform(_typed(_table(X), self.names)), np.float64)
        return np.hstack([found, score])


def _table(X: Any) -> pd.DataFrame:
    if sparse.issparse(X):
        raise ValueError(
            "Groups are inferred from dense tables, and X is sparse: give X.toarray(), a frame, or "
            "choose sensitive='read'. [sparse-inferred]"
        )
    return X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))


def _typed(table: pd.DataFrame, names: tuple[Any, ...]) -> pd.DataFrame:
    """Return numbers as floats and all else as text, so that gaps and types do not matter."""
    found = {}
    for name in names:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            found[name] = np.where(np.isinf(values), np.nan, values)
        else:
            text = column.astype(object)
            found[name] = text.where(text.isna(), text.astype(str)).where(text.notna(), "(missing)")
    return pd.DataFrame(found, index=table.index)
