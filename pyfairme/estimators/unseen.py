"""Clusters that training never saw: four explicit policies turn rows into a `Query`."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from pyfairme.data import Batch, Design
from pyfairme.data.columns import lookup
from pyfairme.estimators.inputs import new_clusters
from pyfairme.inference.membership import MOST_CLUSTERS, memberships
from pyfairme.inference.new_clusters import with_new_clusters
from pyfairme.inference.predict import Fit, Query

__all__ = ["query", "with_draws"]

NOISE_DRAWS = 1000


def query(
    fit: Fit, design: Design, frame: pd.DataFrame, batch: Batch, policy: str, seed: int
) -> Query:
    """Return what to predict, with unseen clusters resolved by ``policy``.

    ``infer``       mixes the known clusters' effects by the z-predictor's membership;
    ``population``  sets the random part to 0 (a cluster with average effects);
    ``sample``      draws one effect per new cluster from the prior with the fitted scales;
    ``raise``       refuses.
    """
    plain = Query(fit.spec, fit.network, fit.draws, fit.centre, batch, None)
    columns = [factor.column for factor in fit.spec.factors]
    if not columns or (batch.cluster[:, columns] >= 0).all() or policy == "population":
        return plain
    if policy == "raise":
        _refuse(fit, design, frame)
    if policy == "sample":
        return _sampled(fit, design, frame, batch, seed)
    if not fit.membership:
        raise ValueError(
            f"unseen='infer' needs the z-predictor, which is not fitted above {MOST_CLUSTERS} "
            "clusters, nor when the model was fitted with another policy. Choose another one, "
            "set_params(unseen='population') or 'sample', or fit with unseen='infer'."
        )
    return plain._replace(membership=memberships(fit.membership, fit.spec.factors, batch))


def with_draws(found: Query) -> Query:
    """Give the query of a fit without latents draws to count: its outcomes vary all the same."""
    if found.draws:
        return found
    nothing = np.zeros((found.centre.shape[0], NOISE_DRAWS), np.float32)
    return found._replace(draws={"nothing": nothing})


def _refuse(fit: Fit, design: Design, frame: pd.DataFrame) -> None:
    for factor in fit.spec.factors:
        labels = new_clusters(design, frame, factor.name)
        if labels:
            shown = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
            known = len(design.clusters[factor.name])
            raise ValueError(
                f"The column {factor.name!r} has clusters that were not in the training "
                f"rows, {len(labels)} in all: {shown}. Known are {known}. Choose "
                "how to predict for them with unseen='infer', 'population' or 'sample', or leave "
                "these rows out."
            )


def _sampled(fit: Fit, design: Design, frame: pd.DataFrame, batch: Batch, seed: int) -> Query:
    spec, draws, codes = fit.spec, dict(fit.draws), batch.cluster.copy()
    for position, factor in enumerate(fit.spec.factors):
        labels = new_clusters(design, frame, factor.name)
        if not labels:
            continue
        seeds = [_label_seed(seed, factor.name, label) for label in labels]
        grown = Fit(spec, fit.network, draws, fit.centre)
        spec, draws = with_new_clusters(grown, position, labels, seeds)
        known = [*design.clusters[factor.name], *labels]
        codes[:, factor.column] = lookup(design.factor(factor.name).read(frame), known)
    return Query(spec, fit.network, draws, fit.centre, batch._replace(cluster=codes), None)


def _label_seed(seed: int, factor: str, label: str) -> int:
    """Seed a cluster's draw by its label, so that batching and company do not matter."""
    digest = hashlib.sha256(f"{seed}/{factor}/{label}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
