"""Frames of every kind become the same pandas frame."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pyfairme.data.frame import as_frame


def test_pandas_is_returned_as_is():
    frame = pd.DataFrame({"a": [1]})
    assert as_frame(frame) is frame


def test_polars_columns_of_every_dtype():
    table = pl.DataFrame(
        {
            "whole": [1, None, 3],
            "real": [1.5, None, float("nan")],
            "text": ["a", None, "b"],
            "level": pl.Series(["u", "v", None], dtype=pl.Categorical),
            "flag": [True, False, None],
        }
    )
    frame = as_frame(table)
    assert isinstance(frame.index, pd.RangeIndex)
    assert frame["whole"].dtype == np.float64
    assert frame.isna().sum().tolist() == [1, 2, 1, 1, 1]
    assert frame["level"][0] == "u"
    assert frame["flag"].tolist() == [True, False, None]


def test_lazy_frames_are_refused():
    with pytest.raises(TypeError, match=r"Expected an eager frame, got a lazy one .*collect\(\)"):
        as_frame(pl.LazyFrame({"a": [1]}))


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), {"a": [1]}, pd.Series([1]), None])
def test_other_things_are_refused(wrong):
    message = f"Expected a pandas or polars frame with named columns, got {type(wrong).__name__}"
    with pytest.raises(TypeError, match=message):
        as_frame(wrong)
