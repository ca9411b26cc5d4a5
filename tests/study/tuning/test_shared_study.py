"""Who owns a trial, and what becomes of the trials of the dead."""

import gc
import os
import shutil
import sqlite3
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState

from pyfairme.study.tuning import shared_study
from pyfairme.study.tuning.shared_study import (
    JOINED,
    RunningTrial,
    Watch,
    announce_checksums,
    beating,
    claim,
    counted,
    give_back,
    join,
    judge_damaged_anew,
    open_storage,
    read_shared,
    write_results,
    write_shared,
)
from tests.study.small_search import light_model

SPACE = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.fixture(scope="module")
def dead():
    """Name an owner of this machine whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return f"{shared_study._machine()}|{process.pid}|0"


def test_a_trial_of_a_dead_process_is_failed_and_its_point_queued(study, dead):
    me = join(study)
    trial = claim(study, 3, SPACE, dead)
    mine = claim(study, 3, SPACE, me)
    assert Watch(study, me).take_over({mine.number: mine}) == [trial.number]
    assert [t.state for t in study.trials] == [
        TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING,
    ]  # fmt: skip
    again = claim(study, 3, SPACE, me)
    assert again.params == trial.params
    assert study.trials[again.number].user_attrs["retry_of"] == trial.number
    assert counted(study) == [mine.number, again.number]


def test_a_claim_asks_as_often_of_many_trials_as_of_few(tmp_path):
    """Queries of a database by a claim: they grew by two with every trial that had ended."""
    from sqlalchemy import event

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(f"sqlite:///{tmp_path / 't.db'}")
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    announce_checksums(study)
    me = join(study)
    queries = []
    event.listen(storage.engine, "before_cursor_execute", lambda *call: queries.append(call[2]))
    numbers = []
    for _ in range(12):
        queries.clear()
        trial = claim(study, 100, SPACE, me)
        numbers.append(len(queries))
        write_results(trial, {"metrics": {}, "folds": [], "seconds": 1.0, "warnings": []}, [0.5])
        study.tell(trial.number, 0.5)
    assert numbers[-1] <= numbers[2] + 2


def test_a_living_process_keeps_its_trials(study):
    me, other = join(study), join(study)
    claim(study, 3, SPACE, other)
    assert Watch(study, me).take_over({}) == []


def test_a_trial_of_another_machine_is_dead_when_its_pulse_stands_still(study, monkeypatch):
    me = join(study)
    trial = claim(study, 3, SPACE, "elsewhere|1|1|0")
    now = [0.0]
    monkeypatch.setattr(shared_study.time, "monotonic", lambda: now[0])
    watch = Watch(study, me)
    assert watch.take_over({}) == []
    now[0] = shared_study.GRACE - 1
    trial.set_user_attr("pulse", 1)
    assert watch.take_over({}) == []
    now[0] = 2 * shared_study.GRACE - 2
    assert watch.take_over({}) == []
    now[0] = 2 * shared_study.GRACE
    assert watch.take_over({}) == [trial.number]


def test_a_trial_without_owner_is_dead_when_all_others_are(study, dead):
    me = join(study)
    study.ask(SPACE)  # killed before it named itself
    living = join(study)
    study.set_user_attr(JOINED + dead, True)
    assert Watch(study, me).take_over({}) == []
    study.set_user_attr(JOINED + living, True)
    living_ones = [name for name in Watch(study, me)._others() if not shared_study._gone(name)]
    assert living_ones == [living]


def test_a_point_that_keeps_killing_is_given_up(study, dead):
    me = join(study)
    first = claim(study, 5, SPACE, dead)
    for _ in range(shared_study.RETRIES):
        Watch(study, me).take_over({})
        assert claim(study, 5, SPACE, dead).params == first.params
    Watch(study, me).take_over({})
    assert counted(study) == []
    assert claim(study, 5, SPACE, me).params != first.params


def test_the_total_is_kept_and_a_failed_point_counts_only_with_its_error(study):
    me = join(study)
    one, two = claim(study, 2, SPACE, me), claim(study, 2, SPACE, me)
    assert claim(study, 2, SPACE, me) is None
    one.set_user_attr("error", "diverged")
    study.tell(one, state=TrialState.FAIL)
    study.tell(two, 0.5)
    assert claim(study, 2, SPACE, me) is None
    assert claim(study, 3, SPACE, me) is not None


def test_what_another_process_gave_back_is_not_given_back_twice(study):
    trial = claim(study, 2, SPACE, join(study))
    assert give_back(study, study.trials[trial.number])
    assert not give_back(study, study.trials[trial.number])
    assert sum(t.state == TrialState.WAITING for t in study.trials) == 1


def test_the_pulse_of_running_trials_rises(study, monkeypatch):
    monkeypatch.setattr(shared_study, "PULSE", 0.01)
    trial = claim(study, 2, SPACE, join(study))
    with beating({trial.number: RunningTrial(trial, light_model())}):
        while study.trials[trial.number].user_attrs.get("pulse", 0) < 2:
            pass


def test_storages_by_url_path_and_object(tmp_path):
    assert isinstance(open_storage(None), optuna.storages.InMemoryStorage)
    database = open_storage(f"sqlite:///{tmp_path / 'a.db'}")
    assert isinstance(database, optuna.storages.RDBStorage)
    assert isinstance(open_storage(tmp_path / "a.log"), optuna.storages.JournalStorage)
    assert open_storage(database) is database
    assert os.path.exists(tmp_path / "a.log")


RESULTS = {"metrics": {"loss": 0.1 + 0.2}, "folds": 3, "seconds": 1.5, "warnings": ["λ"]}
CHANGES = {
    "a value": "update trial_values set value = value + 1e-9 where trial_id = 2",
    "a parameter": "update trial_params set param_value = param_value / 2 where trial_id = 2",
    "a metric": "update trial_user_attributes set value_json = replace(value_json, '0.3', '0.2') "
    "where trial_id = 2 and key = 'metrics'",
    "the checksum": "delete from trial_user_attributes where trial_id = 2 and key = 'sha256'",
    "pruned, it says": "update trials set state = 'PRUNED' where trial_id = 2",
}


def checked_search(path, checked=True):
    """Make a search of one pruned and two completed trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=open_storage(f"sqlite:///{path}"), study_name="s")
    if checked:
        announce_checksums(study)
    write_shared(study, "baseline", [{"accuracy": 0.5}])
    for number in range(3):
        trial = claim(study, 3, SPACE, "me")
        values = None if number == 0 else [number / 3]
        if number == 0:
            trial.report(0.5, step=1)
        write_results(trial, RESULTS, values)
        study.tell(trial, values, state=TrialState.PRUNED if number == 0 else None)
    return study


@pytest.fixture(scope="module")
def checked_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("checked") / "tune.db"
    judge_damaged_anew(checked_search(path))  # nothing to say
    return path


def changed(path, change):
    """Return the search as another process reads it after a change of its file."""
    with sqlite3.connect(path) as database:
        assert database.execute(change).rowcount == 1
    database.close()
    return optuna.load_study(storage=open_storage(f"sqlite:///{path}"), study_name="s")


@pytest.mark.parametrize("change", CHANGES)
def test_a_trial_that_was_changed_does_not_count_and_is_judged_anew(tmp_path, checked_file, change):
    found = changed(shutil.copy(checked_file, tmp_path), CHANGES[change])
    with pytest.warns(UserWarning, match=r"^Trials 1 of the study 's' .*\[trials-damaged\]$"):
        judge_damaged_anew(found)
    assert counted(found) == [0, 2, 3]
    again = claim(found, 3, SPACE, "me")
    assert again.params == found.trials[1].params
    judge_damaged_anew(found)  # said and queued once


def test_a_baseline_that_was_changed_is_judged_anew(tmp_path, checked_file):
    change = "update study_user_attributes set value_json = '[]' where key = 'baseline'"
    path = shutil.copy(checked_file, tmp_path)
    with pytest.warns(UserWarning, match=r"^The baseline .*\[trials-damaged\]$"):
        assert read_shared(changed(path, change), "baseline") is None


def test_trials_of_an_older_version_have_no_checksum_and_count(tmp_path):
    path = tmp_path / "tune.db"
    checked_search(path, checked=False)
    found = changed(path, CHANGES["the checksum"])
    judge_damaged_anew(found)
    assert counted(found) == [0, 1, 2]
    assert read_shared(found, "baseline") == [{"accuracy": 0.5}]


def test_connections_to_a_database_are_closed_with_its_storage(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path / 't.db'}")
    storage.get_all_studies()
    engine = storage.engine
    assert engine.pool.checkedin() > 0
    del storage
    gc.collect()
    assert engine.pool.checkedin() == 0
