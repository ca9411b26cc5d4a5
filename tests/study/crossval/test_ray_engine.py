"""The Ray engine: the same study and the same store, whoever is killed."""

import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from pyfairme.study import cross_validate, tune
from pyfairme.study.crossval import ray_engine
from pyfairme.study.tuning.shared_study import open_storage
from pyfairme.study.tuning.trials import WorkerLost
from tests.study.small_search import SEARCH, light_model, search_data
from tests.study.small_study import light_models, small_data

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    expected = r"engine='ray' needs Ray.*pip install 'pyfairme\[ray\]'"
    with pytest.raises(ImportError, match=expected):
        tune(light_model(), search_data(), **SEARCH, storage=None, engine="ray")
    with pytest.raises(ImportError, match=expected):
        cross_validate(light_models(), small_data(), folds=3, seeds=1, engine="ray")


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="Invalid value of engine: 'dask'"):
        cross_validate(light_models(), small_data(), engine="dask")


@pytest.fixture(scope="module")
def ray():
    """A local cluster of two workers, for all tests below."""
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings():  # as the engine does: Ray forks and starts another program
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


def workers_at(task):
    """Return the processes of our cluster that are at a task of that name."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode()
                parents = lineage(int(entry.name))
            except OSError:
                continue
            if command.startswith(f"ray::{task}") and os.getpid() in parents:
                found.append(int(entry.name))
    return found


def lineage(process):
    found = []
    while process > 1:
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rpartition(")")[2].split()[1])
        found.append(process)
    return found


def slow_square(shared, number):
    time.sleep(0.5)
    if number < 0:
        raise FloatingPointError("below zero")
    return shared * number**2


@pytest.mark.slow  # starting a cluster takes seconds, and much memory beside other tests
def test_work_comes_back_by_name_and_errors_as_they_were_raised(ray):
    with ray_engine.ray_tasks(slow_square, 10) as tasks:
        assert tasks.slots == 2
        for number in (1, 2, -1):
            tasks.submit(("square", number), number)
        found = {outcome.name: outcome for outcome in (tasks.next() for _ in range(3))}
    assert found["square", 2].value == 40
    assert type(found["square", -1].error) is FloatingPointError
    assert ray.is_initialized()  # it was not ours to shut down


def deadly(shared, number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow  # starting a cluster takes seconds, and much memory beside other tests
def test_work_that_kills_every_worker_is_lost(ray, monkeypatch):
    monkeypatch.setattr(ray_engine, "RETRIES", 0)
    with ray_engine.ray_tasks(deadly, None) as tasks:
        tasks.submit("deadly", 1)
        outcome = tasks.next()
    assert isinstance(outcome.error, WorkerLost)


@pytest.mark.slow
@pytest.mark.parametrize("retries", [3, 0])
def test_a_study_ends_as_planned_when_a_worker_is_killed(ray, tmp_path, monkeypatch, retries):
    """With retries Ray does the fold again; without, the trial is failed and its point queued."""
    monkeypatch.setattr(ray_engine, "RETRIES", retries)
    url = f"sqlite:///{tmp_path / 'tune.db'}"
    killed = []

    def kill_one_when_some_are_done():
        storage = open_storage(url)
        deadline = time.monotonic() + 500
        while not killed and time.monotonic() < deadline:
            time.sleep(0.02)
            if "small" not in optuna.get_all_study_names(storage):
                continue
            trials = optuna.load_study(study_name="small", storage=storage).trials
            busy = workers_at("judge_fold")
            if sum(trial.state in FINISHED for trial in trials) >= 2 and busy:
                os.kill(busy[0], signal.SIGKILL)
                killed.append(busy[0])

    killer = threading.Thread(target=kill_one_when_some_are_done)
    killer.start()
    found = tune(
        light_model().set_params(min_steps=3000), search_data(), **SEARCH,
        trials=8, storage=url, engine="ray",
    )  # fmt: skip
    killer.join()
    assert killed
    assert len(found.frame) == 8
    assert found.frame["state"].isin(["complete", "pruned"]).all()
    failed = [trial for trial in found.study.trials if trial.state == TrialState.FAIL]
    assert len(failed) == (0 if retries else 1)
    for trial in failed:
        (again,) = [t for t in found.study.trials if t.user_attrs.get("retry_of") == trial.number]
        assert again.params == trial.params


@pytest.mark.slow
def test_cross_validation_by_ray_is_the_local_one(ray, tmp_path):
    shared = {"seen": 4, "folds": 3, "seeds": 1, "n_boot": 0}
    local = cross_validate(light_models(), small_data(), **shared)
    store = tmp_path / "store"
    found = cross_validate(light_models(), small_data(), **shared, engine="ray", store=store)
    pd.testing.assert_frame_equal(found.frame, local.frame)
    assert len(list(store.rglob("seed*.json"))) == 3
    again = cross_validate(light_models(), small_data(), **shared, store=store)  # resumes
    assert again.configurations == found.configurations


@pytest.mark.slow
def test_a_local_cluster_starts_and_ends_by_itself():
    ray = pytest.importorskip("ray")
    if ray.is_initialized():
        ray.shutdown()
    with ray_engine.ray_tasks(slow_square, 1, n_jobs=1) as tasks:
        assert tasks.slots == 1
        tasks.submit("one", 3)
        assert tasks.next().value == 9
    assert not ray.is_initialized()
