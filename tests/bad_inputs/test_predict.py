"""Odd rows and odd arguments at prediction."""

import decimal
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pyfairme import DataWarning
from tests.bad_inputs import table, tiny

AREA = "predict"
TOO_LARGE = ("1e+20", "1e+30", "1e+38", "1e+39", "1e+300", "1e+308")
SLOW = ["int clusters given as bool (0/1 lost)", "cluster NaN"]  # compile a model that infers
N = tiny.ROWS
ARRAY = {"cluster": None, "sensitive": ()}
METHODS = {"level": "predict_interval", "kind": "predict_interval", "draws": "sample_predictive"}


def predicting(X, model=tiny.clean):
    return lambda: model().predict_proba(X() if callable(X) else X)


def column(values, name="x1"):
    return lambda: tiny.clean().predict_proba(tiny.rows().assign(**{name: values}))


def asked(text):
    """Call the method that has the keyword, with the value that the table has."""
    name, value = text.split("=", 1)

    def program():
        method = getattr(tiny.clean(), METHODS.get(name, "predict"))
        method(tiny.rows(), **{name: eval(value, {"nan": np.nan})})

    return program


def alike(X, plain=tiny.rows, model=tiny.clean):
    """The prediction of odd rows is that of plain ones."""
    return lambda: (
        model().predict_proba(X() if callable(X) else X),
        model().predict_proba(plain() if callable(plain) else plain),
    )


def with_column(values, name="x1"):
    return lambda: tiny.rows().assign(**{name: values() if callable(values) else values})


def same_values(values, plain, name="x1"):
    return alike(with_column(values, name), with_column(plain, name))


NUMBERS = tiny.rows()["x1"].to_numpy()
LEVELS = tiny.rows()["group2"]


def as_median(gap):
    """A missing number is predicted as the training median, and that is told."""

    def program():
        with pytest.warns(UserWarning, match=r"'x1': 120 missing, replaced by the median"):
            found = predicting(with_column(gap))()
        return found, predicting(with_column(np.median(NUMBERS)))()

    return program


def missing_level():
    """A level that training never had adds nothing, and that is told."""
    with pytest.warns(UserWarning, match=r"'group2': levels unknown in training: \(missing\)"):
        found = predicting(with_column(None, "group2"))()
    with pytest.warns(UserWarning, match=r"'group2': levels unknown in training: zz"):
        return found, predicting(with_column("zz", "group2"))()


def finite(size, model="classifier"):
    """A number far outside of training's gives a finite prediction, or an error that says so."""

    def program():
        X = tiny.rows().assign(x1=size)
        regression = model == "regressor"
        found = counted().predict(X) if regression else tiny.chances(tiny.clean(), X)
        return bool(np.isfinite(found).all()), True

    return program


@cache
def counted():
    return tiny.regressor().fit(tiny.rows("normal"), tiny.target("normal"))


# Clusters ---------------------------------------------------------------------------------------


def coded():
    return tiny.rows()["cluster"].str.removeprefix("c").astype(int)


@cache
def numbered():
    """A model whose clusters are whole numbers."""
    return tiny.fit(tiny.rows().assign(cluster=coded()))


def clusters(values):
    """Clusters written otherwise are the same clusters."""
    return alike(
        lambda: tiny.rows().assign(cluster=values()),
        lambda: tiny.rows().assign(cluster=coded()),
        model=numbered,
    )


@cache
def inferring():
    return tiny.fit(tiny.rows().assign(cluster=coded()), unseen="infer")


def told(values, code="similar-labels", model=numbered):
    """Rows of unknown clusters are predicted as those of any unknown cluster, with a word."""

    def program():
        X = tiny.rows().assign(cluster=values())
        with pytest.warns(DataWarning, match=rf"\[{code}\]$"):
            found = model().predict_proba(X)
        return found, model().predict_proba(X.assign(cluster="nobody knows"))

    return program


def float32_ids():
    ids = (coded() + 1) / 10
    model = tiny.fit(tiny.rows().assign(cluster=ids))
    return told(lambda: ids.astype(np.float32), model=lambda: model)()


# Arrays -----------------------------------------------------------------------------------------

PAIR = tiny.rows()[["x1", "x2"]]


@cache
def of_array():
    return tiny.fit(PAIR.to_numpy(), **ARRAY)


@cache
def of_names():
    return tiny.fit(PAIR, **ARRAY)


def by_position():
    """An array is read by position, with scikit-learn's word about names."""
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = of_names().predict_proba(PAIR.to_numpy())
    return found, of_names().predict_proba(PAIR)


def numbers_as_names():
    model = tiny.fit(PAIR.set_axis([0, 1], axis=1), **ARRAY)
    return (
        model.predict_proba(PAIR.set_axis([0, 1], axis=1)[[1, 0]]),
        model.predict_proba(PAIR.set_axis([0, 1], axis=1)),
    )


def gaps_in_an_array():
    odd = PAIR.to_numpy().copy()
    odd[:3] = np.nan
    plain = odd.copy()
    plain[:3] = np.median(PAIR.to_numpy(), axis=0)
    with pytest.warns(UserWarning, match="3 missing, replaced by the median"):
        found = of_array().predict_proba(odd)
    return found, of_array().predict_proba(plain)


# Draws and intervals ----------------------------------------------------------------------------


def narrow():
    """An interval of nearly no coverage lies at the median."""
    found = tiny.clean().predict_interval(tiny.rows(), level=1e-9)
    wide = tiny.clean().predict_interval(tiny.rows(), level=0.9)
    assert (found["high"] >= found["low"]).all()
    inside = (found["low"] >= wide["low"]) & (found["high"] <= wide["high"])
    return bool(inside.all() and (found["high"] - found["low"]).max() < 1e-3), True


def noise_of_two_parts():
    """Totals of rows drawn in two parts spread as those of rows drawn at once."""
    model, X, half = tiny.clean(), tiny.rows(), N // 2
    parts = (model.sample_predictive(x, 2000) for x in (X[:half], X[half:]))
    apart = sum(np.asarray(p).reshape(2000, half).sum(1) for p in parts)
    whole = np.asarray(model.sample_predictive(X, 2000)).reshape(2000, N).sum(1)
    # SD of 2,000 draws is known to 1 / sqrt(4000) = 1.6 %; four such errors
    return bool(abs(apart.std() / whole.std() - 1) < 4 * np.sqrt(2 / 4000)), True


def unfitted(method):
    def program():
        model, X, y = tiny.classifier(), tiny.rows(), tiny.target()
        calls = {
            "predict": lambda: model.predict(X),
            "save": lambda: model.save("model"),
            "report": lambda: model.fairness_report(X, y),
            "adapt": lambda: model.adapt(X, y),
            "refine": lambda: model.refine(),
        }
        return calls[method]() if method in calls else getattr(model, method)

    return program


PROGRAMS: dict[str, Any] = {
    line.input: asked(line.input)
    for line in table.lines(AREA)
    if line.input.split("=")[0] in ("effects", "level", "kind", "draws")
}
PROGRAMS |= {
    line.input: unfitted(line.input.removeprefix("unfitted "))
    for line in table.lines(AREA)
    if line.input.startswith("unfitted ")
}
PROGRAMS |= {
    "missing column": predicting(lambda: tiny.rows().drop(columns="x1")),
    "missing cluster": predicting(lambda: tiny.rows().drop(columns="cluster")),
    "missing sensitive": predicting(lambda: tiny.rows().drop(columns="group1")),
    "extra column": alike(with_column(1.0, "q")),
    "extra column of lists": alike(with_column(lambda: pd.Series([[1]] * N), "q")),
    "permuted columns": alike(lambda: tiny.rows()[tiny.rows().columns[::-1]]),
    "empty": predicting(lambda: tiny.rows()[:0]),
    "None": predicting(lambda: None),
    "list": predicting([[1.0]]),
    "ndarray on framed model": predicting(np.zeros((2, 8))),
    "Series row": predicting(lambda: tiny.rows().iloc[0]),
    "dict": predicting(lambda: tiny.rows().iloc[0].to_dict()),
    "LazyFrame": predicting(lambda: pl.DataFrame(tiny.rows().to_dict("list")).lazy()),
    "polars": alike(lambda: pl.DataFrame(tiny.rows().to_dict("list"))),
    "polars Categorical": alike(
        lambda: pl.DataFrame(tiny.rows().to_dict("list")).with_columns(
            pl.col("group2").cast(pl.Categorical)
        )
    ),
    "arrow Table": alike(lambda: pa.Table.from_pydict(tiny.rows().to_dict("list"))),
    "duplicate columns": predicting(lambda: pd.concat([tiny.rows(), tiny.rows()[["x1"]]], axis=1)),
    "dup extra columns": predicting(
        lambda: pd.concat([tiny.rows(), *[tiny.rows()[["x1"]].set_axis(["q"], axis=1)] * 2], axis=1)
    ),
    "dup row index": alike(lambda: tiny.rows().set_axis([0] * N)),
    "float32": same_values(NUMBERS.astype(np.float32), NUMBERS),
    "numeric as text": column(NUMBERS.astype(str)),
    "numeric as Decimal": same_values(
        np.array([decimal.Decimal(float(v)) for v in NUMBERS], dtype=object), NUMBERS
    ),
    "numeric as category of numbers": column(pd.Categorical(NUMBERS)),
    "numeric datetime": column(pd.Timestamp("2020-01-01")),
    "numeric timedelta": column(pd.Timedelta("1D")),
    "numeric complex": column(NUMBERS + 1j),
    "numeric bool": same_values(NUMBERS > 0, (NUMBERS > 0).astype(float)),
    "numeric inf": column(np.inf),
    "numeric NaN all": as_median(np.nan),
    "numeric None object": as_median(lambda: np.array([None] * N, dtype=object)),
    "numeric lists": column(pd.Series([[1]] * N)),
    "level as int": column(1, "group2"),
    "level NaN": missing_level,
    "level category": same_values(lambda: LEVELS.astype("category"), LEVELS, "group2"),
    "level string[pyarrow]": same_values(
        lambda: LEVELS.astype("string[pyarrow]"), LEVELS, "group2"
    ),
    "level bytes": column(b"g1", "group2"),
    "level datetime": column(pd.Timestamp("2020-01-01"), "group2"),
    "int clusters given as text": clusters(lambda: coded().astype(str)),
    "int clusters given as Int64": clusters(lambda: coded().astype("Int64")),
    "int clusters given as category": clusters(lambda: coded().astype("category")),
    "int clusters given as object": clusters(lambda: coded().astype(object)),
    "int clusters given as string[pyarrow]": clusters(
        lambda: coded().astype(str).astype("string[pyarrow]")
    ),
    "int clusters given as Decimal": clusters(
        lambda: coded().map(lambda v: decimal.Decimal(int(v)))
    ),
    "int clusters given as text with space": told(lambda: " " + coded().astype(str)),
    "int clusters given as zero padded": told(lambda: "0" + coded().astype(str)),
    "int clusters given as bool (0/1 lost)": told(lambda: coded() > 1, "mostly-unseen", inferring),
    "clusters '1.0' instead of 1: any word?": told(lambda: coded().astype(float).astype(str)),
    "all clusters new (typo): any word?": told(
        lambda: tiny.rows()["cluster"].str.upper(), model=tiny.clean
    ),
    "cluster ids 0.1 float64 at fit, float32 at predict": float32_ids,
    "cluster NaN": told(lambda: np.full(N, np.nan), "mostly-unseen", inferring),
    "cluster inf": column(np.inf, "cluster"),
    "cluster list": column(pd.Series([[1]] * N), "cluster"),
    "array model: wrong number of columns": predicting(np.zeros((2, 3)), of_array),
    "array model: frame by name": alike(PAIR, PAIR.to_numpy(), of_array),
    "array for named model": by_position,
    "int column names permuted at predict": numbers_as_names,
    "array with NaN": gaps_in_an_array,
    "array with inf": predicting(np.full((2, 2), np.inf), of_array),
    "level=1e-09": narrow,
    "draws=10**8 on 300 rows": lambda: tiny.clean().sample_predictive(tiny.rows(), 10**8),
    "sample_predictive in two parts: independent noise": noise_of_two_parts,
    "numeric 1e308": finite(1e308),
    **{f"numeric {size} finite?": finite(float(size)) for size in TOO_LARGE},
    **{f"reg numeric {size} finite?": finite(float(size), "regressor") for size in TOO_LARGE},
}


@pytest.mark.parametrize("line", table.cases(AREA, SLOW))
def test_predict(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
