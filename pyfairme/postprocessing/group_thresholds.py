"""Threshold policies after training: one threshold, or thresholds by group that need the group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score

from pyfairme.data import Binned, Continuous
from pyfairme.data.input_types import Attributes, PathLike, Seed, Table
from pyfairme.data.schema import Sensitive, attribute_name
from pyfairme.estimators import table_inputs
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice, seed_from
from pyfairme.estimators.number_checks import check_count
from pyfairme.estimators.older_pickles import with_keywords
from pyfairme.metrics.metric import ChosenMetrics
from pyfairme.notices import errors_alone
from pyfairme.postprocessing import group_threshold_files, policy_inputs
from pyfairme.postprocessing.constant_decision import warn_of_constant_decision
from pyfairme.postprocessing.decided_classifier import Decided, check_kind, decided_by
from pyfairme.postprocessing.foreign_classifier import row_count
from pyfairme.postprocessing.policy_classifier import columns_of, copied, prepare, tagged
from pyfairme.postprocessing.policy_rows import PolicyRows
from pyfairme.postprocessing.sensitive_columns import sensitive_frame
from pyfairme.postprocessing.threshold_rules import (
    check_outcomes,
    grouped_rules,
    in_words,
    one_rule,
    positive_share,
    repeats,
)

CRITERIA = {  # ours -> fairlearn's
    "equalized_odds": "equalized_odds",
    "demographic_parity": "demographic_parity",
    "equal_opportunity": "true_positive_rate_parity",
    "false_positive_rate_parity": "false_positive_rate_parity",
}
OTHERWISE = "set criterion=None for one threshold, which needs none."


class GroupThresholds(ClassifierMixin, BaseEstimator):
    r"""Decide by thresholds that differ between groups: **reads S of every row it predicts**.

    A policy on top of any classifier, which stays as it is. Group s is decided by the rule

        P(ŷ = 1 | p, s) = i_s c + (1 - i_s) (w_s 1[p > a_s] + (1 - w_s) 1[p > b_s])

    with p the classifier's probability: a mixture of two thresholds and, for equalized odds, of a
    constant c. fairlearn's ``ThresholdOptimizer`` (Hardt, Price & Srebro 2016) chooses the numbers
    on the rows given to `fit`, so that the criterion holds exactly *on these rows*: give rows that
    the classifier was not trained on.

    Whether decisions may depend on S is a legal and an ethical question: two people who differ in S
    alone can be decided differently. ``criterion=None`` is one threshold for all; it reads no S.

    Parameters
    ----------
    estimator
        A classifier of two classes with ``predict_proba``: a fitted `FairMixedEffectsClassifier`,
        or any other, as of `JointThresholds`.
    attribute
        Sensitive attribute whose groups get thresholds: a column, a `Binned`, or a tuple of these
        for an intersection; it need not be one that the classifier was trained with. None: all
        columns of ``sensitive_features`` together.
    criterion
        "equalized_odds" (equal TPR and FPR), "demographic_parity" (equal selection rate),
        "equal_opportunity" (equal TPR), "false_positive_rate_parity" (equal FPR); None: one
        threshold.
    effects
        Of our classifier the probabilities that are thresholded: "fixed", "random" or "mixed".
    objective
        What is maximal under the criterion: "balanced_accuracy" or "accuracy". For equalized odds
        and one threshold it is that of all rows, else the mean over groups weighted by their rows.
    grid_size
        Number of values of the equal rate that are tried; error of the rate at most 1 / grid_size.
    unknown_groups
        Rows whose group was not among those the thresholds were chosen on: "raise" refuses the
        table; "pooled" decides them by the one threshold that ``criterion=None`` would choose.
    cv
        Folds of a classifier that `fit` fits itself, as of `JointThresholds`.
    random_state
        Seed of the coins of randomised decisions. None: a fresh one, drawn once by `fit`.

    Attributes
    ----------
    estimator_
        The classifier that decides: ``estimator`` itself, or the clone that `fit` fitted.
    thresholds_
        The rule of each group: group, ignore (i), constant (c), weight (w), above (a),
        or_above (b), n and positives (rows they were chosen on).
    classes_
        The classes; the second is the positive one.
    needs_sensitive
        Whether `predict` reads the sensitive attribute: True but for ``criterion=None``.
    n_rows_
        Rows that the thresholds were chosen on.

    See Also
    --------
    FairMixedEffectsClassifier : its ``threshold`` and penalties need no S when predicting.
    JointThresholds : several attributes at once, equal up to a limit.

    References
    ----------
    Hardt, Price & Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=900, clusters=6, random_state=0)
    >>> X, y = data.frame, data.target
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "cluster", guide="mean_field", min_steps=100, random_state=0
    ... )
    >>> policy = GroupThresholds(clf.fit(X[:600], y[:600]), "group1")
    >>> policy = policy.fit(X[600:], y[600:])
    >>> policy.needs_sensitive, list(policy.thresholds_["group"])
    (True, ['g0', 'g1'])
    """

    def __init__(
        self,
        estimator: Any,
        attribute: Sensitive | None = None,
        criterion: str | None = "equalized_odds",
        *,
        effects: str = "mixed",
        objective: str = "balanced_accuracy",
        grid_size: int = 1000,
        unknown_groups: str = "raise",
        cv: Any = None,
        random_state: Seed = 0,
    ) -> None:
        self.estimator = estimator
        self.attribute = attribute
        self.criterion = criterion
        self.effects = effects
        self.objective = objective
        self.grid_size = grid_size
        self.unknown_groups = unknown_groups
        self.cv = cv
        self.random_state = random_state

    @property
    def needs_sensitive(self) -> bool:
        """Whether `predict` reads the sensitive attribute of rows: as it was fitted."""
        fitted = hasattr(self, "thresholds_")
        return self._groups is not None if fitted else self.criterion is not None

    @property
    def estimator_(self) -> Any:
        """The classifier that decides: ``estimator``, or its clone that `fit` fitted."""
        check_fitted(self, "thresholds_")
        return self.estimator if self._own is None else self._own

    # Fitting --------------------------------------------------------------------------------

    @errors_alone
    def fit(
        self,
        X: Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
    ) -> GroupThresholds:
        """Choose the thresholds; a fitted classifier stays as it is.

        Parameters
        ----------
        X, y
            Held-out rows (n, columns) and their class (n,), the sensitive attribute among the
            columns or given apart; on training rows the classifier is too sure of itself.
        sample_weight
            Weight of each row, (n,): rates are those of the weighted rows, as of the population
            that a survey's weights stand for. fairlearn counts rows, so each is repeated in
            proportion to its weight (to a fiftieth of the mean weight). None: rows count alike.
        sensitive_features
            The attribute apart from X, as of `JointThresholds.fit`.

        Returns
        -------
        GroupThresholds
            The policy itself.

        Raises
        ------
        TypeError
            When ``estimator`` is no classifier with ``predict_proba``.
        ValueError
            For bad keywords, an absent column, an attribute of one group, more than two classes,
            or a group without positive or without negative rows.

        Warns
        -----
        FairnessWarning
            When all rows are decided alike.
        """
        self._check()
        seed = seed_from(self.random_state)
        table_inputs.check_target(self.estimator, y)
        entry: Any = self._entry(X, sensitive_features) if self.criterion is not None else None
        wanted = () if entry is None else columns_of([entry])
        table = (X, sensitive_features, y, sample_weight)
        found = prepare(self.estimator, (self.effects, self.cv, seed), table, wanted)
        decided, rows = found.decided, found.rows
        frame, outcome = rows.frame, decided.encode(y, rows)
        attribute = None
        if entry is not None:
            attribute = policy_inputs.learn_groups(entry, frame, OTHERWISE)
        score = decided.probability(rows) if found.p is None else found.p
        mass = policy_inputs.masses(sample_weight, len(frame))
        if attribute is None:
            rules = pooled = one_rule(score, outcome, self.objective, mass)
            codes = np.zeros(len(frame), int)
        else:
            codes = attribute.encode(frame)
            check_outcomes(attribute, codes[mass > 0], outcome[mass > 0])
            pooled = one_rule(score, outcome, self.objective, mass)
            times = repeats(mass) if sample_weight is not None else np.ones(len(mass), int)
            p, true, of = (np.repeat(part, times) for part in (score, outcome, codes))
            chosen = CRITERIA[str(self.criterion)]
            rules = grouped_rules(p, true, of, chosen, self.objective, self.grid_size)
            rules["n"] = np.bincount(codes, minlength=len(rules))
            rules["positives"] = np.bincount(codes, outcome, minlength=len(rules)).astype(int)
            rules.insert(0, "group", list(attribute.levels))
        self.thresholds_, self._groups, self.n_rows_ = rules, attribute, len(frame)
        self._pooled: pd.DataFrame | None = pooled
        self.classes_, self._criterion = decided.classes, self.criterion
        self._seed, self._own, self._seen = seed, found.own, rows.given
        share = positive_share(rules, score, codes)
        warn_of_constant_decision(share, score, share if attribute is None else None)
        return self

    def _entry(self, X: Table, apart: Any) -> Sensitive:
        """Return the attribute that is named, or all that was given apart."""
        if self.attribute is not None:
            return self.attribute
        if apart is None:
            raise ValueError(
                f"criterion={self.criterion!r} needs an attribute: name the column whose groups "
                "get thresholds, or set criterion=None for one threshold. [no-attribute]"
            )
        columns = tuple(sensitive_frame(apart, row_count(X)))
        return columns[0] if len(columns) == 1 else columns

    def _check(self) -> None:
        check_kind(self.estimator, self.effects)
        check_choice("criterion", self.criterion, (*CRITERIA, None))
        check_choice("effects", self.effects, EFFECTS)
        check_choice("objective", self.objective, policy_inputs.OBJECTIVES)
        check_count("grid_size", self.grid_size, 1)
        check_choice("unknown_groups", self.unknown_groups, policy_inputs.UNKNOWN)
        if not isinstance(self.attribute, str | Binned | tuple | None):
            number = "take Binned, whose brackets are groups, or JointThresholds"
            several = "one policy has one attribute; JointThresholds takes several"
            raise TypeError(
                "attribute must be a column, a Binned, or a tuple of these for an intersection, "
                f"got {type(self.attribute).__name__}: "
                f"{number if isinstance(self.attribute, Continuous) else several}. [attribute-kind]"
            )

    # Predicting -----------------------------------------------------------------------------

    def predict_proba(self, X: Table, *, sensitive_features: Any = None) -> np.ndarray:
        """Return the probability of each *decision*, (n, 2), columns as in ``classes_``.

        It is 0 or 1 but for randomised rules. The probability of the outcome is that of
        ``estimator_.predict_proba``.
        """
        check_fitted(self, "thresholds_")
        share = self._share(self._rows(X, sensitive_features))
        return np.stack([1.0 - share, share], axis=1)

    @errors_alone
    def predict(self, X: Table, *, sensitive_features: Any = None) -> np.ndarray:
        """Decide for each row of X, with the sensitive attribute as in `fit`: classes (n,).

        Where a rule is randomised the random number of a row is a hash of ``random_state`` and the
        values of the columns that the classifier or the groups read: the same row is always
        decided alike, in whatever company and order, and rows with equal values are too.
        """
        check_fitted(self, "thresholds_")
        return self.classes_[self._decide(self._rows(X, sensitive_features))]

    @errors_alone
    def score(
        self,
        X: Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
    ) -> float:
        """Return the share of rows that are decided right, as every classifier's `score`."""
        decision = self.predict(X, sensitive_features=sensitive_features)
        return float(accuracy_score(y, decision, sample_weight=sample_weight))

    def _decided(self) -> Decided:
        unread = () if self._groups is None else self._groups.columns
        seen = getattr(self, "_seen", ())  # pickles of an earlier version have none
        return decided_by(self.estimator_, self.effects, unread, self._seed, seen)

    def _rows(self, X: Table, apart: Any) -> PolicyRows:
        return self._decided().rows(X, apart, () if self._groups is None else self._groups.columns)

    def _share(self, rows: PolicyRows) -> np.ndarray:
        """Probability of a positive decision, (n,)."""
        attribute, decided = self._groups, self._decided()
        if attribute is None:
            none = np.zeros(len(rows.frame), int)
            return positive_share(self.thresholds_, decided.probability(rows), none)
        codes = policy_inputs.codes_of(attribute, rows.frame, OTHERWISE, self.unknown_groups)
        rules = self.thresholds_
        if (codes < 0).any():
            if self._pooled is None:
                raise ValueError(
                    "unknown_groups='pooled' needs a threshold for all, which the file of an "
                    "earlier version does not hold: fit the policy again. [no-pooled-threshold]"
                )
            rules = pd.concat([rules, self._pooled], ignore_index=True)  # last, where -1 looks
        return positive_share(rules, decided.probability(rows), codes)

    def _decide(self, rows: PolicyRows) -> np.ndarray:
        groups = () if self._groups is None else (self._groups,)
        decided = self._decided()
        return policy_inputs.decide(
            lambda at: decided.contents(rows.only(at), groups), self._share(rows), self._seed
        )

    # Reporting ------------------------------------------------------------------------------

    @errors_alone
    def fairness_report(
        self,
        X: Table,
        y: ArrayLike,
        by_cluster: bool = False,
        attributes: Attributes | None = None,
        *,
        n_boot: int = 200,
        level: float = 0.9,
        sample_weight: ArrayLike | None = None,
        min_group_size: int = 0,
        metrics: ChosenMetrics | None = None,
        sensitive_features: Any = None,
    ) -> pd.DataFrame:
        """Report accuracy and fairness of the policy's decisions.

        Parameters
        ----------
        X, y, by_cluster, n_boot, level, sample_weight, min_group_size, metrics
            As of `FairMixedEffectsClassifier.fairness_report`.
        attributes
            As there; by default the classifier's and the policy's own.
        sensitive_features
            As of `fit`.

        Returns
        -------
        DataFrame
            Of the same form, with the lines of the policy's ``effects`` only. What rests on
            decisions is the policy's; AUROC, log loss, Brier score, calibration and the
            counterfactual gap are those of the classifier's probabilities, which thresholds leave
            as they are. Of a classifier other than ours there is no counterfactual gap, rows are
            one block, "seen", and effects "mixed", which stand for its probabilities.
        """
        check_fitted(self, "thresholds_")
        rows, decided = self._rows(X, sensitive_features), self._decided()
        if attributes is None:
            own = () if self._groups is None else (self._groups,)
            attributes = policy_inputs.reported(decided.sensitive, own)
        judged = decided.judged(rows, y, attributes, sample_weight, self._decide(rows))
        return policy_inputs.report(
            judged,
            by_cluster=by_cluster,
            n_boot=n_boot,
            level=level,
            min_group_size=min_group_size,
            metrics=metrics,
        )

    def describe(self) -> str:
        """Say in words what is decided how, and what is needed to predict."""
        groups = getattr(self, "_groups", None)
        name = groups.name if groups else self.attribute and attribute_name(self.attribute)
        criterion = str(getattr(self, "_criterion", self.criterion))  # files lack that of fit
        head = "One threshold for all rows; the sensitive attribute is not read."
        if self.needs_sensitive:
            head = (
                f"Thresholds by group of {name!r} for {criterion.replace('_', ' ')}.\n"
                f"NEEDS THE SENSITIVE ATTRIBUTE: {name!r} of every row to predict."
            )
        if not hasattr(self, "thresholds_"):
            return f"{head}\nNot fitted yet."
        lines = [in_words(rule) for rule in self.thresholds_.to_dict("records")]
        end = f"p: {policy_inputs.source_of(self)}. {policy_inputs.positive_of(self)}"
        return "\n".join([head, *lines, f"{end} Chosen on {self.n_rows_} rows."])

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the classifier reads."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns that the classifier reads, where it knows them."""
        return self.estimator_.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        return tagged(super().__sklearn_tags__(), self.estimator)

    def _html_repr(self) -> str:
        from pyfairme.report.display.estimator_html import estimator_html

        return estimator_html(self, "n_rows_")

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Show the policy, and that it reads S."""
        need = "needs S when predicting" if self.needs_sensitive else "one threshold, no S"
        return (
            f"GroupThresholds({type(self.estimator).__name__}, attribute={self.attribute!r}, "
            f"criterion={self.criterion!r}, effects={self.effects!r})  # {need}"
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle; one of an earlier version lacks keywords."""
        super().__setstate__(with_keywords(type(self), state))

    def __sklearn_clone__(self) -> GroupThresholds:
        """Copy the keywords; a fitted classifier is shared, as fitting a policy leaves it."""
        return copied(self)

    # Files ----------------------------------------------------------------------------------

    def save(self, path: PathLike, *, key: str | bytes | None = None) -> None:
        """Write classifier and policy to one file, without pickle; `GroupThresholds.load` reads.

        With a ``key`` the file is signed, as by `FairMixedEffectsClassifier.save`.

        Raises
        ------
        ValueError
            When the classifier is not ours: only pickle or joblib can write it.
        """
        check_fitted(self, "thresholds_")
        group_threshold_files.write(self, path, key, (self._groups, self._pooled, self._seed))

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        key: str | bytes | None = None,
        objects: Mapping[str, Any] | None = None,
    ) -> GroupThresholds:
        """Read a policy that `save` wrote: its decisions equal the saved one's.

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
            path, group_threshold_files.KIND, key, objects, lambda s, e: cls._restored(s, e)
        )

    @classmethod
    def _restored(cls, saved: Mapping[str, Any], estimator: Any) -> GroupThresholds:
        entry, keywords, state = group_threshold_files.read(saved, estimator)
        found = cls(estimator, entry, **keywords)
        found._check()
        for name, value in state.items():
            setattr(found, name, value)
        return found
