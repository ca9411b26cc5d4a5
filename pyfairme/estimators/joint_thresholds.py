"""Thresholds for several sensitive attributes at once, at the least loss of accuracy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from pyfairme import persistence
from pyfairme.data import Binned
from pyfairme.data.attributes import Attribute
from pyfairme.data.schema import attribute_name
from pyfairme.data.state import attribute_from, plain
from pyfairme.estimators import policy, state
from pyfairme.estimators.classifier import FairMixedEffectsClassifier
from pyfairme.estimators.joint_rules import RATES, Joint, Limit, expected_rates, gains, joint_rule
from pyfairme.estimators.settings import EFFECTS, as_tuple, check_choice
from pyfairme.estimators.updates import FairnessWarning

__all__ = ["JointThresholds"]

CRITERIA = {  # the rates that a plain number limits
    "equalized_odds": ("tpr", "fpr"),
    "equal_opportunity": ("tpr",),
    "false_positive_rate_parity": ("fpr",),
    "demographic_parity": ("selection_rate",),
}
OBJECTIVES = ("balanced_accuracy", "accuracy")
OTHERWISE = "leave the attribute out of limits."
KIND = "JointThresholds"
MISSED = 0.002  # excess over a limit that is worth a warning


class JointThresholds(ClassifierMixin, BaseEstimator):
    r"""Thresholds of several attributes at once: **reads S of every row it predicts**.

    A policy on top of a fitted classifier, which stays as it is. With p the classifier's
    probability, row i is decided positively where

        p_i (r + sum_a r_{a, g_a(i)}) > (1 - p_i) (c + sum_a c_{a, g_a(i)}),

    that is above a threshold to which every attribute a adds its part for the row's group g_a(i);
    rows close to it are decided by a coin. The parts are those of the least expected loss of
    accuracy under the given limits: of all rules that read p and the groups, those that toss coins
    among them, none loses less (a convex problem over the rows, solved by its dual; equalized odds
    of Hardt, Price & Srebro 2016 is one attribute with limit 0).

    Unlike thresholds per cell of an intersection it needs no rows of every cell, unlike
    `GroupThresholds` no outcomes: expected rates are taken from p, which is far less noisy than
    counts in small groups, and rests on p being calibrated in every group: give a classifier
    without penalties. The stricter both TPR and FPR are limited, the more rows a coin decides.

    Whether decisions may depend on S is a legal and an ethical question: two people who differ in S
    alone can be decided differently.

    Parameters
    ----------
    estimator
        A fitted `FairMixedEffectsClassifier` of two classes.
    limits
        The largest SD over an attribute's groups of their rates: a number for every sensitive
        attribute of the classifier; ``{"sex": 0.02}``; or by rate, ``{"sex": {"tpr": 0.02}}``, of
        "tpr", "fpr" and "selection_rate". `rates_` has what the SDs are without limits
        (``limits=inf``).
    criterion
        Which rates a number limits: those of "equalized_odds" (TPR and FPR), "equal_opportunity"
        (TPR), "false_positive_rate_parity" (FPR) or "demographic_parity" (selection rate).
    attributes
        Further sensitive attributes that ``limits`` names: columns, `Binned`, or tuples of these
        for an intersection.
    effects
        Probabilities that are decided on: "fixed", "random" or "mixed".
    objective
        What is lost least: "balanced_accuracy" or "accuracy".
    random_state
        Seed of the coins. None: a fresh one, drawn once by `fit`.

    Attributes
    ----------
    rates_
        One line per limit: attribute, rate, limit, and the SD over groups with one threshold
        (before) and with these (after), expected from p; where `fit` was given y also as observed
        on its rows.
    thresholds_
        One line per attribute and group: attribute, group, n, what it adds (reward r_ag and charge
        c_ag, in units of r and c), and the threshold of p where no other attribute adds anything.
    coins_
        Share of the rows of `fit` that a coin decides.
    loss_
        Expected loss of accuracy on the rows of `fit`.
    least_loss_
        A lower bound of it for any rule that keeps the limits, by weak duality.
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

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=900, clusters=6, random_state=0)
    >>> X, y = data.frame, data.target
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "cluster", guide="mean_field", min_steps=100, random_state=0
    ... )
    >>> policy = JointThresholds(clf.fit(X[:600], y[:600]), 0.02, attributes=("group1", "group2"))
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
        attributes: Any = (),
        effects: str = "mixed",
        objective: str = "balanced_accuracy",
        random_state: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.limits = limits
        self.criterion = criterion
        self.attributes = attributes
        self.effects = effects
        self.objective = objective
        self.random_state = random_state

    @property
    def needs_sensitive(self) -> bool:
        """Whether `predict` reads sensitive attributes from X: always."""
        return True

    # Fitting --------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> JointThresholds:
        """Choose the thresholds; the classifier stays as it is.

        Parameters
        ----------
        X
            Rows (n, columns) like those to be decided, with the sensitive attributes among the
            columns; the rows to be decided themselves will do.
        y
            Their class (n,), where it is known. It moves no threshold: it adds to ``rates_`` what
            is observed, so that expected rates can be checked.

        Returns
        -------
        JointThresholds
            The policy itself.

        Raises
        ------
        TypeError
            When ``estimator`` is no `FairMixedEffectsClassifier`.
        ValueError
            For bad keywords, an absent column, an attribute of one group, or more than two classes.

        Warns
        -----
        FairnessWarning
            When the classifier was fitted with a penalty, whose probabilities are not calibrated in
            the groups; when an expected SD exceeds its limit, which should not happen.
        """
        policy.check_classifier(self.estimator)
        _warn_of_penalty(self.estimator)
        check_choice("criterion", self.criterion, tuple(CRITERIA))
        check_choice("effects", self.effects, EFFECTS)
        check_choice("objective", self.objective, OBJECTIVES)
        frame = policy.frame_of(self.estimator, X)
        outcome = None if y is None else self.estimator.target_.encode(np.asarray(y).reshape(-1))
        if outcome is not None and len(outcome) != len(frame):
            raise ValueError(f"X has {len(frame)} rows, y has {len(outcome)}: give one y per row.")
        self._groups = self._learn_groups(frame)
        limits = self._limits()
        p = self._score(X).astype(np.float64)
        codes = {name: groups.encode(frame) for name, groups in self._groups.items()}
        sizes = {name: len(groups.levels) for name, groups in self._groups.items()}
        self._rule = joint_rule(p, codes, sizes, limits, self.objective)
        self.least_loss_, self.n_rows_ = self._rule.least, len(frame)
        self.classes_ = self.estimator.classes_
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        before, after = self._unlimited(p), self._rule.chances(p, codes)
        self.coins_ = float(((after > 0) & (after < 1)).mean())
        reward, charge = gains(p, self.objective)
        self.loss_ = float((reward * p - charge * (1 - p)) @ (before - after))
        self.rates_ = _rates(limits, codes, sizes, before, after, p, outcome)
        self.thresholds_ = self._table(codes)
        _warn_of_excess(self.rates_)
        return self

    def _learn_groups(self, frame: pd.DataFrame) -> dict[str, Attribute]:
        """Learn the groups of every limited attribute from these rows."""
        more = as_tuple(self.attributes)
        schema = self.estimator.design_.schema
        entries = {attribute_name(e): e for e in (*schema.sensitive, *more)}
        if not isinstance(self.limits, Mapping):
            named = list(entries)
        else:
            named = list(self.limits)
            unknown = [name for name in named if name not in entries]
            if unknown:
                raise ValueError(
                    f"limits names {unknown[0]!r}, which is no sensitive attribute of the "
                    f"classifier ({', '.join(map(repr, entries)) or 'it has none'}). Name one of "
                    "these, or give it in attributes=."
                )
        if not named:
            raise ValueError(
                "No attribute to limit: the classifier has no sensitive attribute. Give "
                "attributes=('column',)."
            )
        return {name: policy.learn_groups(entries[name], frame, OTHERWISE) for name in named}

    def _limits(self) -> tuple[Limit, ...]:
        found = []
        for name in self._groups:
            given = self.limits[name] if isinstance(self.limits, Mapping) else self.limits
            plain_ = not isinstance(given, Mapping)
            by_rate = dict.fromkeys(CRITERIA[self.criterion], given) if plain_ else dict(given)
            for rate, value in by_rate.items():
                check_choice("a rate in limits", rate, RATES)
                if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                    raise ValueError(
                        f"The limit of {name!r} must be a number >= 0, the largest SD over its "
                        f"groups, got {value!r}."
                    )
                found.append(Limit(name, rate, float(value)))
        return tuple(found)

    def _score(self, X: Any) -> np.ndarray:
        return self.estimator.predict_proba(X, effects=self.effects)[:, 1]

    def _unlimited(self, p: np.ndarray) -> np.ndarray:
        return (p * self._rule.reward > (1 - p) * self._rule.charge).astype(float)

    def _table(self, codes: Mapping[str, np.ndarray]) -> pd.DataFrame:
        rule, lines = self._rule, []
        for name, groups in self._groups.items():
            rows = np.bincount(codes[name], minlength=len(groups.levels))
            for level, n, (reward, charge) in zip(
                groups.levels, rows, rule.parts[name], strict=True
            ):
                added = (reward / rule.reward, charge / rule.charge)
                alone = _threshold(rule.reward + reward, rule.charge + charge)
                lines.append((name, level, int(n), *added, float(alone)))
        columns = ("attribute", "group", "n", "reward", "charge", "threshold")
        return pd.DataFrame(lines, columns=list(columns))

    # Predicting -----------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each *decision*, (n, 2), columns as in ``classes_``.

        It is 0 or 1 but for rows that a coin decides. The probability of the outcome is that of
        ``estimator.predict_proba``.
        """
        check_is_fitted(self, "thresholds_")
        share = self._share(X, policy.frame_of(self.estimator, X))
        return np.stack([1.0 - share, share], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Decide for each row of X, which must hold the sensitive attributes: classes (n,).

        The coin of a row is a hash of ``random_state`` and the values of the columns that the
        classifier or the groups read: the same row is always decided alike.
        """
        check_is_fitted(self, "thresholds_")
        return self.classes_[self._decide(X)]

    def row_thresholds(self, X: Any) -> np.ndarray:
        """Return the probability above which each row is decided positively, (n,).

        Coins decide rows close to it. NaN where limits are so strict that high probabilities are
        decided negatively.
        """
        check_is_fitted(self, "thresholds_")
        return _threshold(*self._rule.weights(self._codes(policy.frame_of(self.estimator, X))))

    def _share(self, X: Any, frame: pd.DataFrame) -> np.ndarray:
        """Probability of a positive decision, (n,)."""
        return self._rule.chances(self._score(X).astype(np.float64), self._codes(frame))

    def _decide(self, X: Any) -> np.ndarray:
        frame = policy.frame_of(self.estimator, X)
        columns = [column for groups in self._groups.values() for column in groups.columns]
        share = self._share(X, frame)
        return policy.decide(self.estimator, frame, columns, share, self._seed)

    def _codes(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        return {n: policy.codes_of(groups, frame, OTHERWISE) for n, groups in self._groups.items()}

    # Reporting ------------------------------------------------------------------------------

    def fairness_report(
        self,
        X: Any,
        y: Any,
        by_cluster: bool = False,
        attributes: Any = None,
        *,
        n_boot: int = 200,
        level: float = 0.9,
    ) -> pd.DataFrame:
        """Report accuracy and fairness of the policy's decisions.

        Parameters
        ----------
        X, y, by_cluster, n_boot, level
            As of `FairMixedEffectsClassifier.fairness_report`.
        attributes
            As there; by default the classifier's and the policy's own.

        Returns
        -------
        DataFrame
            Of the same form, with the lines of the policy's ``effects`` only, as of
            `GroupThresholds.fairness_report`.
        """
        check_is_fitted(self, "thresholds_")
        if attributes is None:
            known = self.estimator.design_.schema.sensitive
            more = [e for e in as_tuple(self.attributes) if e not in known]
            attributes = (*known, *more)
        options = {"by_cluster": by_cluster, "n_boot": n_boot, "level": level}
        decision = self._decide(X)
        return policy.report(self.estimator, (X, y), attributes, self.effects, decision, **options)

    def describe(self) -> str:
        """Say in words what is decided how, and what is needed to predict."""
        head = (
            f"One threshold from all of {_named(self._names())}.\n"
            f"NEEDS THE SENSITIVE ATTRIBUTES: {_named(self._names())} of every row to predict."
        )
        if not hasattr(self, "thresholds_"):
            return f"{head}\nNot fitted yet."
        lines = [
            f"- {line['attribute']} = {line['group']} ({line['n']} rows): p > "
            f"{line['threshold']:.3f} where no other attribute adds anything"
            for line in self.thresholds_.to_dict("records")
        ]
        kept = [
            f"SD of {line['rate'].replace('_', ' ')} over {line['attribute']}: "
            f"{line['before']:.3f} to {line['after']:.3f} (limit {line['limit']:.3g})"
            for line in self.rates_.to_dict("records")
        ]
        name = self.objective.replace("_", " ")
        end = (
            f"Expected loss of {name}: {self.loss_:.4f} (least possible {self.least_loss_:.4f}).\n"
            f"p: probability from {self.effects} effects. Chosen on {self.n_rows_} rows, of which "
            f"{self.coins_:.1%} are so close to their threshold that a coin decides."
        )
        return "\n".join([head, *lines, *kept, end])

    def _names(self) -> list[str]:
        if hasattr(self, "_groups"):
            return list(self._groups)
        return list(self.limits) if isinstance(self.limits, Mapping) else ["every attribute"]

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Show the policy, and that it reads S."""
        return (
            f"JointThresholds({type(self.estimator).__name__}, limits={self.limits!r}, "
            f"criterion={self.criterion!r}, effects={self.effects!r})  # needs S when predicting"
        )

    def __sklearn_clone__(self) -> JointThresholds:
        """Copy the keywords; the fitted classifier is shared, as fitting a policy leaves it."""
        return type(self)(**self.get_params(deep=False))

    # Files ----------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write classifier and policy to one file, without pickle; `JointThresholds.load` reads."""
        check_is_fitted(self, "thresholds_")
        limits: dict[str, dict[str, float]] = {name: {} for name in self._groups}
        for line in self.rates_.to_dict("records"):
            limits[line["attribute"]][line["rate"]] = line["limit"]
        keywords = ("criterion", "effects", "objective")
        known = self.random_state if isinstance(self.random_state, int) else None
        saved = {
            "estimator": state.to_state(self.estimator),
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
        persistence.save_state(path, saved, kind=KIND)

    @classmethod
    def load(cls, path: Any) -> JointThresholds:
        """Read a policy that `save` wrote: its decisions equal the saved one's.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When the file is damaged, of a newer format, or holds something else.
        """
        kind, saved = persistence.load_state(path)
        if kind != KIND:
            raise ValueError(
                f"{path} holds a {kind!r}, not a {KIND}: read an estimator with pyfairme.load."
            )
        estimator = state.from_state(FairMixedEffectsClassifier(), saved["estimator"])
        groups = {name: attribute_from(one) for name, one in saved["groups"].items()}
        known = {attribute_name(entry) for entry in estimator.design_.schema.sensitive}
        more = tuple(_entry(groups[name]) for name in groups if name not in known)
        found = cls(estimator, saved["limits"], attributes=more, **saved["keywords"])
        reward, charge, scale, least = saved["rule"]
        parts = {name: np.asarray(part) for name, part in saved["parts"].items()}
        found._groups, found._rule = groups, Joint(reward, charge, parts, scale, least)
        found.loss_, found.coins_, found._seed = saved["found"]
        found.rates_ = pd.DataFrame(dict(saved["rates"]))
        found.thresholds_ = pd.DataFrame(dict(saved["thresholds"]))
        found.least_loss_, found.n_rows_ = least, saved["rows"]
        found.classes_ = estimator.classes_
        return found


def _entry(attribute: Attribute) -> Any:
    parts: tuple[str | Binned, ...] = tuple(p.binned or p.column for p in attribute.components)
    return parts[0] if len(parts) == 1 else parts


def _named(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _threshold(reward: Any, charge: Any) -> np.ndarray:
    """Return t such that p reward > (1 - p) charge where p > t, in [0, 1]; NaN for p < t."""
    total = np.asarray(reward + charge, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = np.clip(charge / total, 0.0, 1.0)
    never = np.where(np.asarray(charge) >= 0, 1.0, np.nan)  # and no p, where both are against it
    return np.where(total > 0, cut, np.where(np.asarray(reward) <= 0, never, np.nan))


def _rates(
    limits: tuple[Limit, ...],
    codes: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    before: np.ndarray,
    after: np.ndarray,
    p: np.ndarray,
    outcome: np.ndarray | None,
) -> pd.DataFrame:
    lines = []
    for name, rate, limit in limits:
        line: dict[str, Any] = {"attribute": name, "rate": rate, "limit": limit}
        sources = {"": p} if outcome is None else {"": p, "observed_": outcome.astype(float)}
        for prefix, of in sources.items():
            for when, decision in (("before", before), ("after", after)):
                rates = expected_rates(decision, of, codes[name], sizes[name], rate)
                line[prefix + when] = float(np.nanstd(rates))  # no row of an outcome: no rate
        lines.append(line)
    return pd.DataFrame(lines)


def _warn_of_penalty(estimator: Any) -> None:
    if estimator.fairness is not None and estimator.design_.schema.sensitive:
        warnings.warn(
            f"The classifier was fitted with fairness={estimator.fairness!r}: its probabilities "
            "are pulled together, not calibrated in the groups, so expected rates are off and "
            "limits are overshot at a needless loss. Give a classifier with fairness=None, or "
            "compare rates_ with what is observed (fit with y).",
            FairnessWarning,
            stacklevel=3,
        )


def _warn_of_excess(rates: pd.DataFrame) -> None:
    excess: Any = rates[rates["after"] > rates["limit"] + MISSED]
    for line in excess.to_dict("records"):
        warnings.warn(
            f"The expected SD of {line['rate']} over {line['attribute']!r} is "
            f"{line['after']:.4f}, above its limit {line['limit']:.4g}: the search for thresholds "
            "did not end well. Give more rows, wider limits or fewer of them.",
            FairnessWarning,
            stacklevel=3,
        )
