"""The search: what trials see, what is chosen, and what kills and company do to a study."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sklearn.base import clone

import pyfairme as pf
from pyfairme.metrics import non_dominated, tpr_sd
from pyfairme.study import tune
from pyfairme.study.crossval.fits import network_seed
from pyfairme.study.crossval.splits import seen_clusters
from pyfairme.study.crossval.store import Key
from pyfairme.study.tuning.shared_study import counted, open_storage
from pyfairme.study.tuning.trials import judge_fold, metrics_of, pose_problem
from tests.study.small_search import SEARCH, SPACE, light_model, search_data

ROOT = Path(__file__).parents[3]
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

WORKER = """
import sys, time
from pathlib import Path
from pyfairme.study import tune
from tests.study.small_search import SEARCH, light_model, search_data
if __name__ == "__main__":
    storage, trials, ready, others = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    tune(light_model(), search_data(), **SEARCH, trials=1, storage=None)  # compiles
    ready.touch()
    while not all(Path(other).exists() for other in others):
        time.sleep(0.01)
    tune(light_model(), search_data(), **SEARCH, trials=trials, storage=storage)
"""


@pytest.fixture(scope="module")
def found():
    return tune(light_model(), search_data(), **SEARCH, trials=6, storage=None)


@pytest.fixture
def worker(tmp_path):
    """Start a process that works on the study; arguments: trials, its own name, other names."""
    script = tmp_path / "work.py"
    script.write_text(WORKER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    started = []

    def start(trials, name, *others):
        paths = [str(tmp_path / each) for each in (name, *others)]
        command = [sys.executable, str(script), url(tmp_path), str(trials), *paths]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def url(folder) -> str:
    return f"sqlite:///{folder / 'tune.db'}"


def load(folder):
    return optuna.load_study(study_name="small", storage=open_storage(url(folder)))


def wait_for(ready, seconds=240):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_line_per_trial_with_parameters_and_metrics(found):
    frame = found.frame
    assert frame["number"].tolist() == list(range(6))
    assert set(frame["state"]) <= {"complete", "pruned"}
    assert set(SPACE) <= set(frame.columns)
    full = frame[frame["state"] == "complete"]
    assert (full["folds"] == 3).all()
    assert (full["value"] == full["worst_sd"]).all()
    pruned = frame[frame["state"] == "pruned"]
    assert (pruned["folds"] < 3).all()
    sds = frame.filter(regex=r"^[tf]pr_sd\[").to_numpy()
    np.testing.assert_allclose(frame["worst_sd"], np.nanmax(sds, axis=1))
    demanded = found.baseline["accuracy"] - 0.05
    np.testing.assert_allclose(full["missing"], demanded - full["accuracy"])
    assert (
        full["on_frontier"].tolist() == non_dominated(full["accuracy"], full["worst_sd"]).tolist()
    )


def test_the_search_starts_at_the_estimator_itself(found):
    first = found.frame.iloc[0]
    assert first["fairness_weight[group1]"] == 0.3
    assert first["learning_rate"] == 1e-3
    assert first["class_weight"] is None


def test_the_best_is_the_fairest_that_is_accurate_enough(found):
    full = found.frame.query("state == 'complete' and missing <= 0")
    best = found.frame[found.frame["best"]]
    assert best["number"].item() == full.loc[full["worst_sd"].idxmin(), "number"]
    assert found.best["learning_rate"] == best["learning_rate"].item()
    assert found.best["fairness_weight"]["group1"] == best["fairness_weight[group1]"].item()
    assert found.best["fairness_weight"]["group2"] == 0.3
    model = found.estimator
    assert model.cluster == "cluster"
    assert {name: model.get_params()[name] for name in found.best} == found.best
    assert found.choose(1.0).get_params()["learning_rate"] > 0


def test_a_line_is_what_its_parameters_give_on_validation_rows(found):
    data = search_data()
    problem = pose_problem(data, seen_clusters(data, 4), 5, 3, 0)
    rows = [judge_fold(problem, found.estimator, fold) for fold in range(3)]
    line = found.frame[found.frame["best"]].iloc[0]
    again = metrics_of(rows)
    for name in ("accuracy", "worst_sd", "loss"):
        assert line[name] == pytest.approx(again[name], abs=1e-9)


def test_what_is_set_aside_enters_no_trial(found):
    data = search_data()
    labels = seen_clusters(data, 4)
    problem = pose_problem(data, labels, 5, None, 0)
    known = np.flatnonzero(data.frame["cluster"].isin(labels))
    assert np.array_equal(problem.held_out, found.held_out)
    for part in problem.parts:
        rows = [problem.held_out, part.training, part.judged]
        assert np.array_equal(np.sort(np.concatenate(rows)), known)
    judged = np.concatenate([part.judged for part in problem.parts])
    assert np.array_equal(np.sort(np.concatenate([judged, problem.held_out])), known)
    other = pose_problem(data, labels, 5, None, 1)
    assert not np.array_equal(other.held_out, problem.held_out)


def test_what_was_found_is_judged_on_the_rows_set_aside(found):
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 90"):
        found.judge(level=90)
    frame = found.judge(n_boot=20)
    lines = frame[(frame["effects"] == "mixed") & (frame["attribute"] != "all")]
    line = lines[(lines["metric"] == "tpr_sd") & (lines["attribute"] == "group1")].iloc[0]
    assert (line["variant"], line["baseline"], line["folds"]) == ("tuned", "unfair", 1)
    assert line["n"] == search_data().target.iloc[found.held_out].sum()  # positives: a TPR
    assert line["low"] < line["difference"] < line["high"]
    part = found.problem.parts[0]
    rows = np.sort(np.concatenate([part.training, part.judged]))
    data = search_data()
    model = clone(found.estimator).set_params(
        random_state=network_seed(Key("", found.problem.seed, len(found.problem.parts))),
        validation_fraction=1 / 4,
    )
    model.fit(data.frame.iloc[rows], data.target.iloc[rows])
    aside: Any = data.frame.iloc[found.held_out]
    expected = tpr_sd(
        data.target.iloc[found.held_out], model.predict(aside), sensitive_features=aside["group1"]
    )
    assert line["value"] == pytest.approx(expected)


def test_the_same_seed_finds_the_same(found):
    again = tune(light_model(), search_data(), **SEARCH, trials=6, storage=None)
    same = ["number", "state", "value", *SPACE]
    assert again.frame[same].equals(found.frame[same])


def test_frontier_mode_has_two_objectives_and_prunes_nothing():
    found = tune(
        light_model(), search_data(), **SEARCH, trials=4, storage=None, objective="frontier"
    )
    assert found.study.directions == [
        optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE,
    ]  # fmt: skip
    assert (found.frame["state"] == "complete").all()
    assert (found.frame["value_0"] == found.frame["accuracy"]).all()
    assert (found.frame["value_1"] == found.frame["worst_sd"]).all()
    assert found.frame["on_frontier"].any()


def test_without_penalty_the_proper_score_is_minimised():
    model = light_model().set_params(fairness=None, early_stopping=False)
    given = {**SEARCH, "space": {"learning_rate": SPACE["learning_rate"]}}
    found = tune(model, search_data(), **given, trials=3, storage=None)
    full = found.frame[found.frame["state"] == "complete"]
    assert found.frame.loc[found.frame["best"], "loss"].item() == full["loss"].min()
    assert found.baseline == {}
    with pytest.raises(ValueError, match=r"has none: call tune with objective='fairness'"):
        found.choose(0.01)
    assert (found.frame["value"] == found.frame["loss"]).all()


def test_a_demand_that_no_trial_meets_is_told():
    strong = light_model().set_params(fairness_weight=50.0)
    given = {**SEARCH, "space": {"learning_rate": SPACE["learning_rate"]}, "max_cost": 0.0}
    with pytest.warns(UserWarning, match=r"No completed trial keeps its accuracy within max_cost"):
        found = tune(strong, search_data(), **given, trials=2, storage=None)
    full = found.frame[found.frame["state"] == "complete"]
    assert found.frame.loc[found.frame["best"], "missing"].item() == full["missing"].min()


def test_what_cannot_be_searched_is_refused():
    model, data = light_model(), search_data()
    with pytest.raises(ValueError, match="engine"):
        tune(model, data, engine="cloud", storage=None)
    with pytest.raises(ValueError, match="'widths' is no keyword"):
        tune(model, data, space={"widths": SPACE["learning_rate"]}, storage=None)
    with pytest.raises(ValueError, match="expected Real, Whole, Choice"):
        tune(model, data, space={"learning_rate": 0.1}, storage=None)
    with pytest.raises(TypeError, match="baseline must be a FairMixedEffectsClassifier"):
        tune(light_model(), search_data(), **SEARCH, baseline=pf.FairMixedEffectsRegressor())
    with pytest.raises(ValueError, match="turns must lie between 1 and 4"):
        tune(model, data, folds=5, turns=5, storage=None)


def test_a_study_of_other_settings_is_refused_and_a_finished_one_only_read(tmp_path):
    data, storage = search_data(), str(tmp_path / "tune.log")  # a journal
    first = tune(light_model(), data, **SEARCH, trials=2, storage=storage)
    again = tune(light_model(), data, **SEARCH, trials=2, storage=storage)
    assert len(again.study.trials) == 2
    assert again.frame.equals(first.frame)
    more = tune(light_model(), data, **SEARCH, trials=3, storage=storage)
    assert more.frame["number"].tolist() == [0, 1, 2]
    assert more.frame["value"].tolist()[:2] == first.frame["value"].tolist()
    with pytest.raises(ValueError, match=r"made with other settings: max_cost differ"):
        tune(light_model(), data, **{**SEARCH, "max_cost": 0.1}, trials=2, storage=storage)
    settings = dict(more.study.user_attrs["settings"])
    del settings["metric definitions"]  # as before accuracy and spreads were those of frontier
    more.study.set_user_attr("settings", settings)
    with pytest.raises(ValueError, match=r"other settings: metric definitions differ"):
        tune(light_model(), data, **SEARCH, trials=3, storage=storage)


@pytest.mark.slow
def test_a_search_killed_outright_resumes_and_loses_no_finished_trial(worker, tmp_path):
    process = worker(8, "one")
    wait_for((tmp_path / "one").exists)
    wait_for((tmp_path / "tune.db").exists)
    storage = open_storage(url(tmp_path))
    wait_for(lambda: "small" in optuna.get_all_study_names(storage))
    study = optuna.load_study(study_name="small", storage=storage)

    def two_and_one():
        states = [trial.state for trial in study.trials]
        return sum(s in FINISHED for s in states) >= 2 and TrialState.RUNNING in states

    wait_for(two_and_one)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {t.number: (t.state, t.values, t.params) for t in study.trials if t.state in FINISHED}
    running = [t for t in study.trials if t.state == TrialState.RUNNING]
    assert 2 <= len(before) < 8
    found = tune(light_model(), search_data(), **SEARCH, trials=8, storage=url(tmp_path))
    after = {t.number: t for t in found.study.trials}
    assert all((after[n].state, after[n].values, after[n].params) == b for n, b in before.items())
    assert len(found.frame) == 8
    assert found.frame["state"].isin(["complete", "pruned"]).all()
    for trial in running:
        assert after[trial.number].state == TrialState.FAIL
        retried = [t for t in after.values() if t.user_attrs.get("retry_of") == trial.number]
        assert len(retried) == bool(trial.params)  # none: killed before the point was drawn
        assert all(trial.params.items() <= again.params.items() for again in retried)
        assert all(again.state in FINISHED for again in retried)


@pytest.mark.slow
def test_two_processes_share_a_study(worker, tmp_path):
    one, two = worker(10, "one", "two"), worker(10, "two", "one")
    for process in (one, two):
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()
    study = load(tmp_path)
    trials = [study.trials[number] for number in counted(study)]
    assert len(trials) == 10
    assert all(trial.state in FINISHED for trial in trials)
    assert len({trial.user_attrs["owner"] for trial in trials}) == 2
    assert len({trial.params["learning_rate"] for trial in trials}) == 10


def test_searching_is_exported():
    assert pf.study.tune is tune
