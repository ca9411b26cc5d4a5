"""Clusters that training never saw: four explicit policies turn rows into a `Query`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from pyfairme.data import Batch, Design
from pyfairme.data.columns import lookup
from pyfairme.estimators.table_inputs import new_clusters
from pyfairme.inference.cluster_classifier import MOST_CLUSTERS, memberships
from pyfairme.inference.cluster_similarity import drawn, site_name
from pyfairme.inference.predictions import Fit, Query
from pyfairme.inference.unseen_effects import with_new_clusters
from pyfairme.model.effects import RandomEffects

NOISE_DRAWS = 1000
MOST_NUMBERS = 2e8  # of all draws of new clusters together; more clusters have fewer draws
LEAST_DRAWS = 100


def query(
    fit: Fit,
    design: Design,
    frame: pd.DataFrame,
    batch: Batch,
    policy: str,
    seed: int,
    joint: bool = False,
) -> Query:
    """Return what to predict, with unseen clusters resolved by ``policy``.

    ``infer``       draws effects that share with the known clusters that a row may belong to, by
                    the cluster classifier's membership, what these were found to tell (the
                    likeness);
    ``population``  sets the random part to 0 (a cluster with average effects);
    ``sample``      draws one effect per new cluster from the prior with the fitted scales;
    ``raise``       refuses.

    A row without a cluster is a new cluster of its own. ``joint`` says that draws of several rows
    are looked at together, so that rows of one new cluster have to share its effect; otherwise
    ``infer`` draws for each row what it would have alone, whatever the label.
    """
    plain = Query(fit.spec, fit.network, fit.draws, fit.centre, batch, None)
    columns = [factor.column for factor in fit.spec.factors]
    if not columns or (batch.cluster[:, columns] >= 0).all() or policy == "population":
        return plain
    if policy == "raise":
        _refuse(fit, design, frame, batch)
    if policy == "sample":
        return _drawn(fit, design, frame, batch, seed, None, joint=True)
    membership = fit.membership
    if not membership:
        if max(factor.clusters for factor in fit.spec.factors) <= MOST_CLUSTERS:
            raise ValueError(
                "unseen='infer' needs the cluster classifier, which is fitted only with this "
                "policy. Choose another one, set_params(unseen='population') "
                "or 'sample', or fit with unseen='infer'. [no-cluster-classifier]"
            )
        membership = ((),) * len(fit.spec.factors)
    soft = memberships(membership, fit.spec.factors, batch)
    if any(membership) and not fit.likeness:  # a file of before: the mixture alone
        return plain._replace(membership=soft)
    return _drawn(fit, design, frame, batch, seed, soft, joint=joint)


def with_draws(found: Query) -> Query:
    """Give the query of a fit without latents draws to count: its outcomes vary all the same."""
    if found.draws:
        return found
    nothing = np.zeros((found.centre.shape[0], NOISE_DRAWS), np.float32)
    return found._replace(draws={"nothing": nothing})


def _gaps(design: Design, frame: pd.DataFrame, batch: Batch, factor: RandomEffects) -> np.ndarray:
    """Tell which rows have no cluster, (n,); one that is named "(missing)" in training is known."""
    missing = design.factor(factor.name).read(frame).codes < 0
    return missing & (batch.cluster[:, factor.column] < 0)


def _refuse(fit: Fit, design: Design, frame: pd.DataFrame, batch: Batch) -> None:
    for factor in fit.spec.factors:
        labels = new_clusters(design, frame, factor.name)
        gaps = int(_gaps(design, frame, batch, factor).sum())
        known = len(design.clusters[factor.name])
        advice = (
            f"Known are {known}. Choose how to predict for them with unseen='infer', 'population' "
            "or 'sample', or leave these rows out."
        )
        if labels:
            shown = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
            raise ValueError(
                f"The column {factor.name!r} has clusters that were not in the training "
                f"rows, {len(labels)} in all: {shown}. {advice} [unseen-clusters]"
            )
        if gaps:
            raise ValueError(
                f"The column {factor.name!r} is missing in {gaps} rows. {advice} [unseen-clusters]"
            )


def _drawn(
    fit: Fit,
    design: Design,
    frame: pd.DataFrame,
    batch: Batch,
    seed: int,
    soft: tuple[np.ndarray, ...] | None,
    *,
    joint: bool,
) -> Query:
    """Append a cluster per new label, drawn given ``soft``, or with nothing in common for None.

    Rows without a label, and all of them unless they are ``joint``, have a cluster of their own.
    """
    news = {
        factor.name: new_clusters(design, frame, factor.name) if joint else []
        for factor in fit.spec.factors
    }
    fit = _fewer_draws(fit, news)
    spec, draws, codes, lone = fit.spec, dict(fit.draws), batch.cluster.copy(), []
    for position, factor in enumerate(fit.spec.factors):
        labels, unknown = news[factor.name], batch.cluster[:, factor.column] < 0
        lone.append(_gaps(design, frame, batch, factor) if joint else unknown)
        if not unknown.any():
            continue
        seeds = [_label_seed(seed, factor.name, label) for label in labels]
        grown = replace(fit, spec=spec, draws=draws)
        alike = _likeness(fit, factor, seed) if soft is not None else None
        spec, draws = with_new_clusters(grown, position, labels, seeds, alike)
        known = [*design.clusters[factor.name], *labels]
        codes[:, factor.column] = lookup(design.factor(factor.name).read(frame), known)
        codes[lone[-1], factor.column] = len(known)
    if soft is not None:
        soft = tuple(
            np.pad(one, [(0, 0), (0, factor.clusters - one.shape[1])])
            for one, factor in zip(soft, spec.factors, strict=True)
        )
    alone = np.stack(lone, axis=1).astype(np.float32) if np.any(lone) else None
    return Query(spec, fit.network, draws, fit.centre, batch._replace(cluster=codes), soft, alone)


def _likeness(fit: Fit, factor: RandomEffects, seed: int) -> dict[str, np.ndarray]:
    """Draw the likeness of a factor's terms; none for a term of which nothing is known."""
    found = {}
    for term in factor.sites:
        name = site_name(factor, term)
        if name in fit.likeness:
            shape = fit.draws[f"{factor.name}_{term}"].shape[:2]
            found[name] = drawn(fit.likeness[name], shape, _label_seed(seed, factor.name, name))
    return found


def _fewer_draws(fit: Fit, news: Mapping[str, list[str]]) -> Fit:
    """Take evenly spread draws where there are too many new clusters to hold all of theirs."""
    size = sum(len(news[one.name]) * one.width * one.outputs for one in fit.spec.factors)
    members, have = next(iter(fit.draws.values())).shape[:2]
    wanted = max(int(MOST_NUMBERS / max(members * size, 1)), min(LEAST_DRAWS, have))
    if wanted >= have:
        return fit
    index = np.linspace(0, have - 1, wanted).round().astype(int)
    return replace(fit, draws={name: value[:, index] for name, value in fit.draws.items()})


def _label_seed(seed: int, factor: str, label: str) -> int:
    """Seed a cluster's draw by its label, so that batching and company do not matter."""
    name = factor.replace("\\", "\\\\").replace("/", "\\/")  # "a/b" and "c" are not "a" and "b/c"
    digest = hashlib.sha256(f"{seed}/{name}/{label}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
