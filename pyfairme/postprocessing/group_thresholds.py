"""Threshold policies after training: one threshold, or thresholds by group that need the group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin

from pyfairme import persistence
from pyfairme.data import Binned
from pyfairme.data.attributes import Attribute
from pyfairme.data.design_state import check_attribute, plain, rebuilt
from pyfairme.data.input_types import Attributes, PathLike, Seed, Table
from pyfairme.data.schema import Sensitive, attribute_name
from pyfairme.estimators import estimator_keywords, saved_state
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.cluster_label_warnings import expecting_new_clusters
from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice, seed_from
from pyfairme.estimators.number_checks import check_count
from pyfairme.metrics.metric import ChosenMetrics
from pyfairme.notices import errors_alone
from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.threshold_rules import (
    check_rules,
    grouped_rules,
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
KIND = "GroupThresholds"
OTHERWISE = "set criterion=None for one threshold, which needs none."


class GroupThresholds(ClassifierMixin, BaseEstimator):
    r"""Decide by thresholds that differ between groups: **reads S of every row it predicts**.

    A policy on top of a fitted classifier, which stays as it is. Group s is decided by the rule

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
        A fitted `FairMixedEffectsClassifier` of two classes.
    attribute
        Sensitive attribute whose groups get thresholds: a column, a `Binned`, or a tuple of these
        for an intersection; it need not be one that the classifier was trained with.
    criterion
        "equalized_odds" (equal TPR and FPR), "demographic_parity" (equal selection rate),
        "equal_opportunity" (equal TPR), "false_positive_rate_parity" (equal FPR); None: one
        threshold.
    effects
        Probabilities that are thresholded: "fixed", "random" or "mixed".
    objective
        What is maximal under the criterion: "balanced_accuracy" or "accuracy". For equalized odds
        and one threshold it is that of all rows, else the mean over groups weighted by their rows.
    grid_size
        Number of values of the equal rate that are tried; error of the rate at most 1 / grid_size.
    unknown_groups
        Rows whose group was not among those the thresholds were chosen on: "raise" refuses the
        table; "pooled" decides them by the one threshold
        that ``criterion=None`` would choose.
    random_state
        Seed of the coins of randomised decisions. None: a fresh one, drawn once by `fit`.

    Attributes
    ----------
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
        estimator: FairMixedEffectsClassifier,
        attribute: Sensitive | None = None,
        criterion: str | None = "equalized_odds",
        *,
        effects: str = "mixed",
        objective: str = "balanced_accuracy",
        grid_size: int = 1000,
        unknown_groups: str = "raise",
        random_state: Seed = 0,
    ) -> None:
        self.estimator = estimator
        self.attribute = attribute
        self.criterion = criterion
        self.effects = effects
        self.objective = objective
        self.grid_size = grid_size
        self.unknown_groups = unknown_groups
        self.random_state = random_state

    @property
    def needs_sensitive(self) -> bool:
        """Whether `predict` reads the sensitive attribute from X."""
        return self.criterion is not None

    # Fitting --------------------------------------------------------------------------------

    @errors_alone
    def fit(
        self, X: Table, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> GroupThresholds:
        """Choose the thresholds; the classifier stays as it is.

        Parameters
        ----------
        X, y
            Held-out rows (n, columns) and their class (n,), the sensitive attribute among the
            columns; on training rows the classifier is too sure of itself.
        sample_weight
            Weight of each row, (n,): rates are those of the weighted rows, as of the population
            that a survey's weights stand for. fairlearn counts rows, so each is repeated in
            proportion to its weight (to a fiftieth of the mean weight). None: rows count alike.

        Returns
        -------
        GroupThresholds
            The policy itself.

        Raises
        ------
        TypeError
            When ``estimator`` is no `FairMixedEffectsClassifier`.
        ValueError
            For bad keywords, an absent column, an attribute of one group, more than two classes,
            or a group without positive or without negative rows.
        """
        self._check()
        frame = policy_inputs.frame_of(self.estimator, X)
        outcome = policy_inputs.encode(self.estimator, y, frame)
        entry: Any = self.attribute
        attribute = (
            policy_inputs.learn_groups(entry, frame, OTHERWISE) if self.needs_sensitive else None
        )
        score = self._score(X)
        mass = policy_inputs.masses(sample_weight, len(frame))
        if attribute is None:
            rules = pooled = one_rule(score, outcome, self.objective, mass)
        else:
            codes = attribute.encode(frame)
            _check_outcomes(attribute, codes[mass > 0], outcome[mass > 0])
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
        self.classes_ = self.estimator.classes_
        self._seed = seed_from(self.random_state)
        return self

    def _check(self) -> None:
        policy_inputs.check_classifier(self.estimator)
        check_choice("criterion", self.criterion, (*CRITERIA, None))
        check_choice("effects", self.effects, EFFECTS)
        check_choice("objective", self.objective, policy_inputs.OBJECTIVES)
        check_count("grid_size", self.grid_size, 1)
        check_choice("unknown_groups", self.unknown_groups, policy_inputs.UNKNOWN)
        if self.needs_sensitive and self.attribute is None:
            raise ValueError(
                f"criterion={self.criterion!r} needs an attribute: name the column whose groups "
                "get thresholds, or set criterion=None for one threshold. [no-attribute]"
            )
        if not isinstance(self.attribute, str | Binned | tuple | None):
            raise TypeError(
                "attribute must be a column, a Binned, or a tuple of these for an intersection, "
                f"got {type(self.attribute).__name__}: one policy has one attribute; "
                "JointThresholds takes several. [attribute-kind]"
            )

    def _score(self, X: Table) -> np.ndarray:
        with expecting_new_clusters():
            return self.estimator.predict_proba(X, effects=self.effects)[:, 1]

    # Predicting -----------------------------------------------------------------------------

    def predict_proba(self, X: Table) -> np.ndarray:
        """Return the probability of each *decision*, (n, 2), columns as in ``classes_``.

        It is 0 or 1 but for randomised rules. The probability of the outcome is that of
        ``estimator.predict_proba``.
        """
        check_fitted(self, "thresholds_")
        share = self._share(X, policy_inputs.frame_of(self.estimator, X))
        return np.stack([1.0 - share, share], axis=1)

    @errors_alone
    def predict(self, X: Table) -> np.ndarray:
        """Decide for each row of X, which must hold the sensitive attribute: classes (n,).

        Where a rule is randomised the random number of a row is a hash of ``random_state`` and the
        values of the columns that the classifier or the groups read: the same row is always
        decided alike, in whatever company and order, and rows with equal values are too.
        """
        check_fitted(self, "thresholds_")
        frame = policy_inputs.frame_of(self.estimator, X)
        return self.classes_[self._decide(frame, self._share(X, frame))]

    def _share(self, X: Table, frame: pd.DataFrame) -> np.ndarray:
        """Probability of a positive decision, (n,)."""
        attribute = self._groups
        if attribute is None:
            return positive_share(self.thresholds_, self._score(X), np.zeros(len(frame), int))
        codes = policy_inputs.codes_of(attribute, frame, OTHERWISE, self.unknown_groups)
        rules = self.thresholds_
        if (codes < 0).any():
            if self._pooled is None:
                raise ValueError(
                    "unknown_groups='pooled' needs a threshold for all, which the file of an "
                    "earlier version does not hold: fit the policy again. [no-pooled-threshold]"
                )
            rules = pd.concat([rules, self._pooled], ignore_index=True)  # last, where -1 looks
        return positive_share(rules, self._score(X), codes)

    def _decide(self, frame: pd.DataFrame, share: np.ndarray) -> np.ndarray:
        groups = () if self._groups is None else (self._groups,)
        return policy_inputs.decide(self.estimator, frame, groups, share, self._seed)

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
    ) -> pd.DataFrame:
        """Report accuracy and fairness of the policy's decisions.

        Parameters
        ----------
        X, y, by_cluster, n_boot, level, sample_weight, min_group_size, metrics
            As of `FairMixedEffectsClassifier.fairness_report`.
        attributes
            As there; by default the classifier's and the policy's own.

        Returns
        -------
        DataFrame
            Of the same form, with the lines of the policy's ``effects`` only. What rests on
            decisions is the policy's; AUROC, log loss, Brier score, calibration and the
            counterfactual gap are those of the classifier's probabilities, which thresholds leave
            as they are.
        """
        check_fitted(self, "thresholds_")
        frame = policy_inputs.frame_of(self.estimator, X)
        decision = self._decide(frame, self._share(X, frame))
        options: Any = {"by_cluster": by_cluster, "n_boot": n_boot, "level": level}
        options |= {"min_group_size": min_group_size, "metrics": metrics}
        chosen = self._reported(attributes)
        return policy_inputs.report(
            self.estimator, (X, y, sample_weight), chosen, self.effects, decision, **options
        )

    def _reported(self, attributes: Attributes) -> Any:
        if attributes is not None or self.attribute is None:
            return attributes
        known = self.estimator.design_.schema.sensitive
        return known if self.attribute in known else (*known, self.attribute)

    def describe(self) -> str:
        """Say in words what is decided how, and what is needed to predict."""
        name = None if self.attribute is None else attribute_name(self.attribute)
        head = "One threshold for all rows; the sensitive attribute is not read."
        if self.needs_sensitive:
            head = (
                f"Thresholds by group of {name!r} for {str(self.criterion).replace('_', ' ')}.\n"
                f"NEEDS THE SENSITIVE ATTRIBUTE: {name!r} of every row to predict."
            )
        if not hasattr(self, "thresholds_"):
            return f"{head}\nNot fitted yet."
        lines = [_in_words(rule) for rule in self.thresholds_.to_dict("records")]
        end = f"p: probability from {self.effects} effects. Chosen on {self.n_rows_} rows."
        return "\n".join([head, *lines, end])

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

    def __sklearn_clone__(self) -> GroupThresholds:
        """Copy the keywords; the fitted classifier is shared, as fitting a policy leaves it."""
        return type(self)(**self.get_params(deep=False))

    # Files ----------------------------------------------------------------------------------

    def save(self, path: PathLike, *, key: str | bytes | None = None) -> None:
        """Write classifier and policy to one file, without pickle; `GroupThresholds.load` reads.

        With a ``key`` the file is signed, as by `FairMixedEffectsClassifier.save`.
        """
        check_fitted(self, "thresholds_")
        keywords = ("criterion", "effects", "objective", "grid_size", "unknown_groups")
        pooled = None if self._pooled is None else self._pooled.iloc[0].to_dict()
        known = self.random_state if isinstance(self.random_state, int) else None
        rules = {name: self.thresholds_[name].tolist() for name in self.thresholds_}
        saved = {
            "estimator": saved_state.to_state(self.estimator, persistence.secret_of(key)),
            "keywords": {name: getattr(self, name) for name in keywords} | {"random_state": known},
            "groups": plain(self._groups),
            "rules": rules,
            "pooled": pooled,
            "seed": self._seed,
            "rows": self.n_rows_,
        }
        persistence.save_state(path, saved, kind=KIND, key=key)

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
            path, KIND, key, objects, lambda saved, estimator: _restored(cls, saved, estimator)
        )


def _restored(
    cls: type[GroupThresholds], saved: Mapping[str, Any], estimator: FairMixedEffectsClassifier
) -> GroupThresholds:
    groups = None if saved["groups"] is None else rebuilt(Attribute, saved["groups"])
    entry = None if groups is None else policy_inputs.entry_of(groups)
    found = cls(estimator, entry, **saved["keywords"])
    found._check()
    found.thresholds_ = pd.DataFrame(dict(saved["rules"]))
    levels = ("all",) if groups is None else groups.levels
    if groups is not None:
        check_attribute(groups)
    check_rules(found.thresholds_, levels)
    found._groups, found.n_rows_ = groups, rebuilt(int, saved["rows"])
    found._seed = estimator_keywords.check_seed(saved["seed"])
    pooled = saved.get("pooled")  # older files have none
    found._pooled = None if pooled is None else pd.DataFrame([pooled])
    if found._pooled is not None:
        check_rules(found._pooled, ("all",))
    found.classes_ = estimator.classes_
    return found


def _check_outcomes(attribute: Attribute, codes: np.ndarray, outcome: np.ndarray) -> None:
    rows = np.bincount(codes, minlength=len(attribute.levels))
    positives = np.bincount(codes, outcome, minlength=len(attribute.levels))
    for level, n, k in zip(attribute.levels, rows, positives, strict=True):
        if k in (0, n):
            none, what = ("positive", "TPR") if k == 0 else ("negative", "FPR")
            raise ValueError(
                f"The group {level!r} of {attribute.name!r} has no {none} row among its {n}, so no "
                f"{what} to equalise. Give more rows, merge groups (a coarser column, Binned), or "
                "set criterion=None for one threshold. [group-without-outcome]"
            )


def _in_words(rule: Mapping[str, Any]) -> str:
    """Say with which probability a group's rows are decided positive, from high p to low."""
    coin, heard = rule["ignore"] * rule["constant"], 1 - rule["ignore"]
    steps = [(rule["above"], coin + heard), (rule["or_above"], coin + heard * (1 - rule["weight"]))]
    text = [f"{chance:.3g} if p > {cut:.3f}" for cut, chance in steps if np.isfinite(cut)]
    name = f"{rule['group']} ({rule['n']} rows, {rule['positives']} positive)"
    return f"- {name}: positive with probability {', else '.join([*text, f'{coin:.3g}'])}"
