"""Require one value per row; refuse arrays that NumPy would cut without a word."""

from typing import Any

import numpy as np


def refuse_lossy(values: object, name: str) -> None:
    """Refuse masked values, imaginary parts and sparse matrices, which arrays would lose.

    Parameters
    ----------
    values
        What a user gave as an array.
    name
        How messages call it.

    Raises
    ------
    TypeError
        For a sparse matrix.
    ValueError
        For masked values and complex numbers.
    """
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required: give "
            f"{name}.toarray(), for one value per row {name}.toarray().ravel(). [sparse-matrix]"
        )
    hidden = np.ma.getmaskarray(values).sum() if isinstance(values, np.ma.MaskedArray) else 0
    if hidden:
        raise ValueError(
            f"{name} is a masked array with {hidden} masked values, whose mask would be lost: fill "
            f"them with {name}.filled(...), or leave their rows out. [masked-values]"
        )
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} has dtype {dtype}; give its real part, or its "
            "modulus. [complex-values]"
        )


def one_per_row(values: Any, name: str) -> np.ndarray:
    """Return values as an array; raise as `refuse_lossy` where it would not be what was given."""
    refuse_lossy(values, name)
    found = np.asarray(values)
    refuse_lossy(found, name)
    return found


def refuse_text_of_gaps(values: Any, name: str) -> None:
    """Refuse NumPy text in which gaps have become the words 'nan' or 'None', groups of their own.

    Raises
    ------
    ValueError
        For an array of fixed-width text that holds them.
    """
    if not (isinstance(values, np.ndarray) and values.dtype.kind == "U"):
        return
    gaps = np.isin(values, ["nan", "None"])
    if gaps.any():
        raise ValueError(
            f"{name} is NumPy text (dtype {values.dtype}) that holds {str(values[gaps][0])!r} in "
            f"{int(gaps.sum()):,} rows: NumPy makes text of missing labels, as of "
            "numpy.array(['a', numpy.nan]), and they would be a group. Give an object array, "
            "numpy.array(labels, dtype=object), a Series or a frame, where they are missing; or "
            "name the group otherwise. [missing-label]"
        )


def check_no_date(values: np.ndarray, name: str) -> None:
    """Refuse dates and durations where numbers are needed: which unit they count is a choice."""
    if values.dtype.kind in "mM":
        what, cure = ("dates", "(y - start)") if values.dtype.kind == "M" else ("durations", "y")
        raise ValueError(
            f"{name} holds {what} (dtype {values.dtype}), which are no numbers until a unit is "
            f"chosen: give numbers, for instance days, "
            f"{cure.replace('y', name)} / numpy.timedelta64(1, 'D'). [dates-as-numbers]"
        )
