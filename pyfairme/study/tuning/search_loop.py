"""The loop of a search: ask the study for points, have folds judged, report, prune, tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyfairme.estimators.progress_display import progress_display
from pyfairme.inference.fit_stages import Progress, silent
from pyfairme.notices import warn
from pyfairme.study.tuning.search_space import distributions, keywords_of, with_keywords
from pyfairme.study.tuning.shared_study import (
    RETRIES,
    RunningTrial,
    Watch,
    beating,
    claim,
    counted,
    give_back,
    join,
    read_shared,
    used_up,
    write_results,
    write_shared,
)
from pyfairme.study.tuning.trial_frame import Search, best_so_far
from pyfairme.study.tuning.trials import FoldRows, Outcome, WorkerLost, metrics_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

    from pyfairme.estimators.base import FairMixedEffects
    from pyfairme.study.crossval.ray_engine import Pool

PAUSE = 0.5  # seconds between looks at what other processes do
MOST_FAILED = 5  # fits in a row: then it is not the points
MOST_LOST = 3  # points in a row that lost their workers for good
LONGEST_ERROR = 1000  # characters that are kept


class _Setbacks:
    """What went wrong without a fit that succeeded in between: failed fits, lost points."""

    def __init__(self) -> None:
        self.failed = self.lost = 0


def judge_baseline(
    study: Study, pool: Pool, estimator: FairMixedEffects, turns: int
) -> list[dict[str, float]]:
    """Judge the unfair model, once per study: its metrics after 1, 2, ... folds."""
    known = read_shared(study, "baseline")
    if known is not None:
        return known
    for fold in range(turns):
        pool.submit(("baseline", fold), estimator, fold)
    rows: dict[int, FoldRows] = {}
    for _ in range(turns):
        (_, fold), value, error = pool.next()
        if error is not None:
            raise error
        rows[fold] = value
    ordered = [rows[fold] for fold in range(turns)]
    found = [metrics_of(ordered[: number + 1]) for number in range(turns)]
    write_shared(study, "baseline", found)
    return found


def run_trials(search: Search, pool: Pool, progress: bool | str) -> None:
    """Work on the study until it has its trials, those of other processes included.

    Parameters
    ----------
    search
        The study and what its trials are made of.
    pool
        Judges folds: ``slots``, ``submit(name, estimator, fold)``, ``next() -> Outcome``.
    progress
        As of `pyfairme.study.tuning.tune_study`.

    Raises
    ------
    RuntimeError
        When the workers of `MOST_LOST` points in a row were lost for good.
    Exception
        Of the fit of trial 0, or the last of `MOST_FAILED` failed fits in a row.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    running: dict[int, RunningTrial] = {}
    setbacks = _Setbacks()
    me = join(search.study)
    watch = Watch(search.study, me)
    space = distributions(search.space)
    with _bar(search, progress) as show, beating(running):
        try:
            while True:
                watch.take_over(running)
                while len(running) < pool.slots:
                    trial = claim(search.study, search.trials, space, me)
                    if trial is None:
                        break
                    keywords = keywords_of(search.space, trial.params, search.base)
                    estimator = with_keywords(search.base, keywords)
                    running[trial.number] = RunningTrial(trial, estimator)
                    pool.submit(trial.number, estimator, 0)
                show()
                if running:
                    outcome = pool.next()
                    try:
                        _step(search, running, pool, outcome, setbacks)
                    except UpdateFinishedTrialError:  # taken over: this process stood still
                        running.pop(outcome.name, None)
                elif _others_run(search.study):
                    time.sleep(PAUSE)
                else:
                    return
        except BaseException:
            for entry in running.values():
                give_back(search.study, search.study.trials[entry.trial.number])
            raise


def _step(
    search: Search,
    running: dict[int, RunningTrial],
    pool: Pool,
    outcome: Outcome,
    setbacks: _Setbacks,
) -> None:
    """Take in one judged fold: go on, prune, or finish the trial."""
    from optuna.trial import TrialState

    entry = running[outcome.name]
    trial = entry.trial
    if isinstance(outcome.error, WorkerLost):
        del running[outcome.name]
        _lose(search.study, trial, outcome.error, setbacks)
        return
    rows, metrics, error = entry.rows, {}, outcome.error
    if error is None:
        rows = (*rows, outcome.value)
        try:
            metrics = metrics_of(rows)
        except ValueError as undefined:  # of these predictions: NaN, say
            error = undefined
    setbacks.lost = 0
    if error is not None:
        if 0 in (trial.number, trial.user_attrs.get("retry_of")):
            raise error  # the estimator as given: it is not the point that is to blame
        del running[outcome.name]
        _fail(search.study, trial, error, setbacks)
        return
    setbacks.failed = 0
    running[outcome.name] = entry._replace(rows=rows)
    last = len(rows) == search.turns
    pruned = False
    if search.aim.objective != "frontier":
        trial.report(search.aim.reported(metrics, len(rows)), step=len(rows))
        pruned = not last and trial.should_prune()
    if not (last or pruned):
        pool.submit(trial.number, entry.estimator, len(rows))
        return
    values = None if pruned else search.aim.values(metrics)
    write_results(trial, _results(rows, metrics), values)
    if search.aim.objective == "fairness":
        violation = search.aim.violation(metrics, len(rows), search.aim.max_cost)
        trial.set_constraint("accuracy", violation)
    del running[outcome.name]
    if pruned:
        search.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    else:
        search.study.tell(trial, values, skip_if_finished=True)


def _fail(study: Study, trial: Trial, error: Exception, setbacks: _Setbacks) -> None:
    """Let a point fail by its error, which is its result."""
    _end(study, trial, f"{type(error).__name__}: {error}")
    setbacks.failed += 1
    if setbacks.failed >= MOST_FAILED:
        raise error


def _lose(study: Study, trial: Trial, error: WorkerLost, setbacks: _Setbacks) -> None:
    """Queue a point again whose worker was lost, or give it up."""
    if not used_up(trial):
        give_back(study, study.trials[trial.number])
        return
    text = f"worker lost {RETRIES + 1} times, given up: {error}"
    _end(study, trial, text)
    warn(f"Trial {trial.number}: {text} [worker-lost]")
    setbacks.lost += 1
    if setbacks.lost >= MOST_LOST:
        raise RuntimeError(
            f"The workers of {MOST_LOST} points in a row were lost, each point {RETRIES + 1} times "
            f"(last: {error}). Most often memory is too small for so many fits at once: give fewer "
            "workers (n_jobs), smaller networks or fewer rows, then make the same call again."
            " [workers-lost]"
        ) from error


def _end(study: Study, trial: Trial, error: str) -> None:
    """Mark a trial as failed by an error: it counts, and its point is not queued again."""
    from optuna.trial import TrialState

    trial.set_user_attr("error", error[:LONGEST_ERROR])
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def _results(rows: Sequence[FoldRows], metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return what a judged trial keeps."""
    said = dict.fromkeys(text for fold in rows for text in fold.warnings)
    seconds = round(sum(fold.seconds for fold in rows), 2)
    return {
        "metrics": dict(metrics), "folds": len(rows), "seconds": seconds, "warnings": list(said)
    }  # fmt: skip


def _others_run(study: Study) -> bool:
    from optuna.trial import TrialState

    states = (TrialState.RUNNING, TrialState.WAITING)
    return bool(study.get_trials(deepcopy=False, states=states))


@contextmanager
def _bar(search: Search, progress: bool | str) -> Iterator[Callable[[], None]]:
    """Yield a function that shows the trials done and the best point so far."""
    from optuna.trial import TrialState

    with progress_display(progress, "tune") as report:

        def show() -> None:
            if report is silent:
                return
            states = (TrialState.RUNNING, TrialState.WAITING)
            open_ = len(search.study.get_trials(deepcopy=False, states=states))
            done = len(counted(search.study)) - open_
            report(Progress("searching", done, search.trials, best_so_far(search), "trials"))

        yield show
        show()
