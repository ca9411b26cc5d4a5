"""Everything ArviZ wants of a fitted estimator, as groups with named dims."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data import Batch, Design
from pyfairme.data.columns import column_kind, pick, read_numbers
from pyfairme.data.input_types import Table
from pyfairme.estimators import estimator_keywords, table_inputs
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.estimators.posterior_labels import posterior_attrs, posterior_labels
from pyfairme.estimators.row_seeds import row_identity
from pyfairme.estimators.unseen_clusters import query
from pyfairme.inference import posterior_draws, predictions
from pyfairme.inference.arviz_groups import assemble, group
from pyfairme.inference.predictions import Fit, Query
from pyfairme.inference.prior_draws import prior_draws
from pyfairme.inference.prior_sensitivity import hyper_log_priors
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.notices import shown

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

MOST_NUMBERS = 5e8  # of 8 bytes each, over all groups that have rows
PRIOR_NOTE = "Latent variables drawn from their prior, with the fitted network, which has none."
LOG_PRIOR_NOTE = (
    "Log prior densities of the hyper-parameters as in the program: of a standardised target, of "
    "the Cholesky factor of correlations. Those of the effects given their scales are not here."
)
LIKELIHOOD_NOTE = (
    "log p(y | draw) of the mixed prediction, per unit of y, without row weights. Leaving a row "
    "out by these draws leaves what they are conditional on as it is, fitted to all rows."
)


class ArvizRows(NamedTuple):
    """The rows of the groups: frame, encoded batch, the target and its name in all groups."""

    frame: pd.DataFrame
    batch: Batch
    observed: np.ndarray | None
    name: str


def refuse_without_latents(estimator: FairMixedEffects, asked: str) -> None:
    """Raise AttributeError when nothing was drawn, as the model has no latent variable."""
    check_fitted(estimator)
    if not estimator.fit_.draws:
        raise AttributeError(
            f"{asked} needs latent variables, and this model has none: give cluster='column' "
            "with random_intercepts=True or random_slopes, or network_posterior='last_layer'."
            " [no-latents]"
        )


def to_arviz(
    estimator: FairMixedEffects, X: Table | None, y: ArrayLike | None, draws: int | None, prior: int
) -> Any:
    """Return the ArviZ object of `FairMixedEffects.to_arviz`."""
    estimator._check_use()
    labels = posterior_labels(estimator)
    refuse_without_latents(estimator, "to_arviz")
    _check_numbers(X, y, draws, prior)
    attrs = posterior_attrs(estimator)
    kept = _kept(estimator.fit_, draws)
    fit = _thinned(estimator.fit_, kept)
    given = estimator_keywords.prior_numbers(estimator.get_params(deep=False), fit.spec)
    groups = {"posterior": posterior_draws.latent_group(fit, labels, attrs)}
    densities = hyper_log_priors(fit, given)
    if densities:
        each = {name: (("chain", "draw"), value) for name, value in densities.items()}
        told = attrs | {"note": f"{attrs['note']} {LOG_PRIOR_NOTE}"}
        groups["log_prior"] = group(each, {}, told)
    rows = None
    if X is not None:
        taken = {*groups["posterior"].variables, *groups["posterior"].dims}
        rows = _rows(estimator, X, y, kept.size * estimator.fit_.centre.shape[0], prior, taken)
        groups |= _row_groups(estimator, rows, kept, attrs)
    held = prior * sum(value[0, 0].size for value in fit.draws.values())
    if held > MOST_NUMBERS:
        raise ValueError(
            f"prior_draws={prior} are {held:.1e} numbers, more than {MOST_NUMBERS:.0e}: give at "
            f"most {int(MOST_NUMBERS * prior // held)}. [too-many-draws]"
        )
    if prior:
        drawn = prior_draws(fit, given, prior, estimator._seed)
        before = replace(fit, draws=drawn)
        said = attrs | {"kind": "prior", "guide": "none", "note": PRIOR_NOTE}
        groups["prior"] = posterior_draws.latent_group(before, labels, said)
        if rows is not None:
            found = _query(estimator, before, rows)
            groups["prior_predictive"] = _outcomes(estimator, found, rows, said)
    return assemble(groups)


def outcome_array(values: np.ndarray, chains: int, draws: int, index: pd.Index) -> Any:
    """Return drawn outcomes (chains * draws, rows) as xarray, dims (chain, draw, row)."""
    import xarray as xr

    values = values.reshape(chains, -1, values.shape[-1])[:, : -(-draws // chains)]
    return xr.DataArray(
        values,
        dims=("chain", "draw", "row"),
        coords={
            "chain": np.arange(chains),
            "draw": np.arange(values.shape[1]),
            "row": np.asarray(index),
        },
        name="y",
    )


def check_draws(draws: int) -> None:
    """Raise ValueError unless there is at least one draw."""
    if not _is_count(draws) or draws < 1:
        raise ValueError(
            f"draws must be at least 1, got {shown(draws)}. Give a whole number. [draws]"
        )


def check_outcomes(rows: int, draws: int, outputs: int) -> None:
    """Raise ValueError where drawn outcomes, or the draws of one chunk of rows, fill the memory."""
    held = max(rows, predictions.CHUNK * outputs) * draws
    if held > MOST_NUMBERS:
        most = int(MOST_NUMBERS) // max(rows, predictions.CHUNK * outputs)
        remedy = f"at most draws={most}" if most else "fewer rows"
        raise ValueError(
            f"{draws} draws of {rows} rows need {held:.1e} numbers at a time, more than "
            f"{MOST_NUMBERS:.0e}. Give {remedy}; rows that are drawn in several calls are "
            "independent of each other as in one. [too-many-draws]"
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_numbers(X: Table | None, y: ArrayLike | None, draws: int | None, prior: int) -> None:
    if y is not None and X is None:
        raise ValueError(
            "to_arviz got y without X: give the rows that y belongs to as X. [y-without-x]"
        )
    if draws is not None and not (_is_count(draws) and draws >= 1):
        raise ValueError(
            f"draws must be at least 1, or None for all there are; got {shown(draws)}. Give a "
            "whole number. [draws]"
        )
    if not _is_count(prior) or prior < 0:
        raise ValueError(
            f"prior_draws must be at least 0, got {shown(prior)}. Give a whole number. [draws]"
        )


def _kept(fit: Fit, draws: int | None) -> np.ndarray:
    """Positions of evenly spread draws of each chain: all of them, or ``draws`` over all chains."""
    chains, have = next(iter(fit.draws.values())).shape[:2]
    wanted = have if draws is None else min(-(-draws // chains), have)
    return np.linspace(0, have - 1, wanted).round().astype(int)


def _thinned(fit: Fit, kept: np.ndarray) -> Fit:
    return replace(fit, draws={name: value[:, kept] for name, value in fit.draws.items()})


def _rows(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike | None,
    draws: int,
    prior: int,
    taken: set[Any],
) -> ArvizRows:
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    _check_size(len(frame), draws, prior, 1 if y is None else 2)
    warn_of_order(frame, "X", y=y)
    encoded = None if y is None else estimator.target_.encode(y)
    batch = encoded_rows(estimator, frame, y=encoded)
    observed = None if y is None else estimator.target_.observed(y)
    name = getattr(y, "name", None)
    free = isinstance(name, str) and name and name not in taken | {"row", *frame.columns}
    return ArvizRows(frame, batch, observed, str(name) if free else "y")


def _check_size(rows: int, draws: int, prior: int, groups: int) -> None:
    numbers = rows * (groups * draws + prior)
    if numbers <= MOST_NUMBERS:
        return
    most = int(MOST_NUMBERS) // (groups * rows)
    remedy = f"draws={most} (and no prior_draws) would do" if most else "rows"
    raise ValueError(
        f"{draws} draws of {rows} rows in {groups} group(s), and {prior} draws from the prior, are "
        f"{numbers:.1e} numbers, more than {MOST_NUMBERS:.0e}. Give fewer: {remedy}, or part of X. "
        "[too-many-draws]"
    )


def _query(estimator: FairMixedEffects, fit: Fit, rows: ArvizRows) -> Query:
    """Return the rows under a fit's draws, unseen clusters by the estimator's own policy."""
    known = fit, estimator.design_, rows.frame, rows.batch
    return query(*known, estimator.unseen, estimator._seed, joint=True)


def _row_groups(
    estimator: FairMixedEffects, rows: ArvizRows, kept: np.ndarray, attrs: Mapping[str, Any]
) -> dict[str, Any]:
    # new clusters are drawn before the draws are thinned: theirs are then those of `predict`
    found = _query(estimator, estimator.fit_, rows)
    found = found._replace(draws={k: v[:, kept] for k, v in found.draws.items()})
    coords = {"row": _row_labels(rows.frame.index)}
    said = {**attrs, "effects": "mixed", "unseen": estimator.unseen}
    groups = {"posterior_predictive": _outcomes(estimator, found, rows, said)}
    if rows.observed is not None:
        log_p = predictions.log_likelihood(found, "mixed").astype(np.float64)
        log_p -= np.log(estimator.target_.value_scale)  # per unit of y itself
        entry = (("chain", "draw", "row"), log_p.reshape(_leading(found), -1, log_p.shape[1]))
        told = said | {"note": f"{said['note']} {LIKELIHOOD_NOTE}"}
        groups["log_likelihood"] = group({rows.name: entry}, coords, told)
        target = (("row",), rows.observed, _classes(estimator))
        groups["observed_data"] = group({rows.name: target}, coords, {})
    groups["constant_data"] = group(_columns(estimator.design_, rows.frame), coords, {})
    return groups


def _leading(found: Query) -> int:
    return next(iter(found.draws.values())).shape[0]


def _outcomes(
    estimator: FairMixedEffects, found: Query, rows: ArvizRows, attrs: Mapping[str, Any]
) -> Any:
    """One new outcome per draw and row, in the target's units or as codes of classes."""
    chains, each = next(iter(found.draws.values())).shape[:2]
    identity = row_identity(estimator.design_, rows.frame, found.batch)
    decode = estimator.target_.outcomes
    values = predictions.outcomes(found, "mixed", chains * each, estimator._seed, identity, decode)
    values = values.reshape(chains, each, -1)
    entry = (("chain", "draw", "row"), values, _classes(estimator))
    return group({rows.name: entry}, {"row": _row_labels(rows.frame.index)}, attrs)


def _classes(estimator: FairMixedEffects) -> dict[str, Any]:
    """Say which class each code stands for."""
    labels = getattr(estimator, "classes_", None)
    return {} if labels is None else {"classes": [str(label) for label in labels]}


def _row_labels(index: pd.Index) -> np.ndarray:
    """Labels of rows that a file can hold, the index of X; else rows are numbered."""
    values = np.asarray(index)
    if index.nlevels == 1 and index.is_unique:
        if values.dtype.kind in "iufM":
            return values
        if all(isinstance(value, str) for value in values):
            return values.astype(str)
    return np.arange(len(index))


def _columns(design: Design, frame: pd.DataFrame) -> dict[str, tuple[Any, ...]]:
    """Columns of X that the model uses: numbers as numbers, clusters and levels as text."""
    roles = design.schema
    used = [term.column for term in design.terms]
    used += [*roles.cluster_columns, *(c for c in roles.sensitive_columns if c in frame.columns)]
    used += [] if design.offset is None else [design.offset]
    found = {}
    for name in sorted(dict.fromkeys(used), key="row".__eq__):
        column = pick(frame, name)
        if name in roles.cluster_columns or column_kind(column) == "categorical":
            values = table_inputs.cluster_labels(frame, name).astype(str)
        else:
            values = read_numbers(column)
            whole = column.dtype.kind in "iub" and not column.isna().any()
            values = values.astype(np.int64) if whole else values
        # a variable that is called as its dim would be taken for the dim's labels
        free = str(name)
        while free == "row" or free in found:
            free += "_"
        found[free] = (("row",), values)
    return found
