"""Judged rows without a fit: predictions with a known relation to the outcome."""

import numpy as np
import pytest

from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.study.evaluation.pooled_predictions import Pooled

LEVELS = {"sex": ("F", "M"), "race": ("a", "b", "c")}


def base(n, rng, clusters=6, classes=(0, 1), levels=LEVELS):
    """Draw what does not depend on the model."""
    cluster = rng.integers(0, clusters, n)
    count = max(len(classes), 2)
    y = rng.choice(count, n, p=[0.6, *[0.4 / (count - 1)] * (count - 1)])
    return {
        "y": y if classes else y + rng.normal(size=n),
        "sensitive": {
            name: rng.choice(np.array(known, object), n) for name, known in levels.items()
        },
        "cluster": cluster.astype(str).astype(object),
        "seen": cluster < clusters // 2,
        "classes": classes,
    }


def judge(data, rng, seed, *, noise=1.0, bias=0.0, effects=("mixed",)):
    """Predict: the outcome, blurred; ``bias`` lowers the scores of race "c"."""
    n, classes = len(data["y"]), data["classes"]
    shift = bias * (data["sensitive"]["race"] == "c") if bias else 0.0
    prediction, decision = {}, {}
    for name in effects:
        if len(classes) > 2:
            score = noise * rng.normal(size=(n, len(classes))) + 2 * np.eye(len(classes))[data["y"]]
            prediction[name] = np.exp(score) / np.exp(score).sum(1, keepdims=True)
            decision[name] = prediction[name].argmax(1)
        elif classes:
            score = 2 * data["y"] - 1 + noise * rng.normal(size=n) - shift
            prediction[name] = 1 / (1 + np.exp(-score))
            decision[name] = (prediction[name] > 0.5).astype(int)
        else:
            prediction[name] = data["y"] + noise * rng.normal(size=n) - shift
    return EvaluatedRows(
        **data,
        prediction=prediction,
        decision=decision,
        gap={
            e: {a: 0.1 * rng.random(p.shape) for a in data["sensitive"] if a != "sex"}
            for e, p in prediction.items()
        },
        log_density={} if classes else {e: -rng.random(n) for e in prediction},
        seed=seed,
    )


def pooled(judged, seed, folds=5):
    n = len(judged.y)
    fold = np.random.default_rng(seed).permutation(np.arange(n) % folds)
    return Pooled(judged=judged, row=np.arange(n) * 2, fold=fold)


@pytest.fixture
def make_runs():
    """Make the runs of models (name: options of `judge`) on the same rows."""

    def make(models, *, n=600, seeds=(0,), classes=(0, 1), clusters=6, levels=LEVELS, start=0):
        data = base(n, np.random.default_rng([start, 99]), clusters, classes, levels)
        return {
            (name, seed): pooled(
                judge(data, np.random.default_rng([start, seed, number]), seed, **options), seed
            )
            for number, (name, options) in enumerate(models.items())
            for seed in seeds
        }

    return make
