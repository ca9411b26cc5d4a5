"""Rows are matched by position: say so where their labels are the same in another order."""

from typing import Any

import pandas as pd

from pyfairme.notices import DataWarning, warn


def warn_of_order(first: object, name: str, /, **others: Any) -> None:
    """Warn of each pandas object with the row labels of the ``first`` one in another order.

    Other labels say nothing: objects that were numbered anew are read by position, as arrays are.
    """
    index = getattr(first, "index", None)
    for other, given in others.items():
        labels = getattr(given, "index", None)
        if not isinstance(index, pd.Index) or not isinstance(labels, pd.Index):
            continue
        if len(index) == len(labels) and not index.equals(labels) and _same(index, labels):
            warn(
                f"{other} has the row labels of {name} in another order, and rows are matched by "
                f"position. If {other} belongs to {name} by label, give {other}.loc[{name}.index]; "
                f"if the positions are right, {other}.to_numpy() says so. [other-row-order]",
                DataWarning,
            )


def _same(index: pd.Index, other: pd.Index) -> bool:
    if index.nlevels != other.nlevels or not (index.is_unique and other.is_unique):
        return False
    return bool(index.isin(other).all())
