"""Models that train in a blink, for odd inputs: linear, a handful of steps, always the same shapes.

Fits of equal shapes compile once, so a test may fit again: it takes a twentieth of a second.
"""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import pyfairme as pf

ROWS = 120
QUICK: dict[str, Any] = {
    "hidden": (),
    "fairness": None,
    "guide": "mean_field",
    "unseen": "population",
    "min_steps": 5,
    "epochs": 1,
    "validation_fraction": 0,
    "random_state": 0,
    "progress": False,
}


@cache
def data(likelihood: str = "bernoulli") -> Any:
    return pf.datasets.make_clustered(ROWS, clusters=4, likelihood=likelihood, random_state=0)


def rows(likelihood: str = "bernoulli") -> pd.DataFrame:
    """A copy of the covariates, clusters and groups that every test may spoil."""
    return data(likelihood).frame.copy()


def target(likelihood: str = "bernoulli") -> np.ndarray:
    return np.array(data(likelihood).target)


def classifier(**keywords: Any) -> pf.FairMixedEffectsClassifier:
    return pf.FairMixedEffectsClassifier(
        **{"cluster": "cluster", "sensitive": ["group1"], **QUICK, **keywords}
    )


def regressor(**keywords: Any) -> pf.FairMixedEffectsRegressor:
    return pf.FairMixedEffectsRegressor(
        **{"cluster": "cluster", "sensitive": ["group1"], **QUICK, **keywords}
    )


def fit(X: Any = None, y: Any = None, weight: Any = None, **keywords: Any) -> Any:
    """Fit a classifier to the tiny table, or to what is given in its place."""
    X = rows() if X is None else X
    y = target() if y is None else y
    return classifier(**keywords).fit(X, y, weight)


@cache
def clean() -> pf.FairMixedEffectsClassifier:
    """The fit of the clean table; treat it as read-only."""
    return fit()


def chances(model: Any, X: Any = None) -> np.ndarray:
    return model.predict_proba(rows() if X is None else X)
