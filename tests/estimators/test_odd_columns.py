"""Warnings at fit: labels that look nested, copies of the target or of the cluster among X."""

import warnings

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.data import Design, Schema
from pyfairme.data.target import ClassTarget, RealTarget
from pyfairme.estimators.fairness_report import groups_of
from pyfairme.estimators.leakage_warnings import warn_of_copies
from pyfairme.estimators.nested_label_warnings import warn_of_nested_labels
from pyfairme.notices import DataWarning

# lme4's Pastes: strength of 10 batches, 3 casks a, b, c each, 2 samples of each cask
PASTES = """62.8
62.6 60.1 62.3 62.7 63.1 60.0 61.4 57.5 56.9 61.1 58.9 58.7 57.5 63.9 63.1 65.4 63.7
57.1 56.4 56.9 58.6 64.7 64.5 55.1 55.1 54.7 54.2 58.8 57.5 63.4 64.9 59.3 58.1 60.5 60.0 62.5 62.6
61.0 58.7 56.9 57.7 59.2 59.4 65.2 66.0 64.8 64.1 54.8 54.8 64.0 64.0 57.7 56.8 58.3 59.3 59.2 59.2
58.9 56.6"""


def check(X: pd.DataFrame, y, cluster) -> None:
    task = "regression" if np.asarray(y).dtype.kind == "f" else "classification"
    design = Design.fit(X, Schema.infer(X, cluster=cluster, task=task))
    target = (RealTarget if task == "regression" else ClassTarget).fit(y)
    rows = design.encode(X, y=target.encode(y))
    warn_of_nested_labels(design, rows)
    warn_of_copies(design, X, rows)


def silent(X: pd.DataFrame, y, cluster) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(X, y, cluster)


def classes(kind: str, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Classes 1 to 4, ..., 8 in 20 schools, with effects of their own or of their number."""
    r = np.random.default_rng(seed)
    size = r.integers(4, 9, 20)
    school = np.repeat(np.arange(20), size * 6)
    number = np.concatenate([np.repeat(np.arange(k), 6) for k in size])
    own = {"nested": r.normal(size=(20, 8))[school, number], "crossed": r.normal(size=8)[number]}
    y = 2 * r.normal(size=20)[school] + own[kind] + r.normal(size=len(school))
    return pd.DataFrame({"school": school, "class": number + 1}), y


def pastes() -> tuple[pd.DataFrame, np.ndarray]:
    batch, cask = np.repeat(list("ABCDEFGHIJ"), 6), np.tile(np.repeat(list("abc"), 2), 10)
    return pd.DataFrame({"batch": batch, "cask": cask}), np.array(PASTES.split(), float)


def test_numbers_that_start_anew_look_nested():
    with pytest.warns(DataWarning, match=r"\[\('school', 'class'\)\].*\[looks-nested\]"):
        check(*classes("nested"), ["school", "class"])
    with pytest.warns(DataWarning, match=r"cluster=\[\('batch', 'cask'\)\]"):
        check(*pastes(), ["cask", "batch"])
    silent(*classes("nested"), [("school", "class")])


def test_crossed_factors_are_silent():
    for seed in range(20):  # numbers 1 to k with effects of their own, k varying
        silent(*classes("crossed", seed), ["school", "class"])
    X, y = classes("nested")
    X["class"] = X["school"].astype(str) + "/" + X["class"].astype(str)  # unique already
    silent(X, y, ["school", "class"])
    visits = X.assign(visit=X.groupby("school").cumcount())[["school", "visit"]]
    silent(visits, y, ["school", "visit"])  # one row each


@pytest.mark.parametrize(
    ("name", "target", "cluster"),
    [
        ("Penicillin.csv", "diameter", ["plate", "sample"]),
        ("VerbAgg.csv", "r2", ["id", "item"]),
        ("sleepstudy.csv", "Reaction", ["Subject", "Days"]),
        ("InstEval.csv.gz", "y", ["dept", "studage"]),
        ("InstEval.csv.gz", "y", ["dept", "service"]),
        ("InstEval.csv.gz", "y", ["dept", "lectage"]),
    ],
)
def test_lme4s_crossed_data_are_silent(data_dir, name, target, cluster):
    X = pd.read_csv(data_dir / "lme4" / name)
    y = X[target] if X[target].dtype.kind not in "iuf" else X[target].astype(float)
    silent(X[cluster], y, cluster)


@pytest.fixture(scope="module")
def made():
    data = pf.datasets.make_clustered(rows=600, clusters=12, random_state=0)
    return data.frame, data.target


def copies(X: pd.DataFrame, y: pd.Series) -> dict[str, pd.Series]:
    g = X["cluster"]
    return {
        "target-copy": y.map({0: "n", 1: "p"}),
        "cluster-copy": pd.Series(pd.factorize(g)[0]),
        "target-encoded": y.groupby(g.to_numpy()).transform("mean"),
        "row-number": pd.Series(np.random.default_rng(0).permutation(900)[: len(y)] + 4000),
    }


@pytest.mark.parametrize("code", ["target-copy", "cluster-copy", "target-encoded", "row-number"])
def test_copies_are_named(made, code):
    X, y = made
    with pytest.warns(DataWarning, match=rf"'spy'.*\[{code}\]"):
        check(X.assign(spy=copies(X, y)[code].to_numpy()), y, ["cluster"])


def test_a_real_target_in_other_units_is_a_copy(made):
    X, _ = made
    y = (32 + 1.8 * X["x1"]).to_numpy()
    with pytest.warns(DataWarning, match=r"'x1' is the target.*\[target-copy\]"):
        check(X, y, ["cluster"])


def test_an_amount_that_only_one_class_has_is_as_good_as_the_target(made):
    X, y = made
    paid = y.to_numpy() * np.random.default_rng(0).uniform(5, 90, len(y))
    with pytest.warns(DataWarning, match=r"^Column 'paid' is as good as .*\[target-copy\]$"):
        check(X.assign(paid=paid), y, ["cluster"])
    paid[np.flatnonzero(y)[0]] = 0  # one who did not pay
    silent(X.assign(paid=paid), y, ["cluster"])


def test_what_differs_between_clusters_by_right_is_silent(made):
    X, y = made
    r = np.random.default_rng(1)
    names = X["cluster"].unique()
    size = X["cluster"].map(dict(zip(names, r.integers(100, 900, len(names)), strict=True)))
    pair = X["cluster"].map(dict(zip(names, ["rural", "urban"] * 6, strict=True)))
    noisy = np.where(r.random(len(y)) < 0.05, 1 - y, y)
    sparse = 7 * r.permutation(len(y))  # distinct, but no count, and not in the rows' order
    silent(X.assign(size=size, place=pair, near=noisy, number=sparse), y, ["cluster"])


def test_a_missing_level_is_called_missing():
    train = pd.DataFrame({"s": ["f", "m"] * 3})
    design = Design.fit(train.assign(x=range(6)), Schema.infer(train, sensitive=["s"]))
    new = pd.DataFrame({"s": ["f", None, "d"]})
    assert list(groups_of(design.attributes[0], new)) == ["f", "(missing)", "(new level)"]


@pytest.mark.long
def test_fit_warns(made):
    X, y = made
    model = pf.FairMixedEffectsClassifier(
        "cluster", hidden=(), fairness=None, guide="mean_field", unseen="population", min_steps=20,
        epochs=1, progress=False, random_state=0,
    )  # fmt: skip
    with pytest.warns(DataWarning, match=r"\[target-copy\]") as found:
        model.fit(X.assign(spy=y.to_numpy()), y)
    assert found[0].filename == __file__
