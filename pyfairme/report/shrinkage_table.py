"""Partial pooling in numbers: what each cluster's rows say alone, and its posterior mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Table
from pyfairme.estimators import table_inputs
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.inference.predictions import Query, mean_link
from pyfairme.model.effects import RandomEffects
from pyfairme.report.unpooled import KnownRows, unpooled_shifts

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

ZEROS, FULL = "no finite estimate: no event", "no finite estimate: events only"


def shrinkage_frame(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    *,
    factor: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Compare every cluster's own estimate with its partially pooled posterior mean.

    Both are shifts of the linear predictor, averaged over the cluster's rows. ``raw`` maximises the
    likelihood of the cluster's rows over one common shift, all else (fixed effects, other factors,
    the links of other classes) at its posterior mean: no pooling. For a Normal it is the mean of y
    - fixed, for two classes the shift of the log-odds, for counts log(sum of y / sum of exp(fixed))
    (Poisson). ``pooled`` is the posterior mean of intercept + r . slope, averaged over the rows.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor with random effects.
    X, y
        Rows (n, columns) and (n,): those of training, as only these made the posterior. Rows of
        clusters that training never saw are left out.
    factor
        The grouping factor to compare; None: every one.
    sample_weight
        Weight of each row, (n,), as in ``fit``.

    Returns
    -------
    pd.DataFrame
        factor, cluster, n (rows), raw, pooled, shrinkage, note; column "class" after "cluster" with
        more than two classes. Units are those of y for a real target, else log-odds or logs.
        ``shrinkage = 1 - pooled / raw``: 0 is no pooling, 1 complete pooling; for an intercept of a
        Normal about ``residual_sd^2 / (residual_sd^2 + n tau^2)``. Where every outcome of a cluster
        is alike ``raw`` is infinite, ``shrinkage`` NaN, and ``note`` says so.

    Raises
    ------
    ValueError
        When the model has no random effects or no such factor, lengths differ, or no row is of a
        known cluster.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=400, clusters=8, likelihood="normal", random_state=0)
    >>> reg = pf.FairMixedEffectsRegressor("cluster", hidden=(), guide="mean_field", random_state=0)
    >>> frame = shrinkage_frame(reg.fit(data.frame, data.target), data.frame, data.target)
    >>> bool((frame["pooled"].abs() < frame["raw"].abs()).mean() > 0.5)
    True
    """
    check_fitted(estimator)
    fit = estimator.fit_
    if not fit.spec.factors:
        raise ValueError(
            "The model has no random effects, so there is nothing to shrink: give cluster='column' "
            "with random_intercepts=True or random_slopes. [no-random-effects]"
        )
    factors = _chosen(fit.spec.factors, factor)
    query = _known_rows(estimator, X, y, sample_weight)
    mixed = mean_link(query, "mixed").astype(np.float64)
    parts = [part for one in factors for part in _factor_frames(estimator, one, query, mixed)]
    return pd.concat(parts, ignore_index=True)


def _chosen(factors: Sequence[RandomEffects], name: str | None) -> list[RandomEffects]:
    found = [factor for factor in factors if name in (None, factor.name)]
    if not found:
        known = [factor.name for factor in factors]
        raise ValueError(f"The model has no factor {name!r}; it has {known}. [not-in-table]")
    return found


def _known_rows(
    estimator: FairMixedEffects, X: Table, y: ArrayLike, sample_weight: ArrayLike | None
) -> Query:
    """Return the rows of known clusters, with every latent at its posterior mean per member."""
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    target = estimator.target_.encode(np.asarray(y).reshape(-1))
    if len(target) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows, y has {len(target)}: give one target per row. [other-length]"
        )
    weight = table_inputs.sample_weights(sample_weight, len(frame))
    batch = encoded_rows(estimator, frame, y=target, weight=weight)
    fit = estimator.fit_
    known = (batch.cluster[:, [factor.column for factor in fit.spec.factors]] >= 0).all(axis=1)
    if not known.any():
        raise ValueError(
            "No row of X is of a cluster that training saw: pass the training rows."
            " [no-known-cluster]"
        )
    batch = type(batch)(*(None if values is None else values[known] for values in batch))
    # the link is linear in all latents, so its mean is the link at their mean
    draws = {name: values.mean(axis=1, keepdims=True) for name, values in fit.draws.items()}
    return Query(fit.spec, fit.network, draws, fit.centre, batch, None)


def _factor_frames(
    estimator: FairMixedEffects, factor: RandomEffects, query: Query, mixed: np.ndarray
) -> Iterator[pd.DataFrame]:
    """Yield one frame per link of one factor."""
    without = mean_link(query._replace(draws=_without(factor, query.draws)), "mixed")
    codes, weight = query.batch.cluster[:, factor.column], np.asarray(query.batch.weight, float)
    labels = estimator.design_.clusters[factor.name]
    values = {name: query.draws[name].mean() for name in _own_parameters(query)}
    unit = float(estimator.target_.link_scale)
    there = np.bincount(codes, minlength=len(labels))
    total = np.bincount(codes, weight, minlength=len(labels))
    total = np.where(total > 0, total, np.nan)
    for output in range(mixed.shape[1]):
        added = mixed[:, output] - without[:, output]
        link = mixed.copy()
        link[:, output] = without[:, output]
        rows = KnownRows(query.batch.y, link, codes, weight)
        raw = unpooled_shifts(query.spec.likelihood, values, rows, output, len(labels))
        pooled = np.bincount(codes, weight * added, minlength=len(labels)) / total
        frame = pd.DataFrame({"factor": factor.name, "cluster": labels})
        if mixed.shape[1] > 1:
            frame["class"] = str(estimator.classes_[output])
        frame = frame.assign(n=there, raw=raw * unit, pooled=pooled * unit)
        yield _with_shrinkage(frame[there > 0])


def _with_shrinkage(frame: Any) -> pd.DataFrame:
    raw = frame["raw"].to_numpy()
    finite = np.isfinite(raw) & (raw != 0)
    kept = np.divide(frame["pooled"].to_numpy(), raw, out=np.full(len(raw), np.nan), where=finite)
    note = np.where(raw == -np.inf, ZEROS, np.where(raw == np.inf, FULL, ""))
    return frame.assign(shrinkage=1 - kept, note=note)


def _without(factor: RandomEffects, draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    own = {f"{factor.name}_{term}" for term in factor.sites}
    return {name: np.zeros_like(v) if name in own else v for name, v in draws.items()}


def _own_parameters(query: Query) -> list[str]:
    return [latent.name for latent, _ in query.spec.likelihood.latents()]
