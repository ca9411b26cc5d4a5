"""Everything a fairness report needs of a fitted estimator, row by row, and the report itself.

Rows collected from several fits (folds, seeds) can be pooled before they are judged.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from pyfairme.data import Design, Schema
from pyfairme.data.attributes import Attribute
from pyfairme.data.checks import check_present
from pyfairme.data.columns import pick
from pyfairme.estimators import inputs
from pyfairme.estimators.settings import EFFECTS, as_tuple
from pyfairme.inference import predict
from pyfairme.metrics import classification_report_frame, regression_report_frame

__all__ = ["Judged", "collect", "pool", "report"]

COLUMNS = (
    "effects", "clusters", "attribute", "group", "class", "metric", "value", "low", "high",
    "null", "null_low", "null_high", "n", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """Predictions of rows by kind of effects, with what is needed to judge them.

    ``prediction`` is the probability of the positive class, or a real prediction, (n,) per effects;
    ``decision`` 0 or 1, empty for regression; ``flipped`` (n, levels - 1) per effects and
    attribute, NaN in rows of a level never trained on; ``sensitive`` a label per row and attribute;
    ``seed`` that of the bootstrap.
    """

    y: np.ndarray
    prediction: dict[str, np.ndarray]
    decision: dict[str, np.ndarray]
    flipped: dict[str, dict[str, np.ndarray]]
    log_density: dict[str, np.ndarray]
    sensitive: dict[str, np.ndarray]
    cluster: np.ndarray
    seen: np.ndarray
    positive: Any
    seed: int


def collect(estimator: Any, X: Any, y: Any, attributes: Any = None) -> Judged:
    """Predict all effects, and every flip of every attribute, for the rows of X."""
    check_is_fitted(estimator)
    target = estimator.target_.encode(np.asarray(y).reshape(-1))
    if len(target) != len(X):
        raise ValueError(f"X has {len(X)} rows, y has {len(target)}: give one target per row.")
    frame, found = estimator._query(X, target)
    design: Design = estimator.design_
    judge = _attributes(estimator, frame, attributes)
    classify = hasattr(estimator, "classes_")

    def values(query: Any, effects: str) -> np.ndarray:
        means = predict.means(query, effects)
        return means[:, 1] if classify else estimator.target_.decode(means)

    prediction = {effects: values(found, effects) for effects in EFFECTS}
    decision, density = {}, {}
    if classify:
        thresholds = estimator.threshold_
        decision = {e: (p >= thresholds[e]).astype(int) for e, p in prediction.items()}
    else:
        unit = np.log(getattr(estimator.target_, "scale", 1.0))
        density = {e: predict.log_density(found, e) - unit for e in EFFECTS}
    cluster = [inputs.cluster_labels(frame, name) for name in estimator.design_.clusters]
    return Judged(
        y=target if classify else np.asarray(y, np.float64).reshape(-1),
        prediction=prediction,
        decision=decision,
        flipped=_flips(estimator, frame, judge, values),
        log_density=density,
        sensitive={a.name: _groups(a, frame) for a in judge},
        cluster=_join(cluster, len(frame)),
        seen=_seen(design, frame),
        positive=estimator.classes_[1] if classify else "",
        seed=estimator._seed,
    )


def _seen(design: Design, frame: pd.DataFrame) -> np.ndarray:
    """Rows all of whose clusters training saw, (n,), whatever is predicted for the others."""
    known = [factor.encode(pick(frame, factor.column)) >= 0 for factor in design.factors]
    return np.logical_and.reduce(known) if known else np.ones(len(frame), bool)


def _attributes(estimator: Any, frame: pd.DataFrame, wanted: Any) -> tuple[Attribute, ...]:
    """Return the attributes to judge: the design's, or ones made for this report."""
    design: Design = estimator.design_
    known: dict[Any, Attribute] = {attribute.name: attribute for attribute in design.attributes}
    known |= dict(zip(design.schema.sensitive, design.attributes, strict=True))
    items = design.schema.sensitive if wanted is None else as_tuple(wanted)
    columns = [name for item in items if item in known for name in known[item].columns]
    check_present(columns, frame.columns, "sensitive")
    Schema.infer(frame, sensitive=tuple(item for item in items if item not in known))
    return tuple(known.get(item) or Attribute.fit(frame, item) for item in items)


def _groups(attribute: Attribute, frame: pd.DataFrame) -> np.ndarray:
    """Label of each row; levels that training never saw are one group of their own."""
    names = np.array([*attribute.levels, "(new level)"], dtype=object)
    return names[attribute.encode(frame)]


def _flips(
    estimator: Any, frame: pd.DataFrame, attributes: tuple[Attribute, ...], values: Any
) -> dict[str, dict[str, np.ndarray]]:
    """Predictions under the other levels of each attribute: effects -> attribute -> (n, L - 1).

    A row whose level training never saw has no well-defined set of other levels: NaN.
    """
    found: dict[str, dict[str, np.ndarray]] = {effects: {} for effects in EFFECTS}
    for attribute in attributes:
        codes = attribute.encode(frame)
        each: dict[str, list[np.ndarray]] = {effects: [] for effects in EFFECTS}
        for _, flipped in attribute.flip(frame):
            with warnings.catch_warnings():
                # what the rows themselves warn of has been said once already
                warnings.filterwarnings("ignore", message="Unlike the training rows")
                _, query = estimator._query(flipped)
            for effects in EFFECTS:
                each[effects].append(values(query, effects))
        other = np.array([[j for j in range(len(attribute.levels)) if j != i]
                          for i in range(len(attribute.levels))])[codes]  # fmt: skip
        for effects in EFFECTS:
            every = np.stack(each[effects], axis=1)
            flipped = np.take_along_axis(every, other, axis=1)
            found[effects][attribute.name] = np.where(codes[:, None] < 0, np.nan, flipped)
    return found


def _join(columns: list[np.ndarray], rows: int) -> np.ndarray:
    """One label per row from the labels of all factors."""
    if not columns:
        return np.full(rows, "all", dtype=object)
    joined = columns[0]
    for column in columns[1:]:
        joined = joined + " / " + column
    return joined


def pool(parts: Iterable[Judged]) -> Judged:
    """Put rows judged by several fits of the same data set into one."""
    parts = list(parts)
    first = parts[0]

    def joined(pick: Any) -> Any:
        picked = [pick(part) for part in parts]
        if isinstance(picked[0], Mapping):
            return {k: joined(lambda part, k=k: pick(part)[k]) for k in picked[0]}
        return _concatenate(picked)

    arrays = [field.name for field in fields(Judged) if field.name not in ("positive", "seed")]
    pooled = {name: joined(lambda part, name=name: getattr(part, name)) for name in arrays}
    return Judged(**pooled, positive=first.positive, seed=first.seed)


def _concatenate(parts: list[np.ndarray]) -> np.ndarray:
    """Join rows; flips of fits that saw fewer levels are filled up with NaN (not defined)."""
    if parts[0].ndim == 1:
        return np.concatenate(parts)
    width = max(part.shape[1] for part in parts)
    wide = [np.pad(p, [(0, 0), (0, width - p.shape[1])], constant_values=np.nan) for p in parts]
    return np.concatenate(wide)


def report(judged: Judged, *, by_cluster: bool, n_boot: int, level: float) -> pd.DataFrame:
    """Return the tidy fairness report of `FairMixedEffectsClassifier.fairness_report`."""
    blocks = []
    for name, rows in _blocks(judged, by_cluster):
        for effects in EFFECTS:
            part = _one(judged, effects, rows, n_boot, level)
            part.insert(0, "effects", effects)
            part.insert(1, "clusters", name)
            part.insert(4, "class", judged.positive)
            blocks.append(part)
    return pd.concat(blocks, ignore_index=True).reindex(columns=list(COLUMNS))


def _blocks(judged: Judged, by_cluster: bool) -> Iterable[tuple[str, np.ndarray]]:
    if by_cluster:
        for label in np.unique(judged.cluster):
            yield str(label), judged.cluster == label
        return
    for name, rows in (("seen", judged.seen), ("unseen", ~judged.seen)):
        if rows.any():
            yield name, rows


def _one(judged: Judged, effects: str, rows: np.ndarray, n_boot: int, level: float) -> pd.DataFrame:
    flips = {name: flip[rows] for name, flip in judged.flipped[effects].items()}
    # The same stream for every kind of effects: their intervals differ by the predictions alone.
    shared: dict[str, Any] = {
        "sensitive": {name: label[rows] for name, label in judged.sensitive.items()},
        "cluster": judged.cluster[rows],
        "flipped": {name: flip for name, flip in flips.items() if np.isfinite(flip).all()},
        "rng": np.random.default_rng(judged.seed),
        "n_boot": n_boot,
        "level": level,
    }
    y, prediction = judged.y[rows], judged.prediction[effects][rows]
    if judged.decision:
        return classification_report_frame(y, prediction, judged.decision[effects][rows], **shared)
    return regression_report_frame(
        y, prediction, log_density=judged.log_density[effects][rows], **shared
    )
