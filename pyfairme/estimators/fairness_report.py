"""Rows of a fitted estimator evaluated for its fairness report, and the report itself.

Rows collected from several fits (folds, seeds) can be pooled before they are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data import Batch, Design, Schema
from pyfairme.data.attributes import Attribute
from pyfairme.data.batch import some_rows
from pyfairme.data.checks import check_present
from pyfairme.data.chosen_levels import ChosenLevels
from pyfairme.data.columns import MISSING, NEW_LEVEL, pick
from pyfairme.data.grouping_factors import Factor
from pyfairme.data.input_types import Attributes, Table
from pyfairme.data.schema import check_sensitive, components, source
from pyfairme.estimators import table_inputs
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.cluster_label_warnings import warn_of_unknown_labels
from pyfairme.estimators.encoded_rows import encoded_rows
from pyfairme.estimators.estimator_keywords import EFFECTS, as_tuple
from pyfairme.estimators.judged_intervals import read_intervals
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.estimators.report_table import FairnessReport
from pyfairme.estimators.table_inputs import check_length
from pyfairme.estimators.table_predictions import means_of_encoded, table_query
from pyfairme.inference import predictions
from pyfairme.metrics import classification_report_frame, regression_report_frame
from pyfairme.metrics.array_inputs import as_clusters
from pyfairme.metrics.constant_baseline import (
    AGAINST_CONSTANT,
    BY_DECISION,
    FEWEST_DECISIONS,
    against_constant,
    alike_note,
)
from pyfairme.metrics.metric import ChosenMetrics, chosen_metrics
from pyfairme.metrics.names import ALL, apart, join_names
from pyfairme.metrics.report_notes import joined
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.metrics.shared_draws import SharedDraws
from pyfairme.metrics.small_groups import SMALL_GROUPS, enough, merge_small_groups
from pyfairme.notices import DataWarning, warn

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

BLOCKS = ("seen", "unseen")
NOT_OF_ROWS = ("classes", "seed", "chosen")
COLUMNS = (
    "effects", "clusters", "attribute", "group", "class", "metric", "value", "low", "high",
    "null", "null_low", "null_high", "n", "note",
)  # fmt: skip


@dataclass(frozen=True)
class EvaluatedRows:
    """Predictions of rows by kind of effects, with what is needed to judge them.

    ``y`` holds class codes, or real outcomes. ``prediction`` is, per effects, the probability of
    the second of two classes (n,), those of all of more classes (n, K), or a real prediction (n,);
    ``decision`` the code of the predicted class (n,), empty for regression. ``gap`` is, per effects
    and attribute, the mean over the attribute's other levels of abs(p - p under the flip) (eqs. 6
    and 7), shaped like the prediction, NaN in rows of a level never trained on. ``sensitive`` has a
    label per row and attribute; ``classes`` the labels, () for regression; ``seed`` is that of the
    bootstrap; ``weight`` (n,) how much each row counts, None: alike. ``alone`` (n,) marks rows
    that lack a cluster, or one of several; None: no row. ``covered`` and ``width`` (n,) say, for
    the effects whose prediction intervals or sets are judged, whether a row's holds its outcome,
    and how wide it is, or how many classes it has. ``base`` is what a constant would predict, the
    training rows' base rate or mean, shaped like a prediction; None: not known. ``left_out`` (n,)
    marks by attribute the rows that its groups are compared without, ``chosen`` says what was left
    out or put together.
    """

    y: np.ndarray
    prediction: dict[str, np.ndarray]
    decision: dict[str, np.ndarray]
    gap: dict[str, dict[str, np.ndarray]]
    log_density: dict[str, np.ndarray]
    sensitive: dict[str, np.ndarray]
    cluster: np.ndarray
    seen: np.ndarray
    classes: tuple[Any, ...]
    seed: int
    weight: np.ndarray | None = None
    alone: np.ndarray | None = None
    covered: dict[str, np.ndarray] = field(default_factory=dict)
    width: dict[str, np.ndarray] = field(default_factory=dict)
    base: np.ndarray | None = None
    left_out: dict[str, np.ndarray] = field(default_factory=dict)
    chosen: dict[str, ChosenLevels] = field(default_factory=dict)

    def units(self, rows: np.ndarray) -> np.ndarray:
        """Return the clusters of some rows for a bootstrap, None where a row is alone."""
        found = self.cluster[rows].astype(object)
        if self.alone is not None:
            found[self.alone[rows]] = None
        return found

    def only(self, rows: np.ndarray) -> EvaluatedRows:
        """Return what is known of some rows, a mask or positions."""

        def picked(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {name: picked(part) for name, part in value.items()}
            return None if value is None else value[rows]

        arrays = [each.name for each in fields(self) if each.name not in NOT_OF_ROWS]
        return replace(self, **{name: picked(getattr(self, name)) for name in arrays})


def collect(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    attributes: Attributes | None = None,
    sample_weight: ArrayLike | None = None,
    intervals: Any = None,
) -> EvaluatedRows:
    """Predict all effects, and every flip of every attribute, for the rows of X.

    ``intervals`` are those of `FairMixedEffectsClassifier.fairness_report`.
    """
    check_fitted(estimator)
    warn_of_order(X, "X", y=y)
    warn_of_order(X, "X", sample_weight=sample_weight)
    target = estimator.target_.encode(y)
    check_length(X, target)
    frame, found = table_query(estimator, X, target)
    design: Design = estimator.design_
    if estimator.fit_.spec.factors:
        warn_of_unknown_labels(design.factors, frame)
    codes = [factor.encode(frame) for factor in design.factors]
    known = np.stack(codes, axis=1) if codes else np.empty((len(frame), 0))
    batch = found.batch._replace(y=None, cluster=known.astype(np.int32))
    judge = attributes_to_judge(estimator, frame, attributes)
    classes = tuple(getattr(estimator, "classes_", ()))
    outcome = target if classes else np.asarray(y, np.float64).reshape(-1)
    covered, width = read_intervals(intervals, outcome, classes, frame)

    prediction = _predict(estimator, frame, batch)
    decision, density = {}, {}
    if classes:
        classifier: Any = estimator
        decision = {e: classifier._decide(p, e) for e, p in prediction.items()}
    else:
        unit = np.log(estimator.target_.value_scale)
        density = {e: each - unit for e, each in predictions.log_density(found).items()}
    cluster = [table_inputs.cluster_labels(frame, factor) for factor in _finest(design)]
    gaps = [labels == MISSING for labels in cluster]
    return EvaluatedRows(
        y=outcome,
        prediction=prediction,
        decision=decision,
        gap=_gaps(estimator, frame, batch, judge, prediction),
        log_density=density,
        sensitive={a.name: groups_of(a, frame) for a in judge},
        cluster=_join(cluster, len(frame)),
        seen=_seen(batch),
        classes=classes,
        seed=estimator._seed,
        weight=table_inputs.sample_weights(sample_weight, len(frame)),
        alone=np.logical_or.reduce(gaps) if gaps else np.zeros(len(frame), bool),
        covered=covered,
        width=width,
        base=_base(estimator, classes, len(frame)),
    )


def _base(estimator: FairMixedEffects, classes: tuple[Any, ...], rows: int) -> np.ndarray | None:
    """Return what a constant would predict for each row; None where the file does not say."""
    record = getattr(estimator, "_record", None)
    base = None if record is None else record.base
    if base is None or (classes and len(base) != len(classes)):
        return None
    if len(classes) > 2:
        return np.tile(np.asarray(base), (rows, 1))
    return np.full(rows, base[-1])


def _predict(
    estimator: FairMixedEffects, frame: pd.DataFrame, batch: Batch
) -> dict[str, np.ndarray]:
    """Predict all effects: P(second class) (n,), P of every class (n, K), or values (n,).

    Rows of seen clusters need no average over which cluster they may be of, so they go apart.
    """
    classes = len(getattr(estimator, "classes_", ()))
    found: dict[str, np.ndarray] = {}
    seen = _seen(batch)
    for rows in (seen, ~seen):
        if not rows.any():
            continue
        part: Any = (frame, batch) if rows.all() else (frame[rows], some_rows(batch, rows))
        for effects, means in means_of_encoded(estimator, *part).items():
            if not classes:
                means = estimator.target_.decode(means)
            elif classes == 2:
                means = means[:, 1]
            if effects not in found:
                found[effects] = np.empty((len(frame), *means.shape[1:]), means.dtype)
            found[effects][rows] = means
    return found


def _seen(batch: Batch) -> np.ndarray:
    """Rows all of whose clusters training saw, (n,), whatever is predicted for the others."""
    return (batch.cluster >= 0).all(axis=1)


def _finest(design: Design) -> list[Factor]:
    """Return the factors whose labels tell the clusters apart: "7:2" names school 7 as well."""
    outer = {factor.columns[:-1] for factor in design.factors}
    return [factor for factor in design.factors if factor.columns not in outer]


def attributes_to_judge(
    estimator: FairMixedEffects, frame: pd.DataFrame, wanted: Attributes
) -> tuple[Attribute, ...]:
    """Return the attributes to judge: the design's, or ones made for this report."""
    design: Design = estimator.design_
    known: dict[Any, Attribute] = {attribute.name: attribute for attribute in design.attributes}
    known |= dict(zip(design.schema.sensitive, design.attributes, strict=True))
    items = design.schema.sensitive if wanted is None else as_tuple(wanted)
    check_sensitive(items)
    columns = [name for item in items if item in known for name in known[item].columns]
    check_present(columns, frame.columns, "sensitive")
    more = tuple(item for item in items if item not in known)
    asked = dict.fromkeys(source(part) for item in more for part in components(item))
    check_present(asked, frame.columns, "sensitive")
    if more:
        Schema.infer(frame[[*asked]], sensitive=more)
    return tuple(known.get(item) or Attribute.fit(frame, item) for item in items)


def groups_of(attribute: Attribute, frame: pd.DataFrame) -> np.ndarray:
    """Label of each row; levels that training never saw are one group of their own.

    So are gaps where training had none: they are no new level, but missing.
    """
    names = np.array([*attribute.levels, NEW_LEVEL], dtype=object)
    codes = attribute.encode(frame)
    found = names[codes]
    gaps = np.logical_or.reduce([pick(frame, c).isna().to_numpy() for c in attribute.columns])
    found[(codes < 0) & gaps] = MISSING
    return found


def _gaps(
    estimator: FairMixedEffects,
    frame: pd.DataFrame,
    batch: Batch,
    attributes: tuple[Attribute, ...],
    prediction: Mapping[str, np.ndarray],
) -> dict[str, dict[str, np.ndarray]]:
    """Mean absolute change under the flips of each attribute: effects -> attribute -> (n, ...).

    A row whose level training never saw has no well-defined set of other levels: NaN.
    """
    found: dict[str, dict[str, np.ndarray]] = {effects: {} for effects in EFFECTS}
    for attribute in attributes:
        codes = attribute.encode(frame)
        total = {effects: np.zeros(prediction[effects].shape) for effects in EFFECTS}
        for level in range(len(attribute.levels)):
            other = (codes != level) & (codes >= 0)
            if not other.any():
                continue
            rows: Any = frame[other]
            flips = _predict(
                estimator,
                rows,
                _flipped(estimator, rows, some_rows(batch, other), attribute, level),
            )
            for effects, values in flips.items():
                before = prediction[effects][other]
                total[effects][other] += np.abs(values.astype(np.float64) - before)
        for effects in EFFECTS:
            gap = total[effects] / (len(attribute.levels) - 1)
            gap[codes < 0] = np.nan
            found[effects][attribute.name] = gap
    return found


def _flipped(
    estimator: FairMixedEffects, rows: pd.DataFrame, batch: Batch, attribute: Attribute, level: int
) -> Batch:
    """Return encoded rows as they would be with a level of an attribute.

    Where its columns are covariates alone, all else stays as it is encoded.
    """
    design: Design = estimator.design_
    columns = list(dict.fromkeys(attribute.columns))
    if {*design.schema.cluster_columns, design.offset} & {*columns}:
        return encoded_rows(estimator, attribute.flip_to(rows, level), quiet=True)
    own: Any = rows[columns]
    return design.encode_changes(batch, attribute.flip_to(own, level))


def _join(columns: list[np.ndarray], rows: int) -> np.ndarray:
    """One label per row from the labels of all factors."""
    if not columns:
        return np.full(rows, "all", dtype=object)
    if len(columns) == 1:
        return columns[0]
    rows_of = pd.MultiIndex.from_arrays(columns)
    codes, cells = rows_of.factorize()
    names = [join_names([str(part) for part in cell], " / ") for cell in cells]
    return np.array(names, dtype=object)[codes]


def pool(parts: Iterable[EvaluatedRows]) -> EvaluatedRows:
    """Put rows judged by several fits of the same data set into one.

    Raises
    ------
    ValueError
        When the fits know different classes: their probabilities do not stand side by side.
    """
    parts = list(parts)
    first = parts[0]
    for part in parts:
        if part.classes != first.classes:
            raise ValueError(
                f"The fits know different classes, {first.classes} and {part.classes}: pool fits "
                "that saw every class in training. [classes-differ]"
            )

    def joined(pick: Any) -> Any:
        picked = [pick(part) for part in parts]
        if any(one is None for one in picked):
            return None
        if isinstance(picked[0], Mapping):
            return {k: joined(lambda part, k=k: pick(part)[k]) for k in picked[0]}
        return np.concatenate(picked)

    arrays = [field.name for field in fields(EvaluatedRows) if field.name not in NOT_OF_ROWS]
    pooled = {name: joined(lambda part, name=name: getattr(part, name)) for name in arrays}
    kept: Any = {"classes": first.classes, "seed": first.seed, "chosen": first.chosen}
    return EvaluatedRows(**pooled, **kept)


def report(
    judged: EvaluatedRows,
    *,
    by_cluster: bool,
    n_boot: int,
    level: float,
    min_group_size: int = 0,
    metrics: ChosenMetrics | None = None,
) -> FairnessReport:
    """Return the tidy fairness report of `FairMixedEffectsClassifier.fairness_report`.

    With more than two classes there is one block per class, against the rest.
    """
    _warn_of_constant_decisions(judged)
    hidden = min_group_size > 1  # a number of rows left out would show a group by subtraction
    words = {
        name: one.words(None if hidden else judged.sensitive[name])
        for name, one in judged.chosen.items()
    }
    blocks = []
    for name, rows in _large_blocks(judged, by_cluster, min_group_size):
        groups = {name: label[rows] for name, label in judged.sensitive.items()}
        left = {name: gone[rows] for name, gone in judged.left_out.items() if name in groups}
        if min_group_size > 1 and groups:
            outcome = judged.y[rows] if judged.classes else None
            groups = merge_small_groups(groups, outcome, min_group_size)
            left = {n: gone & (np.asarray(groups[n]) != SMALL_GROUPS) for n, gone in left.items()}
        groups = {n: labels for n, labels in groups.items() if not (n in left and left[n].all())}
        options = (n_boot, level, metrics, SharedDraws())
        for effects in (known for known in EFFECTS if known in judged.prediction):
            for label, one in _against_the_rest(judged):
                part = _said(_one(one, effects, rows, groups, options, left), words)
                if said := _constant_note(one, effects, rows, label):
                    part = _with_note(part, said)
                part = _beside_constant(part, one, effects, rows)
                part.insert(0, "effects", effects)
                part.insert(1, "clusters", name)
                part.insert(4, "class", label)
                blocks.append(part)
            if len(judged.classes) > 2 and effects in judged.covered:
                blocks += _of_sets(judged, effects, name, (rows, groups), options)
    frame = pd.concat(blocks, ignore_index=True).reindex(columns=list(COLUMNS))
    if len(judged.classes) == 2:
        positive = judged.classes[-1]
        frame.attrs["positive"] = positive.item() if isinstance(positive, np.generic) else positive
    return FairnessReport.of(frame)


def _warn_of_constant_decisions(judged: EvaluatedRows) -> None:
    """Warn when the mixed prediction, or else the one that is judged, decides all rows alike."""
    used = "mixed" if "mixed" in judged.decision else next(iter(judged.decision), "")
    decided = np.unique(judged.decision[used]) if judged.decision else ()
    if len(decided) == 1 and len(judged.y) >= FEWEST_DECISIONS and len(np.unique(judged.y)) > 1:
        label = judged.classes[int(decided[0])]
        cure = "train longer (min_steps), or give class_weight='balanced'"
        if len(judged.classes) == 2:
            cure = "try threshold='balanced_accuracy', or a number among the probabilities"
        warn(
            f"Every one of the {len(judged.y):,} rows is decided {label}: equal rates of the "
            f"groups are then no sign of fairness. To tell rows apart, {cure}. [constant-decision]",
            FairnessWarning,
        )


def _constant_note(judged: EvaluatedRows, effects: str, rows: np.ndarray, label: object) -> str:
    """Return what to say of disparities where (nearly) all rows of a block are decided alike."""
    if not judged.decision:
        return ""
    two = len(judged.classes) == 2
    other = judged.classes[0] if two else f"another class than {label}"
    return alike_note(judged.decision[effects][rows] == 1, other, label)


def _beside_constant(
    part: pd.DataFrame, judged: EvaluatedRows, effects: str, rows: np.ndarray
) -> pd.DataFrame:
    """Note on a block's log loss, or RMSE, where it is not below a constant's."""
    lines = part["metric"].isin(AGAINST_CONSTANT) & (part["attribute"] == ALL)
    if not lines.to_numpy().any():
        return part
    found = against_constant(
        judged.y[rows],
        judged.prediction[effects][rows],
        None if judged.base is None else judged.base[rows],
        None if judged.weight is None else judged.weight[rows],
        as_clusters(judged.units(rows)),
        classes=bool(judged.classes),
    )
    if found.note:
        part.loc[lines, "note"] = [joined(found.note, note) for note in part.loc[lines, "note"]]
    return part


def _said(part: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """Note on lines about an attribute which of its groups were left out or put together."""
    for name, said in chosen.items():
        lines = (part["attribute"] == apart(name, (ALL,))) & (part["group"] == "all")
        part.loc[lines, "note"] = [joined(said, note) for note in part.loc[lines, "note"]]
    return part


def _with_note(part: pd.DataFrame, said: str) -> pd.DataFrame:
    lines = part["metric"].isin(list(BY_DECISION)) & (part["group"] == "all")
    part.loc[lines, "note"] = [f"{said}; {n}" if n else said for n in part.loc[lines, "note"]]
    return part


def _against_the_rest(judged: EvaluatedRows) -> Iterable[tuple[Any, EvaluatedRows]]:
    """Yield a binary problem per class; two classes, or a real target, are one as they are."""
    if len(judged.classes) <= 2:
        yield judged.classes[-1] if judged.classes else "", judged
        return
    for code, label in enumerate(judged.classes):
        yield (
            label,
            replace(
                judged,
                y=(judged.y == code).astype(int),
                prediction={e: p[:, code] for e, p in judged.prediction.items()},
                decision={e: (d == code).astype(int) for e, d in judged.decision.items()},
                base=None if judged.base is None else judged.base[:, code],
                gap={e: {a: g[:, code] for a, g in gaps.items()} for e, gaps in judged.gap.items()},
                covered={},  # a set is of all classes: it has lines of its own
                width={},
            ),
        )


def _of_sets(
    judged: EvaluatedRows,
    effects: str,
    name: str,
    at: tuple[np.ndarray, Mapping[str, Any]],
    options: tuple[int, float, Any, SharedDraws],
) -> list[pd.DataFrame]:
    """Return the lines about sets of more than two classes, which are no class's own."""
    chosen = [m.name for m in chosen_metrics(options[2]) if {"covered", "width"} & {*m.needs}]
    if not chosen:
        return []
    none = np.zeros(len(judged.y))  # no metric of sets reads predictions
    bare = replace(judged, prediction={effects: none}, decision={effects: none}, y=none)
    bare = replace(bare, gap={effects: {}})
    part = _one(bare, effects, *at, (*options[:2], chosen, options[3]))
    part.insert(0, "effects", effects)
    part.insert(1, "clusters", name)
    part.insert(4, "class", ALL)
    return [part]


def _blocks(judged: EvaluatedRows, by_cluster: bool) -> Iterable[tuple[str, np.ndarray]]:
    if by_cluster:
        for label in np.unique(judged.cluster):
            yield apart(str(label), BLOCKS), judged.cluster == label
        return
    for name, rows in zip(BLOCKS, (judged.seen, ~judged.seen), strict=True):
        if rows.any():
            yield name, rows


def _enough(judged: EvaluatedRows, rows: np.ndarray, least: int) -> bool:
    codes = judged.y[rows] if judged.classes else None
    return enough(codes, len(judged.classes), least, int(rows.sum()))


def _large_blocks(
    judged: EvaluatedRows, by_cluster: bool, least: int
) -> Iterable[tuple[str, np.ndarray]]:
    """Yield the blocks that have enough rows, and as many of each class; warn of the others."""
    every = list(_blocks(judged, by_cluster))
    large = [(name, rows) for name, rows in every if least < 2 or _enough(judged, rows, least)]
    what = "clusters" if by_cluster else "parts (seen and unseen clusters)"
    few = f"have fewer than min_group_size={least} rows, or rows of one of the classes"
    if not large:
        raise ValueError(
            f"All {len(every)} {what} {few}: there is nothing to report. Give more rows, or a "
            "smaller min_group_size. [nothing-large-enough]"
        )
    if left := len(every) - len(large):
        warn(
            f"{left} of {len(every)} {what} {few}, and are left out of the report. "
            "[small-blocks-left-out]",
            DataWarning,
        )
    return large


def _one(
    judged: EvaluatedRows,
    effects: str,
    rows: np.ndarray,
    groups: Mapping[str, Any],
    options: tuple[int, float, Any, SharedDraws],
    left: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> pd.DataFrame:
    gaps = {name: gap[rows] for name, gap in judged.gap[effects].items()}
    # The same stream for every kind of effects: their intervals differ by the predictions alone.
    n_boot, level, metrics, draws = options
    shared: dict[str, Any] = {
        "metrics": metrics,
        "sensitive": groups,
        "left_out": {name: gone for name, gone in left.items() if name in groups},
        "cluster": judged.units(rows),
        "gap": {n: gap for n, gap in gaps.items() if n in groups and np.isfinite(gap).all()},
        "rng": draws.generator(judged.seed),
        "n_boot": n_boot,
        "level": level,
        "sample_weight": None if judged.weight is None else judged.weight[rows],
    }
    if effects in judged.covered:
        shared |= {"covered": judged.covered[effects][rows], "width": judged.width[effects][rows]}
    y, prediction = judged.y[rows], judged.prediction[effects][rows]
    if judged.decision:
        return classification_report_frame(y, prediction, judged.decision[effects][rows], **shared)
    return regression_report_frame(
        y, prediction, log_density=judged.log_density[effects][rows], **shared
    )
