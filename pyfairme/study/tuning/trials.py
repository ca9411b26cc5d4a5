"""What one trial of a search does: fit on training folds, judge the validation fold, fold by fold.

The rows of the seen clusters are split into stratified folds, as `cross_validate` splits them. One
fold is set aside: no trial trains on it, chooses by it or is judged on it. Each of the others is
the validation fold once, while all the rest train. The estimator takes its own rows for thresholds
and early stopping from the training rows, so that the judged rows are new to it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyfairme import metrics
from pyfairme.datasets import Dataset
from pyfairme.estimators.fairness_report import collect
from pyfairme.metrics.constant_baseline import against_constant
from pyfairme.study.arguments import check_folds
from pyfairme.study.crossval.fits import FitPart, fit_part, texts_of_warnings
from pyfairme.study.crossval.kept_together import check_training
from pyfairme.study.crossval.splits import rotations, seen_rows, strata
from pyfairme.study.crossval.store import Key
from pyfairme.study.frontier.frontier_points import GOALS

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

# Folds and networks of a search never are those of a study: `cross_validate` has seeds 0, 1, ...
FIRST_SEED = 2**31
UNITS = {"residual_sd": 1, "mse_sd": 2}  # power of the target's unit that a spread is in


class Problem(NamedTuple):
    """What all trials of a search share: data, rows of each validation fold, rows set aside.

    ``groups`` has numbers (n,) that rows which belong together share; None: none do.
    """

    dataset: Dataset
    parts: tuple[FitPart, ...]
    held_out: np.ndarray
    seed: int
    groups: np.ndarray | None = None


class FoldRows(NamedTuple):
    """Rows of one validation fold: what is needed to judge the mixed prediction, (n,) each.

    ``y`` and ``decision`` are class codes (``decision`` empty for regression), ``prediction``
    P(second class), P of every class (n, K), or real; ``sensitive`` codes per attribute, -1 for a
    level that training never saw; ``weight`` how much each row counts.
    """

    y: np.ndarray
    prediction: np.ndarray
    decision: np.ndarray
    log_density: np.ndarray
    sensitive: dict[str, np.ndarray]
    weight: np.ndarray
    classes: int
    seconds: float
    warnings: tuple[str, ...]


class Outcome(NamedTuple):
    """How one piece of work ended: its name, and what it returned or raised."""

    name: Any
    value: Any
    error: Exception | None


class WorkerLost(RuntimeError):
    """The process that did a piece of work is gone; the work itself may be in order."""


class Inline:
    """Does pieces of work one after the other, in this process.

    Parameters
    ----------
    function
        Called with ``shared`` and the arguments of each piece.
    shared
        What all pieces need.
    """

    slots = 1

    def __init__(self, function: Callable[..., Any], shared: object) -> None:
        self._function, self._shared = function, shared
        self._waiting: deque[tuple[Hashable, tuple[object, ...]]] = deque()

    def submit(self, name: Hashable, *args: object) -> None:
        """Put a piece of work into the queue."""
        self._waiting.append((name, args))

    def next(self) -> Outcome:
        """Do the oldest piece."""
        name, args = self._waiting.popleft()
        try:
            return Outcome(name, self._function(self._shared, *args), None)
        except Exception as error:
            return Outcome(name, None, error)


def pose_problem(
    dataset: Dataset,
    seen: Sequence[str],
    folds: int,
    turns: int | None,
    random_state: int,
    groups: np.ndarray | None = None,
) -> Problem:
    """Split the rows of the seen clusters; other rows take no part.

    Parameters
    ----------
    dataset
        The data.
    seen
        Labels of the clusters that training sees; none: all.
    folds
        Number of folds; one of them is set aside.
    turns
        How many validation folds are judged; None: all, folds - 1.
    random_state
        Seeds folds and networks.
    groups
        Numbers (n,) that rows which belong together share: they are in one fold, and a fit holds
        them out together. None: no rows do.

    Raises
    ------
    ValueError
        When the folds or turns are out of range, a class has fewer rows than folds, or the groups
        leave a fold empty or without a class to train on.
    """
    seed = FIRST_SEED + random_state
    known, _ = seen_rows(dataset, seen)
    own = None if groups is None else groups[known]
    tests = [turn.test for turn in rotations(strata(dataset)[known], folds, seed, own)]
    check_folds(folds, turns, 1)
    aside, *judged = tests
    parts = tuple(
        FitPart(
            training := np.sort(
                known[np.concatenate([rows for rows in judged if rows is not validation])]
            ),
            known[validation],
            1 / (folds - 1) if groups is None else 1 / max(folds - 2, 2),  # one group a fold, say
            None if groups is None else groups[training],
        )
        for validation in judged[:turns]
    )
    if groups is not None:
        check_training(dataset, known, [part.training for part in parts], groups)
    return Problem(dataset, parts, known[aside], seed, groups)


def judge_fold(problem: Problem, estimator: FairMixedEffects, fold: int) -> FoldRows:
    """Fit a copy of the estimator and predict one validation fold.

    Networks of one fold start alike in every trial, so that trials differ by what is searched.
    """
    part, dataset = problem.parts[fold], problem.dataset
    rows = dataset.frame.iloc[part.judged]
    start = time.perf_counter()
    with texts_of_warnings() as said:
        model = fit_part(Key("", problem.seed, fold), estimator, dataset, part)
        judged = collect(model, rows, dataset.target.iloc[part.judged], attributes=())  # no flips
    return FoldRows(
        y=judged.y,
        prediction=judged.prediction["mixed"],
        decision=judged.decision.get("mixed", np.empty(0)),
        log_density=judged.log_density.get("mixed", np.empty(0)),
        sensitive={a.name: a.encode(rows) for a in model.design_.attributes},
        weight=np.ones(len(rows)) if (given := dataset.weights(part.judged)) is None else given,
        classes=len(judged.classes),
        seconds=time.perf_counter() - start,
        warnings=tuple(dict.fromkeys(said)),
    )


def metrics_of(folds: Sequence[FoldRows]) -> dict[str, float]:
    """Compute the metrics of pooled validation rows, those that a `Frontier` trades.

    Which metrics these are says `pyfairme.study.frontier.frontier_points.GOALS`.

    Returns
    -------
    dict
        ``accuracy``: balanced accuracy, with more than two classes the mean over classes, each
        against the rest; R² of a regression. ``loss``: log loss; minus the log predictive density.
        ``auroc`` of two classes, ``selected``, the share of positive decisions, and
        ``constant_loss``, the log loss of these rows' base rate. Per attribute ``tpr_sd[...]`` and
        ``fpr_sd[...]``, with more than two classes the largest one; of a regression
        ``residual_sd[...]``, the SD over groups of the mean residual, in units of the target's SD
        (on these rows), and ``mse_sd[...]``, in units of its variance. ``worst_sd``: the largest
        TPR, FPR or residual SD; ``mse_sd`` only stands beside it. An SD that is not defined on
        these rows is left out.
    """
    y, prediction, decision, weight = (
        np.concatenate([getattr(fold, name) for fold in folds])
        for name in ("y", "prediction", "decision", "weight")
    )
    classes = folds[0].classes
    if classes == 0:
        density = np.concatenate([fold.log_density for fold in folds])
        found = {"loss": -float(np.average(density, weights=weight))}
    elif classes == 2:
        found = {
            "loss": metrics.log_loss(y, prediction.astype(np.float64), sample_weight=weight),
            "auroc": metrics.auroc(y, prediction, sample_weight=weight),
            "selected": float(np.average(decision == 1, weights=weight)),
            "constant_loss": against_constant(y, prediction, None, weight, classes=True).constant,
        }
    else:
        given = np.clip(prediction[np.arange(len(y)), y].astype(np.float64), 1e-12, None)
        found = {"loss": -float(np.average(np.log(given), weights=weight))}
    goal = GOALS["classification" if classes else "regression"]
    judged = decision if classes else prediction
    score = getattr(metrics, goal.accuracy)
    scores = [score(one, two, sample_weight=weight) for one, two in _problems(y, judged, classes)]
    found["accuracy"] = float(np.mean(scores))
    spreads = {
        (name, attribute): _spread(name, (y, judged, weight), _joined(folds, attribute), classes)
        for attribute in folds[0].sensitive
        for name in (*goal.spreads, *goal.beside_spreads)
    }
    there = {place: value for place, value in spreads.items() if not np.isnan(value)}
    counting = [value for (name, _), value in there.items() if name in goal.spreads]
    found |= {"worst_sd": max(counting)} if counting else {}
    found |= {f"{name}[{attribute}]": value for (name, attribute), value in there.items()}
    return {name: float(value) for name, value in found.items()}


def _joined(folds: Sequence[FoldRows], attribute: str) -> np.ndarray:
    return np.concatenate([fold.sensitive[attribute] for fold in folds])


def _spread(
    name: str,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    group: np.ndarray,
    classes: int,
) -> float:
    """Return an SD over the groups of one attribute; rows of unknown levels take no part.

    ``rows`` are outcomes, what is judged, and weights. That of a regression has the unit of the
    target or its square, and is divided by it.
    """
    known = group >= 0
    y, judged, weight = (part[known] for part in rows)
    shared = {"sensitive_features": group[known], "sample_weight": weight}
    spread = getattr(metrics, name)
    values = [spread(one, two, **shared) for one, two in _problems(y, judged, classes)]
    there = [value for value in values if not np.isnan(value)]
    mean = np.average(y, weights=weight)
    sd = float(np.sqrt(np.average((y - mean) ** 2, weights=weight)))
    unit = 1.0 if classes else sd ** UNITS[name]
    return max(there) / unit if there and unit else np.nan


def _problems(
    y: np.ndarray, judged: np.ndarray, classes: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield outcome and what is judged: as they are, or each of more than two classes as 0 and 1.

    A class that no row has is left out: nothing can be said of it.
    """
    if classes <= 2:
        yield y, judged
        return
    for code in np.unique(y):
        yield (y == code).astype(int), (judged == code).astype(int)
