"""What users would pick instead: fairlearn, scikit-learn and others on the rows of one fit.

Each method takes a `Problem`, trains on its training rows and yields `Reading`s: decisions on the
test rows, made only when asked for, so that a reading that fails leaves the others. Methods with
scores decide by the threshold of the highest balanced accuracy on the validation rows. Of several
protected attributes, a method that takes one sensitive feature gets the intersection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from frontier_problem import (
    TEST,
    TRAINING,
    VALIDATION,
    Decided,
    Point,
    Problem,
    Reading,
    by_threshold,
)
from policy_peers import joined
from sklearn.base import BaseEstimator, ClassifierMixin

HGB, HGB_POLICY = "gradient boosting", "ThresholdOptimizer on gradient boosting"


def gradient_boosting(problem: Problem) -> Iterator[Reading]:
    """Fit scikit-learn's gradient boosting; with S at hand, ThresholdOptimizer on top of it.

    ThresholdOptimizer learns on validation rows, or on training rows: a validation fold may hold a
    group without positives, which it refuses.
    """
    score = _boosted(problem, lambda part: _levels(problem, problem.table(part)))
    yield Reading(HGB, "", problem.setting, problem.keep, lambda: by_threshold(problem, score))
    if not problem.keep:
        return
    for setting in problem.protected:
        yield Reading(HGB_POLICY, "off", setting, True, lambda: by_threshold(problem, score))
        for part in (VALIDATION, TRAINING):
            yield Reading(
                HGB_POLICY,
                f"{part} rows",
                setting,
                True,
                lambda s=setting, p=part: _group_thresholds(problem, score, s, p),
            )


def exponentiated_gradient(problem: Problem, bound: float) -> Iterator[Reading]:
    """Reduce to weighted logistic regressions, equalized odds within ``bound``.

    The objective is the balanced error, so that it aims at what is measured; a decision is drawn
    from the mixture, as the method has it.
    """
    from fairlearn.reductions import EqualizedOdds, ErrorRate, ExponentiatedGradient
    from sklearn.linear_model import LogisticRegression

    encode = _columns(problem.table(TRAINING))
    y = problem.outcome(TRAINING)
    model = ExponentiatedGradient(
        LogisticRegression(max_iter=1000),
        EqualizedOdds(difference_bound=bound),
        objective=ErrorRate(costs={"fp": float(y.mean()), "fn": float(1 - y.mean())}),
    )
    groups = problem.intersection(TRAINING, problem.setting)
    model.fit(encode(problem.table(TRAINING)), y, sensitive_features=groups)

    def decide() -> Decided:
        X = encode(problem.table(TEST))
        drawn = np.asarray(model.predict(X, random_state=problem.seed))
        return Decided(drawn.astype(np.int8), np.asarray(model._pmf_predict(X))[:, 1])

    yield Reading(
        "ExponentiatedGradient", f"bound {bound:g}", problem.setting, problem.keep, decide
    )


def adversarial(problem: Problem, alpha: float) -> Iterator[Reading]:
    """Train fairlearn's adversarial network (torch) with our network's widths and batches."""
    from fairlearn.adversarial import AdversarialFairnessClassifier

    encode = _columns(problem.table(TRAINING))
    model = AdversarialFairnessClassifier(
        backend="torch",
        predictor_model=[64, "relu", 32, "relu"],
        adversary_model=[32, "relu"],
        constraints="equalized_odds",
        alpha=alpha,
        epochs=30,
        batch_size=256,
        shuffle=True,
        random_state=problem.seed,
    )
    groups = problem.intersection(TRAINING, problem.setting)
    X = encode(problem.table(TRAINING)).to_numpy()
    model.fit(X, problem.outcome(TRAINING), sensitive_features=groups)

    def score(part: str) -> np.ndarray:
        return np.asarray(model._raw_predict(encode(problem.table(part)).to_numpy())).reshape(-1)

    yield Reading(
        "AdversarialFairnessClassifier",
        f"alpha {alpha:g}",
        problem.setting,
        problem.keep,
        lambda: by_threshold(problem, score),
    )


def correlation_remover(problem: Problem, alpha: float) -> Iterator[Reading]:
    """Take the linear part of S out of every column, then boost; new rows need their S for that.

    Several attributes enter side by side, one indicator per level.
    """
    from fairlearn.preprocessing import CorrelationRemover

    encode = _columns(problem.table(TRAINING, keep=False))
    levels = _columns(problem.labels(TRAINING))

    def joined(part: str) -> pd.DataFrame:
        indicators = levels(problem.labels(part)).add_prefix("S ")
        covariates = encode(problem.table(part, keep=False))
        return pd.concat([indicators, covariates.reset_index(drop=True)], axis=1)

    training = joined(TRAINING)
    names = [name for name in training.columns if name.startswith("S ")]
    remover = CorrelationRemover(sensitive_feature_ids=names, alpha=alpha).fit(training)
    score = _boosted(problem, lambda part: np.asarray(remover.transform(joined(part))))
    yield Reading(
        "CorrelationRemover, gradient boosting",
        f"alpha {alpha:g}",
        problem.setting,
        True,
        lambda: by_threshold(problem, score),
    )


def gpboost(problem: Problem) -> Iterator[Reading]:
    """Boost trees with a random intercept per cluster; rounds are chosen on validation rows."""
    import gpboost as gpb

    def clusters(part: str) -> np.ndarray:
        return problem.table(part)[problem.cluster].astype(str).to_numpy()

    def covariates(part: str) -> pd.DataFrame:
        found = _levels(problem, problem.table(part).drop(columns=problem.cluster))
        return found.set_axis([f"c{i}" for i in range(found.shape[1])], axis=1)  # it refuses ": "

    effects = gpb.GPModel(group_data=clusters(TRAINING), likelihood="bernoulli_logit")
    effects.set_prediction_data(group_data_pred=clusters(VALIDATION))
    training = gpb.Dataset(covariates(TRAINING), problem.outcome(TRAINING))
    validation = gpb.Dataset(
        covariates(VALIDATION), problem.outcome(VALIDATION), reference=training
    )
    trees = gpb.train(
        params={"learning_rate": 0.1, "num_leaves": 31, "verbose": -1, "seed": problem.seed},
        train_set=training,
        gp_model=effects,
        num_boost_round=500,
        valid_sets=[validation],
        early_stopping_rounds=20,
        verbose_eval=False,
    )

    def score(part: str) -> np.ndarray:
        found = trees.predict(
            data=covariates(part), group_data_pred=clusters(part), pred_latent=False
        )
        return np.asarray(dict(found)["response_mean"])

    yield Reading(
        "GPBoost", "", problem.setting, problem.keep, lambda: by_threshold(problem, score)
    )


def fairret(problem: Problem, strength: float) -> Iterator[Reading]:
    """Train a network of our widths with fairret's penalty of the norm of TPR and FPR violations.

    Several attributes enter side by side, an indicator per level, as the package has it. Optimiser,
    rate and batches are those of its example; it trains ten epochs, here thirty.
    """
    import torch
    from fairret.loss import NormLoss
    from fairret.statistic import (
        FalsePositiveRate,
        StackedLinearFractionalStatistic,
        TruePositiveRate,
    )

    torch.manual_seed(problem.seed % 2**31)
    torch.set_num_threads(1)
    encode, levels = _columns(problem.table(TRAINING)), _columns(problem.labels(TRAINING))

    def tensor(values: Any) -> Any:
        return torch.tensor(np.array(values, np.float32))

    X = tensor(encode(problem.table(TRAINING)))
    groups = tensor(levels(problem.labels(TRAINING)))
    y = tensor(problem.outcome(TRAINING))[:, None]
    network = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 32),
        torch.nn.ReLU(),
        torch.nn.Linear(32, 1),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    penalty = NormLoss(StackedLinearFractionalStatistic(TruePositiveRate(), FalsePositiveRate()))
    for _ in range(30):
        for batch in torch.randperm(len(X)).split(1024):
            logit = network(X[batch])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, y[batch])
            if strength:
                loss = loss + strength * penalty(logit, groups[batch], y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def score(part: str) -> np.ndarray:
        with torch.no_grad():
            return network(tensor(encode(problem.table(part)))).numpy()[:, 0]

    yield Reading(
        "fairret",
        f"strength {strength:g}",
        problem.setting,
        problem.keep,
        lambda: by_threshold(problem, score),
    )


def fairgbm(problem: Problem, rate: float) -> Iterator[Reading]:
    """Boost 200 trees under equalized odds; ``rate`` is that of the multipliers, 0 is LightGBM.

    Constraints are counted at the share of positives, about where decisions are made. Of several
    attributes rare combinations are one group. The package's scikit-learn class uses an argument
    that scikit-learn has given up; this is its `train`.
    """
    import fairgbm as fgb

    def covariates(part: str) -> np.ndarray:
        found = _levels(problem, problem.table(part))
        text = found.select_dtypes("category").columns
        return found.assign(**{name: found[name].cat.codes for name in text}).to_numpy(np.float64)

    table = _levels(problem, problem.table(TRAINING))
    text = [i for i, kind in enumerate(table.dtypes) if isinstance(kind, pd.CategoricalDtype)]
    y = problem.outcome(TRAINING)
    here = list(problem.labels(TRAINING).to_numpy().T)
    group, _ = joined(y, here, here)
    training = fgb.Dataset(
        covariates(TRAINING), y, constraint_group=group, categorical_feature=text
    )
    parameters = {"num_threads": 1, "verbosity": -1, "seed": problem.seed % 2**31}
    if rate:
        parameters |= {
            "objective": "constrained_cross_entropy",
            "constraint_type": "FPR,FNR",
            "multiplier_learning_rate": rate,
            "score_threshold": float(y.mean()),
        }
    else:
        parameters |= {"objective": "binary"}
    trees = fgb.train(parameters, training, num_boost_round=200)

    def score(part: str) -> np.ndarray:
        return np.asarray(trees.predict(covariates(part)))

    yield Reading(
        "FairGBM",
        f"rate {rate:g}",
        problem.setting,
        problem.keep,
        lambda: by_threshold(problem, score),
    )


class _Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose only column is the score itself."""

    def fit(self, X: Any, y: Any) -> _Scores:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        score = np.asarray(X)[:, 0]
        return np.column_stack([1 - score, score])


def _group_thresholds(
    problem: Problem, score: Callable[[str], np.ndarray], setting: str, part: str
) -> Decided:
    from fairlearn.postprocessing import ThresholdOptimizer

    def column(part: str) -> np.ndarray:
        return score(part)[:, None]

    policy = ThresholdOptimizer(
        estimator=_Scores().fit(None, [0, 1]),
        constraints="equalized_odds",
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict_proba",
    )
    groups = {name: problem.intersection(name, setting) for name in (part, TEST)}
    policy.fit(column(part), problem.outcome(part), sensitive_features=groups[part])
    found = policy.predict(column(TEST), sensitive_features=groups[TEST], random_state=problem.seed)
    return Decided(np.asarray(found).astype(np.int8))


def _boosted(problem: Problem, inputs: Callable[[str], Any]) -> Callable[[str], np.ndarray]:
    """Fit gradient boosting, and return the score of the rows of a part."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=problem.seed
    ).fit(inputs(TRAINING), problem.outcome(TRAINING))
    known: dict[str, np.ndarray] = {}

    def score(part: str) -> np.ndarray:
        if part not in known:
            known[part] = model.predict_proba(inputs(part))[:, 1]
        return known[part]

    return score


def _levels(problem: Problem, table: pd.DataFrame) -> pd.DataFrame:
    """Make text a category with the levels of the training rows; others are missing."""
    text = table.select_dtypes(exclude="number").columns
    training = problem.frame.iloc[problem.rows[TRAINING]]
    found = {}
    for name in text:
        levels = sorted(training[name].dropna().astype(str).unique())
        values = table[name].astype(str)
        found[name] = pd.Categorical(values.where(values.isin(levels)), levels)
    return table.assign(**found)


def _columns(training: pd.DataFrame) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return the map to standardised numbers and an indicator per level of the training rows."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = training.select_dtypes("number").columns
    text = training.columns.difference(numbers, sort=False)
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(numbers)),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(text)),
        verbose_feature_names_out=False,
    )
    encoder.set_output(transform="pandas").fit(training.astype(dict.fromkeys(text, str)))

    def encode(table: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(encoder.transform(table.astype(dict.fromkeys(text, str))))

    return encode


METHODS: Mapping[str, Callable[..., Iterator[Reading]]] = {
    "hgb": gradient_boosting,
    "gpboost": gpboost,
    "exponentiated_gradient": exponentiated_gradient,
    "correlation_remover": correlation_remover,
    "adversarial": adversarial,
    "fairret": fairret,
    "fairgbm": fairgbm,
}
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # its examples have 1
RATES = (0.0, 1e-4, 1e-3, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5)  # its notebooks: .005-.2, or .0001-.5
BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)
POINTS = (
    Point("hgb", "hgb", {}, False),
    Point("gpboost", "gpboost", {}, False),
    *(Point("exponentiated_gradient", f"{b:g}", {"bound": b}, True) for b in BOUNDS),
    *(
        Point("correlation_remover", f"{a:g}", {"alpha": a}, True, ("keep",))
        for a in (0.25, 0.5, 0.75, 1.0)
    ),
    *(Point("adversarial", f"{a:g}", {"alpha": a}, True) for a in (0.1, 0.3, 1.0, 3.0, 10.0)),
    *(Point("fairret", f"{s:g}", {"strength": s}, True) for s in STRENGTHS),
    *(Point("fairgbm", f"{r:g}", {"rate": r}, True) for r in RATES),
)
