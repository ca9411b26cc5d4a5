"""What threshold policies share: rows and groups read for a fitted classifier, and its report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme import persistence
from pyfairme.data import Design, Schema
from pyfairme.data.attributes import Attribute
from pyfairme.data.checks import listed_names, near_names
from pyfairme.data.columns import first_rows, pick, read_numbers
from pyfairme.data.input_types import PathLike, Table
from pyfairme.data.schema import Sensitive, attribute_name, components, source
from pyfairme.estimators import fairness_report, saved_state, table_inputs
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.custom_objects import check_objects
from pyfairme.estimators.estimator_keywords import check_choice
from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.estimators.report_table import FairnessReport
from pyfairme.metrics.array_inputs import check_count, check_share
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.notices import shown
from pyfairme.postprocessing.threshold_rules import coins

OBJECTIVES = ("balanced_accuracy", "accuracy")
UNKNOWN = ("raise", "pooled")
Policy = TypeVar("Policy")
GAP_NOTE = "of the model's probability; the thresholds are not in it"
CANNOT_WRITE = (
    "save writes files without pickle, and {what} is not one of our classifiers. Write the whole "
    "policy with joblib.dump(policy, path), which joblib.load reads: from files that you trust "
    "only. [save-other-classifier]"
)


def check_writable(policy: Any) -> None:
    """Raise when a policy's classifier is not ours, so that no file of ours can hold it."""
    if not isinstance(policy.estimator_, FairMixedEffectsClassifier):
        raise ValueError(CANNOT_WRITE.format(what=type(policy.estimator_).__name__))


def source_of(policy: Any) -> str:
    """Say which probabilities a fitted policy decides on."""
    if isinstance(policy.estimator_, FairMixedEffectsClassifier):
        return f"probability from {policy.effects} effects"
    return f"probability of {type(policy.estimator_).__name__}"


def positive_of(policy: Any) -> str:
    """Say which class the positive decisions of a fitted policy are."""
    return f"Positive is the class {shown(policy.classes_.tolist()[1])}."


def reported(known: Sequence[Sensitive], groups: Iterable[Attribute]) -> tuple[Any, ...]:
    """Return the attributes to report on: the classifier's and, as learned, the policy's own."""
    names = {attribute_name(entry) for entry in known}
    return (*known, *(one for one in groups if one.name not in names))


def frame_of(estimator: FairMixedEffects, X: Table) -> pd.DataFrame:
    """Return new rows as a frame, as the estimator takes them."""
    return table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")


def encode(estimator: FairMixedEffects, y: ArrayLike, frame: pd.DataFrame) -> np.ndarray:
    """Return the class of each row of the frame, 0, 1, ..., or its target as encoded, (n,)."""
    warn_of_order(frame, "X", y=y)
    table_inputs.check_target(estimator, y)
    outcome = estimator.target_.encode(y)
    if len(outcome) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows, y has {len(outcome)}: give one y per row. [other-length]"
        )
    return outcome


def masses(sample_weight: ArrayLike | None, rows: int) -> np.ndarray:
    """Return checked weights of mean 1, (n,); ones where there are none."""
    weight = table_inputs.sample_weights(sample_weight, rows)
    if weight is None:
        return np.ones(rows)
    table_inputs.counted_rows(weight, rows)
    return weight / weight.mean()


def entry_of(attribute: Attribute) -> Sensitive:
    """Return what the attribute was given as: a column, a `Binned`, or a tuple of these."""
    parts = tuple(part.binned or part.column for part in attribute.components)
    return parts[0] if len(parts) == 1 else parts


def learn_groups(
    entry: Sensitive, frame: pd.DataFrame, otherwise: str, what: str = "Thresholds"
) -> Attribute:
    """Learn the groups of an attribute; ``otherwise`` says what to do without them.

    ``what`` is chosen by group.
    """
    columns = list(dict.fromkeys(source(part) for part in components(entry)))
    check_columns(attribute_name(entry), columns, frame, otherwise, what)
    Schema.infer(frame[columns], sensitive=(entry,))
    try:
        return Attribute.fit(frame, entry)
    except ValueError as error:
        raise ValueError(
            f"No {what.lower()} by group can be chosen on these {len(frame)} rows. {error} "
            f"Otherwise {otherwise} [no-groups]"
        ) from error


def check_columns(
    name: str,
    columns: Sequence[str],
    frame: pd.DataFrame,
    otherwise: str,
    what: str = "Thresholds",
) -> None:
    """Raise when a column that the groups are read from is absent."""
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        there = [str(column) for column in frame.columns]
        apart = "give it as sensitive_features=, " if what == "Thresholds" else ""
        raise ValueError(
            f"{what} by group of {name!r} need the sensitive column {absent[0]!r} of every "
            f"row, and X does not have it.{near_names(absent[0], there)} Available columns: "
            f"{listed_names(there)}. Add it, {apart}or {otherwise} [absent-column]"
        )


def codes_of(
    attribute: Attribute,
    frame: pd.DataFrame,
    otherwise: str,
    unknown: str,
    gaps: np.ndarray | None = None,
) -> np.ndarray:
    """Return the group of each row (n,); raise for absent columns.

    ``unknown`` says what becomes of groups never seen: "raise", or "pooled", which gives them -1;
    rows in ``gaps`` (n,) are -1 too, and no group that was never seen.
    """
    check_choice("unknown_groups", unknown, UNKNOWN)
    check_columns(attribute.name, attribute.columns, frame, otherwise)
    codes = attribute.encode(frame)
    new = codes < 0 if gaps is None else (codes < 0) & ~gaps
    if unknown == "raise" and new.any():
        column = attribute.columns[0]
        values = frame.loc[new, list(attribute.columns)].iloc[0].tolist()
        raise ValueError(
            f"{new.sum()} rows belong to a group of {attribute.name!r} that was not "
            f"among the rows the thresholds were chosen on, first at rows "
            f"{first_rows(frame.index, new)} ({column!r} = {values[0]!r}"
            f"{', ...' if len(values) > 1 else ''}). Known groups are "
            f"{', '.join(map(repr, attribute.levels))}. Fit the policy with rows of that "
            "group, set unknown_groups='pooled' to decide such rows by one threshold for all, or "
            "leave them out. [unknown-group]"
        )
    return codes


def decide(
    contents: Callable[[np.ndarray], pd.DataFrame], share: np.ndarray, seed: int
) -> np.ndarray:
    """Decide rows by their chance ``share`` (n,) of a positive decision: 0 or 1, (n,).

    The random number of a row is a hash of the seed and of what the classifier and the groups see
    of it: the ``contents`` of rows, of which a mask (n,) is given.
    """
    open_ = (share > 0) & (share < 1)
    decision = (share >= 1).astype(int)
    if open_.any():  # only then are coins tossed
        decision[open_] = coins(contents(open_), seed) < share[open_]
    return decision


def read_contents(
    estimator: FairMixedEffects, frame: pd.DataFrame, groups: Sequence[Attribute]
) -> pd.DataFrame:
    """Return the columns that estimator and groups read, free of dtypes: numbers or labels."""
    columns = [column for attribute in groups for column in attribute.columns]
    doubled = _doubled(estimator.design_, groups)
    schema, offset = estimator.design_.schema, estimator.offset
    added = [offset] if offset is not None else []
    numbers = {*schema.numeric, *added}
    read = {term.column for term in estimator.design_.terms}
    names = sorted({*read, *added, *schema.cluster_columns, *columns})
    return pd.DataFrame(
        {
            name: read_numbers(pick(frame, name))
            if name in numbers
            else table_inputs.cluster_labels(frame, name, [sorted(doubled[name])])
            for name in names
            if name in frame.columns
        }
    )


def _doubled(design: Design, groups: Sequence[Attribute]) -> defaultdict[str, set[str]]:
    """Return by column the labels that were both text and not, so that 1 and "1" are two.

    They are those of training, not of the rows at hand: a row has the same one in any company.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for factor in design.factors:
        for column, labels in zip(factor.columns, factor.doubled, strict=False):  # () where none is
            found[column].update(labels)
    parts = [part for attribute in groups for part in attribute.components]
    for owner in (*design.terms, *parts):
        found[owner.column].update(getattr(owner, "doubled", ()))
    return found


def report(judged: EvaluatedRows, **options: Any) -> FairnessReport:
    """Report on rows that have a policy's decisions; ``options`` are those of `fairness_report`."""
    check_count(options["n_boot"], "n_boot")
    check_count(options["min_group_size"], "min_group_size")
    check_share(options["level"])
    lines = fairness_report.report(judged, **options)
    gap = lines["metric"] == "counterfactual_gap"
    lines.loc[gap, "note"] = [f"{n}; {GAP_NOTE}" if n else GAP_NOTE for n in lines["note"][gap]]
    return lines


def read(
    path: PathLike,
    kind: str,
    key: str | bytes | None,
    objects: Mapping[str, Any] | None,
    restored: Callable[[Mapping[str, Any], Any], Policy],
    empty: type[FairMixedEffects] = FairMixedEffectsClassifier,
) -> Policy:
    """Read a policy of that kind from a file; ``restored`` makes it of its state and estimator.

    ``empty`` is the estimator's class.
    """
    found, saved = persistence.load_state(path, key=key)
    if found != kind:
        raise ValueError(
            f"{path} holds a {shown(found)}, not a {kind}: read an estimator with pyfairme.load."
            " [other-kind-of-file]"
        )
    check_objects(path, saved.get("estimator"), objects)
    with persistence.as_of_a_file(path):
        secret = persistence.secret_of(key)
        estimator = saved_state.from_state(empty(), saved["estimator"], secret, objects)
        return restored(saved, estimator)
