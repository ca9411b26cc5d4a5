"""Rows of a threshold policy: what its classifier gets, and what groups are read from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing

from pyfairme.data.frame import as_frame
from pyfairme.data.input_types import Table


class PolicyRows(NamedTuple):
    """Rows that a policy reads.

    ``X`` is what the classifier gets of them, ``frame`` (n, columns) what groups are read from,
    ``apart`` the names of the columns that were given as ``sensitive_features``, and ``given``
    those of the columns that the classifier gets, where they have names.
    """

    X: Any
    frame: pd.DataFrame
    apart: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    def only(self, at: np.ndarray) -> PolicyRows:
        """Return some of the rows, by a mask (n,)."""
        return self._replace(X=_safe_indexing(self.X, np.flatnonzero(at)), frame=self.frame[at])


def without(X: Table, hidden: Collection[str]) -> Any:
    """Return a table without columns that nothing may read."""
    frame = as_frame(X)
    return frame.drop(columns=[column for column in frame.columns if column in hidden])
