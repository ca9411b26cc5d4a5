"""From a table to a fitted estimator: roles, encoding, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data import Batch, Design, Schema
from pyfairme.data.encoded_later import LARGEST_HELD, held, input_moments, is_later
from pyfairme.data.input_types import Rows
from pyfairme.estimators import (
    class_weights,
    estimator_keywords,
    keywords_after_fit,
    table_inputs,
    table_warnings,
    training_record,
    warm_start_state,
)
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.estimators.files_of_rows import ReadRows, rows_of_files
from pyfairme.estimators.given_rows import GivenRows, check_held_out, read_groups
from pyfairme.estimators.kept_training import keep_training
from pyfairme.estimators.leakage_warnings import warn_of_copies
from pyfairme.estimators.nested_label_warnings import warn_of_nested_labels
from pyfairme.estimators.rows_without_cluster import keep_placed
from pyfairme.estimators.validation_rows import split
from pyfairme.inference.fit_program import lean, train
from pyfairme.inference.fit_stages import Progress, Report
from pyfairme.inference.guides import guide_of
from pyfairme.inference.laplace.tangent_posterior import too_large
from pyfairme.inference.svi import Schedule
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.model.object_names import object_name
from pyfairme.model.program import ModelSpec, Objective
from pyfairme.notices import errors_alone

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


class _Prepared(NamedTuple):
    """What is to be trained, on what, and what an earlier fit has learned."""

    spec: ModelSpec
    guide: Any
    training: Batch
    validation: Batch | None
    objective: Objective
    schedule: Schedule
    learned: warm_start_state.Learned | None
    record: training_record.TrainingRecord
    together: np.ndarray | None  # numbers that validation rows of one group share
    input_sd: np.ndarray  # of the columns of x, (p,)
    slope_means: np.ndarray  # (q,)


def fit_table(
    estimator: FairMixedEffects,
    X: Rows,
    y: ArrayLike | str,
    sample_weight: ArrayLike | str | None,
    groups: ArrayLike | str | None,
    report: Report,
) -> tuple[Batch, Batch | None]:
    """Fit an estimator to rows X (n, columns) of target y (n,), and report each stage.

    Rows of one of the ``groups`` (n,) are held out together, see `validation_rows.held_out`.

    Returns
    -------
    tuple
        The training and the validation rows, encoded; no validation rows are None.

    Raises
    ------
    ValueError
        For bad keywords, columns or values.
    FloatingPointError
        When the loss stops being finite, or ends above that of an intercept alone.
    """
    estimator._check_keywords()
    report(Progress("encoding", 0, 1))
    given = _prepared(estimator, ReadRows(X, y, sample_weight, groups))
    training, validation = given.training, given.validation
    structure = warm_start_state.structure(
        estimator, lean(given.spec, given.objective), grouped=groups is not None
    )
    result = train(
        given.spec,
        given.guide,
        training,
        validation,
        given.objective,
        given.schedule,
        seed=estimator._seed,
        members=estimator.ensemble,
        infer=estimator.unseen == "infer",
        report=report,
        start=warm_start_state.start(given.learned, structure),
        together=given.together,
    )
    estimator._learned = warm_start_state.Learned(structure, result.params)
    estimator._fitted_params = keywords_after_fit.remember(estimator)
    keep_training(estimator, training)
    estimator._record = given.record
    estimator.fit_ = result.fit
    estimator.history_, estimator.n_iter_ = result.history, result.epochs
    estimator._slope_means, estimator._input_sd = given.slope_means, given.input_sd
    return training, validation


@errors_alone
def _prepared(estimator: FairMixedEffects, asked: ReadRows) -> _Prepared:
    """Check the table and learn how to encode it: all of a fit but the training."""
    params = estimator.get_params(deep=False)
    asked = rows_of_files(estimator, asked)
    estimator._take_order(asked.y)
    warn_of_order(asked.X, "X", sample_weight=asked.sample_weight, groups=asked.groups)
    frame, values = table_inputs.training_frame(
        estimator, asked.X, asked.y, allow_nan=estimator.missing == "category"
    )
    given = len(frame)
    weight = table_inputs.sample_weights(asked.sample_weight, given)
    groups = read_groups(asked.groups, given)
    del asked  # of files there is no other copy
    kept = keep_placed(params, GivenRows(frame, values, weight, groups))
    by_class = estimator._weights_of_classes(kept.y, kept.weight)
    weight = class_weights.times(by_class, kept.y, kept.weight)
    counted = table_inputs.counted_rows(weight, len(kept.frame))
    given_weight = None if kept.weight is None else kept.weight[counted]
    frame, y, weight, groups = kept._replace(weight=weight).some(counted)
    del kept
    # a refit that fails must not leave half of each model
    learned = warm_start_state.taken(estimator)
    strata = estimator._strata(y)
    schema = Schema.infer(
        frame,
        cluster=as_tuple(estimator.cluster),
        sensitive=as_tuple(estimator.sensitive),
        task="regression" if strata is None else "classification",
        categorical=as_tuple(estimator.categorical),
        drop=as_tuple(estimator.drop),
    )
    estimator._seed = estimator_keywords.seed_from(estimator.random_state)
    estimator._class_weights = by_class
    share = estimator.validation_fraction
    rows, apart = split(frame, schema, strata, share, estimator._seed, groups)
    check_held_out(groups, rows, apart, share)
    own, others = frame.iloc[rows], frame.iloc[apart]
    estimator.target_ = estimator._fit_target(
        y[rows], table_inputs.offsets(frame, estimator.offset)[rows]
    )
    encoded = estimator.target_.encode(y)
    for posterior in estimator_keywords.network_posteriors(
        params, estimator._likelihood(), len(frame)
    ):
        params |= {"network_posterior": posterior}
        estimator.design_ = _fit_design(
            estimator, own, frame, schema, shrunk=posterior == "laplace"
        )
        spec = estimator_keywords.model_spec(params, estimator.design_, estimator._likelihood())
        if not (spec.tangent and too_large(spec, len(frame))):
            break
    estimator.network_posterior_ = params["network_posterior"]
    table_inputs.warn_of_far_origins(estimator.design_)
    later = _is_large(estimator.design_, len(frame))
    del frame
    training = _encode(estimator, own, encoded, weight, rows, later)
    warn_of_nested_labels(estimator.design_, training)
    warn_of_copies(estimator.design_, own, training, estimator.drop_sensitive)
    validation = (
        _encode(estimator, others, encoded, weight, apart, later, quiet=True)
        if len(apart)
        else None
    )
    table_warnings.warn_of_heavy_rows(spec, given_weight)
    table_warnings.warn_of_single_rows(spec, training)
    if estimator_keywords.penalised_views(params, spec):
        table_warnings.warn_of_tiny_groups(estimator.design_, training)
    table_warnings.warn_of_raw_exposure(spec, estimator.design_, training)
    objective = estimator._objective(estimator_keywords.objective(params, spec, training), by_class)
    schedule = estimator_keywords.schedule(
        params, spec, training, validation is not None, grouped=groups is not None
    )
    guide = estimator_keywords.guide(params, spec, training)
    estimator.guide_ = guide if isinstance(guide, str) else object_name(guide)
    together = None if groups is None else groups[apart]
    record = training_record.record_of(
        estimator.design_, own, training, len(apart), given, groups, apart,
        base=_base(y[rows], encoded[rows], given_weight, rows, strata),
    )  # fmt: skip
    if spec.tangent or (spec.latents and guide_of(guide, spec.latents).second_stage):
        training = held(training)  # that stage looks at all rows at once
        validation = None if validation is None else held(validation)
    input_sd, slope_means = input_moments(training)
    if validation is not None and is_later(validation):
        input_moments(validation)  # what cannot be encoded is said before the training
    return _Prepared(
        spec,
        guide,
        training,
        validation,
        objective,
        schedule,
        learned,
        record,
        together,
        input_sd,
        slope_means,
    )


def _base(
    y: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray | None,
    rows: np.ndarray,
    strata: np.ndarray | None,
) -> tuple[float, ...]:
    """Return what a constant predicts: shares of the classes, or the mean, of training rows."""
    own = None if weight is None else weight[rows]
    if strata is None:
        return (float(np.average(np.asarray(y, np.float64), weights=own)),)
    shares = np.bincount(codes, own)
    return tuple((shares / shares.sum()).tolist())


def _is_large(design: Design, rows: int) -> bool:
    """Tell whether the encoded covariates of a table are too large to be held all at once."""
    return 4 * rows * (len(design.columns) + len(design.slope_positions)) > LARGEST_HELD


def _fit_design(
    estimator: FairMixedEffects,
    own: pd.DataFrame,
    known: pd.DataFrame,
    schema: Schema,
    *,
    shrunk: bool,
) -> Design:
    terms = estimator_keywords.slope_terms(estimator.random_slopes, schema.factor_names)
    return Design.fit(
        own,
        schema,
        known=known,
        slopes={factor: chosen for factor, chosen in terms.items() if chosen != "hidden"},
        drop_sensitive=estimator.drop_sensitive,
        drop_first=not tuple(estimator.hidden),
        numeric_encoding=estimator_keywords.numeric_encoding(
            estimator.numeric_encoding, estimator.hidden
        ),
        shrunk=shrunk,
        move_origins=bool(estimator.random_intercepts),  # else clusters would be alike at the mean
        missing=estimator.missing,
        offset=estimator.offset,
        exclude=estimator.exclude,
        merge=estimator.merge,
    )


def _encode(
    estimator: FairMixedEffects,
    frame: pd.DataFrame,
    y: np.ndarray,
    weight: np.ndarray | None,
    rows: np.ndarray,
    later: bool,
    quiet: bool = False,
) -> Batch:
    own = None if weight is None else weight[rows]
    return encoded_rows(estimator, frame, y=y[rows], weight=own, quiet=quiet, later=later)
