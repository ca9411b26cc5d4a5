"""Search of an estimator's keywords: fairness at a stated cost of accuracy, on validation folds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from pyfairme.datasets import Dataset
from pyfairme.estimators.estimator_keywords import as_tuple, check_choice, check_count
from pyfairme.study.arguments import (
    check_dataset,
    check_engine,
    check_estimator,
    check_folds,
    check_max_cost,
    check_protocol,
)
from pyfairme.study.crossval.cross_validate import fingerprint
from pyfairme.study.crossval.fits import plain, with_roles
from pyfairme.study.crossval.kept_together import digest, held_out_together
from pyfairme.study.crossval.splits import seen_clusters
from pyfairme.study.crossval.store import NOT_COMPARED
from pyfairme.study.tuning.bohb import OBJECTIVES, Aim, make_pruner, make_sampler
from pyfairme.study.tuning.search_loop import judge_baseline, run_trials
from pyfairme.study.tuning.search_space import (
    check_space,
    default_space,
    distributions,
    start_of,
    with_keywords,
)
from pyfairme.study.tuning.shared_study import announce_checksums, judge_damaged_anew, open_storage
from pyfairme.study.tuning.trial_frame import (
    Search,
    choose,
    trial_frame,
    warn_if_missing,
    warn_if_useless,
)
from pyfairme.study.tuning.trials import Inline, Problem, judge_fold, pose_problem
from pyfairme.study.tuning.tuning_result import Tuning

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

    from pyfairme.estimators.base import FairMixedEffects
    from pyfairme.study.crossval.ray_engine import Pool

# Of accuracy and spreads, see `metrics_of`: trials judged by others are no part of the same study.
DEFINITIONS = 2


def tune(
    estimator: FairMixedEffects,
    dataset: Dataset,
    *,
    trials: int = 100,
    storage: str | Path | BaseStorage | None = "sqlite:///tune.db",
    engine: str = "local",
    address: str | None = None,
    n_jobs: int = 1,
    name: str | None = None,
    space: Mapping[str, Any] | None = None,
    objective: str = "auto",
    max_cost: float = 0.01,
    baseline: FairMixedEffects | None = None,
    seen: int | None = None,
    folds: int = 10,
    groups: ArrayLike | str | None = None,
    hold_out: str = "rows",
    turns: int | None = None,
    random_state: int = 0,
    progress: bool | str = "auto",
) -> Tuning:
    """Search an estimator's keywords by BOHB: Parzen estimators and Hyperband, with a constraint.

    Points are drawn by Optuna's multivariate TPE and judged fold by fold on the validation folds of
    the seen clusters; poor ones are pruned by Hyperband (see `pyfairme.study.tuning.bohb`). The
    choice is honest: one fold is never touched, and folds and networks have seeds of their own, so
    that `cross_validate` reports figures from other folds and seeds than those used for choosing.
    Give the model without fairness the same budget, and name what was found as ``baseline``.

    Several processes may work on one study: start this call in each. Killed, it resumes from the
    storage: finished trials are kept, and points that a dead process was at are queued again. Later
    points may be others than without the kill.

    A point whose fit raises an error, or loses its worker for good, fails: it counts, with the
    error in the table, and the search goes on.

    Parameters
    ----------
    estimator
        Unfitted; where the search starts, and what it keeps where the space says nothing.
    dataset
        The data, with one cluster column if ``seen`` is given.
    trials
        Trials of the study in all, by however many processes.
    storage
        Any storage of Optuna: a URL, the path of a journal file, an object; None: in memory.
    engine
        "local": this process (start more, they share the study). "ray": folds of several trials at
        once, as tasks of a Ray cluster; a worker that dies costs the fold that it was at.
    address
        Of a running Ray cluster ("auto", "ray://..."); None starts one on this machine.
    n_jobs
        Workers of the Ray cluster that is started.
    name
        Of the study. None: the data set's, the objective's, and a hash of all settings, so that
        other settings are another study.
    space
        What is searched, see `pyfairme.study.tuning.search_space`; None: `default_space`.
    objective
        "fairness": the smallest worst TPR or FPR SD over protected attributes (regression: SD of
        mean residuals in units of the target's SD), with a balanced accuracy (R²) of at least the
        baseline's minus ``max_cost``. "accuracy": the smallest log loss. "frontier": both accuracy
        and worst SD, without pruning. "auto": "fairness" if the estimator has a penalty, else
        "accuracy".
    max_cost
        Accuracy that may be given up: 0.01 is one point, 0.0025 the paper's.
    baseline
        The unfair estimator that sets the demand; None: the same estimator with ``fairness=None``.
    seen, folds, groups, hold_out
        As of `cross_validate` (``seen`` and ``hold_out="clusters"`` go together here: folds are of
        whole clusters among the seen ones); rows of other clusters take no part. The fold that is
        set aside shares no group with the others.
    turns
        Validation folds that a trial is judged on, at most; None: all, folds - 1.
    random_state
        Seeds folds, networks and draws.
    progress
        "auto" shows trials done, the time left and the best point so far in terminals and
        notebooks, elsewhere at level INFO of the log "pyfairme.progress"; True: there on stderr.

    Returns
    -------
    Tuning
        ``frame``, ``best``, ``estimator``, ``study``.

    Raises
    ------
    TypeError
        When ``baseline`` is of another class than ``estimator``.
    ValueError
        When a keyword is out of range, the study of that name had other settings, or no trial could
        be judged to the end.
    RuntimeError
        When the workers of three points in a row were lost for good.
    Exception
        Of the fit of the baseline or of the estimator as given, or the last of five fits in a row
        that failed.

    Warns
    -----
    UserWarning
        When no completed trial is as accurate as demanded; the closest one is returned. When a
        point is given up because its workers were lost.
    """
    check_count("trials", trials, 1)
    check_choice("objective", objective, ("auto", *OBJECTIVES))
    check_count("random_state", random_state, 0)
    check_dataset(dataset)
    check_estimator(estimator)
    check_folds(folds, turns, 1)
    check_protocol(seen=seen, path=False, store=None)
    check_engine(engine, n_jobs, address, progress)
    check_max_cost(max_cost)
    base = with_roles(estimator, dataset)
    if objective == "auto":
        objective = "fairness" if as_tuple(base.fairness) else "accuracy"
    if objective != "accuracy" and not base.sensitive:
        raise ValueError(
            f"objective={objective!r} needs sensitive attributes, and neither the estimator nor "
            "the data set names one: set sensitive=, or use objective='accuracy'. "
            "[nothing-to-protect]"
        )
    if space is not None and (not isinstance(space, Mapping) or not space):
        raise ValueError(
            "space must map names of keywords to ranges, with at least one to search; "
            f"got {space!r}. None is the default space. [space]"
        )
    ranges = dict(default_space(base) if space is None else space)
    check_space(ranges, base)
    unfair = with_keywords(base, {"fairness": None})
    if baseline is not None:
        if type(baseline) is not type(estimator):
            raise TypeError(
                f"baseline must be a {type(estimator).__name__} as the estimator is, got "
                f"{type(baseline).__name__}: costs compare the same accuracy. [baseline-class]"
            )
        unfair = with_roles(baseline, dataset)
    labels = seen_clusters(dataset, seen) if seen is not None else ()
    together = held_out_together(dataset, groups, hold_out)
    problem = pose_problem(dataset, labels, folds, turns, random_state, together)
    settings = {
        "dataset": [dataset.name, fingerprint(dataset), list(labels)],
        "folds": [folds, len(problem.parts)],
        "estimator": _settings(base),
        "baseline": None if objective == "accuracy" else _settings(unfair),
        "objective": objective,
        "max_cost": max_cost if objective == "fairness" else None,
        "space": {key: repr(entry) for key, entry in ranges.items()},
        "random_state": random_state,
        "metric definitions": DEFINITIONS,
        **digest(together),
    }
    start = start_of(ranges, base)
    sampler = make_sampler(random_state, objective, distributions(ranges), start)
    study = _study(storage, name, settings, sampler)
    study.pruner = make_pruner(objective, len(problem.parts))
    turns = len(problem.parts)
    with _pool(engine, problem, n_jobs, address) as pool:
        unfair_metrics: Sequence[Mapping[str, float]] = ()
        if objective != "accuracy":
            unfair_metrics = judge_baseline(study, pool, unfair, turns)
        aim = Aim(objective, max_cost, unfair_metrics)
        search = Search(study, base, ranges, turns, trials, aim)
        run_trials(search, pool, progress)
    return _result(search, problem, unfair)


def _pool(
    engine: str, problem: Problem, n_jobs: int, address: str | None
) -> AbstractContextManager[Pool]:
    """Return the context manager of what judges folds."""
    if engine == "local":
        return nullcontext(Inline(judge_fold, problem))
    from pyfairme.study.crossval.ray_engine import ray_tasks

    return ray_tasks(judge_fold, problem, n_jobs=n_jobs, address=address)


def _result(search: Search, problem: Problem, unfair: FairMixedEffects) -> Tuning:
    best, missing = choose(search, search.aim.max_cost)
    warn_if_missing(missing, search.aim.max_cost)
    warn_if_useless(search, best)
    keywords = search.keywords(best)
    return Tuning(
        study=search.study,
        frame=trial_frame(search, best),
        best=keywords,
        estimator=with_keywords(search.base, keywords),
        baseline=search.aim.baseline[-1] if search.aim.baseline else {},
        held_out=problem.held_out,
        points=search,
        problem=problem,
        unfair=unfair,
    )


def _settings(estimator: FairMixedEffects) -> Any:
    given = plain(estimator.get_params(deep=False))
    return {key: value for key, value in given.items() if key not in NOT_COMPARED}


def _different(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [key for key in {**there, **now} if there.get(key) != now.get(key)]


def _study(
    storage: str | Path | BaseStorage | None,
    name: str | None,
    settings: Mapping[str, Any],
    sampler: BaseSampler,
) -> Study:
    """Make the study or find it; refuse one that was made with other settings."""
    import optuna

    text = json.dumps(settings, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    title = name or f"{settings['dataset'][0] or 'study'}-{settings['objective']}-{digest}"
    directions: list[Any] = Aim(settings["objective"], 0.0, ()).directions
    opened = open_storage(storage)
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            study_name=title,
            storage=opened,
            sampler=sampler,
            directions=directions,
            load_if_exists=True,
        )
        study.get_trials()
        there = study.user_attrs.get("settings")
    except Exception as error:  # what a damaged file makes of Optuna is of many kinds
        raise ValueError(
            f"The storage {str(storage)!r} cannot be read ({type(error).__name__}): restore it "
            "from a copy, or choose another one to start anew. [tuning-storage]"
        ) from error
    finally:
        optuna.logging.set_verbosity(level)
    if there is None:
        announce_checksums(study)
        study.set_user_attr("settings", json.loads(text))
    elif different := _different(there, json.loads(text)):
        raise ValueError(
            f"The study {title!r} was made with other settings: {', '.join(different)} differ. "
            "Choose another name, or leave name out: then other settings are another study. "
            "[other-study]"
        )
    judge_damaged_anew(study)
    return study
