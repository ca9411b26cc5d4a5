"""Odd tables at fit: what X is, names of columns, dtypes, values, clusters and groups."""

import datetime
import decimal
import fractions
import functools
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from scipy import sparse

from pyfairme.data import Design, Schema
from tests.bad_inputs import table, tiny

AREA = "data"
SLOW_NAMES = (
    "term", "mean", "sample", "cluster_term", "__xarray__", "λ😀", "y", "prior", "1", "a\x00b",
)  # fmt: skip
SLOW = ["X no columns", "10,000 columns"]
SLOW += [f"cluster column called {name!r}" for name in SLOW_NAMES]
N = tiny.ROWS
HALF = np.arange(N) % 2
NUMBERS = tiny.rows()["x1"].to_numpy()
WHOLE = np.round(10 * NUMBERS)
ARRAY = {"cluster": None, "sensitive": ()}  # models of arrays
DICTIONARY = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
PAIR = tiny.rows()[["x1", "x2"]]
TUPLES = pd.Index([("a", 1), ("b", 2)], tupleize_cols=False)


def with_column(values, name="x1"):
    return tiny.rows().assign(**{name: values})


def gapped(values, gap=np.nan, every=7):
    """The values as objects, every seventh a gap."""
    found = np.array(values, dtype=object)
    found[::every] = gap
    return found


# Errors -----------------------------------------------------------------------------------------


def fitting(X, y=None, **keywords):
    return lambda: tiny.fit(X() if callable(X) else X, y, **keywords)


def column(values, name="x1"):
    return lambda: tiny.fit(with_column(values() if callable(values) else values, name))


def renamed(name):
    """The second covariate gets another name."""
    names = [name if old == "x2" else old for old in tiny.rows().columns]
    return lambda: tiny.fit(tiny.rows().set_axis(names, axis=1))


# Right ------------------------------------------------------------------------------------------


def seen(X, **options):
    """What training sees of a table: its arrays, one beside the other."""
    names = {"cluster": "cluster", "sensitive": ["group1"]} | options
    schema = Schema.infer(X, **names)
    batch = Design.fit(X, schema).encode(X)
    return np.column_stack([batch.x, batch.cluster, batch.sensitive]).astype(float)


def alike(odd, plain, name="x1"):
    """The column with odd values is seen as that with plain ones."""
    return lambda: (
        seen(with_column(odd() if callable(odd) else odd, name)),
        seen(with_column(plain, name)),
    )


def called(name):
    """A covariate of this name changes nothing; the fitted term has the name."""

    def program():
        X = tiny.rows().rename(columns={"x5": name})
        model = tiny.fit(X)
        assert name in set(model.fixed_effects_["term"])
        assert name in list(model.feature_names_in_)
        return tiny.chances(model, X), tiny.chances(tiny.clean())

    return program


def group_called(name):
    def program():
        X = tiny.rows().rename(columns={"group1": name})
        model = tiny.fit(X, sensitive=[name])
        assert model.design_.schema.attribute_names == (name,)
        return tiny.chances(model, X), tiny.chances(tiny.clean())

    return program


@functools.cache
def crossed(names):
    """A fit with crossed factors of these names: one compilation for all."""
    r = np.random.default_rng(0)
    X = tiny.rows().drop(columns="cluster")
    return tiny.fit(X.assign(**{name: r.choice(list("abc"), N) for name in names}), cluster=names)


def cluster_called(name):
    """The posterior has a dimension of this name, and the table of effects is its mean."""

    def program():
        quick = tuple(n for n in CLUSTER_NAMES if n not in SLOW_NAMES)
        model = crossed(SLOW_NAMES if name in SLOW_NAMES else quick)
        effects = model.cluster_effects_.set_index("factor").loc[name]
        draws = model.posterior_.posterior
        (variable,) = [v for v in draws if name.replace("/", "_") in draws[v].dims]
        mean = draws[variable].mean(["chain", "draw"])
        return effects["mean"].to_numpy(), mean.to_numpy().ravel().astype(float)

    return program


def same_fit(X, plain=None, **keywords):
    """The model of odd rows predicts as that of plain ones."""

    def program():
        rows = X() if callable(X) else X
        usual = tiny.rows() if plain is None else plain
        return (
            tiny.chances(tiny.fit(rows, **keywords), rows),
            tiny.chances(tiny.fit(usual, **keywords), usual),
        )

    return program


def constant_column(values):
    """A column without spread is left out."""
    return lambda: (seen(with_column(values)), seen(tiny.rows().drop(columns="x1")))


def partition(values, name="cluster"):
    """Clusters or groups are those that pandas sees, whatever their labels."""

    def program():
        X = with_column(values() if callable(values) else values, name)
        batch = Design.fit(X, Schema.infer(X, cluster="cluster", sensitive=["group1"])).encode(X)
        codes = batch.cluster[:, 0] if name == "cluster" else batch.sensitive[:, 0]
        return pd.factorize(codes)[0], pd.factorize(X[name], use_na_sentinel=False)[0]

    return program


def only(columns):
    """With no covariate the model is that of its clusters: rows of one have one chance."""

    def program():
        X = tiny.rows()[columns]
        model = tiny.fit(X, sensitive=[c for c in columns if c == "group1"], drop_sensitive=True)
        p = pd.Series(tiny.chances(model, X)[:, 1])
        assert np.isfinite(p).all()
        return p.groupby(X["cluster"].to_numpy()).nunique().max(), 1

    return program


def no_columns():
    p = tiny.chances(tiny.fit(tiny.rows()[[]], **ARRAY), tiny.rows()[[]])[:, 1]
    return int(pd.Series(p).nunique()), 1


def array_like():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.asarray(values, dtype)

        shape, __len__ = (N, 2), lambda self: N

    values = tiny.rows()[["x1", "x2"]].to_numpy()
    return (
        tiny.chances(tiny.fit(Tensor(), **ARRAY), values),
        tiny.chances(tiny.fit(values, **ARRAY), values),
    )


def array(values, **keywords):
    def program():
        plain = tiny.rows()[["x1", "x2"]].to_numpy()
        odd = values(plain)
        return (
            tiny.chances(tiny.fit(odd, **ARRAY), odd),
            tiny.chances(tiny.fit(plain, **ARRAY), plain),
        )

    return program


def wide(columns):
    """Every one of many columns is standardised."""

    def program():
        extra = np.random.default_rng(0).normal(size=(N, columns))
        X = pd.concat([tiny.rows(), pd.DataFrame(extra).add_prefix("z")], axis=1)
        return seen(X)[:, 5 : 5 + columns], (extra - extra.mean(axis=0)) / extra.std(axis=0)

    return program


def levels_of(values, expected):
    """The training levels of a categorical column."""

    def program():
        X = with_column(values)
        design = Design.fit(X, Schema.infer(X, cluster="cluster"))
        return next(t.levels for t in design.terms if t.column == "x1"), expected

    return program


def sensitive_levels(values, expected):
    def program():
        X = with_column(values, "group1")
        design = Design.fit(X, Schema.infer(X, cluster="cluster", sensitive=["group1"]))
        return dict(
            zip(design.attributes[0].levels, design.attributes[0].counts, strict=True)
        ), expected

    return program


def report_keeps_a_level_called(name):
    """The group of this name and the line of all groups are told apart by their counts."""

    def program():
        X = with_column(np.where(HALF, name, "b"), "group1")
        X.loc[:9, "group1"] = name
        model = tiny.fit(X)
        found = model.fairness_report(X, tiny.target(), n_boot=0)
        lines = found[(found["effects"] == "mixed") & (found["metric"] == "selection_rate")]
        decided = pd.Series(model.predict(X)).groupby(X["group1"].to_numpy()).mean()
        (value,) = lines.loc[lines["n"] == (X["group1"] == name).sum(), "value"]
        return float(value), float(decided[name])

    return program


def intersections_that_join_alike():
    r = np.random.default_rng(1).random((2, N)) < 0.5
    X = tiny.rows().assign(a=np.where(r[0], "p & q", "p"), b=np.where(r[1], "r", "q & r"))
    design = Design.fit(X, Schema.infer(X, cluster="cluster", sensitive=[("a", "b")]))
    counts = X.groupby(["a", "b"]).size()
    return sorted(design.attributes[0].counts), sorted(map(float, counts))


def far_from_zero():
    """Doubles at 1e16 lie 2 apart, so that the mean of a column with SD 160 is known to 1 in 80."""
    found, right = (seen(with_column(v))[:, 0] for v in (1e16 + WHOLE * 16, WHOLE))
    return bool(np.abs(found - right).max() < 1 / 80), True


def with_overflow():
    with np.errstate(over="ignore"):
        return NUMBERS * 1e308 * 10


def matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        X = np.matrix(NUMBERS[:, None])
    tiny.fit(X, **ARRAY)


def rows_without_a_cluster():
    """Rows without a cluster leave the clusters of the others as they are."""
    X = with_column(gapped(tiny.rows()["cluster"], None, 10), "cluster")
    codes = seen(X)[:, -2]
    there = X["cluster"].notna().to_numpy()
    return pd.factorize(codes[there])[0], pd.factorize(X["cluster"][there])[0]


def nan_text_is_a_cluster():
    X = with_column(np.array(["nan", None, "a"], dtype=object)[np.arange(N) % 3], "cluster")
    design = Design.fit(X, Schema.infer(X, cluster="cluster"))
    return "nan" in design.clusters["cluster"] and "a" in design.clusters["cluster"], True


def minus_zero_is_zero():
    X = with_column(np.array([-0.0, 0.0, 1.0])[np.arange(N) % 3], "cluster")
    design = Design.fit(X, Schema.infer(X, cluster="cluster"))
    return design.clusters["cluster"], ("0", "1")


TEXT = np.where(HALF, "u", "v")


def arrowed(kind, values):
    return with_column(pd.Series(pd.array(list(values), dtype=pd.ArrowDtype(kind))))


DAYS = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(N), "D")
START = datetime.datetime(2020, 1, 1)
MOMENTS = [START + datetime.timedelta(days=i) for i in range(N)]
PROGRAMS: dict[str, Any] = {
    # what X is
    "X None": lambda: tiny.classifier().fit(None, tiny.target()),
    "X list of lists": fitting([[1.0, 2.0]] * N),
    "X ndarray with cluster set": fitting(NUMBERS[:, None]),
    "X 1-D array": fitting(NUMBERS, **ARRAY),
    "X 3-D array": fitting(NUMBERS[:, None, None], **ARRAY),
    "X empty frame": fitting(tiny.rows()[:0], []),
    "X one row": fitting(tiny.rows()[:1], [1]),
    "X two rows one class": fitting(tiny.rows()[:2], [0, 0]),
    "X no columns": no_columns,
    "X only cluster column": only(["cluster"]),
    "X only cluster and sensitive": only(["cluster", "group1"]),
    "X dict": fitting({"x1": NUMBERS}),
    "X Series": fitting(tiny.rows()["x1"]),
    "X string path": fitting("table.csv"),
    "X generator": fitting(lambda: (row for row in [[1.0]] * N)),
    "X scipy sparse": fitting(sparse.csr_array(np.eye(N)), **ARRAY),
    "X polars DataFrame": same_fit(pl.DataFrame(tiny.rows().to_dict("list"))),
    "X polars LazyFrame": fitting(pl.DataFrame({"x1": NUMBERS}).lazy()),
    "X pyarrow RecordBatch": fitting(pa.RecordBatch.from_pydict({"x1": NUMBERS})),
    "X xarray Dataset": fitting(xr.Dataset({"x1": ("row", NUMBERS)})),
    "X structured array": fitting(np.zeros(N, dtype=[("x1", float), ("cluster", "U2")])),
    "X masked array": fitting(np.ma.masked_less(NUMBERS[:, None], 0), **ARRAY),
    "X numpy matrix": matrix,
    "X object array of numbers": array(lambda plain: plain.astype(object)),
    "X array with inf": fitting(np.where(NUMBERS > 1, np.inf, NUMBERS)[:, None], **ARRAY),
    "X array complex": fitting(NUMBERS[:, None] + 1j, **ARRAY),
    "X array of strings": fitting(np.array([["a"], ["b"]] * (N // 2)), **ARRAY),
    "X torch-like __array__": array_like,
    # names of columns
    "duplicate column names": renamed("x1"),
    "integer column names only": same_fit(PAIR.set_axis([0, 1], axis=1), PAIR, **ARRAY),
    "mixed type column names": renamed(0),
    "column name None": renamed(None),
    "column name NaN": renamed(np.nan),
    "tuple column names": same_fit(PAIR.set_axis(TUPLES, axis=1), PAIR, **ARRAY),
    "MultiIndex columns": fitting(
        pd.concat({"a": tiny.rows()}, axis=1), cluster=None, sensitive=["group1"]
    ),
    "MultiIndex columns, no roles": same_fit(pd.concat({"a": PAIR}, axis=1), PAIR, **ARRAY),
    "CategoricalIndex columns": same_fit(
        lambda: tiny.rows().set_axis(pd.CategoricalIndex(tiny.rows().columns), axis=1)
    ),
    "bytes column name": renamed(b"x1"),
    "MultiIndex rows": same_fit(
        lambda: tiny.rows().set_axis(pd.MultiIndex.from_product([range(N // 2), ["a", "b"]]))
    ),
    "DatetimeIndex rows": same_fit(lambda: tiny.rows().set_axis(DAYS)),
    "index named like a column": same_fit(lambda: tiny.rows().rename_axis("x1")),
    "covariate called 'group2[g0]'": fitting(
        lambda: tiny.rows().rename(columns={"x5": "group2[g0]"}), hidden=(4,)
    ),
    # dtypes of a covariate
    "Int64": alike(pd.array(WHOLE, dtype="Int64"), WHOLE),
    "Int64 with NA": alike(
        pd.array(gapped(WHOLE, pd.NA), dtype="Int64"), gapped(WHOLE).astype(float)
    ),
    "Float64 with NA": alike(
        pd.array(gapped(NUMBERS, pd.NA), dtype="Float64"), gapped(NUMBERS).astype(float)
    ),
    "bool": alike(HALF == 1, HALF.astype(float)),
    "boolean with NA": alike(
        pd.array(gapped(HALF == 1, pd.NA), dtype="boolean"), gapped(HALF).astype(float)
    ),
    **{
        f"text as {kind}": alike(lambda kind=kind: pd.Series(TEXT).astype(kind), TEXT)
        for kind in ("string[pyarrow]", "string[python]", "object", "str")
    },
    "text as numpy U": alike(TEXT, pd.Series(TEXT).astype(object)),
    "text arrow dictionary": alike(
        pd.Series(pd.array(list(TEXT), dtype=DICTIONARY)),
        TEXT,
    ),
    "category with NaN": alike(pd.Categorical(gapped(TEXT)), gapped(TEXT, None)),
    "string[pyarrow] with NA": alike(
        pd.array(gapped(TEXT, pd.NA), dtype="string[pyarrow]"), gapped(TEXT, None)
    ),
    "category ordered reversed": alike(pd.Categorical(TEXT, ["v", "u"], ordered=True), TEXT),
    "category unused level": alike(pd.Categorical(TEXT, ["u", "v", "w"]), TEXT),
    "category of intervals (pd.cut)": alike(
        pd.cut(NUMBERS, 3), pd.Series(pd.cut(NUMBERS, 3)).astype(str)
    ),
    "category of timestamps": alike(
        pd.Categorical(pd.to_datetime(np.where(HALF, "2020-01-01", "2021-01-01"))),
        np.where(HALF, "2020-01-01 00:00:00", "2021-01-01 00:00:00"),
    ),
    "Sparse float": alike(pd.arrays.SparseArray(NUMBERS), NUMBERS),
    "Sparse int": alike(pd.arrays.SparseArray(HALF), HALF.astype(float)),
    "datetime64": column(DAYS),
    "datetime tz": column(DAYS.tz_localize("UTC")),
    "timedelta": column(DAYS - DAYS[0]),
    "period": column(pd.period_range("2020-01-01", periods=N, freq="D")),
    "interval": column(pd.interval_range(0, N)),
    "object of datetime.date": column(np.array([d.date() for d in MOMENTS], dtype=object)),
    "arrow timestamp": fitting(lambda: arrowed(pa.timestamp("s"), MOMENTS)),
    "arrow date32": fitting(lambda: arrowed(pa.date32(), [d.date() for d in MOMENTS])),
    "arrow time64": fitting(lambda: arrowed(pa.time64("us"), [d.time() for d in MOMENTS])),
    "arrow duration": fitting(lambda: arrowed(pa.duration("s"), [d - START for d in MOMENTS])),
    "arrow list": fitting(lambda: arrowed(pa.list_(pa.int64()), [[1, 2]] * N)),
    "arrow struct": fitting(lambda: arrowed(pa.struct([("a", pa.int64())]), [{"a": 1}] * N)),
    "arrow decimal": alike(
        lambda: pd.array(
            [decimal.Decimal(f"{v:.2f}") for v in NUMBERS],
            dtype=pd.ArrowDtype(pa.decimal128(10, 2)),
        ),
        np.array([float(f"{v:.2f}") for v in NUMBERS]),
    ),
    "arrow int64 with null": alike(
        lambda: pd.array(
            [None if i % 7 == 0 else int(v) for i, v in enumerate(WHOLE)],
            dtype=pd.ArrowDtype(pa.int64()),
        ),
        gapped(WHOLE).astype(float),
    ),
    "arrow bool with null": alike(
        lambda: pd.array(
            [None if i % 7 == 0 else bool(v) for i, v in enumerate(HALF)],
            dtype=pd.ArrowDtype(pa.bool_()),
        ),
        gapped(HALF).astype(float),
    ),
    "arrow null dtype": fitting(lambda: arrowed(pa.null(), [None] * N)),
    "arrow binary": fitting(lambda: arrowed(pa.binary(), [b"a"] * N)),
    "object mixed numbers and text": alike(
        np.array([1, "a"] * (N // 2), dtype=object), np.array(["1", "a"] * (N // 2), dtype=object)
    ),
    "object Decimal": alike(
        np.array([decimal.Decimal(float(v)) for v in NUMBERS], dtype=object), NUMBERS
    ),
    "object Fraction": alike(
        np.array([fractions.Fraction(float(v)) for v in NUMBERS], dtype=object), NUMBERS
    ),
    "object pd.NA mixed": alike(gapped(NUMBERS, pd.NA), gapped(NUMBERS).astype(float)),
    "object lists": column(lambda: pd.Series([[1]] * N)),
    "object dicts": column(lambda: pd.Series([{"a": 1}] * N)),
    "object bytes": column(lambda: pd.Series([b"a"] * N)),
    "object sets": column(lambda: pd.Series([{1}] * N)),
    "object None only": column(lambda: pd.Series([None] * N, dtype=object)),
    "object tuple": column(lambda: pd.Series([(1, 2)] * N)),
    "object numpy arrays": column(lambda: pd.Series([np.zeros(2)] * N)),
    "complex64": column((NUMBERS + 1j).astype(np.complex64)),
    "object complex": column((NUMBERS + 1j).astype(object)),
    "float16": alike(NUMBERS.astype(np.float16), NUMBERS.astype(np.float16).astype(float)),
    "int8": alike(WHOLE.astype(np.int8), WHOLE),
    # values of a covariate
    "uint64 near 2^64": constant_column(np.array([2**64 - 1, 2**64 - 2], np.uint64)[HALF]),
    "int64 near 2^63": constant_column(np.array([2**63 - 1, 2**63 - 2])[HALF]),
    "object ints beyond 2^64": constant_column(np.array([2**70, 2**70 + 1], dtype=object)[HALF]),
    "inf": column(np.where(np.arange(N) == 5, np.inf, NUMBERS)),
    "-inf": column(np.where(np.arange(N) == 5, -np.inf, NUMBERS)),
    "all NaN": column(np.full(N, np.nan)),
    "constant": constant_column(3.0),
    "constant and NaN": alike(np.where(HALF, 3.0, np.nan), np.where(HALF, 0.0, np.nan)),
    "one value, rest NaN": alike(
        np.where(np.arange(N) == 5, 3.0, np.nan), np.where(np.arange(N) == 5, 0.0, np.nan)
    ),
    "1e308 spread": column(lambda: with_overflow()),
    "1e160 spread": alike(NUMBERS * 1e160, NUMBERS),
    "1e-160 spread": alike(NUMBERS * 1e-160, NUMBERS),
    "1e30 spread": alike(NUMBERS * 1e30, NUMBERS),
    "1e16 + x": far_from_zero,
    "text levels 1 MB long": alike(np.array(["u" * 10**6, "v"], dtype=object)[1 - HALF], TEXT),
    "NUL in levels": levels_of(np.array(["a\0b", "a"], dtype=object)[HALF], ("a", "a\0b")),
    "levels differing by trailing space": levels_of(np.array(["a", "a "])[HALF], ("a", "a ")),
    "identifier text": column(np.array([f"id {i}" for i in range(N)])),
    "lone surrogate level": column(
        lambda: pd.Series(np.array(["\ud800", "a"], dtype=object)[HALF], dtype=object)
    ),
    "level called (missing) beside NaN": levels_of(
        np.array(["(missing)", "a", None], dtype=object)[np.arange(N) % 3],
        ('"(missing)"', "a", "(missing)"),
    ),
    "2,000 columns": wide(2000),
    "10,000 columns": wide(10_000),
    # clusters
    "cluster int": partition(np.arange(N) % 4),
    "cluster float": partition(np.arange(N) % 4 + 0.5),
    "cluster Int64": partition(lambda: pd.array(np.arange(N) % 4, dtype="Int64")),
    "cluster category of ints": partition(lambda: pd.Categorical(np.arange(N) % 4)),
    "cluster category unused": partition(lambda: pd.Categorical(TEXT, ["u", "v", "w"])),
    "cluster string[pyarrow]": partition(lambda: pd.array(TEXT, dtype="string[pyarrow]")),
    "cluster uint8": partition((np.arange(N) % 4).astype(np.uint8)),
    "cluster NaN in some": rows_without_a_cluster,
    "cluster all NaN": column(np.full(N, np.nan), "cluster"),
    "cluster one value": column("a", "cluster"),
    "cluster one per row": partition(lambda: [f"c{i}" for i in range(N)]),
    "cluster int64 max": partition(np.array([2**63 - 1, 2**63 - 2])[HALF]),
    "cluster bool": partition(HALF == 1),
    "cluster datetime": partition(pd.DatetimeIndex(DAYS[:2])[HALF]),
    "cluster inf": column(np.where(HALF, np.inf, 1.0), "cluster"),
    "cluster tuples": column(lambda: pd.Series([(1, 2)] * N), "cluster"),
    "cluster lists": column(lambda: pd.Series([[1]] * N), "cluster"),
    "cluster 'nan' text and NaN": nan_text_is_a_cluster,
    "cluster complex": column(NUMBERS + 1j, "cluster"),
    "cluster float 0.1": partition(np.array([0.1, 0.2])[HALF]),
    "cluster -0.0": minus_zero_is_zero,
    "cluster column called 'draw'": fitting(
        lambda: tiny.rows().rename(columns={"cluster": "draw"}), cluster="draw"
    ),
    # groups
    "sensitive text of ints": partition(np.array(["1", "2"])[HALF], "group1"),
    "sensitive Int8": partition(lambda: pd.array(HALF, dtype="Int8"), "group1"),
    "sensitive category": partition(lambda: pd.Categorical(TEXT), "group1"),
    "sensitive bool": partition(HALF == 1, "group1"),
    "sensitive NaN": sensitive_levels(gapped(TEXT, None, 2), {"u": N / 2, "(missing)": N / 2}),
    "sensitive one level": column("a", "group1"),
    "sensitive all NaN": column(np.full(N, np.nan), "group1"),
    "sensitive one level + NaN": sensitive_levels(
        np.where(HALF, "a", None), {"a": N / 2, "(missing)": N / 2}
    ),
    "sensitive identifier text": column(np.array([f"id {i}" for i in range(N)]), "group1"),
    "sensitive inf": column(np.where(HALF, np.inf, 1.0), "group1"),
    "sensitive datetime": column(DAYS, "group1"),
    "sensitive level 'all'": report_keeps_a_level_called("all"),
    "sensitive level '(new level)'": report_keeps_a_level_called("(new level)"),
    "sensitive name with |": group_called("a|b"),
    "intersection levels that join alike": intersections_that_join_alike,
}
CLUSTER_NAMES = tuple(
    eval(line.input.removeprefix("cluster column called "))
    for line in table.lines(AREA)
    if line.input.startswith("cluster column called ") and line.expected == "right"
)
NAMED = {"covariate called ": called, "cluster column called ": cluster_called}
for line in table.lines(AREA):
    for prefix, program in NAMED.items():
        if line.input.startswith(prefix) and line.input not in PROGRAMS:
            PROGRAMS[line.input] = program(eval(line.input.removeprefix(prefix)))


@pytest.mark.parametrize("line", table.cases(AREA, SLOW))
def test_data(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
