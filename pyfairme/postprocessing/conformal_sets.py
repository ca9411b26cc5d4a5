"""Sets of classes that held-out rows calibrate: marginal, by class, by cluster and by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from pyfairme import persistence
from pyfairme.data.design_state import rebuilt
from pyfairme.data.input_types import Attributes, PathLike, Seed, Table
from pyfairme.estimators import saved_state
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.cluster_label_warnings import expecting_new_clusters
from pyfairme.estimators.estimator_keywords import (
    EFFECTS,
    check_choice,
    check_level,
    check_seed,
    seed_from,
)
from pyfairme.estimators.judged_intervals import class_columns
from pyfairme.metrics.array_inputs import Floats
from pyfairme.notices import StateError
from pyfairme.postprocessing import conformal_inputs, policy_inputs
from pyfairme.postprocessing.calibrated_groups import ALL, CalibratedGroups
from pyfairme.postprocessing.conformal_inputs import By
from pyfairme.postprocessing.set_scores import aps_scores, lac_scores
from pyfairme.postprocessing.threshold_rules import coins

KIND = "ConformalSets"
SCORES = ("lac", "aps")
ROUNDING = 1e-12


class ConformalSets(BaseEstimator):
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
        self._check()
        frame = policy_inputs.frame_of(self.estimator, X)
        outcome = policy_inputs.encode(self.estimator, y, frame)
        groups = conformal_inputs.learn_by(self.estimator, self.by, frame)
        codes = conformal_inputs.group_codes(self.estimator, groups, frame)
        self._seed = seed_from(self.random_state)
        score = self._scores(X, frame)[np.arange(len(frame)), outcome]
        unit = conformal_inputs.unseen_units(self.estimator, frame, self.effects)
        stacked = np.stack(codes) if codes else np.empty((0, len(frame)), np.intp)
        parts = [slice(None)]
        if self.class_conditional:
            parts = [np.flatnonzero(outcome == k) for k in range(len(self.estimator.classes_))]
        self._calibrated = tuple(
            CalibratedGroups(groups, stacked[:, rows], unit[rows], score[rows]) for rows in parts
        )
        self._of_fit = self.estimator.fit_
        self.classes_, self.n_rows_ = self.estimator.classes_, len(frame)
        return self

    def _check(self) -> None:
        other = "real targets and counts have ConformalIntervals."
        conformal_inputs.check_estimator(self.estimator, FairMixedEffectsClassifier, other)
        check_choice("conformity_score", self.conformity_score, SCORES)
        check_choice("class_conditional", self.class_conditional, (True, False))
        check_choice("effects", self.effects, EFFECTS)

    def _scores(self, X: Table, frame: pd.DataFrame) -> Floats:
        """Return the score of every class, (n, K)."""
        with expecting_new_clusters():
            p = self.estimator.predict_proba(X, effects=self.effects)
        if self.conformity_score == "lac":
            return lac_scores(p)
        contents = policy_inputs.read_contents(self.estimator, frame, ())
        return aps_scores(p, coins(contents, self._seed))

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
        check_fitted(self, "n_rows_")
        check_level(level)
        conformal_inputs.check_same_fit(self.estimator, self._of_fit)
        frame = policy_inputs.frame_of(self.estimator, X)
        groups = self._calibrated[0].attributes
        codes = conformal_inputs.group_codes(self.estimator, groups, frame)
        scores = self._scores(X, frame)
        unseen = conformal_inputs.unseen_units(self.estimator, frame, self.effects) >= 0
        found = [
            one.row_quantiles(codes, unseen, level, of)
            for one, of in zip(self._calibrated, self._names(), strict=True)
        ]
        quantile = np.stack([one.value for one in found], axis=1)  # (n, K) or (n, 1)
        inside = scores <= quantile + ROUNDING
        sets = pd.DataFrame(inside, index=frame.index, columns=class_columns(self.classes_))
        sets["size"] = inside.sum(axis=1)
        sets["calibrated_on"] = _joined([one.calibrated_on for one in found])
        return sets

    def _names(self) -> list[str]:
        """Say whose scores each of the calibrations has, for messages."""
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
        check_fitted(self, "n_rows_")
        check_level(level)
        labels = self.classes_.tolist() if self.class_conditional else [ALL]
        tables = []
        for label, one, of in zip(labels, self._calibrated, self._names(), strict=True):
            table = one.table(level, of)
            table.insert(0, "class", [label] * len(table))
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

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
        found = {self.effects: self.predict_set(X, set_level)}
        if attributes is None:
            groups = self._calibrated[0].attributes
            attributes = conformal_inputs.reported(self.estimator, groups)
        every = self.estimator.fairness_report(
            X, y, by_cluster, attributes, intervals=found, **options
        )
        return every.only(self.effects)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Show the object, and what it reads."""
        end = "" if self.by is None else "  # reads these columns when predicting"
        return (
            f"ConformalSets({type(self.estimator).__name__}, by={self.by!r}, "
            f"conformity_score={self.conformity_score!r}, "
            f"class_conditional={self.class_conditional!r}, effects={self.effects!r}){end}"
        )

    def __sklearn_clone__(self) -> ConformalSets:
        """Copy the keywords; the fitted classifier is shared, as fitting leaves it."""
        return type(self)(**self.get_params(deep=False))

    # Files ----------------------------------------------------------------------------------

    def save(self, path: PathLike, *, key: str | bytes | None = None) -> None:
        """Write classifier and scores to one file, without pickle; `ConformalSets.load` reads.

        With a ``key`` the file is signed, as by `FairMixedEffectsClassifier.save`. It holds a score
        and the groups of every calibration row.
        """
        check_fitted(self, "n_rows_")
        known = self.random_state if isinstance(self.random_state, int) else None
        names = ("conformity_score", "class_conditional", "effects")
        saved = {
            "estimator": saved_state.to_state(self.estimator, persistence.secret_of(key)),
            "keywords": {name: getattr(self, name) for name in names} | {"random_state": known},
            "seed": self._seed,
            "calibrated": [one.to_state() for one in self._calibrated],
        }
        persistence.save_state(path, saved, kind=KIND, key=key)

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        key: str | bytes | None = None,
        objects: Mapping[str, Any] | None = None,
    ) -> ConformalSets:
        """Read what `save` wrote: its sets equal the saved one's.

        With a ``key`` a file that was not signed with it is refused, as by `pyfairme.load`, and
        ``objects`` are those of its classifier.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When the file is damaged, of a newer format, or holds something else.
        """
        return policy_inputs.read(
            path, KIND, key, objects, lambda saved, estimator: _restored(cls, saved, estimator)
        )


def _restored(
    cls: type[ConformalSets], saved: Mapping[str, Any], estimator: FairMixedEffectsClassifier
) -> ConformalSets:
    calibrated = tuple(CalibratedGroups.from_state(one) for one in saved["calibrated"])
    conditional = rebuilt(bool, saved["keywords"]["class_conditional"])
    if len(calibrated) != (len(estimator.classes_) if conditional else 1):
        raise StateError("calibrated: expected the scores of every class")
    if len({one.attributes for one in calibrated}) > 1:
        raise StateError("calibrated: expected the same groups of every class")
    by = conformal_inputs.by_of(calibrated[0].attributes)
    found = cls(estimator, by, **saved["keywords"])
    found._check()
    found._calibrated, found._seed = calibrated, check_seed(saved["seed"])
    found.classes_, found._of_fit = estimator.classes_, estimator.fit_
    found.n_rows_ = sum(len(one.score) for one in calibrated)
    return found


def _joined(names: list[np.ndarray]) -> np.ndarray:
    """Return the different names of each row, joined."""
    different = [list(dict.fromkeys(row)) for row in zip(*names, strict=True)]
    return np.array(["; ".join(row) for row in different], dtype=object)
