"""What a search may change: ranges of an estimator's keywords, as values.

A space is a dictionary. Its keys name keywords; brackets reach into a dictionary:
``"learning_rate"``, ``"fairness_weight[sex]"``, ``"fairness_weight[moment][sex]"``. Its values are
`Real`, `Whole`, `Choice`, or distributions of Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from pyfairme.data.schema import attribute_name
from pyfairme.estimators.estimator_keywords import EFFECTS, as_tuple, is_number, multipliers
from pyfairme.estimators.step_size import ROWS, rate
from pyfairme.model.penalties import PENALTIES, penalty_names
from pyfairme.study.crossval.fits import plain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from pyfairme.estimators.base import FairMixedEffects

__all__ = ["Choice", "Real", "Whole"]


def _is_range(entry: Real | Whole) -> bool:
    return entry.low < entry.high and not (entry.log and entry.low <= 0)


@dataclass(frozen=True)
class Real:
    """A number between two bounds.

    Parameters
    ----------
    low, high
        The bounds.
    log
        Uniform in the logarithm.
    zero
        Share of the (logarithmic) range that stands for exactly 0, below ``low``: a weight may be
        switched off, and the search still sees one ordered range.

    Examples
    --------
    >>> Real(0.01, 1.0, log=True, zero=0.1).decode(0.007)
    0.0
    """

    low: float
    high: float
    log: bool = False
    zero: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        numbers = all(map(is_number, (self.low, self.high, self.zero)))
        if not numbers or not _is_range(self) or not 0 <= self.zero < 1:
            raise ValueError(
                f"{self!r} is no range: expected numbers with low < high (log: above 0) and "
                "0 <= zero < 1. [space-range]"
            )

    def distribution(self) -> BaseDistribution:
        """Return the distribution that Optuna draws from."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self._bottom(), self.high, log=self.log)

    def decode(self, drawn: Any) -> Any:
        """Return the keyword's value for what Optuna drew."""
        return 0.0 if self.zero and drawn < self.low else drawn

    def encode(self, value: object) -> Any:
        """Return what Optuna would have drawn for a value; None where it cannot."""
        if self.zero and value == 0:
            return self._bottom()
        return float(value) if is_number(value) and self.low <= value <= self.high else None

    def _bottom(self) -> float:
        share = self.zero / (1 - self.zero)
        if self.log:
            return self.low * (self.low / self.high) ** share
        return self.low - (self.high - self.low) * share


@dataclass(frozen=True)
class Whole:
    """A whole number between two bounds, both included; ``log``: uniform in the logarithm."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        whole = all(is_number(end) and end == int(end) for end in (self.low, self.high))
        if not whole or not _is_range(self):
            raise ValueError(
                f"{self!r} is no range: expected whole numbers with low < high (log: above 0). "
                "[space-range]"
            )

    def distribution(self) -> BaseDistribution:
        """Return the distribution that Optuna draws from."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log)

    def decode(self, drawn: Any) -> Any:
        """Return the keyword's value for what Optuna drew."""
        return drawn

    def encode(self, value: object) -> Any:
        """Return what Optuna would have drawn for a value; None where it cannot."""
        return int(value) if is_number(value) and self.low <= value <= self.high else None


@dataclass(frozen=True)
class Choice:
    """One of several values, in no order; any values: a tuple of widths, None, a name."""

    values: tuple[Any, ...]

    def __init__(self, *values: object) -> None:
        if len({repr(value) for value in values}) < 2:
            raise ValueError(
                f"Choice needs at least two different values, one after the other, as in "
                f"Choice(None, 'balanced'); got {values!r}. To hold a keyword at one value, set it "
                "on the estimator. [space-range]"
            )
        object.__setattr__(self, "values", values)

    def distribution(self) -> BaseDistribution:
        """Return the distribution that Optuna draws from: the values' texts, which it can store."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([repr(value) for value in self.values])

    def decode(self, drawn: Any) -> Any:
        """Return the keyword's value for what Optuna drew."""
        return next(value for value in self.values if repr(value) == drawn)

    def encode(self, value: object) -> Any:
        """Return what Optuna would have drawn for a value; None where it cannot."""
        return repr(value) if value in self.values else None


def default_space(estimator: FairMixedEffects) -> dict[str, Any]:
    """Return the ranges that `pyfairme.study.tuning.tune_study` searches by default.

    Only what the estimator has is searched: strengths per attribute if it has a penalty (of each
    penalty, if it has several or its weights are by penalty), weights of terms that are there.
    Strengths and multipliers of predictions enter as products, so that one prediction (the mixed
    one) keeps its multiplier and the others are searched against it.

    Parameters
    ----------
    estimator
        Unfitted, with its roles.

    Examples
    --------
    >>> import pyfairme as pf
    >>> list(default_space(pf.FairMixedEffectsClassifier("job", ["sex"], hidden=())))
    ['fairness_weight[sex]', 'fairness_on[fixed]', 'fixed_weight', 'learning_rate', 'batch_size']
    """
    weight = Real(0.01, 3.0, log=True, zero=0.1)
    found: dict[str, Any] = {}
    mixed = estimator.cluster is not None and (
        estimator.random_intercepts or estimator.random_slopes is not None
    )
    names = [attribute_name(entry) for entry in as_tuple(estimator.sensitive)]
    if penalties := penalty_names(estimator.fairness):
        apart = len(penalties) > 1 or _by_penalty(estimator, estimator.fairness_weight)
        inside = [f"{p}][{n}" for p in penalties for n in names] if apart else names
        found |= {f"fairness_weight[{path}]": weight for path in inside}
        views = multipliers(estimator.fairness_on) if mixed and names else {}
        *others, _ = [view for view in EFFECTS if view in views] or [""]
        found |= {f"fairness_on[{view}]": weight for view in others}
    if estimator.cluster is not None and tuple(estimator.hidden):
        found["cluster_weight"] = Real(0.01, 1.0, log=True, zero=0.1)
    if mixed:
        found["fixed_weight"] = Real(0.05, 2.0, log=True, zero=0.1)
    found["learning_rate"] = Real(3e-4, 1e-2, log=True)
    if tuple(estimator.hidden):
        widths = [tuple(estimator.hidden), (32, 16), (64, 32), (128, 64)]
        found["hidden"] = Choice(*dict.fromkeys(widths))
    sizes = [estimator.batch_size, 128, 256, 512]
    found["batch_size"] = Choice(*dict.fromkeys(sizes))
    return found


def keywords_of(
    space: Mapping[str, Any], drawn: Mapping[str, Any], base: FairMixedEffects
) -> dict[str, Any]:
    """Return the estimator's keywords for what Optuna drew.

    Parameters
    ----------
    space
        The ranges.
    drawn
        By name, what was drawn.
    base
        The estimator, with its roles: what is not searched keeps its value, in dictionaries too.
    """
    found: dict[str, Any] = {}
    for name, value in values_of(space, drawn).items():
        keyword, path = _path(name)
        if path:
            inside = found.setdefault(keyword, _as_dictionary(base, keyword, path[0]))
            for step in path[:-1]:
                inside[step] = _by_attribute(base, inside.get(step, {}))
                inside = inside[step]
            inside[path[-1]] = value
        else:
            found[keyword] = value
    return found


def with_keywords(base: FairMixedEffects, keywords: Mapping[str, Any]) -> FairMixedEffects:
    """Return an unfitted copy of an estimator with other keywords."""
    copy: Any = clone(base)
    return copy.set_params(**keywords)


def values_of(space: Mapping[str, Any], drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was drawn as values, by the names of the space."""
    return {
        name: entry.decode(drawn[name]) if hasattr(entry, "decode") else drawn[name]
        for name, entry in space.items()
        if name in drawn
    }


def start_of(space: Mapping[str, Any], base: FairMixedEffects) -> dict[str, Any]:
    """Return the point where the search starts, the estimator as it is, as Optuna would draw it.

    What lies outside of its range is left out: Optuna draws that.
    """
    found: dict[str, Any] = {}
    for name, entry in space.items():
        keyword, path = _path(name)
        value = base.get_params(deep=False)[keyword]
        if keyword == "learning_rate":
            value = rate(value, ROWS)
        if path:
            value = _as_dictionary(base, keyword, path[0])
        missing = 0.0 if keyword.startswith("fairness") else None
        for step in path:
            value = _named(value).get(step, missing) if isinstance(value, Mapping) else value
        drawn = entry.encode(value) if hasattr(entry, "encode") else None
        if drawn is not None:
            found[name] = drawn
    return found


def check_space(space: Mapping[str, Any], base: FairMixedEffects) -> None:
    """Raise ValueError for names that are no keywords and values that are no ranges."""
    known = base.get_params(deep=False)
    for name, entry in space.items():
        keyword, _ = _path(name)
        if keyword not in known:
            raise ValueError(
                f"The space names {name!r}, and {keyword!r} is no keyword of {base!r}. [space]"
            )
        if not hasattr(entry, "distribution") and not hasattr(entry, "to_external_repr"):
            raise ValueError(
                f"The range of {name!r} is {entry!r}: expected Real, Whole, Choice, or a "
                "distribution of Optuna. [space]"
            )
        if isinstance(entry, Choice):
            plain(entry.values)  # refuses objects whose texts could not be found again


def distributions(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of every entry."""
    return {
        name: entry.distribution() if hasattr(entry, "distribution") else entry
        for name, entry in space.items()
    }


def _path(name: str) -> tuple[str, Sequence[str]]:
    """Take a name apart: "a[b][c]" is keyword a, path (b, c)."""
    keyword, opened, rest = name.partition("[")
    return keyword, tuple(rest.removesuffix("]").split("][")) if opened else ()


def _as_dictionary(base: FairMixedEffects, keyword: str, first: str) -> dict[str, Any]:
    """Return a keyword's value as a dictionary whose entries can be changed one by one."""
    value = base.get_params(deep=False)[keyword]
    if keyword == "fairness_on":
        return multipliers(value)
    if first in _penalties(base) and not _by_penalty(base, value):  # it holds for every penalty
        return dict.fromkeys(penalty_names(base.fairness), value)
    if first not in _penalties(base) and _by_penalty(base, value):
        raise ValueError(
            f"The space reaches into {keyword} by {first!r}, and the estimator's own has the keys "
            f"{sorted(_named(value))}: give a number there, or the same kind of keys. [space]"
        )
    return _by_attribute(base, value)


def _penalties(base: FairMixedEffects) -> set[str]:
    """Return the names that are penalties' in an estimator's weights."""
    return {*PENALTIES, *penalty_names(base.fairness)}


def _by_penalty(base: FairMixedEffects, weight: object) -> bool:
    return isinstance(weight, Mapping) and bool(set(weight) & _penalties(base))


def _by_attribute(base: FairMixedEffects, weight: Any) -> dict[str, Any]:
    """Return strengths as a new dictionary; a number is that of every attribute."""
    if isinstance(weight, Mapping):
        return _named(weight)
    return {attribute_name(entry): weight for entry in as_tuple(base.sensitive)}


def _named(given: Mapping[Any, Any]) -> dict[str, Any]:
    return {attribute_name(key): value for key, value in given.items()}
