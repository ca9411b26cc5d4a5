"""Trials of a search as a table, and the one to choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from pyfairme.metrics import non_dominated
from pyfairme.metrics.constant_baseline import share_is_alike
from pyfairme.notices import DataWarning, warn
from pyfairme.study.frontier.useless_points import LEAST_SKILL
from pyfairme.study.tuning.bohb import Aim
from pyfairme.study.tuning.search_space import Choice, keywords_of, values_of
from pyfairme.study.tuning.shared_study import counted, have_checksums, trusted

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from pyfairme.estimators.base import FairMixedEffects


class Search(NamedTuple):
    """A study and what its trials are made of: estimator, ranges, folds at most, total, aim."""

    study: Study
    base: FairMixedEffects
    space: Mapping[str, Any]
    turns: int
    trials: int
    aim: Aim

    def keywords(self, trial: FrozenTrial) -> dict[str, Any]:
        """Return the estimator's keywords of a trial."""
        return keywords_of(self.space, trial.params, self.base)


def choose(search: Search, max_cost: float) -> tuple[FrozenTrial, float]:
    """Choose the best completed trial.

    Without a demand on accuracy the one with the smallest value; else, among those that meet it,
    the one with the smallest worst SD (the more accurate one of equals; one that decides nearly
    every row alike is the last of them); if none does, the one that misses least.

    Returns
    -------
    tuple
        The trial, and the accuracy that it misses: 0 or less if none.

    Raises
    ------
    ValueError
        When no trial was judged to the end.
    """
    done = _completed(search)
    if not done:
        raise ValueError(
            "No trial was evaluated to the end: see the states and errors in the study's trials, "
            "and "
            "give more trials or narrower ranges. [no-trial]"
        )
    ranked = [(*_rank(search.aim, trial, max_cost), trial.number) for trial in done]
    best = min(range(len(done)), key=ranked.__getitem__)
    return done[best], _missing(search.aim, done[best], max_cost)


def trial_frame(search: Search, best: FrozenTrial) -> pd.DataFrame:
    """Lay the trials that count out as `pyfairme.study.tuning.tune_study.Tuning` describes."""
    numbers = set(counted(search.study))
    trials = [trial for trial in search.study.get_trials(deepcopy=False)
              if trial.number in numbers]  # fmt: skip
    lines = [_line(search, trial) for trial in trials]
    frame = pd.DataFrame(lines)
    for name, entry in search.space.items():
        if isinstance(entry, Choice):  # None stays None, a tuple a tuple
            values = [line.get(name) for line in lines]
            frame[name] = pd.Series(values, index=frame.index, dtype=object)
    frame["on_frontier"] = False
    done = (frame["state"] == "complete").to_numpy()
    if search.aim.objective != "accuracy":
        part: Any = frame[done]
        frame.loc[done, "on_frontier"] = non_dominated(part["accuracy"], part["worst_sd"])
    frame["best"] = frame["number"] == best.number
    return frame


def best_so_far(search: Search) -> str:
    """Say which point is the best so far, for the progress bar."""
    if not _completed(search):
        return "no point judged on all folds yet"
    trial, missing = choose(search, search.aim.max_cost)
    metrics = trial.user_attrs["metrics"]
    if search.aim.objective == "accuracy":
        return f"best loss {metrics['loss']:.4f} (trial {trial.number})"
    kept = "" if missing <= 0 else ", too low"
    return (
        f"best SD {metrics['worst_sd']:.3f} at accuracy {metrics['accuracy']:.3f}{kept} "
        f"(trial {trial.number})"
    )


def warn_if_missing(missing: float, max_cost: float) -> None:
    """Warn when the chosen trial is less accurate than was demanded."""
    if missing > 0:
        warn(
            f"No completed trial keeps its accuracy within max_cost={max_cost:g} of the baseline: "
            f"the closest one misses that by {missing:.4f}. Give more trials, a larger max_cost, "
            "or a space with weaker penalties. [max-cost-missed]",
        )


def warn_if_useless(search: Search, trial: FrozenTrial) -> None:
    """Warn when the chosen trial hardly tells rows apart: equal groups are then no merit."""
    if search.aim.objective == "accuracy" or "metrics" not in trial.user_attrs:
        return
    metrics, folds = trial.user_attrs["metrics"], trial.user_attrs["folds"]
    name, chance = ("balanced accuracy", 0.5) if is_classifier(search.base) else ("R2", 0.0)
    now, before = metrics["accuracy"], search.aim.baseline[folds - 1]["accuracy"]
    said = []
    if now <= chance or now - chance < LEAST_SKILL * (before - chance):
        said.append(
            f"hardly tells rows apart ({name} {now:.3f}, the unfair point {before:.3f}): its "
            "spreads are no sign of fairness; give a smaller max_cost, or a space with weaker "
            "penalties"
        )
    share = metrics.get("selected", np.nan)  # older trials do not say
    if share_is_alike(share):
        said.append(
            f"decides {'negative' if share < 0.5 else 'positive'} for {max(share, 1 - share):.1%} "
            "of the rows: its spreads are no sign of fairness; give the estimator "
            "threshold='balanced_accuracy'"
        )
    if said:
        text = "; ".join(said)
        warn(f"The chosen point, trial {trial.number}, {text}. [useless-point]", DataWarning)


def _completed(search: Search) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    trials = search.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    checked = have_checksums(search.study)
    return [trial for trial in trials if trusted(trial, checked)]


def _missing(aim: Aim, trial: FrozenTrial, max_cost: float) -> float:
    if aim.objective == "accuracy" or "metrics" not in trial.user_attrs:
        return np.nan if aim.objective != "accuracy" else 0.0
    metrics, folds = trial.user_attrs["metrics"], trial.user_attrs["folds"]
    return aim.violation(metrics, folds, max_cost)


def _rank(aim: Aim, trial: FrozenTrial, max_cost: float) -> tuple[float, ...]:
    metrics = trial.user_attrs["metrics"]
    if aim.objective == "accuracy":
        return (metrics["loss"],)
    missing = max(0.0, _missing(aim, trial, max_cost))
    alike = metrics["accuracy"] == 0.5 and metrics["worst_sd"] == 0.0  # as all rates are 0 or 1
    alike |= share_is_alike(metrics.get("selected", np.nan))
    return (missing, float(alike), metrics["worst_sd"], -metrics["accuracy"])


def _line(search: Search, trial: FrozenTrial) -> dict[str, Any]:
    values = trial.values or [np.nan] * len(search.aim.directions)
    names = ["value"] if len(values) == 1 else [f"value_{n}" for n in range(len(values))]
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        **dict(zip(names, values, strict=True)),
        "missing": _missing(search.aim, trial, search.aim.max_cost),
        "folds": trial.user_attrs.get("folds", 0),
        **values_of(search.space, trial.params),
        **trial.user_attrs.get("metrics", {}),
        "seconds": trial.user_attrs.get("seconds", np.nan),
        "error": trial.user_attrs.get("error", ""),
    }
