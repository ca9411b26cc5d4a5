"""Types of what users hand over: tables, values of rows, roles of columns, seeds and paths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

    from pyfairme.data.schema import Sensitive

Table = pd.DataFrame | ArrayLike  # a pandas or polars frame, or rows of numbers
Clusters = str | Sequence[str | tuple[str, ...]] | None  # columns; a tuple is a nested factor
Attributes: TypeAlias = "Sensitive | Sequence[Sensitive] | None"
Slopes = str | Sequence[str] | Mapping[Any, Any] | None  # also by factor
Strength = float | Mapping[Any, Any]  # also by attribute or penalty
Seed = int | np.random.RandomState | None
PathLike = str | os.PathLike[str]
Rows: TypeAlias = "Table | PathLike | Dataset"  # also of Parquet files
