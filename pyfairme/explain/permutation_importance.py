"""How much worse predictions become when a feature is shuffled, beside gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Table
from pyfairme.estimators import estimator_keywords
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.permuted_predictions import permuted_predictions
from pyfairme.estimators.table_inputs import check_length
from pyfairme.explain.question import check_model
from pyfairme.metrics.array_inputs import check_count
from pyfairme.notices import unsaid

LEAST = 1e-7  # of a probability: single precision has no smaller distance from 1


class Parts(NamedTuple):
    """What a score is the mean of: parts of rows, in one sample or in two, larger is worse.

    A mean of each sample's parts, added up, is the score; ``samples`` are drawn independently.
    """

    samples: tuple[np.ndarray, ...]
    whole: float


def permutation_importance(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    *,
    metric: str | None = None,
    repeats: int = 10,
    effects: str = "mixed",
    level: float = 0.9,
    random_state: int = 0,
) -> pd.DataFrame:
    """Measure how much worse a score becomes when a feature takes other rows' values.

    For each feature, the mean over ``repeats`` of score(shuffled) - score(as it is) (Breiman 2001;
    Fisher, Rudin & Dominici 2019), on rows that the model was better not trained on. A feature
    that moves predictions without making them better has an importance near 0; one that another
    feature can replace has little. Beside it stands the importance by gradient, which belongs to
    smooth networks: where the knots of a spline lie close, gradients are large, however little
    depends on the feature.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X, y
        Rows (n, columns) and their target (n,).
    metric
        "log_loss" (the default of classifiers), "auroc" (of two classes: its loss, positive where
        shuffling makes it smaller) or "mse" (of regressors, in squared units of the target).
    repeats
        How often each feature is shuffled.
    effects
        Predictions to score, "mixed", "fixed" or "random". The cluster is a feature as well, unless
        effects are "fixed". Random effects are at their posterior mean.
    level
        Coverage of the intervals.
    random_state
        Seed of the shuffling, the same for every feature.

    Returns
    -------
    DataFrame
        feature, importance, sd, low, high, rank, and gradient (share) with gradient_rank, as of
        ``feature_importance(method="gradient")``, NaN for clusters; from large to small. The
        interval is Normal, that of other samples of rows and other shuffles: rows' own parts are
        averaged over the shuffles (for AUROC those of DeLong, DeLong & Clarke-Pearson 1988). It
        holds the model fixed.

    Raises
    ------
    ValueError
        For a metric that is not for this target, bad rows, or one row.

    References
    ----------
    Breiman, "Random forests", Machine Learning 45, 2001. Fisher, Rudin & Dominici, "All models are
    wrong, but many are useful", Journal of Machine Learning Research 20 (177), 2019. DeLong, DeLong
    & Clarke-Pearson, Biometrics 44, 1988.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(600, clusters=6, likelihood="normal", random_state=0)
    >>> reg = pf.FairMixedEffectsRegressor(
    ...     "cluster",
    ...     hidden=(),
    ...     random_slopes=["x1"],
    ...     min_steps=100,
    ...     guide="mean_field",
    ...     random_state=0,
    ... ).fit(data.frame, data.target)
    >>> found = pf.explain.permutation_importance(reg, data.frame, data.target)
    >>> found.columns.tolist()[:5]
    ['feature', 'importance', 'sd', 'low', 'high']
    """
    check_model(estimator)
    estimator_keywords.check_choice("effects", effects, estimator_keywords.EFFECTS)
    estimator_keywords.check_level(level)
    check_count(repeats, "repeats", 1)
    check_count(random_state, "random_state")
    check_length(X, y)
    score = _score(estimator, metric, y)
    base: Parts | None = None
    changes: dict[str, list[Parts]] = {}
    for one in permuted_predictions(estimator, X, effects, repeats, random_state):
        parts = score(one.mean)
        if base is None:
            base = parts
        else:
            changes.setdefault(one.feature, []).append(parts)
    assert base is not None
    lines = [{"feature": name, **_summary(base, found, level)} for name, found in changes.items()]
    frame = pd.DataFrame(lines).sort_values("importance", ascending=False, ignore_index=True)
    frame["rank"] = np.arange(1, len(frame) + 1)
    with unsaid():  # what there is to say of these rows has been said
        gradients = estimator.feature_importance(X, effects, method="gradient")
    beside = pd.DataFrame(
        {
            "feature": gradients["feature"],
            "gradient": gradients["share"],
            "gradient_rank": gradients["rank"],
        }
    )
    return frame.merge(beside, on="feature", how="left")


def _score(
    estimator: FairMixedEffects, metric: str | None, y: ArrayLike
) -> Callable[[np.ndarray], Parts]:
    """Return what scores predicted means: (n, classes), or (n,)."""
    classes = len(getattr(estimator, "classes_", ()))
    valid = ("log_loss", *["auroc"] * (classes == 2)) if classes else ("mse",)
    metric = valid[0] if metric is None else metric
    estimator_keywords.check_choice("metric", metric, valid)
    target = estimator.target_.encode(y)
    if metric == "mse":
        outcome = np.asarray(estimator.target_.observed(y), np.float64)
        return lambda mean: _mean_of((outcome - mean) ** 2)
    if metric == "log_loss":
        rows = np.arange(len(target))
        return lambda mean: _mean_of(-np.log(np.maximum(mean[rows, target], LEAST)))
    positive = target == 1
    if positive.all() or not positive.any():
        raise ValueError(
            "metric='auroc' needs rows of both classes, and y has one: give other rows, or "
            "metric='log_loss'. [one-class-auroc]"
        )
    return lambda mean: auroc_parts(mean[:, 1], positive)


def _mean_of(losses: np.ndarray) -> Parts:
    return Parts((losses,), float(losses.mean()))


def auroc_parts(score: np.ndarray, positive: np.ndarray) -> Parts:
    """Return 1 - AUROC and, of every row, the share of the other class that it is not ahead of.

    The parts of positive rows and those of the others each have the whole as their mean; its
    variance is the sum of those of the two means (DeLong, DeLong & Clarke-Pearson 1988).
    """
    from scipy.stats import rankdata

    high, low = score[positive], score[~positive]
    every = rankdata(np.concatenate([high, low]))
    ahead = (every[: len(high)] - rankdata(high)) / len(low)
    behind = (every[len(high) :] - rankdata(low)) / len(high)
    return Parts((1 - ahead, behind), float(1 - ahead.mean()))


def _summary(base: Parts, found: list[Parts], level: float) -> dict[str, float]:
    from scipy.stats import norm

    change = float(np.mean([one.whole for one in found])) - base.whole
    variance = 0.0
    for place, own in enumerate(base.samples):
        parts = np.mean([one.samples[place] for one in found], axis=0) - own
        variance += float(parts.var(ddof=1)) / len(parts) if len(parts) > 1 else np.nan
    sd = variance**0.5
    reach = float(norm.ppf((1 + level) / 2)) * sd
    return {"importance": change, "sd": sd, "low": change - reach, "high": change + reach}
