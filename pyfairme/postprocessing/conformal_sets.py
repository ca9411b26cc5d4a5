"""Sets of classes that held-out rows calibrate: marginal, by class, by cluster and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.design_state import rebuilt
from pyfairme.data.input_types import Attributes, Seed, Table
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.cluster_label_warnings import expecting_new_clusters
from pyfairme.estimators.estimator_keywords import check_choice, check_seed, seed_from
from pyfairme.estimators.judged_intervals import class_columns
from pyfairme.metrics.array_inputs import Floats
from pyfairme.notices import StateError, errors_alone
from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.calibrated_groups import ALL, CalibratedGroups
from pyfairme.postprocessing.conformal_groups import By
from pyfairme.postprocessing.conformal_predictor import ConformalPredictor
from pyfairme.postprocessing.set_scores import aps_scores, lac_scores
from pyfairme.postprocessing.threshold_rules import coins

SCORES = ("lac", "aps")
ROUNDING = 1e-12


class ConformalSets(ConformalPredictor):
    r"""Sets of classes that hold the true one as often as they say, in every group that is named.

    On top of a fitted classifier, which stays as it is. The set of a row has every class whose
    score is at most

        q(level) = the ceil((n + 1) level)-th smallest of the n scores of the row's group,

    the scores of held-out rows being those of their true classes, so that a set holds the true
    class of a new row of the group with probability ``level`` or more, whatever the model's errors,
    if the group's new and held-out rows are exchangeable (split conformal prediction). By groups
    that is "equalized coverage" (Romano, Barber, Sabatti & Candes 2020). A set of one class is a
    decision; one of several says that the model cannot tell; an empty one, that it is surer than it
    should be, and no class is as likely as the true ones of held-out rows.

    What the guarantee is, of rows of clusters that training never saw, and what is read of a row:
    see `ConformalIntervals`.

    Parameters
    ----------
    estimator
        A fitted `FairMixedEffectsClassifier`, of two or more classes.
    by
        Groups that are calibrated on their own rows, as of `ConformalIntervals`.
    conformity_score
        "lac": 1 - p of the class, which makes the smallest sets on average. "aps": the probability
        of all likelier classes and a random part of its own, which makes larger sets where the
        model is unsure. The random number of a row is a hash of ``random_state`` and the columns
        that the classifier reads: the same row always has the same set.
    class_conditional
        Calibrate each class on the held-out rows of that class, so that rare ones are covered too
        ("Mondrian"); with ``by``, each class in each group. Every class needs the rows of a group.
    effects
        Probabilities that the scores are made of: "fixed", "random" or "mixed".
    random_state
        Seed of "aps". None: a fresh one, drawn once by `fit`.

    Attributes
    ----------
    classes_
        The classes, in the order of the columns of `predict_set`.
    n_rows_
        Rows that were calibrated on.

    See Also
    --------
    ConformalIntervals : the same for real targets, amounts and counts.

    References
    ----------
    Sadinle, Lei & Wasserman, "Least ambiguous set-valued classifiers with bounded error levels",
    JASA 114, 2019.
    Romano, Sesia & Candes, "Classification with valid and adaptive coverage", NeurIPS 2020.
    Romano, Barber, Sabatti & Candes, "With malice toward none: assessing uncertainty via equalized
    coverage", Harvard Data Science Review 2 (2), 2020.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(900, clusters=6, random_state=0)
    >>> X, y = data.frame, data.target
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "cluster", guide="mean_field", min_steps=100, random_state=0
    ... ).fit(X[:400], y[:400])
    >>> sets = ConformalSets(clf, by="group1").fit(X[400:700], y[400:700])
    >>> list(sets.predict_set(X[700:], level=0.9).columns)
    [0, 1, 'size', 'calibrated_on']
    """

    _wanted = FairMixedEffectsClassifier
    _others = "real targets and counts have ConformalIntervals."
    classes_: np.ndarray
    _seed: int

    def __init__(
        self,
        estimator: FairMixedEffectsClassifier,
        by: By = None,
        *,
        conformity_score: str = "lac",
        class_conditional: bool = False,
        effects: str = "mixed",
        random_state: Seed = 0,
    ) -> None:
        self.estimator = estimator
        self.by = by
        self.conformity_score = conformity_score
        self.class_conditional = class_conditional
        self.effects = effects
        self.random_state = random_state

    @errors_alone
    def fit(self, X: Table, y: ArrayLike) -> ConformalSets:
        """Keep the scores of held-out rows; the classifier stays as it is.

        Parameters
        ----------
        X, y
            Rows (n, columns) that the classifier was not trained on, and their class (n,), like the
            rows to come. How many it takes: see `ConformalIntervals.fit`.

        Returns
        -------
        ConformalSets
            The object itself.

        Raises
        ------
        TypeError
            When ``estimator`` is no `FairMixedEffectsClassifier`, or ``by`` no attribute.
        ValueError
            For bad keywords, an absent column, an attribute of one group, or bad rows.
        """
        self._calibrate(X, y)
        self.classes_ = self.estimator.classes_
        return self

    def _check_keywords(self) -> None:
        check_choice("conformity_score", self.conformity_score, SCORES)
        check_choice("class_conditional", self.class_conditional, (True, False))
        super()._check_keywords()

    def _scored(
        self, X: Table, y: ArrayLike, frame: pd.DataFrame, encoded: np.ndarray
    ) -> tuple[Floats, Sequence[np.ndarray | slice]]:
        self._seed = seed_from(self.random_state)
        score = self._predicted(X, frame)[np.arange(len(frame)), encoded]
        if not self.class_conditional:
            return score, [slice(None)]
        return score, [np.flatnonzero(encoded == k) for k in range(len(self.estimator.classes_))]

    def _predicted(self, X: Table, frame: pd.DataFrame) -> Floats:
        """Return the score of every class, (n, K)."""
        with expecting_new_clusters():
            p = self.estimator.predict_proba(X, effects=self.effects)
        if self.conformity_score == "lac":
            return lac_scores(p)
        contents = policy_inputs.read_contents(self.estimator, frame, ())
        return aps_scores(p, coins(contents, self._seed))

    @errors_alone
    def predict_set(self, X: Table, level: float = 0.9) -> pd.DataFrame:
        """Predict a set of classes for each row of X.

        Parameters
        ----------
        X
            Rows, with the columns of ``by``.
        level
            Probability with which a set holds the true class.

        Returns
        -------
        DataFrame
            A boolean column for each class, whether the set has it; size, the number of its
            classes; calibrated_on, as of `ConformalIntervals.predict_interval` (by class, the
            different ones with ";"); indexed like X. A class called "size" or "calibrated_on" is
            in quotation marks.

        Raises
        ------
        ValueError
            When the calibration rows, or those of a class, are fewer than the level takes, a column
            of ``by`` is absent, or the classifier was fitted again since.

        Warns
        -----
        DataWarning
            As of `ConformalIntervals.predict_interval`.
        """
        frame, scores, found = self._row_quantiles(X, level)
        quantile = np.stack([one.value for one in found], axis=1)  # (n, K) or (n, 1)
        inside = scores <= quantile + ROUNDING
        sets = pd.DataFrame(inside, index=frame.index, columns=class_columns(self.classes_))
        sets["size"] = inside.sum(axis=1)
        sets["calibrated_on"] = _joined([one.calibrated_on for one in found])
        return sets

    def _names(self) -> list[str]:
        if not self.class_conditional:
            return [""]
        return [f"Class {label!r}: " for label in self.classes_.tolist()]

    def calibration(self, level: float = 0.9) -> pd.DataFrame:
        """Return what the calibration rows of each group allow.

        Parameters
        ----------
        level
            Coverage of the sets.

        Returns
        -------
        DataFrame
            class (whose rows; "all" unless ``class_conditional``) and the columns of
            `ConformalIntervals.calibration`; quantile is the largest score in a set: for "lac" 1
            minus the least probability of a class in it.
        """
        tables = self._tables(level)
        labels = self.classes_.tolist() if self.class_conditional else [ALL]
        for label, table in zip(labels, tables, strict=True):
            table.insert(0, "class", [label] * len(table))
        return pd.concat(tables, ignore_index=True)

    @errors_alone
    def fairness_report(
        self,
        X: Table,
        y: ArrayLike,
        by_cluster: bool = False,
        attributes: Attributes | None = None,
        *,
        set_level: float = 0.9,
        **options: Any,
    ) -> pd.DataFrame:
        """Report accuracy and fairness with the coverage and size of these sets by group.

        Parameters
        ----------
        X, y, by_cluster
            As of `FairMixedEffectsClassifier.fairness_report`.
        attributes
            As there; by default the classifier's and those of ``by``.
        set_level
            Level of the conformal sets; ``level`` is that of the report's own limits.
        **options
            Further keywords of `FairMixedEffectsClassifier.fairness_report`.

        Returns
        -------
        DataFrame
            Of the same form, with the lines of these ``effects`` only.
        """
        found = self.predict_set(X, set_level)
        return self._report(X, y, by_cluster, attributes, found, options)

    # Files ----------------------------------------------------------------------------------

    def _saved_keywords(self) -> dict[str, Any]:
        known = self.random_state if isinstance(self.random_state, int) else None
        names = ("conformity_score", "class_conditional", "effects")
        return {name: getattr(self, name) for name in names} | {"random_state": known}

    def _calibration_state(self) -> dict[str, Any]:
        return {"seed": self._seed, "calibrated": [part.to_state() for part in self._parts]}

    @classmethod
    def _calibrated(cls, saved: Mapping[str, Any], estimator: Any) -> tuple[CalibratedGroups, ...]:
        parts = tuple(CalibratedGroups.from_state(one) for one in saved["calibrated"])
        conditional = rebuilt(bool, saved["keywords"]["class_conditional"])
        if len(parts) != (len(estimator.classes_) if conditional else 1):
            raise StateError("calibrated: expected the scores of every class")
        if len({one.attributes for one in parts}) > 1:
            raise StateError("calibrated: expected the same groups of every class")
        return parts

    @classmethod
    def _restored(cls, saved: Mapping[str, Any], estimator: Any) -> Self:
        found = super()._restored(saved, estimator)
        found._seed, found.classes_ = check_seed(saved["seed"]), estimator.classes_
        return found


def _joined(names: list[np.ndarray]) -> np.ndarray:
    """Return the different names of each row, joined."""
    different = [list(dict.fromkeys(row)) for row in zip(*names, strict=True)]
    return np.array(["; ".join(row) for row in different], dtype=object)
