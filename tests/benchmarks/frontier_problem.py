"""Data sets and splits of the frontier comparison: what a fit is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import pyfairme as pf
from pyfairme.data.attributes import Attribute
from pyfairme.data.schema import Binned, attribute_name, source
from pyfairme.datasets import Dataset
from pyfairme.study.crossval.splits import rotations, seen_clusters, seen_rows, some_rows, strata

TRAINING, VALIDATION, TEST = "training", "validation", "test"
ANY = "any"  # the setting of a fit that knows of no protected attribute


class Decided(NamedTuple):
    """Decisions in {0, 1} on the test rows, (n,), and scores, (n,), of methods that have them."""

    decision: np.ndarray
    score: np.ndarray | None = None


class Reading(NamedTuple):
    """A point of a method: its names, whom it protects, and how it decides.

    ``setting`` is a key of `Problem.protected`, or `ANY` for a fit that counts in all of them.
    ``needs_s``: predicting takes the protected attribute, among the covariates or beside them.
    """

    method: str
    point: str
    setting: str
    needs_s: bool
    decide: Callable[[], Decided]


@dataclass(frozen=True)
class Problem:
    """The rows of one fit.

    Parameters
    ----------
    frame, y
        The table with all columns, and the outcomes in {0, 1}.
    cluster
        Name of the cluster column, a covariate for methods without random effects.
    rows
        Row numbers by part: training, validation, test.
    groups
        Labels of all rows, (n,), by attribute.
    entries
        By attribute how it is read from the table: a column, or `Binned`.
    protected
        Protected attributes by setting; all settings for a fit that knows of none.
    setting
        The setting that the fit is for, or `ANY`.
    keep
        Whether protected columns stay among the covariates.
    seed
        Of the fit.
    folds
        Number of folds that the rows come from.
    """

    frame: pd.DataFrame
    y: np.ndarray
    cluster: str
    rows: Mapping[str, np.ndarray]
    groups: Mapping[str, np.ndarray]
    entries: Mapping[str, str | Binned]
    protected: Mapping[str, tuple[str, ...]]
    setting: str
    keep: bool
    seed: int
    folds: int

    def table(self, part: str, *, keep: bool | None = None) -> pd.DataFrame:
        """Return the covariates; protected columns are left out unless they are kept."""
        found = self.frame.iloc[self.rows[part]]
        if self.keep if keep is None else keep:
            return found
        return found.drop(columns=[source(self.entries[n]) for n in self.protected[self.setting]])

    def outcome(self, part: str) -> np.ndarray:
        """Return the outcomes, (n,)."""
        return self.y[self.rows[part]]

    def labels(self, part: str) -> pd.DataFrame:
        """Return the labels of the protected attributes, a column each."""
        names = self.protected[self.setting]
        return pd.DataFrame({name: self.groups[name][self.rows[part]] for name in names})

    def intersection(self, part: str, setting: str) -> np.ndarray:
        """Return the joint label of the protected attributes, (n,)."""
        columns = [self.groups[name][self.rows[part]] for name in self.protected[setting]]
        return np.array([" & ".join(row) for row in zip(*columns, strict=True)])


def best_threshold(y: np.ndarray, score: np.ndarray) -> float:
    """Return the threshold of the highest balanced accuracy, the first of equals."""
    from sklearn.metrics import roc_curve

    false, true, cuts = roc_curve(y, score)
    return float(cuts[np.argmax(true - false)])


def by_threshold(problem: Problem, score: Callable[[str], np.ndarray]) -> Decided:
    """Decide by the threshold that is best on the validation rows."""
    threshold = best_threshold(problem.outcome(VALIDATION), score(VALIDATION))
    found = score(TEST)
    return Decided((found >= threshold).astype(np.int8), found)


class Point(NamedTuple):
    """A fit to make: a method with its settings, and what it needs.

    ``protects``: whether the fit depends on the protected attribute. ``inputs``: "keep" and "drop"
    protected columns.
    """

    method: str
    label: str
    parameters: Mapping[str, Any]
    protects: bool
    inputs: tuple[str, ...] = ("drop", "keep")


class Task(NamedTuple):
    """A data set of the comparison.

    ``protected``: attributes by setting. ``reference``: balanced accuracy and spread from which
    hypervolumes are measured.
    """

    data: Dataset
    labels: tuple[str, ...]
    known: np.ndarray
    unknown: np.ndarray
    groups: Mapping[str, np.ndarray]
    protected: Mapping[str, tuple[str, ...]]
    reference: tuple[float, float]


class _Plan(NamedTuple):
    load: Callable[[], Dataset]
    seen: int
    short: Mapping[str, str]
    reference: tuple[float, float]


CENSUS = {"age": "age_bracket", "sex": "sex", "race": "race", "marital": "marital_status"}


def _any_day(data: Dataset) -> Dataset:
    """Ask whether there is any day in hospital: all peers are classifiers."""
    target = (data.target > 0).astype("int64")
    return replace(data, target=target, schema=replace(data.schema, task="classification"))


PLANS: Mapping[str, _Plan] = MappingProxyType(
    {
        "adult": _Plan(pf.datasets.load_adult, 6, CENSUS, (0.70, 0.25)),
        "acs": _Plan(lambda: pf.datasets.load_acs_income(groups="broad"), 5, CENSUS, (0.70, 0.25)),
        # no model reaches .70 there
        "heritage": _Plan(
            lambda: _any_day(pf.datasets.load_heritage()),
            6,
            {"age": "age_bracket", "sex": "sex"},
            (0.50, 0.25),
        ),
    }
)
SETTINGS = (*CENSUS, "all")


@lru_cache(maxsize=1)
def load_task(name: str, rows: int | None) -> Task:
    """Load a data set once per process."""
    plan = PLANS[name]
    data = some_rows(plan.load(), rows)
    labels = seen_clusters(data, plan.seen)
    known, unknown = seen_rows(data, labels)
    groups = {}
    for entry in data.schema.sensitive:
        attribute = Attribute.fit(data.frame, entry)
        groups[attribute.name] = np.array(attribute.levels)[attribute.encode(data.frame)]
    one = {short: (full,) for short, full in plan.short.items()}
    protected = {**one, "all": tuple(plan.short.values())}
    return Task(data, labels, known, unknown, groups, protected, plan.reference)


def problem(task: Task, setting: str, keep: bool, folds: int, seed: int, fold: int) -> Problem:
    """Return the rows of one fit: those of `pyfairme.study.cross_validate`.

    The seen clusters' folds are rotated: all but two train, one validates, one is the test fold, to
    which its share of the unseen clusters' rows is dealt.
    """
    turn = rotations(strata(task.data)[task.known], folds, seed)[fold]
    dealt = np.array_split(np.random.default_rng(seed).permutation(task.unknown), folds)[fold]
    schema = task.data.schema
    return Problem(
        frame=task.data.frame,
        y=task.data.target.to_numpy(),
        cluster=schema.cluster[0],
        rows={
            TRAINING: task.known[turn.training],
            VALIDATION: task.known[turn.validation],
            TEST: np.sort(np.concatenate([task.known[turn.test], dealt])),
        },
        groups=task.groups,
        entries={attribute_name(e): e for e in schema.sensitive if not isinstance(e, tuple)},
        protected=task.protected if setting == ANY else {setting: task.protected[setting]},
        setting=setting,
        keep=keep,
        seed=int(np.random.SeedSequence([seed, fold]).generate_state(1)[0] >> 1),
        folds=folds,
    )
