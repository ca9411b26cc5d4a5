"""Fits of a study: train on some rows, judge others, and say how it went."""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from pyfairme.data.grouping_factors import factor_columns
from pyfairme.data.schema import attribute_name, check_sensitive, components, source
from pyfairme.datasets import Dataset
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.estimators.fairness_report import EvaluatedRows, collect
from pyfairme.study.crossval.store import Key, judged_frame

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

PACKAGES = ("jax", "numpyro", "numpy", "pandas", "scikit-learn", "fairlearn")
FAMILY = ": "
IMPORTANCE_ROWS = 2000  # a mean over so many rows is settled
OBSERVED = ("fixed", "mixed")


JudgedRows = tuple[pd.DataFrame, dict[str, Any]]  # of one fit, with its configuration


class FitPart(NamedTuple):
    """Rows of one fit, as positions in the data set: to train on (and validate), and to judge.

    ``groups`` has numbers that training rows which belong together share; None: none do.
    """

    training: np.ndarray
    judged: np.ndarray
    validation_fraction: float
    groups: np.ndarray | None = None


def with_roles(estimator: FairMixedEffects, dataset: Dataset) -> FairMixedEffects:
    """Return an unfitted copy whose unset roles are those of the data set's schema."""
    copy: Any = clone(estimator)
    given = copy.get_params(deep=False)
    schema = dataset.schema
    roles: dict[str, Any] = {}
    if given["cluster"] is None and schema.cluster:
        roles["cluster"] = schema.cluster[0] if len(schema.cluster) == 1 else list(schema.cluster)
    if not given["sensitive"]:
        roles["sensitive"] = schema.sensitive
    others = {"categorical": dataset.codes, "drop": dataset.unused}
    named = _named(given | roles) if any(others.values()) else set()
    for keyword, columns in others.items():
        free = [name for name in columns if name not in named]
        if free and not given[keyword]:
            roles[keyword] = free
    return copy.set_params(**roles)


def _named(keywords: Mapping[str, Any]) -> set[str | None]:
    """Return the columns to which an estimator's keywords give a role."""
    entries = as_tuple(keywords["sensitive"])
    check_sensitive(entries)
    found = {source(part) for entry in entries for part in components(entry)}
    found |= {n for entry in as_tuple(keywords["cluster"]) for n in factor_columns(entry)}
    found |= {*as_tuple(keywords["categorical"]), *as_tuple(keywords["drop"])}
    return found | {keywords["offset"]}


class _JudgedFit(NamedTuple):
    """A fitted model, the seconds it took, and what was warned of."""

    model: FairMixedEffects
    seconds: float
    warnings: list[str]


def fits_in_turn(
    keys: Sequence[Key],
    models: Mapping[str, FairMixedEffects],
    dataset: Dataset,
    part: FitPart,
    wanted: Collection[Key],
) -> Iterator[tuple[Key, JudgedRows]]:
    """Fit models on the same rows, each beginning where the one before it ended.

    Parameters
    ----------
    keys
        Name the fits, in their order; seed and fold seed the networks, alike for every model. The
        first model starts anew.
    models
        Unfitted estimators by name, with their roles.
    dataset
        The table.
    part
        Rows to train on and to judge.
    wanted
        Which of the fits are judged; the others are only passed through.

    Yields
    ------
    tuple
        Key, the judged rows (`judged_frame`), and the configuration: parameters, λs, versions, wall
        times, thresholds, warnings, importance of every feature; plain values.
    """
    before: FairMixedEffects | None = None
    for place, key in enumerate(keys):
        start = time.perf_counter()
        with texts_of_warnings() as said:
            model = fit_part(key, models[key.variant], dataset, part, before)
        fitted = _JudgedFit(model, time.perf_counter() - start, said)
        if key in wanted:
            after = tuple(one.variant for one in keys[:place])
            yield key, _judge(key, fitted, after, dataset, part)
        before = model


def parameters(estimator: FairMixedEffects, after: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a fit depends on, as plain values: keywords, and the models it went on from."""
    found: dict[str, Any] = plain(estimator.get_params(deep=False))
    return found | ({"after": list(after)} if after else {})


@contextmanager
def texts_of_warnings() -> Iterator[list[str]]:
    """Catch what is warned of; the list has the texts at the end of the block."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    texts += [str(one.message) for one in caught]


def fit_part(
    key: Key,
    estimator: FairMixedEffects,
    dataset: Dataset,
    part: FitPart,
    before: FairMixedEffects | None = None,
) -> Any:
    """Fit a copy of the estimator, or the model ``before`` it on, with its keywords.

    Networks of one seed and fold start alike, whatever the model.
    """
    model: Any = clone(estimator) if before is None else before
    own = {
        "random_state": network_seed(key),
        "validation_fraction": part.validation_fraction,
        "progress": False,
        "warm_start": before is not None,
    }
    model.set_params(**estimator.get_params(deep=False) | own)
    X, y = dataset.frame.iloc[part.training], dataset.target.iloc[part.training]
    weight = dataset.weights(part.training)
    return model.fit(X, y, sample_weight=weight, groups=part.groups)


def _judge(
    key: Key, fitted: _JudgedFit, after: Sequence[str], dataset: Dataset, part: FitPart
) -> JudgedRows:
    model = fitted.model
    X, y = dataset.frame.iloc[part.judged], dataset.target.iloc[part.judged]
    start = time.perf_counter()
    with texts_of_warnings() as said:
        judged = collect(model, X, y, sample_weight=dataset.weights(part.judged))
        done = time.perf_counter()
        importance = _importance(model, X, judged, network_seed(key))
    configuration = {
        "variant": key.variant,
        "seed": key.seed,
        "fold": key.fold,
        "parameters": parameters(model, after),
        "lambdas": lambdas(model),
        "rows_trained": len(part.training),
        "rows_judged": len(part.judged),
        "seconds_fit": round(fitted.seconds, 3),
        "seconds_judge": round(done - start, 3),
        "seconds_importance": round(time.perf_counter() - done, 3),
        "threshold": {name: float(at) for name, at in getattr(model, "threshold_", {}).items()},
        "classes": np.asarray(getattr(model, "classes_", ())).tolist(),
        "warnings": list(dict.fromkeys([*fitted.warnings, *said])),
        "importance": importance,
        "versions": {"pyfairme": sys.modules["pyfairme"].__version__}
        | {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "machine": platform.platform(),
    }
    return judged_frame(judged, part.judged, key.fold), configuration


def network_seed(key: Key) -> int:
    """Return the seed of the networks: one per seed and fold, the same for every model."""
    return int(np.random.SeedSequence([key.seed, key.fold]).generate_state(1)[0] >> 1)


def _importance(
    model: FairMixedEffects, frame: pd.DataFrame, judged: EvaluatedRows, seed: int
) -> dict[str, dict[str, float]]:
    """Return importance by effects and feature, from judged rows of seen clusters, or else of all.

    Columns called "family: level" are one feature, as the columns of a category are.
    """
    known = judged.seen if judged.seen.any() else np.ones(len(judged.seen), bool)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(known))[:IMPORTANCE_ROWS]
    found = {}
    for effects in OBSERVED:
        table: Any = model.feature_importance(frame.iloc[rows], effects, method="gradient")
        family = table["feature"].str.partition(FAMILY)[0]
        joined = (table["importance"] ** 2).groupby(family, sort=False).sum() ** 0.5
        found[effects] = {str(name): float(value) for name, value in joined.items()}
    return found


def lambdas(estimator: FairMixedEffects) -> dict[str, Any]:
    """Return the weights of eq. 11 by the paper's names; a λ whose term is not there is None."""
    mixed = estimator.cluster is not None and (
        estimator.random_intercepts or estimator.random_slopes is not None
    )
    adversary = (
        estimator.cluster is not None and tuple(estimator.hidden) and estimator.cluster_weight
    )
    return {
        "lambda_F": estimator.fixed_weight if mixed else None,
        "lambda_g": estimator.cluster_weight if adversary else None,
        "n lambda_K": estimator.kl_weight if mixed else None,
        "lambda_FE": _penalty(estimator, "fixed"),
        "lambda_ME": _penalty(estimator, "mixed") if mixed else None,
    }


def _penalty(estimator: FairMixedEffects, effects: str) -> Any:
    """Weight of the fairness penalties on one prediction, times its multiplier."""
    on = estimator.fairness_on
    factors = dict(on) if isinstance(on, Mapping) else dict.fromkeys(as_tuple(on), 1.0)
    if not estimator.fairness or effects not in factors:
        return None
    return _times(estimator.fairness_weight, factors[effects])


def _times(weight: Any, factor: float) -> Any:
    if isinstance(weight, Mapping):
        return {_key(name): _times(inner, factor) for name, inner in weight.items()}
    return weight * factor


def plain(value: object) -> Any:
    """Turn settings into values that JSON can hold; an object becomes the text that makes it.

    Raises
    ------
    ValueError
        When the text of an object says nothing but its address, which is new in every process.
    """
    match value:
        case str() | int() | float() | None:
            return value
        case tuple() | list():
            return [plain(item) for item in value]
        case Mapping():
            return {_key(key): plain(item) for key, item in value.items()}
    if type(value).__repr__ is object.__repr__:
        raise ValueError(
            f"{value!r} cannot be compared with that of a later call, which may reuse fits of "
            f"another one: make its class a frozen dataclass, @dataclass(frozen=True), "
            "with numbers, text or tuples as fields. [not-a-value]"
        )
    return repr(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else attribute_name(key)
