"""A fitted estimator as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.data import TARGETS, Binned, ClassTarget, Continuous, Design
from pyfairme.data.design_state import plain, rebuilt
from pyfairme.estimators import estimator_keywords, keywords_after_fit, prior_keyword
from pyfairme.estimators.custom_objects import KEYWORDS, OBJECT, plain_object, rich_object
from pyfairme.estimators.saved_array_checks import check_arrays, checked, line
from pyfairme.estimators.training_record import TrainingRecord
from pyfairme.estimators.warm_start_state import Learned
from pyfairme.inference.predictions import EFFECTS, Fit
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec
from pyfairme.notices import StateError, shown

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

_READING: Mapping[str, Any] = {"missing": tuple[str, ...], "decimal": str}


def to_state(estimator: FairMixedEffects, secret: bytes | None = None) -> dict[str, Any]:
    """Return everything a fitted estimator needs as nested dicts, lists, numbers and arrays.

    ``secret`` is the key that the file will be signed with, if any.
    """
    _check_names(estimator.design_, secret)
    fit: Fit = estimator.fit_
    if _spec(estimator) != fit.spec:
        raise ValueError(
            "The keywords were changed after fit and describe another model than the fitted one: "
            "fit again, or set them back, before saving. [changed-after-fit]"
        )
    weights = estimator._class_weights
    if weights is not None:  # in the order of classes_
        weights = [weights[label] for label in estimator.classes_.tolist()]
    found = {
        "params": {k: _plain(k, v) for k, v in estimator.get_params(deep=False).items()},
        "seed": estimator._seed,
        "guide": estimator.guide_,
        "network_posterior": estimator.network_posterior_,
        "slope_means": np.asarray(estimator._slope_means),
        "input_sd": np.asarray(estimator._input_sd),
        "design": estimator.design_.to_state(),
        "target": estimator.target_.to_state(),
        "target_kind": type(estimator.target_).__name__,
        "network": _layers(fit.network),
        "draws": dict(fit.draws),
        "centre": fit.centre,
        "quality": dict(fit.quality),
        "membership": [_layers(network) for network in fit.membership],
        "likeness": dict(fit.likeness),
        "gains": fit.gains,
        "history": {name: estimator.history_[name].to_numpy() for name in estimator.history_},
        "n_iter": int(estimator.n_iter_),
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None,
        "class_weights": weights,
        "threshold": dict(estimator.threshold_) if hasattr(estimator, "threshold_") else None,
        "learned": _plain_learned(getattr(estimator, "_learned", None)),
    }
    if hasattr(estimator, "feature_names_in_"):
        found["feature_names_in"] = [str(name) for name in estimator.feature_names_in_]
    if record := getattr(estimator, "_record", None):
        found["record"] = plain(record)
    if reading := getattr(estimator, "_reading", None):  # of the command line: how gaps are spelled
        found["reading"] = dict(reading)
    return found


def from_state(
    estimator: FairMixedEffects,
    state: Mapping[str, Any],
    secret: bytes | None = None,
    objects: Mapping[str, Any] | None = None,
) -> Any:
    """Fill a fresh estimator with a saved state, and return it.

    ``secret`` is the key that the file was checked with, if any: hashed names are read with it.
    ``objects`` are those that the file names, see `pyfairme.estimators.custom_objects`.

    Raises
    ------
    Exception
        Of any class, where the state is not one of `to_state`: its parts are of another type or
        contradict each other, or arrays have other shapes than the keywords and the design ask for.
    """
    objects = objects or {}
    estimator.set_params(**{k: _rich(v, objects) for k, v in state["params"].items()})
    estimator._check_keywords()
    targets = {t.__name__: t for t in TARGETS.values()}
    estimator.target_ = targets[state["target_kind"]].from_state(state["target"])
    design = Design.from_state(state["design"])
    if secret is not None:
        design = replace(design, factors=tuple(f.unlocked(secret) for f in design.factors))
    estimator.design_ = design
    estimator._seed = estimator_keywords.check_seed(state["seed"])
    estimator.guide_ = rebuilt(str, state["guide"])
    given = estimator.network_posterior  # older files have no other
    estimator.network_posterior_ = rebuilt(str, state.get("network_posterior", given))
    estimator._slope_means = checked(
        "slope_means", state["slope_means"], (len(design.slope_columns),)
    )
    estimator._input_sd = checked("input_sd", state["input_sd"], (len(design.columns),))
    estimator.history_ = pd.DataFrame({k: line(k, v) for k, v in state["history"].items()})
    estimator.n_iter_ = rebuilt(int, state["n_iter"])
    estimator.n_features_in_ = rebuilt(int, state["n_features_in"])
    if state["feature_names_in"] is not None:
        names = rebuilt(tuple[str, ...], state["feature_names_in"])
        estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator._class_weights = None
    if isinstance(estimator.target_, ClassTarget):
        estimator.classes_ = estimator.target_.labels
        weights = rebuilt(tuple[float, ...] | None, state.get("class_weights"))  # older: none
        if weights is not None:
            estimator._class_weights = dict(zip(estimator.classes_.tolist(), weights, strict=True))
        if state["threshold"] is not None:
            of = EFFECTS if len(estimator.classes_) == 2 else ()
            estimator.threshold_ = {name: rebuilt(float, state["threshold"][name]) for name in of}
    if not isinstance(estimator.target_, TARGETS[estimator._likelihood().target]):
        raise StateError(f"its target is a {shown(state['target_kind'])}")
    estimator.fit_ = Fit(
        _spec(estimator),
        _unlayers(state["network"]),
        dict(state["draws"]),
        state["centre"],
        tuple(_unlayers(network) for network in state["membership"]),
        dict(state["quality"]),
        dict(state.get("likeness", {})),  # older files have none
        state.get("gains"),  # as here
    )
    check_arrays(estimator.fit_, design)
    if state.get("learned") is not None:  # older files have none
        estimator._learned = _rich_learned(state["learned"])
    if "record" in state:  # older files have none
        estimator._record = rebuilt(TrainingRecord, state["record"])
    estimator._reading = dict(state.get("reading", {}))
    for name, value in estimator._reading.items():
        rebuilt(_READING[name], value)
    estimator._fitted_params = keywords_after_fit.remember(estimator)
    return estimator


def _check_names(design: Design, secret: bytes | None) -> None:
    """Refuse a key with which nobody could find the clusters of a private model again."""
    for factor in design.factors:
        if secret is not None and factor.salt and factor.unlocked(secret).secret != factor.secret:
            raise ValueError(
                f"The names of {factor.column!r} are hashed with another key than this one, or "
                "with one that the model was loaded without: load the model with the key that it "
                "was saved with, and save it with that one. [other-names-key]"
            )


def _spec(estimator: FairMixedEffects) -> ModelSpec:
    """Return the structure that the keywords and the design describe; it is not stored itself."""
    params = estimator.get_params(deep=False)
    params |= {"network_posterior": estimator.network_posterior_}
    params |= {"prior": prior_keyword.of_posterior(params["prior"], params["network_posterior"])}
    return estimator_keywords.model_spec(params, estimator.design_, estimator._likelihood())


def _layers(network: tuple[Layer, ...]) -> list[list[np.ndarray]]:
    return [[np.asarray(layer.weight), np.asarray(layer.bias)] for layer in network]


def _unlayers(layers: Any) -> tuple[Layer, ...]:
    return tuple(Layer(weight, bias) for weight, bias in layers)


def _plain_learned(learned: Learned | None) -> dict[str, Any] | None:
    """Turn trained parameters into plain data: layers of networks into lists."""
    if learned is None:
        return None
    params = [
        {site: _layers(value) if isinstance(value, tuple) else value for site, value in one.items()}
        for one in learned.params
    ]
    return {"structure": dict(learned.structure), "params": params}


def _rich_learned(state: Mapping[str, Any]) -> Learned:
    params = [
        {
            site: _unlayers(value) if isinstance(value, list) else value
            for site, value in one.items()
        }
        for one in state["params"]
    ]
    structure = {rebuilt(str, k): rebuilt(str, v) for k, v in state["structure"].items()}
    return Learned(structure, params)


def _plain(name: str, value: Any) -> Any:
    """Turn a keyword's value into plain data; dictionaries become pairs, as keys may be tuples."""
    if isinstance(value, Binned):
        return {"binned": [value.column, list(value.edges), value.name]}
    if isinstance(value, Continuous):
        return {"continuous": [value.column, value.groups, value.name]}
    if (
        name in ("exclude", "merge")
        and isinstance(value, Iterable)
        and not isinstance(value, str | tuple | list | Mapping)
    ):
        value = list(value)  # an index, an array or a set of levels
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(name, k), _plain(name, v)] for k, v in value.items()]}
    if isinstance(value, tuple | list):
        return type(value)(_plain(name, item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    if name == "random_state" and not isinstance(value, int | None):
        return None
    if name in KEYWORDS and not isinstance(value, str | int | float | None):
        return plain_object(name, value)
    return value


def _rich(value: Any, objects: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if OBJECT in value:
            return rich_object(value[OBJECT], objects)
        if "binned" in value:
            column, edges, label = value["binned"]
            return Binned(column, tuple(edges), label)
        if "continuous" in value:
            return Continuous(*value["continuous"])
        return {_rich(key, objects): _rich(item, objects) for key, item in value["pairs"]}
    if isinstance(value, tuple | list):
        return type(value)(_rich(item, objects) for item in value)
    return value
