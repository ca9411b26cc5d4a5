"""Thresholds for several sensitive attributes at once, at the least loss of accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin

from pyfairme import persistence
from pyfairme.data.attributes import Attribute
from pyfairme.data.design_state import check_attribute, plain, rebuilt
from pyfairme.data.input_types import Attributes, PathLike, Seed, Table
from pyfairme.data.schema import attribute_name
from pyfairme.estimators import estimator_keywords, saved_state
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.cluster_label_warnings import expecting_new_clusters
from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice, seed_from
from pyfairme.estimators.saved_array_checks import checked
from pyfairme.metrics.metric import ChosenMetrics
from pyfairme.notices import StateError, errors_alone
from pyfairme.postprocessing import inferred_groups, policy_inputs
from pyfairme.postprocessing.calibration_check import warn_of_beliefs
from pyfairme.postprocessing.joint_rule import RATES, Joint, Limit, Members, joint_rule
from pyfairme.postprocessing.joint_threshold_tables import (
    above,
    rates_table,
    threshold,
    thresholds_table,
    warn_of_decisions,
)

CRITERIA = {  # the rates that a plain number limits
    "equalized_odds": ("tpr", "fpr"),
    "equal_opportunity": ("tpr",),
    "false_positive_rate_parity": ("fpr",),
    "demographic_parity": ("selection_rate",),
}
RATE_NAMES = {
    "tpr": "true positive rates",
    "fpr": "false positive rates",
    "selection_rate": "selection rates",
}
OTHERWISE = "leave the attribute out of limits."
READ, INFERRED = "read", "inferred"
KIND = "JointThresholds"
LARGEST = 0.5  # SD over groups of a rate, half of them 0 and half 1


class JointThresholds(ClassifierMixin, BaseEstimator):
    r"""Thresholds of several attributes at once; by default **reads S of every row it predicts**.

    A policy on top of a fitted classifier, which stays as it is. With p the classifier's
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
    training rows it is too sure of itself. With y, `fit` warns where p is not calibrated. The
    stricter both TPR and FPR are limited, the more rows are decided at random.

    Whether decisions may depend on S, read or inferred, is a legal and an ethical question: where
    it is read, two people who differ in S alone can be decided differently.

    Parameters
    ----------
    estimator
        A fitted `FairMixedEffectsClassifier` of two classes.
    limits
        The largest SD over an attribute's groups of their rates, 0 to .5, or inf for none: a number
        for every sensitive attribute of the classifier; by attribute, ``{"sex": 0.02}``; or by
        rate, ``{"sex": {"tpr": 0.02}}``, of "tpr", "fpr" and "selection_rate". Keys are names of
        the classifier's sensitive attributes, other columns, `Binned`, or tuples of these for an
        intersection. `rates_` has what the SDs are without limits (``limits=inf``).
    criterion
        Which rates a number limits: those of "equalized_odds" (TPR and FPR), "equal_opportunity"
        (TPR), "false_positive_rate_parity" (FPR) or "demographic_parity" (selection rate).
    sensitive
        "read": groups are read from every row. "inferred": from rows of `fit` only, which then
        needs y and, in each group, rows of both classes; the classifier must not read S itself
        (``drop_sensitive=True``).
    effects
        Probabilities that are decided on: "fixed", "random" or "mixed". Those of "random" know
        nothing of S, so that they are not calibrated in the groups.
    objective
        What is lost least: "balanced_accuracy" or "accuracy".
    unknown_groups
        Rows whose group was not among those the thresholds were chosen on: "raise" refuses the
        table; "pooled" decides them by what the other
        attributes say, and by one threshold for all where none says anything.
    random_state
        Seed of the coins. None: a fresh one, drawn once by `fit`.

    Attributes
    ----------
    rates_
        One line per limit: attribute, rate, limit, and the SD over groups with the one threshold
        that is best for p (before; not that of the classifier's own decisions) and with these
        (after), expected from p and, if they are inferred, the chances of groups; where `fit` was
        given y also as observed on its rows, NaN if a group has no row of the outcome. Where groups
        are inferred these are the rows that it was learnt from how: new rows show more.
    thresholds_
        One line per attribute and group: attribute, group, n, what it adds (reward r_ag and charge
        c_ag, in units of r and c), and the threshold of p where no other attribute adds anything.
    coins_
        Share of the rows of `fit` that are decided at random.
    loss_
        Expected loss of accuracy on the rows of `fit`, from that of the one best threshold.
    least_loss_
        A lower bound of it, by weak duality, for any rule that reads p and the groups (or, if these
        are inferred, the covariates) and keeps the limits.
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
        estimator: FairMixedEffectsClassifier,
        limits: Mapping[Any, Any],
        criterion: str = "equalized_odds",
        *,
        sensitive: str = "read",
        effects: str = "mixed",
        objective: str = "balanced_accuracy",
        unknown_groups: str = "raise",
        random_state: Seed = 0,
    ) -> None:
        self.estimator = estimator
        self.limits = limits
        self.criterion = criterion
        self.sensitive = sensitive
        self.effects = effects
        self.objective = objective
        self.unknown_groups = unknown_groups
        self.random_state = random_state

    @property
    def needs_sensitive(self) -> bool:
        """Whether `predict` reads sensitive attributes from X: as it was fitted."""
        inferred = self.sensitive == INFERRED
        return self._features is None if hasattr(self, "_groups") else not inferred

    # Fitting --------------------------------------------------------------------------------

    @errors_alone
    def fit(
        self, X: Table, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> JointThresholds:
        """Choose the thresholds; the classifier stays as it is.

        Parameters
        ----------
        X
            Rows (n, columns) like those to be decided, not those that the classifier was trained
            on, with the sensitive attributes among the columns; the rows to be decided will do.
        y
            Their class (n,), where it is known; where groups are inferred it must be. Where they
            are read it moves no threshold: it adds to ``rates_`` what is observed, and shows
            whether p is calibrated.
        sample_weight
            Weight of each row, (n,): rates, loss and limits are those of the weighted rows, as of
            the population that a survey's weights stand for. None: rows count alike.

        Returns
        -------
        JointThresholds
            The policy itself; after an error it is as it was before.

        Raises
        ------
        TypeError
            When ``estimator`` is no `FairMixedEffectsClassifier`.
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
        frame = policy_inputs.frame_of(self.estimator, X)
        outcome = None if y is None else policy_inputs.encode(self.estimator, y, frame)
        mass = policy_inputs.masses(sample_weight, len(frame))
        groups, given = self._learn_groups(frame)
        limits = self._limits(given)
        inferred = self.sensitive == INFERRED
        if inferred:
            inferred_groups.check_unread(self.estimator, groups.values(), outcome)
        p = self._score(inferred_groups.without(X, groups) if inferred else X)
        if not 0 < p.mean() < 1:
            raise ValueError(
                f"The probabilities from {self.effects} effects of all {len(p)} rows are "
                f"{p[0]:.0f}: no threshold separates them. [no-threshold]"
            )
        codes = {name: one.encode(frame) for name, one in groups.items()}
        known = {name: Members.of(codes[name], len(groups[name].levels)) for name in groups}
        chances, features, members = {}, None, known
        if inferred and outcome is not None:
            features = inferred_groups.Features.of(self.estimator, self.effects)
            of = features.read(self.estimator, frame, p)
            chances = {
                name: inferred_groups.learn(one, codes[name], outcome, of, mass)
                for name, one in groups.items()
            }
            members = {name: inferred_groups.infer(one, of) for name, one in chances.items()}
        rule = joint_rule(p, members, limits, self.objective, mass)
        before = (p * rule.reward > (1 - p) * rule.charge).astype(float)
        after = rule.chances(p, members)
        seed = seed_from(self.random_state)
        self._groups, self._rule, self._seed = groups, rule, seed
        self._chances, self._features = chances, features
        sources = {"": (p, members)}
        if outcome is not None:
            sources["observed_"] = (outcome.astype(float), known)
        self.rates_ = rates_table(limits, before, after, sources, mass)
        self.thresholds_ = thresholds_table(rule, groups, codes)
        self.coins_ = float(np.average((after > 0) & (after < 1), weights=mass))
        gain = mass * (rule.reward * p - rule.charge * (1 - p))
        self.loss_ = float(gain @ (before - after))
        self.least_loss_, self.n_rows_ = rule.least, len(frame)
        self.classes_ = self.estimator.classes_
        warn_of_beliefs(self.estimator, self.effects, p, members, groups, outcome, mass)
        warn_of_decisions(self.rates_, after, self.coins_)
        return self

    def _check(self) -> None:
        policy_inputs.check_classifier(self.estimator)
        check_choice("criterion", self.criterion, tuple(CRITERIA))
        check_choice("sensitive", self.sensitive, (READ, INFERRED))
        check_choice("effects", self.effects, EFFECTS)
        check_choice("objective", self.objective, policy_inputs.OBJECTIVES)
        check_choice("unknown_groups", self.unknown_groups, policy_inputs.UNKNOWN)

    def _learn_groups(self, frame: pd.DataFrame) -> tuple[dict[str, Attribute], dict[str, Any]]:
        """Learn the groups of every limited attribute from these rows; limits by its name."""
        known = {attribute_name(e): e for e in self.estimator.design_.schema.sensitive}
        limits = (
            self.limits if isinstance(self.limits, Mapping) else dict.fromkeys(known, self.limits)
        )
        if not limits:
            raise ValueError(
                "No attribute to limit: limits is empty, or a number while the classifier has no "
                "sensitive attribute. Name attributes: limits={'column': 0.02}. [no-limits]"
            )
        groups, given = {}, {}
        for key, value in limits.items():
            entry: Any = known.get(key, key) if isinstance(key, str) else key
            name = attribute_name(entry)
            if name in groups:
                raise ValueError(
                    f"limits names {name!r} twice: give one limit per attribute. [given-twice]"
                )
            groups[name], given[name] = (
                policy_inputs.learn_groups(entry, frame, OTHERWISE),
                value,
            )
        return groups, given

    def _limits(self, by_name: Mapping[str, Any]) -> tuple[Limit, ...]:
        found = []
        for name, given in by_name.items():
            single = not isinstance(given, Mapping)
            rates = CRITERIA[self.criterion]
            by_rate: dict[str, Any] = dict.fromkeys(rates, given) if single else dict(given)
            if not by_rate:
                raise ValueError(
                    f"No rate of {name!r} is limited: name one of {', '.join(RATES)}. [no-limits]"
                )
            for rate, value in by_rate.items():
                check_choice("a rate in limits", rate, RATES)
                number = isinstance(value, Real) and not isinstance(value, bool)
                sd = float(value) if number else np.nan
                if not (0 <= sd <= LARGEST or sd == np.inf):
                    raise ValueError(
                        f"The limit of {name!r} must be a number from 0 to 0.5, the largest SD "
                        f"over groups that there is, or inf for none; got {value!r}. [limit-range]"
                    )
                found.append(Limit(name, rate, sd))
        return tuple(found)

    def _score(self, X: Table) -> np.ndarray:
        with expecting_new_clusters():
            return self.estimator.predict_proba(X, effects=self.effects)[:, 1].astype(np.float64)

    # Predicting -----------------------------------------------------------------------------

    def predict_proba(self, X: Table) -> np.ndarray:
        """Return the probability of each *decision*, (n, 2), columns as in ``classes_``.

        It is 0 or 1 but for rows that are decided at random. The probability of the outcome is
        that of ``estimator.predict_proba``.
        """
        check_fitted(self, "thresholds_")
        _, p, members = self._read(X)
        share = self._rule.chances(p, members)
        return np.stack([1.0 - share, share], axis=1)

    @errors_alone
    def predict(self, X: Table) -> np.ndarray:
        """Decide for each row of X: classes (n,). It must hold S, unless that is inferred.

        The random number of a row is a hash of ``random_state`` and the values of the columns that
        the classifier reads and groups are read from: the same row is always decided alike.
        """
        check_fitted(self, "thresholds_")
        return self.classes_[self._decide(X)]

    @errors_alone
    def row_thresholds(self, X: Table) -> np.ndarray:
        """Return the probability above which each row is decided positively, (n,).

        Coins decide rows close to it. NaN where limits are so strict that high probabilities are
        decided negatively. Where groups are inferred, p is among what they are inferred from, and
        so is in the threshold too.
        """
        check_fitted(self, "thresholds_")
        _, _, members = self._read(X)
        return threshold(*self._rule.weights(members))

    def _decide(self, X: Table) -> np.ndarray:
        frame, p, members = self._read(X)
        groups = tuple(self._groups.values()) if self._features is None else ()
        share = self._rule.chances(p, members)
        return policy_inputs.decide(self.estimator, frame, groups, share, self._seed)

    def _read(self, X: Table) -> tuple[pd.DataFrame, np.ndarray, dict[str, Members]]:
        """Return new rows as a frame, their probability (n,), and their groups by attribute."""
        if self._features is not None:
            X = inferred_groups.without(X, self._groups)
            frame, p = policy_inputs.frame_of(self.estimator, X), self._score(X)
            of = self._features.read(self.estimator, frame, p)
            return frame, p, {n: inferred_groups.infer(one, of) for n, one in self._chances.items()}
        frame = policy_inputs.frame_of(self.estimator, X)
        members = {
            name: Members.of(
                policy_inputs.codes_of(one, frame, OTHERWISE, self.unknown_groups),
                len(one.levels),
            )
            for name, one in self._groups.items()
        }
        return frame, self._score(X), members

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
            Of the same form, with the lines of the policy's ``effects`` only, as of
            `GroupThresholds.fairness_report`.
        """
        check_fitted(self, "thresholds_")
        if attributes is None:
            known = self.estimator.design_.schema.sensitive
            names = {attribute_name(entry) for entry in known}
            more = [
                policy_inputs.entry_of(g) for name, g in self._groups.items() if name not in names
            ]
            attributes = (*known, *more)
        options: Any = {"by_cluster": by_cluster, "n_boot": n_boot, "level": level}
        options |= {"min_group_size": min_group_size, "metrics": metrics}
        decision = self._decide(X)
        return policy_inputs.report(
            self.estimator, (X, y, sample_weight), attributes, self.effects, decision, **options
        )

    def describe(self) -> str:
        """Say in words what is decided how, and what is needed to predict."""
        head = f"One threshold from all of {_named(self._names())}.\n" + (
            f"NEEDS THE SENSITIVE ATTRIBUTES: {_named(self._names())} of every row to predict."
            if self.needs_sensitive
            else f"INFERS {_named(self._names())} from covariates: no row to predict needs it."
        )
        if not hasattr(self, "thresholds_"):
            return f"{head}\nNot fitted yet."
        sure = "" if self.needs_sensitive else "surely "
        lines = [
            f"- {sure}{line['attribute']} = {line['group']} ({line['n']} rows): "
            f"{above(line['threshold'])} where no other attribute adds anything"
            for line in self.thresholds_.to_dict("records")
        ]
        kept = [
            f"SD of {RATE_NAMES[line['rate']]} over {line['attribute']}: "
            f"{line['before']:.3f} to {line['after']:.3f} (limit {line['limit']:.3g})"
            for line in self.rates_.to_dict("records")
        ]
        name = self.objective.replace("_", " ")
        one = float(threshold(self._rule.reward, self._rule.charge))
        end = (
            f"Expected loss of {name}: {self.loss_:.4f} (least possible {self.least_loss_:.4f}), "
            f"from that of one threshold, p > {one:.3f}.\n"
            f"p: probability from {self.effects} effects. Chosen on {self.n_rows_} rows; "
            f"{self.coins_:.1%} of them are decided at random."
        )
        return "\n".join([head, *lines, *kept, end])

    def _names(self) -> list[str]:
        if hasattr(self, "_groups"):
            return list(self._groups)
        if isinstance(self.limits, Mapping):
            return [key if isinstance(key, str) else attribute_name(key) for key in self.limits]
        return ["every attribute"]

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

    def __sklearn_clone__(self) -> JointThresholds:
        """Copy the keywords; the fitted classifier is shared, as fitting a policy leaves it."""
        return type(self)(**self.get_params(deep=False))

    # Files ----------------------------------------------------------------------------------

    def save(self, path: PathLike, *, key: str | bytes | None = None) -> None:
        """Write classifier and policy to one file, without pickle; `JointThresholds.load` reads.

        With a ``key`` the file is signed, as by `FairMixedEffectsClassifier.save`.
        """
        check_fitted(self, "thresholds_")
        limits: dict[str, dict[str, float]] = {name: {} for name in self._groups}
        for line in self.rates_.to_dict("records"):
            limits[line["attribute"]][line["rate"]] = line["limit"]
        keywords = ("criterion", "effects", "objective", "unknown_groups")
        known = self.random_state if isinstance(self.random_state, int) else None
        saved = {
            "estimator": saved_state.to_state(self.estimator, persistence.secret_of(key)),
            "keywords": {name: getattr(self, name) for name in keywords} | {"random_state": known},
            "limits": limits,
            "groups": {name: plain(groups) for name, groups in self._groups.items()},
            "parts": {name: part.tolist() for name, part in self._rule.parts.items()},
            "rule": [self._rule.reward, self._rule.charge, self._rule.scale, self._rule.least],
            "found": [self.loss_, self.coins_, self._seed],
            "rates": {name: self.rates_[name].tolist() for name in self.rates_},
            "thresholds": {name: self.thresholds_[name].tolist() for name in self.thresholds_},
            "rows": self.n_rows_,
        }
        if self._features is not None:
            saved["keywords"]["sensitive"] = INFERRED
            saved["inferred"] = {
                "columns": [list(one) for one in self._features.columns],
                "clusters": {name: list(one) for name, one in self._features.clusters.items()},
                "chances": {name: one.tolist() for name, one in self._chances.items()},
            }
        persistence.save_state(path, saved, kind=KIND, key=key)

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
            path, KIND, key, objects, lambda saved, estimator: _restored(cls, saved, estimator)
        )


def _restored(
    cls: type[JointThresholds], saved: Mapping[str, Any], estimator: FairMixedEffectsClassifier
) -> JointThresholds:
    groups = {name: rebuilt(Attribute, one) for name, one in saved["groups"].items()}
    for one in groups.values():
        check_attribute(one)
    known = {attribute_name(entry) for entry in estimator.design_.schema.sensitive}
    limits = {
        name if name in known else policy_inputs.entry_of(groups[name]): value
        for name, value in saved["limits"].items()
    }
    found = cls(estimator, limits, **saved["keywords"])
    found._check()
    found._limits(saved["limits"])
    if not groups.keys() == saved["limits"].keys() == saved["parts"].keys():
        raise StateError("expected limits and parts of the same attributes")
    reward, charge, scale, least = rebuilt(tuple[float, float, float, float], saved["rule"])
    parts = {name: np.asarray(part) for name, part in saved["parts"].items()}
    found._features, found._chances = None, {}
    if (inferred := saved.get("inferred")) is not None:
        found._features = inferred_groups.Features(
            rebuilt(tuple[tuple[str, float, float], ...], inferred["columns"]),
            {name: rebuilt(tuple[str, ...], one) for name, one in inferred["clusters"].items()},
        )
        found._chances = {n: np.asarray(one) for n, one in inferred["chances"].items()}
    for name, one in groups.items():
        checked(name, parts[name], (len(one.levels), 2))
        if found._features is not None:
            checked(name, found._chances[name], (2, len(one.levels), found._features.width + 1))
    found._groups, found._rule = groups, Joint(reward, charge, parts, scale, least)
    found.loss_, found.coins_ = rebuilt(tuple[float, float], saved["found"][:2])
    found._seed = estimator_keywords.check_seed(saved["found"][2])
    found.rates_ = pd.DataFrame(dict(saved["rates"]))
    found.thresholds_ = pd.DataFrame(dict(saved["thresholds"]))
    found.least_loss_, found.n_rows_ = least, rebuilt(int, saved["rows"])
    found.classes_ = estimator.classes_
    return found


def _named(names: list[str]) -> str:
    return ", ".join(map(repr, names))
