"""Thresholds for several sensitive attributes at once, at the least loss of accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score

from pyfairme.data.input_types import Attributes, PathLike, Seed, Table
from pyfairme.data.schema import attribute_name
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice, seed_from
from pyfairme.estimators.older_pickles import with_keywords
from pyfairme.metrics.metric import ChosenMetrics
from pyfairme.notices import errors_alone
from pyfairme.postprocessing import joint_threshold_files, policy_inputs
from pyfairme.postprocessing.calibration_check import warn_of_beliefs
from pyfairme.postprocessing.constant_decision import warn_of_constant_decision
from pyfairme.postprocessing.decided_classifier import Decided, check_kind, decided_by
from pyfairme.postprocessing.foreign_classifier import row_count
from pyfairme.postprocessing.group_reading import (
    GAPS,
    INFERRED,
    WAYS,
    GroupedRows,
    learn_groups,
    learn_reading,
)
from pyfairme.postprocessing.isotonic_calibration import CALIBRATIONS, IsotonicCalibration
from pyfairme.postprocessing.joint_rule import Members, joint_rule
from pyfairme.postprocessing.joint_threshold_tables import (
    rates_table,
    threshold,
    thresholds_table,
    warn_of_decisions,
    with_intervals,
)
from pyfairme.postprocessing.joint_threshold_words import description
from pyfairme.postprocessing.limit_keywords import CRITERIA, limited_entries, read_limits
from pyfairme.postprocessing.limit_support import MEASURES
from pyfairme.postprocessing.policy_classifier import (
    calibrated,
    columns_of,
    copied,
    known_attributes,
    prepare,
    tagged,
)
from pyfairme.postprocessing.rate_intervals import ObservedRates


class JointThresholds(ClassifierMixin, BaseEstimator):
    r"""Thresholds of several attributes at once; by default **reads S of every row it predicts**.

    A policy on top of a classifier of any kind, which stays as it is. With p its
    probability, row i is decided positively where

        p_i (r + sum_a r_{a, g_a(i)}) > (1 - p_i) (c + sum_a c_{a, g_a(i)}),

    that is above a threshold to which every attribute a adds its part for the row's group g_a(i);
    rows close to it are decided at random. The parts are those of the least expected loss of
    accuracy under the given limits. If p is the probability of y given all that the rule reads, p
    and the groups, then of all rules that read no more, those that toss coins among them, none
    loses less in expectation on the rows of `fit` (a convex problem over the rows, solved by its
    dual; equalized odds of Hardt, Price & Srebro 2016 is one attribute with limit 0).

    With ``sensitive="inferred"`` no row to be decided needs its S. In place of r_{a, g_a(i)} stands
    its mean over the groups by their chances P(g | x_i, y = 1), in place of c_{a, g_a(i)} that by
    P(g | x_i, y = 0): the form that the best rule has that reads x alone (Menon & Williamson 2018).
    `fit` learns both chances by logistic regressions on what the classifier sees of a row; that the
    limits are kept rests on these too. Two people who differ in S alone are then decided alike; but
    x is read for what it says about S, and members of a group who look like another one are decided
    like that.

    Unlike thresholds per cell of an intersection it needs no rows of every cell, unlike
    `GroupThresholds` no outcomes: expected rates are taken from p, which is less noisy than counts
    in small groups, and rests on p being calibrated in the groups and their combinations.
    Give a classifier without penalties and class weights, and rows that it was not trained on: on
    training rows it is too sure of itself. With y, `fit` warns where p is not calibrated;
    ``calibration="isotonic"`` calibrates it. The stricter both TPR and FPR are limited, the more
    rows are decided at random.

    Whether decisions may depend on S, read or inferred, is a legal and an ethical question: where
    it is read, two people who differ in S alone can be decided differently.

    Parameters
    ----------
    estimator
        A classifier of two classes with ``predict_proba``: a fitted `FairMixedEffectsClassifier`,
        or any other, a Pipeline, LightGBM. One that is fitted is used as it is; one that is not is
        cloned and fitted by `fit` (ours only where ``cv`` asks for it), see ``cv``.
    limits
        How unequal rates of an attribute's groups may be, by default the largest SD over the groups
        (``measure``), 0 to .5, or inf for none: a number for every sensitive attribute of our
        classifier, or every column of ``sensitive_features``; by attribute, ``{"sex": 0.02}``; or
        by rate, ``{"sex": {"tpr": 0.02}}``, of "tpr", "fpr" and "selection_rate". Keys are names of
        our classifier's sensitive attributes, other columns, `Binned`, `Continuous`, or tuples for
        an intersection. `rates_` has what there is without limits (``limits=inf``).
    criterion
        Which rates a number limits: those of "equalized_odds" (TPR and FPR), "equal_opportunity"
        (TPR), "false_positive_rate_parity" (FPR) or "demographic_parity" (selection rate).
    sensitive
        "read": groups are read from every row, a missing one being a group of its own. "inferred":
        from rows of `fit` only (those that have S), which then needs y and, in each group, rows of
        both classes; the classifier must not read S itself (ours: ``drop_sensitive=True``; one that
        is fitted here gets no column of S). "read_or_inferred": groups are read where a row has
        them and inferred where it is missing. That S is missing must in both cases not depend on
        anything that is not known of the row.
    measure
        What numbers in ``limits`` are: the largest "sd" over groups; the largest "difference" of
        two groups, 0 to 1; or the least "ratio" of two, 0 (none) to 1: with ``measure="ratio"``,
        ``criterion="demographic_parity"`` and a limit of 0.8 the four-fifths rule.
    effects
        Of our classifier the probabilities that are decided on: "fixed", "random" or "mixed". Those
        of "random" know nothing of S, so that they are not calibrated in the groups.
    objective
        What is lost least: "balanced_accuracy" or "accuracy".
    unknown_groups
        Rows whose group was not among those the thresholds were chosen on: "raise" refuses the
        table; "pooled" decides them by what the other
        attributes say, and by one threshold for all where none says anything.
    cv
        Folds of a classifier that `fit` fits: a number, a splitter of scikit-learn, or pairs of row
        numbers. Thresholds are chosen on each row's probability by a clone that did not see its
        fold, and one more clone, fitted to all rows, decides new ones. None: five folds where the
        classifier is not fitted. A number clones and fits one that is (but scikit-learn's
        ``FrozenEstimator``).
    group_model
        The classifier that groups are inferred by, from covariates as numbers and the logit of p;
        it is cloned and fitted for rows of each class. None: logistic regression.
    calibration
        "isotonic": before thresholds are chosen, outcomes are regressed on the classifier's
        probabilities, and p is what the curve says; `fit` then needs y. For probabilities that are
        too moderate or too bold. None: p is the classifier's.
    random_state
        Seed of the coins. None: a fresh one, drawn once by `fit`.

    Attributes
    ----------
    estimator_
        The classifier that decides: ``estimator`` itself, or the clone that `fit` fitted.
    measure_
        What the limits of the last `fit` are of: ``measure`` as it was then.
    rates_
        One line per limit: attribute, rate, limit, and the SD (or what ``measure`` says) over
        groups with the one threshold
        that is best for p (before; not that of the classifier's own decisions) and with these
        (after), expected from p and, if they are inferred, the chances of groups; where `fit` was
        given y also as observed on its rows, with the 90 % interval of what new rows show
        (observed_low, observed_high), NaN if a group has no row of the outcome, and for rows
        whose group is missing. Where groups are inferred these are the rows that it was learnt
        from how: new rows show more.
    thresholds_
        One line per attribute and group: attribute, group, n, what it adds (reward r_ag and charge
        c_ag, in units of r and c), and the threshold of the classifier's probability where no other
        attribute adds anything; where known groups correct that ("read_or_inferred", and the
        classifier reads no S) of the corrected one.
    coins_
        Share of the rows of `fit` that are decided at random.
    loss_
        Expected loss of accuracy on the rows of `fit`, from that of the one best threshold.
    least_loss_
        A lower bound of it, by weak duality, for any rule that reads p and the groups (or, if these
        are inferred, the covariates) and keeps the limits.
    calibration_
        Under ``calibration="isotonic"`` the curve: probabilities of the classifier ``given`` and
        what they are worth, ``calibrated``, (k,) each; None without.
    classes_
        The classes; the second is the positive one.
    n_rows_
        Rows that the thresholds were chosen on.

    See Also
    --------
    GroupThresholds : one attribute, rates exactly equal on the rows of `fit`.
    FairMixedEffectsClassifier : its ``threshold`` and penalties need no S when predicting.

    References
    ----------
    Hardt, Price & Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016.
    Menon & Williamson, "The cost of fairness in binary classification", FAT* 2018.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=900, clusters=6, random_state=0)
    >>> X, y = data.frame, data.target
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "cluster", guide="mean_field", min_steps=100, random_state=0
    ... )
    >>> policy = JointThresholds(clf.fit(X[:600], y[:600]), {"group1": 0.02, "group2": 0.02})
    >>> policy = policy.fit(X[600:])
    >>> policy.rates_[["attribute", "rate", "limit"]].values.tolist()[0]
    ['group1', 'tpr', 0.02]
    >>> bool((policy.rates_["after"] < 0.021).all())
    True
    """

    def __init__(
        self,
        estimator: Any,
        limits: Any,
        criterion: str = "equalized_odds",
        *,
        sensitive: str = "read",
        measure: str = "sd",
        effects: str = "mixed",
        objective: str = "balanced_accuracy",
        unknown_groups: str = "raise",
        cv: Any = None,
        group_model: Any = None,
        calibration: str | None = None,
        random_state: Seed = 0,
    ) -> None:
        self.estimator = estimator
        self.limits = limits
        self.criterion = criterion
        self.sensitive = sensitive
        self.measure = measure
        self.effects = effects
        self.objective = objective
        self.unknown_groups = unknown_groups
        self.cv = cv
        self.group_model = group_model
        self.calibration = calibration
        self.random_state = random_state

    @property
    def needs_sensitive(self) -> bool:
        """Whether `predict` reads sensitive attributes of rows: as it was fitted."""
        return self._way != INFERRED

    @property
    def _way(self) -> str:
        return self._reading.way if hasattr(self, "_reading") else self.sensitive

    @property
    def estimator_(self) -> Any:
        """The classifier that decides: ``estimator``, or its clone that `fit` fitted."""
        check_fitted(self, "thresholds_")
        return self.estimator if self._own is None else self._own

    @property
    def measure_(self) -> str:
        """What the limits of the last `fit` are of: ``measure`` as it was then."""
        check_fitted(self, "thresholds_")
        return self._measure

    @property
    def calibration_(self) -> IsotonicCalibration | None:
        """The curve that the last `fit` learnt: points ``given`` and ``calibrated``, (k,) each."""
        check_fitted(self, "thresholds_")
        return getattr(self, "_curve", None)  # pickles of an earlier version have none

    @property
    def rates_(self) -> pd.DataFrame:
        """One line per limit: what rates are, before and after, as expected and as observed."""
        check_fitted(self, "thresholds_")
        if self._observed:  # intervals take longer than fits: only when somebody looks
            self._rates = with_intervals(self._rates, self._observed, self._measure)
            self._observed = ()
        return self._rates

    # Fitting --------------------------------------------------------------------------------

    @errors_alone
    def fit(
        self,
        X: Table,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
    ) -> JointThresholds:
        """Choose the thresholds; a fitted classifier stays as it is.

        Parameters
        ----------
        X
            Rows (n, columns) like those to be decided, not those that the classifier was trained
            on; the rows to be decided will do. The sensitive attributes are among the columns, or
            given apart. A classifier other than ours gets the columns of its ``feature_names_in_``,
            else all; the one that is fitted here gets all, but those that are to be inferred.
        y
            Their class (n,), where it is known; where groups are inferred, or the classifier is
            fitted, it must be. Where they are read it moves no threshold: it adds to ``rates_``
            what is observed, and shows whether p is calibrated.
        sample_weight
            Weight of each row, (n,): rates, loss and limits are those of the weighted rows, as of
            the population that a survey's weights stand for. None: rows count alike.
        sensitive_features
            Sensitive attributes apart from X, as in fairlearn: a frame, a series, a dictionary of
            columns, or an array; without names it has those that ``limits`` names, in that order.
            X stays as it is. None: they are columns of X.

        Returns
        -------
        JointThresholds
            The policy itself; after an error it is as it was before.

        Raises
        ------
        TypeError
            When ``estimator`` is no classifier with ``predict_proba``.
        ValueError
            For bad keywords, an absent column, an attribute of one group, more than two classes, or
            probabilities that are all 0 or all 1; where groups are inferred also without y, for a
            group without a row of each class, and a classifier that reads S.

        Warns
        -----
        FairnessWarning
            When p cannot be calibrated in the groups (a penalty, class weights, "random" effects)
            or, by y, is not; when most rows are decided at random, or all are decided alike.
        """
        self._check()
        seed = seed_from(self.random_state)
        known = known_attributes(self.estimator, sensitive_features, row_count(X))
        given = limited_entries(self.limits, known)
        entries = {name: entry for name, (entry, _) in given.items()}
        wanted = columns_of(entries.values())
        found = prepare(
            self.estimator,
            (self.effects, self.cv, seed),
            (X, sensitive_features, y, sample_weight),
            wanted,
            wanted if self.sensitive == INFERRED else (),
        )
        decided, rows, p_known = found.decided, found.rows, found.p
        outcome = None if y is None else decided.encode(y, rows)
        mass = policy_inputs.masses(sample_weight, len(rows.frame))
        if self.calibration is not None:
            hidden = wanted if self.sensitive == INFERRED else ()
            decided, p_known = calibrated(found, X, hidden, outcome, mass)
        groups = learn_groups(entries, rows.frame, self.sensitive)
        by_name = {name: value for name, (_, value) in given.items()}
        limits = read_limits(by_name, self.criterion, self.measure)
        reading, (_, p, members, _) = learn_reading(
            self.sensitive, groups, decided, (X, rows, p_known), (mass, outcome), self.group_model
        )
        if not 0 < np.average(p, weights=mass) < 1:
            counted = p[mass > 0]
            raise ValueError(
                f"The probabilities{decided.source} of all {len(counted)} rows are "
                f"{counted[0]:.0f}: no "
                "threshold separates them. [no-threshold]"
            )
        gaps = {name: GAPS.format(name) for name in reading.split}
        limits += tuple(
            one._replace(attribute=gaps[one.attribute]) for one in limits if one.attribute in gaps
        )
        rule = joint_rule(p, members, limits, self.objective, mass, reading.parts)
        before = (p * rule.reward > (1 - p) * rule.charge).astype(float)
        after = rule.chances(p, members)
        codes = {name: one.encode(rows.frame) for name, one in groups.items()}
        sources = {"": (p, members)}
        if outcome is not None:
            seen = {name: Members.of(codes[name], len(groups[name].levels)) for name in groups}
            unseen = {name: members[name] for name in gaps.values()}
            sources["observed_"] = (outcome.astype(float), {**seen, **unseen})
        self._reading, self._rule, self._seed, self._own = reading, rule, seed, found.own
        self._measure, self._seen, self._curve = self.measure, rows.given, decided.calibration
        self._rates = rates = rates_table(limits, before, after, sources, mass)
        self._observed = tuple(
            ObservedRates.of(after, seen, of[limit.attribute], limit, mass)
            for prefix, (seen, of) in sources.items()
            for limit in limits
            if prefix
        )
        self.thresholds_ = thresholds_table(
            rule, reading.parts, members, codes,
            None if reading.corrects else decided.calibration,
        )  # fmt: skip
        self.coins_ = float(np.average((after > 0) & (after < 1), weights=mass))
        gain = mass * (rule.reward * p - rule.charge * (1 - p))
        self.loss_ = float(gain @ (before - after))
        self.least_loss_, self.n_rows_ = rule.least, len(p)
        self.classes_ = decided.classes
        warn_of_beliefs(decided.doubts(), p, members, reading.parts, outcome, mass)
        warn_of_decisions(rates, self.coins_, self.measure)
        warn_of_constant_decision(after, p, before)
        return self

    def _check(self) -> None:
        check_kind(self.estimator)
        check_choice("criterion", self.criterion, tuple(CRITERIA))
        check_choice("sensitive", self.sensitive, WAYS)
        check_choice("measure", self.measure, MEASURES)
        check_choice("effects", self.effects, EFFECTS)
        check_choice("objective", self.objective, policy_inputs.OBJECTIVES)
        check_choice("unknown_groups", self.unknown_groups, policy_inputs.UNKNOWN)
        check_choice("calibration", self.calibration, CALIBRATIONS)

    # Predicting -----------------------------------------------------------------------------

    def predict_proba(self, X: Table, *, sensitive_features: Any = None) -> np.ndarray:
        """Return the probability of each *decision*, (n, 2), columns as in ``classes_``.

        It is 0 or 1 but for rows that are decided at random. The probability of the outcome is
        that of ``estimator_.predict_proba``.
        """
        check_fitted(self, "thresholds_")
        _, p, members, _ = self._read(X, sensitive_features)
        share = self._rule.chances(p, members)
        return np.stack([1.0 - share, share], axis=1)

    @errors_alone
    def predict(self, X: Table, *, sensitive_features: Any = None) -> np.ndarray:
        """Decide for each row of X: classes (n,).

        It must hold S, unless that is inferred or given as ``sensitive_features`` as to `fit`. The
        random number of a row is a hash of ``random_state`` and the values of the columns that
        the classifier reads and groups are read from: the same row is always decided alike.
        """
        check_fitted(self, "thresholds_")
        return self.classes_[self._decide(self._read(X, sensitive_features))]

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

    @errors_alone
    def row_thresholds(self, X: Table, *, sensitive_features: Any = None) -> np.ndarray:
        """Return the probability above which each row is decided positively, (n,).

        It is the classifier's probability: not the calibrated one, nor that which a known group has
        corrected ("read_or_inferred"). Coins decide rows close to it.
        NaN where limits are so strict that high probabilities are decided negatively. Where groups
        are inferred, p is among what they are inferred from, and so is in the threshold too.
        """
        check_fitted(self, "thresholds_")
        rows = self._read(X, sensitive_features)
        found = threshold(*self._rule.weights(rows.members))
        found = found / (found + rows.odds * (1 - found))  # of odds before groups multiplied them
        curve = self.calibration_
        return found if curve is None else curve.given_at(found)

    @property
    def corrects(self) -> bool:
        """Whether known groups correct the classifier's probability before it is decided on."""
        return hasattr(self, "_reading") and self._reading.corrects

    def weights_without_groups(self) -> tuple[float, float]:
        """Return what a positive row decided positively adds, a negative one takes away."""
        return self._rule.reward, self._rule.charge

    def _decide(self, found: GroupedRows) -> np.ndarray:
        share = self._rule.chances(found.p, found.members)
        decided, groups = self._decided(), self._reading.read_of_rows
        return policy_inputs.decide(
            lambda at: decided.contents(found.rows.only(at), groups), share, self._seed
        )

    def _decided(self) -> Decided:
        seen = getattr(self, "_seen", ())  # pickles of an earlier version have none
        own = decided_by(self.estimator_, self.effects, self._reading.columns, self._seed, seen)
        return replace(own, calibration=self.calibration_)

    def _read(self, X: Table, apart: Any = None) -> GroupedRows:
        """Return new rows, their probability (n,), and their groups by attribute."""
        return self._reading.read(self._decided(), X, apart, self.unknown_groups)

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
            Of the same form, with the lines of the policy's ``effects`` only, as of
            `GroupThresholds.fairness_report`.
        """
        check_fitted(self, "thresholds_")
        decision = self._decide(self._read(X, sensitive_features))
        decided = self._decided()
        rows = decided.rows(X, sensitive_features, self._reading.columns)
        if attributes is None:
            attributes = policy_inputs.reported(decided.sensitive, self._reading.groups.values())
        judged = decided.judged(rows, y, attributes, sample_weight, decision)
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
        measure = self._measure if hasattr(self, "_measure") else self.measure
        return description(self, self._names(), self._way, measure)

    def _names(self) -> list[str]:
        if hasattr(self, "_reading"):
            return list(self._reading.groups)
        if isinstance(self.limits, Mapping):
            return [key if isinstance(key, str) else attribute_name(key) for key in self.limits]
        return ["every attribute"]

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
        """Show the policy, and whether it reads S."""
        return (
            f"JointThresholds({type(self.estimator).__name__}, limits={self.limits!r}, "
            f"criterion={self.criterion!r}, effects={self.effects!r})  # "
            + ("needs S when predicting" if self.needs_sensitive else "infers S when predicting")
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle; one of an earlier version lacks keywords."""
        super().__setstate__(with_keywords(type(self), state))

    def __sklearn_clone__(self) -> JointThresholds:
        """Copy the keywords; a fitted classifier is shared, as fitting a policy leaves it."""
        return copied(self)

    # Files ----------------------------------------------------------------------------------

    def save(self, path: PathLike, *, key: str | bytes | None = None) -> None:
        """Write classifier and policy to one file, without pickle; `JointThresholds.load` reads.

        With a ``key`` the file is signed, as by `FairMixedEffectsClassifier.save`.

        Raises
        ------
        ValueError
            When the classifier is not ours, or groups are inferred by one: only pickle or joblib
            can write these.
        """
        check_fitted(self, "thresholds_")
        state = (self._reading, self._rule, self._seed, self._measure, self.calibration_)
        joint_threshold_files.write(self, path, key, state)

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        key: str | bytes | None = None,
        objects: Mapping[str, Any] | None = None,
    ) -> JointThresholds:
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
            path, joint_threshold_files.KIND, key, objects, lambda s, e: cls._restored(s, e)
        )

    @classmethod
    def _restored(cls, saved: Mapping[str, Any], estimator: Any) -> JointThresholds:
        found = joint_threshold_files.read(saved, estimator)
        policy = cls(estimator, found.limits, **found.keywords)
        policy._check()
        policy._own, policy._observed, policy._measure = None, (), policy.measure
        policy._reading, policy._rule, policy._seed = found.reading, found.rule, found.seed
        policy._curve = found.calibration
        for name, value in found.results.items():
            setattr(policy, name, value)
        return policy
