"""Files of joint thresholds: what is written of a policy, and read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme import persistence
from pyfairme.data.attributes import Attribute
from pyfairme.data.design_state import check_attribute, plain, rebuilt
from pyfairme.data.input_types import PathLike
from pyfairme.data.schema import attribute_name
from pyfairme.estimators import estimator_keywords, saved_state
from pyfairme.estimators.saved_array_checks import checked
from pyfairme.notices import StateError
from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.group_reading import INFERRED, READ, GroupReading
from pyfairme.postprocessing.inferred_groups import Features
from pyfairme.postprocessing.isotonic_calibration import IsotonicCalibration
from pyfairme.postprocessing.joint_rule import Joint
from pyfairme.postprocessing.limit_keywords import read_limits
from pyfairme.postprocessing.limit_support import MEASURES

if TYPE_CHECKING:
    from pyfairme.postprocessing.joint_thresholds import JointThresholds

KIND = "JointThresholds"
KEYWORDS = ("criterion", "effects", "objective", "unknown_groups")


class SavedPolicy(NamedTuple):
    """What a file says of a policy."""

    limits: dict[Any, Any]
    keywords: dict[str, Any]
    reading: GroupReading
    rule: Joint
    seed: int
    results: dict[str, Any]
    calibration: IsotonicCalibration | None = None


def write(
    policy: JointThresholds,
    path: PathLike,
    key: str | bytes | None,
    state: tuple[GroupReading, Joint, int, str, IsotonicCalibration | None],
) -> None:
    """Write a fitted policy."""
    reading, rule, seed, measure, curve = state
    policy_inputs.check_writable(policy)
    if any(isinstance(one, tuple) for one in reading.chances.values()):
        raise ValueError(policy_inputs.CANNOT_WRITE.format(what="group_model"))
    limits: dict[str, dict[str, float]] = {name: {} for name in reading.groups}
    for line in policy.rates_.to_dict("records"):
        if line["attribute"] in limits:  # rows that lack it have the same
            limits[line["attribute"]][line["rate"]] = line["limit"]
    known = policy.random_state if isinstance(policy.random_state, int) else None
    keywords: dict[str, Any] = {name: getattr(policy, name) for name in KEYWORDS}
    if measure != "sd":
        keywords["measure"] = measure
    if curve is not None:
        keywords["calibration"] = "isotonic"
    saved = {
        "estimator": saved_state.to_state(policy.estimator_, persistence.secret_of(key)),
        "keywords": keywords | {"random_state": known},
        "limits": limits,
        "groups": {name: plain(groups) for name, groups in reading.groups.items()},
        "parts": {name: part.tolist() for name, part in rule.parts.items()},
        "rule": [rule.reward, rule.charge, rule.scale, rule.least],
        "found": [policy.loss_, policy.coins_, seed],
        "rates": {name: policy.rates_[name].tolist() for name in policy.rates_},
        "thresholds": {name: policy.thresholds_[name].tolist() for name in policy.thresholds_},
        "rows": policy.n_rows_,
    }
    if curve is not None:
        saved["calibration"] = [part.tolist() for part in curve]
    if reading.way != READ:
        saved["keywords"]["sensitive"] = reading.way
        saved["inferred"] = {
            "columns": [list(one) for one in reading.features.columns],
            "clusters": {name: list(one) for name, one in reading.features.clusters.items()},
            "chances": {name: one.tolist() for name, one in reading.chances.items()},
        }
        if reading.way != INFERRED:
            saved["inferred"] |= {"blind": reading.blind, "split": list(reading.split)}
    persistence.save_state(path, saved, kind=KIND, key=key)


def read(saved: Mapping[str, Any], estimator: Any) -> SavedPolicy:
    """Return what a file says, checked; raise StateError, ValueError or KeyError for others."""
    groups = {name: rebuilt(Attribute, one) for name, one in saved["groups"].items()}
    for one in groups.values():
        check_attribute(one)
    known = {attribute_name(entry) for entry in estimator.design_.schema.sensitive}
    limits = {
        name if name in known else policy_inputs.entry_of(groups[name]): value
        for name, value in saved["limits"].items()
    }
    keywords = dict(saved["keywords"])
    measure = keywords.get("measure", "sd")
    estimator_keywords.check_choice("measure", measure, MEASURES)
    read_limits(saved["limits"], keywords["criterion"], measure)
    if groups.keys() != saved["limits"].keys():
        raise StateError("expected limits and groups of the same attributes")
    reward, charge, scale, least = rebuilt(tuple[float, float, float, float], saved["rule"])
    parts = {name: np.asarray(part) for name, part in saved["parts"].items()}
    reading = GroupReading(READ, groups)
    if (inferred := saved.get("inferred")) is not None:
        features = Features(
            rebuilt(tuple[tuple[str, float, float], ...], inferred["columns"]),
            {name: rebuilt(tuple[str, ...], one) for name, one in inferred["clusters"].items()},
        )
        chances = {n: np.asarray(one) for n, one in inferred["chances"].items()}
        blind = rebuilt(bool, inferred.get("blind", True))
        split = rebuilt(tuple[str, ...], inferred.get("split", []))
        reading = GroupReading(keywords["sensitive"], groups, features, chances, blind, split)
    if reading.parts.keys() != parts.keys():
        raise StateError("expected parts of the attributes that are limited")
    for name, one in reading.parts.items():
        checked(name, parts[name], (len(one.levels), 2))
    for name, one in groups.items():
        if reading.features is not None:
            shape = (2, len(one.levels), reading.features.width + 1)
            checked(name, reading.chances[name], shape)
    loss, coins = rebuilt(tuple[float, float], saved["found"][:2])
    results = {
        "loss_": loss,
        "coins_": coins,
        "_rates": pd.DataFrame(dict(saved["rates"])),
        "thresholds_": pd.DataFrame(dict(saved["thresholds"])),
        "least_loss_": least,
        "n_rows_": rebuilt(int, saved["rows"]),
        "classes_": estimator.classes_,
    }
    rule = Joint(reward, charge, parts, scale, least)
    seed = estimator_keywords.check_seed(saved["found"][2])
    curve = None
    if keywords.get("calibration") is not None:
        curve = IsotonicCalibration.restored(
            rebuilt(tuple[tuple[float, ...], ...], saved["calibration"])
        )
    return SavedPolicy(limits, keywords, reading, rule, seed, results, curve)
