"""Small reports made by hand, and a small study of predictions made by a formula."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.estimators.estimator_keywords import EFFECTS
from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.study.comparison.compare import compare
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.evaluation.bootstrap_replicates import replicate
from pyfairme.study.evaluation.pooled_predictions import Pooled
from pyfairme.study.evaluation.study_metrics import results_frame


def line(metric, value, *, attribute="sex", group="all", n=100, null=(None, None, None), note="",
         effects="mixed", clusters="seen"):  # fmt: skip
    """One line of a fairness report."""
    return {
        "effects": effects, "clusters": clusters, "attribute": attribute, "group": group,
        "class": 1, "metric": metric, "value": value, "low": value - 0.01, "high": value + 0.02,
        "null": null[0], "null_low": null[1], "null_high": null[2], "n": n, "note": note,
    }  # fmt: skip


def report(lines):
    numbers = ["null", "null_low", "null_high"]
    return pd.DataFrame(lines).astype(dict.fromkeys(numbers, float))


@pytest.fixture
def before():
    null = (0.02, 0.005, 0.05)
    return report(
        [
            line("auroc", 0.9, attribute="all"),
            line("balanced_accuracy", 0.8, attribute="all"),
            line("tpr_sd", 0.1, null=null),
            line("demographic_parity", 0.04, null=null),
            line("counterfactual_gap", 0.0),
            line("worst_group_accuracy", 0.7),
            line("tpr", 0.55, group="Male", n=1234),
            line("tpr", 0.45, group="Female", n=56),
            line("fpr", 0.25, group="Male", n=900),
            line("fpr", 0.15, group="Female", n=800),
        ]
    )


@pytest.fixture
def after(before):
    new = [0.891, 0.78, 0.03, 0.06, 0.01, 0.77, 0.52, 0.48, 0.21, 0.19]
    return before.assign(value=new, low=[v - 0.02 for v in new], high=[v + 0.01 for v in new])


def judged(rng, gap):
    """Rows whose scores differ between groups by ``gap``: judged predictions without a fit."""
    n = 600
    sex = rng.choice(["Female", "Male"], n).astype(object)
    race = rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]).astype(object)
    cluster = rng.choice(["p", "q", "r", "s"], n, p=[0.4, 0.3, 0.2, 0.1]).astype(object)
    x = rng.normal(size=n) + 0.8 * (sex == "Male")
    y = (x + rng.normal(size=n) > 0.5).astype(int)
    return n, {"sex": sex, "race": race}, cluster, y, x + gap * (sex == "Male")


@pytest.fixture(scope="session")
def runs():
    """Runs of five models and two seeds: the fair ones have smaller differences of the sexes."""
    gaps = {"nnet": 1.0, "da": 1.1, "da_adb": 0.3, "medl": 1.2, "medl_adb": 0.1}
    found = {}
    for seed in (0, 1):
        for variant, gap in gaps.items():
            n, sensitive, cluster, y, score = judged(np.random.default_rng(7), gap)
            noise = np.random.default_rng(seed).normal(size=n) * 0.1
            prob = 1 / (1 + np.exp(-(score + noise)))
            flip = {name: np.full(n, 0.01 + gap / 10) for name in sensitive}
            found[variant, seed] = Pooled(
                EvaluatedRows(
                    y=y,
                    prediction=dict.fromkeys(EFFECTS, prob),
                    decision=dict.fromkeys(EFFECTS, (prob > 0.6).astype(int)),
                    gap=dict.fromkeys(EFFECTS, flip),
                    log_density={},
                    sensitive=sensitive,
                    cluster=cluster,
                    seen=np.isin(cluster, ["p", "q"]),
                    classes=(0, 1),
                    seed=0,
                ),
                row=np.arange(n),
                fold=np.random.default_rng(seed).integers(0, 5, n),
            )
    return found


@pytest.fixture(scope="session")
def replicates(runs):
    return replicate(runs, n_boot=20, seed=0)


@pytest.fixture(scope="session")
def results(replicates):
    return results_frame(replicates, dataset="adult")


@pytest.fixture(scope="session")
def comparisons(runs, replicates):
    study = CrossValidation("adult", 5, (), runs, (), 5)
    return compare(study, baseline=["medl", "da", "da_adb"], replicates=replicates).frame


@pytest.fixture(scope="session")
def importance():
    """Three seeds' means: two probes lead in nnet, both are last in medl_adb."""
    orders = {
        "nnet": ["probe_1", "age", "probe_2", "sex", "hours"],
        "medl_adb": ["hours", "age", "sex", "probe_1", "probe_2"],
    }
    rows = [
        ("adult", variant, effects, feature, feature.startswith("probe"), 9 / place, 0.4 / place,
         0.01, float(place), 0.0, float(place <= 5), float(place <= 10), 3)
        for variant, features in orders.items()
        for effects in ("fixed", "mixed")
        for place, feature in enumerate(features, 1)
    ]  # fmt: skip
    names = ["dataset", "variant", "effects", "feature", "probe", "importance", "share",
             "share_sd", "rank", "rank_sd", "in_top_5", "in_top_10", "seeds"]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="session")
def timings():
    rows = [("adult", "medl", 0, fold, 480, 10.0 + fold, 1.5) for fold in range(5)]
    names = ["dataset", "variant", "seed", "fold", "rows", "seconds_fit", "seconds_judge"]
    return pd.DataFrame(rows, columns=names)
