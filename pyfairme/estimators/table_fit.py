"""From a table to a fitted estimator: roles, encoding, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data import Batch, Design, Schema
from pyfairme.data.input_types import Table
from pyfairme.estimators import (
    class_weights,
    estimator_keywords,
    keywords_after_fit,
    refine_and_adapt,
    table_inputs,
    table_warnings,
    training_record,
    warm_start_state,
)
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.estimators.leakage_warnings import warn_of_copies
from pyfairme.estimators.nested_label_warnings import warn_of_nested_labels
from pyfairme.estimators.rows_without_cluster import keep_placed
from pyfairme.estimators.validation_rows import split
from pyfairme.inference.fit_program import lean, train
from pyfairme.inference.fit_stages import Progress, Report
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


def fit_table(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    report: Report,
) -> tuple[Batch, Batch | None]:
    """Fit an estimator to rows X (n, columns) of target y (n,), and report each stage.

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
    given = _prepared(estimator, X, y, sample_weight)
    training, validation = given.training, given.validation
    structure = warm_start_state.structure(estimator, lean(given.spec, given.objective))
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
    )
    estimator._learned = warm_start_state.Learned(structure, result.params)
    estimator._fitted_params = keywords_after_fit.remember(estimator)
    refine_and_adapt.keep_training(estimator, training)
    estimator._record = given.record
    estimator.fit_ = result.fit
    estimator.history_, estimator.n_iter_ = result.history, result.epochs
    estimator._slope_means = (training.weight @ training.slopes) / training.weight.sum()
    estimator._input_sd = np.asarray(training.x).std(axis=0)
    return training, validation


@errors_alone
def _prepared(
    estimator: FairMixedEffects, X: Table, y: ArrayLike, sample_weight: ArrayLike | None
) -> _Prepared:
    """Check the table and learn how to encode it: all of a fit but the training."""
    params = estimator.get_params(deep=False)
    warn_of_order(X, "X", sample_weight=sample_weight)
    frame, values = table_inputs.training_frame(
        estimator, X, y, allow_nan=estimator.missing == "category"
    )
    weight, given = table_inputs.sample_weights(sample_weight, len(frame)), len(frame)
    frame, y, weight = keep_placed(params, frame, values, weight)
    by_class = estimator._weights_of_classes(y, weight)
    weight = class_weights.times(by_class, y, weight)
    frame, y, weight = table_inputs.of_some_weight(frame, y, weight)
    # a refit that fails must not leave half of each model
    learned = warm_start_state.taken(estimator)
    strata = estimator._strata(y)
    schema = Schema.infer(
        frame,
        cluster=estimator_keywords.as_tuple(estimator.cluster),
        sensitive=estimator_keywords.as_tuple(estimator.sensitive),
        task="regression" if strata is None else "classification",
        categorical=estimator_keywords.as_tuple(estimator.categorical),
        drop=estimator_keywords.as_tuple(estimator.drop),
    )
    estimator._seed = estimator_keywords.seed_from(estimator.random_state)
    estimator._class_weights = by_class
    rows, held = split(frame, schema, strata, estimator.validation_fraction, estimator._seed)
    estimator.target_ = estimator._fit_target(
        y[rows], table_inputs.offsets(frame, estimator.offset)[rows]
    )
    encoded = estimator.target_.encode(y)
    for posterior in estimator_keywords.network_posteriors(
        params, estimator._likelihood(), len(frame)
    ):
        params |= {"network_posterior": posterior}
        estimator.design_ = _fit_design(
            estimator, frame, rows, schema, shrunk=posterior == "laplace"
        )
        spec = estimator_keywords.model_spec(params, estimator.design_, estimator._likelihood())
        if not (spec.tangent and too_large(spec, len(frame))):
            break
    estimator.network_posterior_ = params["network_posterior"]
    table_inputs.warn_of_far_origins(estimator.design_)
    training = _encode(estimator, frame, encoded, weight, rows)
    warn_of_nested_labels(estimator.design_, training)
    warn_of_copies(estimator.design_, frame.iloc[rows], training, estimator.drop_sensitive)
    validation = _encode(estimator, frame, encoded, weight, held, quiet=True) if len(held) else None
    table_warnings.warn_of_single_rows(spec, training)
    if estimator_keywords.penalised_views(params, spec):
        table_warnings.warn_of_tiny_groups(estimator.design_, training)
    table_warnings.warn_of_raw_exposure(spec, estimator.design_, training)
    objective = estimator._objective(estimator_keywords.objective(params, spec, training), by_class)
    schedule = estimator_keywords.schedule(
        params, spec, len(training.weight), validation is not None
    )
    guide = estimator_keywords.guide(params, spec, training)
    estimator.guide_ = guide if isinstance(guide, str) else object_name(guide)
    record = training_record.record_of(
        estimator.design_, frame.iloc[rows], training, len(held), given
    )
    return _Prepared(spec, guide, training, validation, objective, schedule, learned, record)


def _fit_design(
    estimator: FairMixedEffects,
    frame: pd.DataFrame,
    rows: np.ndarray,
    schema: Schema,
    *,
    shrunk: bool,
) -> Design:
    terms = estimator_keywords.slope_terms(estimator.random_slopes, schema.factor_names)
    return Design.fit(
        frame.iloc[rows],
        schema,
        known=frame,
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
    quiet: bool = False,
) -> Batch:
    own = None if weight is None else weight[rows]
    return encoded_rows(estimator, frame.iloc[rows], y=y[rows], weight=own, quiet=quiet)
