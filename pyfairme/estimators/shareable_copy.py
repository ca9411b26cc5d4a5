"""Copy of a fitted estimator without values and names of its training rows, safe to share."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyfairme.data.private import private_design
from pyfairme.inference.predictions import Fit

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


def private_copy(estimator: FairMixedEffects, key: bytes | None) -> Any:
    """Return a copy that predicts nearly alike, with hidden names in a random order.

    It has not where training ended (for ``warm_start``), nor what is known of each cluster's draws
    (Pareto's k), nor the record of its rows and warnings. docs/model_files.md says what it still
    has.
    """
    found = copy.copy(estimator)
    random = np.random.default_rng(secrets.randbits(128))
    design = private_design(estimator.design_, key, random)
    orders = _orders(estimator.fit_, {f.column: f.levels for f in design.factors})
    factors = [
        replace(f, levels=tuple(f.levels[i] for i in orders[f.column])) for f in design.factors
    ]
    found.design_ = replace(design, factors=tuple(factors))
    found.fit_ = _in_order(estimator.fit_, orders)
    found._learned = None
    found._record = None
    return found


def _orders(fit: Fit, levels: Mapping[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Return by factor the order of clusters: that of their hashes, which tells nothing.

    The cluster classifier knows the first ones only, where others were added by `adapt`: these
    stay last.
    """
    known = dict.fromkeys(levels, 0)
    for factor, network in zip(fit.spec.factors, fit.membership, strict=False):
        known[factor.name] = len(network[-1].bias) if network else 0
    found = {}
    for name, hashes in levels.items():
        added = np.arange(len(hashes)) >= (known[name] or len(hashes))
        found[name] = np.lexsort((np.array(hashes), added))
    return found


def _in_order(fit: Fit, orders: Mapping[str, np.ndarray]) -> Fit:
    """Return a fit whose clusters have another order."""
    draws, membership = dict(fit.draws), list(fit.membership)
    for at, factor in enumerate(fit.spec.factors):
        order = orders[factor.name]
        for term in factor.sites:
            name = f"{factor.name}_{term}"
            draws[name] = np.asarray(draws[name])[:, :, order]
        if membership and membership[at]:
            *layers, last = membership[at]
            kept = order[: len(last.bias)]
            own = type(last)(np.asarray(last.weight)[:, kept], np.asarray(last.bias)[kept])
            membership[at] = (*layers, own)
    quality = {name: k for name, k in fit.quality.items() if not name.startswith("pareto_k/")}
    return replace(fit, draws=draws, membership=tuple(membership), quality=quality)
