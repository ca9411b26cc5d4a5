"""Accept the frames people have: pandas as it is, every other eager frame by conversion."""

import narwhals as nw
import numpy as np
import pandas as pd

from pyfairme.data.input_types import Table


def as_frame(X: Table) -> pd.DataFrame:
    """Return `X` as a pandas frame.

    Parameters
    ----------
    X
        A pandas frame, returned as is (not copied), or any eager frame that narwhals knows, such as
        polars; that one is converted column by column, without pyarrow, and gets a range index.

    Raises
    ------
    TypeError
        When `X` is lazy (it has to be collected first) or is not a frame.

    Examples
    --------
    >>> import polars as pl
    >>> as_frame(pl.DataFrame({"days": [0, 3], "subject": ["a", "b"]})).index
    RangeIndex(start=0, stop=2, step=1)
    """
    if isinstance(X, pd.DataFrame):
        return X
    native = nw.from_native(X, pass_through=True)
    if isinstance(native, nw.LazyFrame):
        raise TypeError(
            f"Expected an eager frame, got a lazy one ({type(X).__name__}): collect() "
            "first. [lazy-frame]"
        )
    if not isinstance(native, nw.DataFrame):
        raise TypeError(
            f"Expected a pandas or polars frame with named columns, got {type(X).__name__}: "
            "wrap it, for example pandas.DataFrame(X, columns=[...]). [x-not-rows]"
        )
    columns = {name: _values(native[name]) for name in native.columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(native)), copy=False)


def _values(column: nw.Series) -> np.ndarray:
    if column.dtype in (nw.Categorical, nw.Enum):
        column = column.cast(nw.String)
    return column.to_numpy()
