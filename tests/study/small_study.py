"""A small study: two models on clustered data."""

import pyfairme as pf

LIGHT = {"hidden": (8,), "epochs": 1, "min_steps": 40, "guide": "mean_field", "progress": False}


def small_data() -> pf.datasets.Dataset:
    return pf.datasets.make_clustered(
        rows=600, clusters=6, covariates=3, cluster_imbalance=0.5, random_state=3
    )


def small_models() -> dict[str, pf.FairMixedEffectsClassifier]:
    return {
        name: pf.FairMixedEffectsClassifier(**{**LIGHT, **pf.VARIANTS[name]}, threshold=0.4)
        for name in ("medl", "medl_adb")
    }


def light_models() -> dict[str, pf.FairMixedEffectsClassifier]:
    """One model that is compiled in a moment."""
    keywords = {"random_intercepts": False, "fairness": None, "cluster_weight": 0.0}
    return {"nnet": pf.FairMixedEffectsClassifier(**LIGHT, **keywords, unseen="population")}
