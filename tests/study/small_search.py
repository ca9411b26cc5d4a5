"""A small search: a model that is fitted in a moment, four clusters, two ranges."""

from typing import Any

import pyfairme as pf
from pyfairme.study.tuning.search_space import Choice, Real

LIGHT = {
    "hidden": (4,), "epochs": 1, "min_steps": 50, "progress": False, "guide": "mean_field",
    "random_intercepts": False, "cluster_weight": 0.0, "unseen": "population",
    "fairness": "moment", "fairness_on": ("fixed",), "threshold": "balanced_accuracy",
}  # fmt: skip
SPACE = {
    "fairness_weight[group1]": Real(0.01, 3.0, log=True, zero=0.1),
    "learning_rate": Real(1e-3, 1e-1, log=True),
    "class_weight": Choice(None, "balanced"),
}
SEARCH: dict[str, Any] = {
    "space": SPACE, "seen": 4, "folds": 5, "turns": 3, "max_cost": 0.05, "name": "small",
    "progress": False,
}  # fmt: skip


def search_data() -> pf.datasets.Dataset:
    return pf.datasets.make_clustered(
        rows=600, clusters=6, covariates=3, cluster_imbalance=0.5, random_state=3
    )


def light_model() -> pf.FairMixedEffectsClassifier:
    return pf.FairMixedEffectsClassifier(**LIGHT)
