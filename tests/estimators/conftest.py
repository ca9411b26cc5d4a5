"""Small data and a few fitted estimators that the tests of this folder share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf

SMALL = {
    "guide": "mean_field",  # the second stage of "block" has tests of its own
    "hidden": (8,),
    "epochs": 1,
    "min_steps": 200,
    "random_state": 0,
    "progress": False,
}


class Case(NamedTuple):
    """Rows of known clusters to train on, rows to predict, and rows of two unseen clusters."""

    X: pd.DataFrame
    y: pd.Series
    test: pd.DataFrame
    y_test: pd.Series
    unseen: pd.DataFrame
    y_unseen: pd.Series
    data: Any


def split(data: Any) -> Case:
    """Keep the last two clusters unseen; of the rest, 400 rows are to train on.

    The same number everywhere, as another one means compiling again.
    """
    new = data.frame["cluster"].isin(sorted(data.frame["cluster"].unique())[-2:]).to_numpy()
    seen = np.flatnonzero(~new)
    parts = [seen[:400], seen[400:600], np.flatnonzero(new)]
    return Case(*(t.iloc[rows] for rows in parts for t in (data.frame, data.target)), data)


@pytest.fixture(scope="session")
def binary() -> Case:
    return split(
        pf.datasets.make_clustered(rows=1000, clusters=6, sensitive_levels=(2, 3), random_state=1)
    )


@pytest.fixture(scope="session")
def real() -> Case:
    return split(
        pf.datasets.make_clustered(
            rows=1000, clusters=6, sensitive_levels=(2, 3), likelihood="normal", random_state=1
        )
    )


@pytest.fixture(scope="session")
def classifier() -> Callable[..., pf.FairMixedEffectsClassifier]:
    """Make an unfitted classifier that trains in a moment; one structure unless told otherwise."""

    def make(**keywords: Any) -> pf.FairMixedEffectsClassifier:
        roles = {"cluster": "cluster", "sensitive": ("group1",), "fairness": "moment"}
        return pf.FairMixedEffectsClassifier(**{**SMALL, **roles, **keywords})

    return make


@pytest.fixture(scope="session")
def regressor() -> Callable[..., pf.FairMixedEffectsRegressor]:
    """Make an unfitted regressor that trains in a moment; one structure unless told otherwise."""

    def make(**keywords: Any) -> pf.FairMixedEffectsRegressor:
        roles = {"cluster": "cluster", "sensitive": ("group1",), "fairness": "moment"}
        return pf.FairMixedEffectsRegressor(**{**SMALL, **roles, **keywords})

    return make


@pytest.fixture(scope="session")
def clf(binary: Case, classifier: Any) -> pf.FairMixedEffectsClassifier:
    """A fitted classifier with random intercepts."""
    return classifier().fit(binary.X, binary.y)


@pytest.fixture(scope="session")
def reg(real: Case, regressor: Any) -> pf.FairMixedEffectsRegressor:
    """A fitted regressor with random intercepts and a random slope."""
    return regressor(random_slopes=["x1"]).fit(real.X, real.y)


@pytest.fixture(scope="session")
def rich(binary: Case, classifier: Any) -> pf.FairMixedEffectsClassifier:
    """A classifier with everything: brackets, intersection, adversaries, slopes, an ensemble."""
    bracket = pf.Binned("x3", (-0.5, 0.5), name="bracket")
    crossed = ("group1", "group2")
    return classifier(
        sensitive=["group1", bracket, crossed],
        random_slopes=["x1", "group2"],
        ensemble=2,
        fairness="adversarial",
        fairness_weight={"group1": 0.3, bracket: 0.1, crossed: 0.05},
        fairness_on={"fixed": 1.0, "mixed": 0.5},
        threshold="balanced_accuracy",
        class_weight={0: 1.0, 1: 1.5},
        prior_correction=False,
    ).fit(binary.X, binary.y)


@pytest.fixture(scope="session")
def linear() -> Any:
    """A dataset of a linear mixed model, and its regressor: a GLMM with random slopes on x1."""
    data = pf.datasets.make_clustered(
        rows=1500,
        clusters=10,
        likelihood="normal",
        nonlinear=False,
        unfairness=0.0,
        sensitive_levels=(2,),
        noise=0.8,
        random_state=4,
    )
    reg = pf.FairMixedEffectsRegressor(
        "cluster",
        guide="mean_field",
        random_slopes=["x1"],
        hidden=(),
        fixed_weight=0.0,
        validation_fraction=0.0,
        unseen="sample",
        min_steps=1500,
        learning_rate=3e-3,
        random_state=0,
        progress=False,
    )
    return data, reg.fit(data.frame[:1000], data.target[:1000])
