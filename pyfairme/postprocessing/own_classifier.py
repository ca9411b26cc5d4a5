"""Our classifier as a threshold policy sees it: probabilities of a kind of effects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.attributes import Attribute
from pyfairme.data.input_types import Table
from pyfairme.data.schema import Sensitive, components, source
from pyfairme.estimators import fairness_report
from pyfairme.estimators.chosen_groups import groups_to_compare
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.cluster_label_warnings import expecting_new_clusters
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.estimators.fairness_weight import FairnessWeight
from pyfairme.model.penalties import penalty_names
from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.inferred_groups import Features
from pyfairme.postprocessing.isotonic_calibration import IsotonicCalibration
from pyfairme.postprocessing.policy_rows import PolicyRows, without
from pyfairme.postprocessing.sensitive_columns import sensitive_frame


@dataclass(frozen=True)
class OwnClassifier:
    """A fitted `FairMixedEffectsClassifier`, of whose probabilities those of ``effects`` count.

    They count as ``calibration`` makes them.
    """

    estimator: FairMixedEffectsClassifier
    effects: str
    calibration: IsotonicCalibration | None = None

    @property
    def classes(self) -> np.ndarray:
        """The two classes, the second one positive."""
        return self.estimator.classes_

    @property
    def source(self) -> str:
        """What to say after "probabilities"."""
        return f" from {self.effects} effects"

    @property
    def sensitive(self) -> tuple[Sensitive, ...]:
        """The attributes that it was fitted with."""
        return self.estimator.design_.schema.sensitive

    def rows(
        self, X: Table, apart: Any = None, wanted: Sequence[str] = (), hidden: Collection[str] = ()
    ) -> PolicyRows:
        """Read rows; ``apart`` are sensitive features of them, ``hidden`` what nothing may read."""
        if hidden:
            X = without(X, hidden)
        frame = policy_inputs.frame_of(self.estimator, X)
        if apart is None:
            return PolicyRows(X, frame)
        columns = sensitive_frame(apart, len(frame), wanted, X)
        lacks = are_lacking(self.sensitive, tuple(columns), frame)
        frame = frame.assign(**{name: columns[name].array for name in columns})
        return PolicyRows(X if hidden or not lacks else frame, frame, tuple(columns))

    def encode(self, y: ArrayLike, rows: PolicyRows) -> np.ndarray:
        """Return the class of each row, 0 or 1, (n,)."""
        return policy_inputs.encode(self.estimator, y, rows.frame)

    def probability(self, rows: PolicyRows) -> np.ndarray:
        """Return the probability of the positive class, calibrated if it is, (n,)."""
        with expecting_new_clusters():
            found = self.estimator.predict_proba(rows.X, effects=self.effects)
        p = found[:, 1].astype(np.float64)
        return p if self.calibration is None else self.calibration.of(p)

    def reads(self, column: str, rows: PolicyRows) -> bool:
        """Tell whether the probability may depend on a column."""
        return self.always_reads(column)

    def always_reads(self, column: str) -> bool:
        """Tell whether the classifier needs a column."""
        design = self.estimator.design_
        read = {*(term.column for term in design.terms), *design.schema.cluster_columns}
        return column in {*read, self.estimator.offset}

    def cure(self, column: str) -> str:
        """Say how it would not read the column, "" where it always does."""
        if column in self.estimator.design_.schema.cluster_columns:
            return ""
        return "fit it with drop_sensitive=True and that among its sensitive attributes, or "

    def contents(self, rows: PolicyRows, groups: Sequence[Attribute]) -> pd.DataFrame:
        """Return what the classifier and the groups see of rows, free of dtypes."""
        return policy_inputs.read_contents(self.estimator, rows.frame, groups)

    def learn_features(self, rows: PolicyRows, hidden: Collection[str]) -> Features:
        """Learn what groups are inferred from."""
        return Features.of(self.estimator, self.effects)

    def features(self, learnt: Any, rows: PolicyRows, p: np.ndarray) -> np.ndarray:
        """Return what groups of rows of probability ``p`` (n,) are inferred from, (n, features)."""
        return learnt.read(self.estimator, rows.frame, p)

    def doubts(self) -> list[str]:
        """Say what keeps the probabilities from being calibrated in the groups."""
        found, estimator = [], self.estimator
        names, on = estimator.design_.schema.attribute_names, penalty_names(estimator.fairness)
        if names and FairnessWeight.parse(estimator.fairness_weight, names, on).largest > 0:
            found.append(
                f"The classifier was fitted with fairness={estimator.fairness!r}: its "
                "probabilities are pulled together, not calibrated in the groups; give one with "
                "fairness=None."
            )
        shares = estimator.class_weight is not None and not estimator.prior_correction
        if shares and self.calibration is None:
            found.append(
                f"The classifier was fitted with class_weight={estimator.class_weight!r}: its "
                "probabilities are of other shares of the classes; give one with "
                "prior_correction=True."
            )
        if self.effects == "random":
            found.append(
                "Probabilities from random effects alone know neither groups nor most of x."
            )
        return found

    def judged(
        self,
        rows: PolicyRows,
        y: ArrayLike,
        attributes: Any,
        sample_weight: ArrayLike | None,
        decision: np.ndarray,
    ) -> EvaluatedRows:
        """Return rows for a report, with the policy's ``decision`` (n,)."""
        X = rows.frame if rows.apart else rows.X
        attributes = [
            policy_inputs.entry_of(one) if isinstance(one, Attribute) else one
            for one in as_tuple(attributes)
        ]
        found = fairness_report.collect(self.estimator, X, y, attributes, sample_weight)
        found = groups_to_compare(self.estimator, found, None, None)
        own = {self.effects: found.prediction[self.effects]}  # decisions are of one kind of effects
        return replace(found, prediction=own, decision={self.effects: decision})


def are_lacking(
    sensitive: Iterable[Sensitive], apart: Collection[str], frame: pd.DataFrame
) -> bool:
    """Tell whether columns given ``apart`` are those of a classifier's attributes, and not in X."""
    read = {source(part) for one in sensitive for part in components(one)}
    return any(name in read and name not in frame.columns for name in apart)
