"""Files of thresholds by group: what is written of a policy, and read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfairme import persistence
from pyfairme.data.attributes import Attribute
from pyfairme.data.design_state import check_attribute, plain, rebuilt
from pyfairme.data.input_types import PathLike
from pyfairme.data.schema import Sensitive
from pyfairme.estimators import estimator_keywords, saved_state
from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.threshold_rules import check_rules

if TYPE_CHECKING:
    from pyfairme.postprocessing.group_thresholds import GroupThresholds

KIND = "GroupThresholds"
SAVED_KEYWORDS = ("criterion", "effects", "objective", "grid_size", "unknown_groups")


def write(
    policy: GroupThresholds,
    path: PathLike,
    key: str | bytes | None,
    state: tuple[Attribute | None, pd.DataFrame | None, int],
) -> None:
    """Write a fitted policy; ``state`` are its groups, the threshold for all, and its seed."""
    policy_inputs.check_writable(policy)
    groups, pooled, seed = state
    known = policy.random_state if isinstance(policy.random_state, int) else None
    keywords = {name: getattr(policy, name) for name in SAVED_KEYWORDS}
    saved = {
        "estimator": saved_state.to_state(policy.estimator_, persistence.secret_of(key)),
        "keywords": keywords | {"random_state": known},
        "groups": plain(groups),
        "rules": {name: policy.thresholds_[name].tolist() for name in policy.thresholds_},
        "pooled": None if pooled is None else pooled.iloc[0].to_dict(),
        "seed": seed,
        "rows": policy.n_rows_,
    }
    persistence.save_state(path, saved, kind=KIND, key=key)


def read(
    saved: Mapping[str, Any], estimator: Any
) -> tuple[Sensitive | None, dict[str, Any], dict[str, Any]]:
    """Return attribute, other keywords and attributes of a policy, checked."""
    groups = None if saved["groups"] is None else rebuilt(Attribute, saved["groups"])
    rules = pd.DataFrame(dict(saved["rules"]))
    if groups is not None:
        check_attribute(groups)
    check_rules(rules, ("all",) if groups is None else groups.levels)
    given = saved.get("pooled")  # older files have none
    pooled = None if given is None else pd.DataFrame([given])
    if pooled is not None:
        check_rules(pooled, ("all",))
    state = {
        "thresholds_": rules,
        "classes_": estimator.classes_,
        "n_rows_": rebuilt(int, saved["rows"]),
        "_groups": groups,
        "_pooled": pooled,
        "_seed": estimator_keywords.check_seed(saved["seed"]),
        "_own": None,
    }
    entry = None if groups is None else policy_inputs.entry_of(groups)
    return entry, dict(saved["keywords"]), state
