"""Points that fail and workers that are lost: what counts, and when a search ends."""

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import pyfairme as pf
from pyfairme.notices import DataWarning
from pyfairme.study.tuning.bohb import Aim, make_sampler
from pyfairme.study.tuning.search_loop import (
    MOST_FAILED,
    MOST_LOST,
    judge_baseline,
    run_trials,
)
from pyfairme.study.tuning.search_space import Real, distributions, start_of
from pyfairme.study.tuning.shared_study import RETRIES, counted
from pyfairme.study.tuning.trial_frame import Search, choose, trial_frame, warn_if_useless
from pyfairme.study.tuning.trials import FoldRows, Inline, Outcome, WorkerLost

SPACE = {"learning_rate": Real(1e-3, 1e-1, log=True)}
MODEL = pf.FairMixedEffectsClassifier("c", ["g"], learning_rate=1e-3)
START = MODEL.learning_rate


def rows(_, estimator, fold):
    """Judge: as good as the learning rate is small."""
    y = np.tile([0, 1], 20)
    score = np.where(y == 1, 0.9, 0.1) - estimator.learning_rate
    return FoldRows(y, score, y, np.empty(0), {"g": np.repeat([0, 1], 20)}, np.ones(40), 2, 0.0, ())


def search(trials, objective="accuracy"):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges = distributions(SPACE)
    sampler = make_sampler(0, objective, ranges, start_of(SPACE, MODEL))
    study = optuna.create_study(sampler=sampler)
    return Search(study, MODEL, SPACE, 1, trials, Aim(objective, 0.0, ()))


def failing(when, error):
    """Judge folds, but raise where ``when(learning rate)``."""

    def judge(shared, estimator, fold):
        if when(estimator.learning_rate):
            raise error
        return rows(shared, estimator, fold)

    return Inline(judge, None)


class Losing(Inline):
    """Pieces of work whose worker is lost where ``when(learning rate)``."""

    def __init__(self, when):
        super().__init__(rows, None)
        self._when, self.pieces = when, 0

    def next(self):
        name, args = self._waiting.popleft()
        self.pieces += 1
        if self._when(args[0].learning_rate):
            return Outcome(name, None, WorkerLost("out of memory"))
        return Outcome(name, self._function(self._shared, *args), None)


def test_a_point_that_fails_counts_with_its_error_and_the_search_goes_on():
    given = search(8)
    run_trials(given, failing(lambda rate: rate > 0.01, ValueError("no such shape")), False)
    frame = trial_frame(given, choose(given, 0.0)[0])
    assert frame["number"].tolist() == list(range(8))
    failed = frame["learning_rate"] > 0.01
    assert 0 < failed.sum() < 8
    assert (frame["state"] == np.where(failed, "fail", "complete")).all()
    assert (frame["error"] == np.where(failed, "ValueError: no such shape", "")).all()
    assert not any("retry_of" in trial.user_attrs for trial in given.study.trials)


def test_a_search_says_how_far_it_is(capsys):
    run_trials(search(3), Inline(rows, None), True)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "tune: searching, 3 trials"
    assert last.startswith("tune: done in ")


def test_the_estimator_as_given_may_not_fail():
    given = search(4)
    with pytest.raises(ValueError, match="no such shape"):
        run_trials(given, failing(lambda rate: True, ValueError("no such shape")), False)
    assert counted(given.study) == [1]  # queued: the same call tries it again
    with pytest.raises(ValueError, match="no such shape"):
        run_trials(given, failing(lambda rate: rate == START, ValueError("no such shape")), False)
    run_trials(given, failing(lambda rate: False, ValueError()), False)
    done = [given.study.trials[number] for number in counted(given.study)]
    assert [trial.state for trial in done] == [TrialState.COMPLETE] * 4
    assert done[0].params["learning_rate"] == START


def test_a_baseline_may_not_fail():
    given = search(4)
    pool = failing(lambda rate: True, ValueError("no such shape"))
    with pytest.raises(ValueError, match="no such shape"):
        judge_baseline(given.study, pool, MODEL, 1)
    assert given.study.user_attrs == {}


def test_many_failing_fits_in_a_row_end_the_search():
    given = search(20)
    with pytest.raises(MemoryError, match="too wide"):
        run_trials(given, failing(lambda rate: rate != START, MemoryError("too wide")), False)
    states = [trial.state for trial in given.study.trials]
    assert states == [TrialState.COMPLETE, *[TrialState.FAIL] * MOST_FAILED]
    assert counted(given.study) == list(range(1 + MOST_FAILED))  # none is queued again


def test_an_interrupt_ends_the_search_and_queues_its_point():
    given = search(3)
    with pytest.raises(KeyboardInterrupt):
        run_trials(given, failing(lambda rate: rate != START, KeyboardInterrupt()), False)
    states = [trial.state for trial in given.study.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING]


def test_a_point_that_loses_its_workers_is_given_up_and_counts():
    given, pool = search(2), Losing(lambda rate: rate != START)
    with pytest.warns(UserWarning, match=r"worker lost 3 times, given up: out of memory"):
        run_trials(given, pool, False)
    assert pool.pieces == 1 + RETRIES + 1
    frame = trial_frame(given, choose(given, 0.0)[0])
    assert frame["state"].tolist() == ["complete", "fail"]
    assert frame["error"].tolist() == ["", "worker lost 3 times, given up: out of memory"]


def test_losing_every_worker_ends_the_search():
    given, pool = search(20), Losing(lambda rate: True)
    with (
        pytest.warns(UserWarning, match="given up"),
        pytest.raises(RuntimeError, match=r"3 points in a row were lost.*give fewer workers"),
    ):
        run_trials(given, pool, False)
    assert pool.pieces == MOST_LOST * (RETRIES + 1)
    assert len(counted(given.study)) == MOST_LOST


def judged(*points):
    """Return a search for fairness whose trials have these (accuracy, worst SD)."""
    aim = Aim("fairness", 0.0, ({"accuracy": 0.62, "worst_sd": 0.1},))
    given = search(len(points), "fairness")._replace(aim=aim)
    for accuracy, worst in points:
        made = optuna.trial.create_trial(
            params={"learning_rate": 0.01}, distributions=distributions(SPACE), value=worst,
            user_attrs={"metrics": {"accuracy": accuracy, "worst_sd": worst}, "folds": 1},
        )  # fmt: skip
        given.study.add_trial(made)
    return given


def test_one_that_decides_every_row_alike_is_the_last_to_be_chosen():
    assert choose(judged((0.5, 0.0), (0.58, 0.03), (0.61, 0.09)), 0.2)[0].number == 1
    assert choose(judged((0.5, 0.0)), 0.2)[0].number == 0


def test_a_chosen_trial_near_chance_is_told():
    given = judged((0.53, 0.01))
    said = r"trial 0, hardly tells rows apart \(balanced accuracy 0\.530.*0\.620\).*\[useless-point"
    with pytest.warns(DataWarning, match=said):
        warn_if_useless(given, choose(given, 0.2)[0])
    given = judged((0.57, 0.01))
    warn_if_useless(given, choose(given, 0.2)[0])
