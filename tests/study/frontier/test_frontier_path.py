"""Weights followed along a path: each point goes on from the one before it."""

import json

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.inference.cluster_buckets import filled_spec
from pyfairme.inference.compiled_steps import _engine, engine
from pyfairme.study import cross_validate, frontier
from pyfairme.study.crossval.cross_validate import _parts
from pyfairme.study.crossval.fits import network_seed, with_roles
from pyfairme.study.crossval.store import Key, Store
from pyfairme.study.crossval.workers import jobs_of
from tests.study.small_study import LIGHT, light_models, small_data

FAIR = pf.FairMixedEffectsClassifier(
    **LIGHT | {"epochs": 2, "min_steps": 300, "hidden": (7,)},  # of its own: programs are counted
    fairness="moment",
    threshold=0.4,
    unseen="population",
)
WEIGHTS = [0.3, {"group1": 2.0}, 0]  # not in their order
PATH = ["0", "0.3", "group1=2"]
SHARED = {"seen": 4, "folds": 3, "seeds": 1, "n_boot": 5, "progress": False}


def walk(folder, weights=WEIGHTS, **keywords):
    return frontier(FAIR, small_data(), weights=weights, path=True, store=folder,
                    **SHARED | keywords)  # fmt: skip


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """A path, its folder, and how many programs it compiled."""
    pf.clear_caches()  # else programs of other files are used
    folder = tmp_path_factory.mktemp("path") / "store"
    before = _engine.cache_info().misses
    found = walk(folder)
    return found, folder, _engine.cache_info().misses - before


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("seed*.json"))}


def prediction(found, label):
    return found.study.runs[label, 0].judged.prediction["mixed"]


@pytest.mark.long
def test_a_path_begins_with_the_unfair_point_and_ascends(walked):
    found, _, _ = walked
    assert list(found.weights) == PATH
    assert list(dict.fromkeys(found.points["variant"])) == PATH
    for fit in found.study.configurations:
        place, parameters = PATH.index(fit["variant"]), fit["parameters"]
        assert parameters.get("after", []) == PATH[:place]
        assert parameters["warm_start"] is (place > 0)
        assert (parameters["epochs"], parameters["min_steps"]) == ((1, 150) if place else (2, 300))
        assert not fit["warnings"]


def test_each_point_goes_on_from_the_one_before_it(walked):
    """By hand: one estimator that is fitted three times."""
    found, _, _ = walked
    data, key = small_data(), Key("", 0, 1)
    part = _parts(data, found.study.seen, 3, seed=0)[1]
    model = with_roles(FAIR, data).set_params(
        random_state=network_seed(key), validation_fraction=0.5, warm_start=True
    )
    X, y = data.frame.iloc[part.training], data.target.iloc[part.training]
    for label, schedule in zip(PATH, [(2, 300), (1, 150), (1, 150)], strict=True):
        model.set_params(fairness_weight=found.weights[label])
        model.set_params(epochs=schedule[0], min_steps=schedule[1]).fit(X, y)
        expected = model.predict_proba(data.frame.iloc[part.judged])[:, 1]
        run = found.study.runs[label, 0]
        got = run.judged.prediction["mixed"][np.isin(run.row, part.judged)]
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_path_compiles_once(walked):
    found, _, programs = walked
    assert programs == 1
    model, data = found.choose(1.0).estimator, small_data()
    part = _parts(data, found.study.seen, 3, seed=0)[0]
    model.set_params(validation_fraction=0.5)
    model.fit(data.frame.iloc[part.training], data.target.iloc[part.training])
    machine = engine(filled_spec(model.fit_.spec), "mean_field")
    assert (machine.init._cache_size(), machine.run._cache_size()) == (1, 1)
    assert machine.evaluate._cache_size() == 1


@pytest.mark.long
def test_a_broken_path_is_walked_again_and_ends_alike(walked, tmp_path, monkeypatch):
    found, _, _ = walked
    write, left = Store.write, [5]

    def killed(self, *args):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            walk(tmp_path)
    done = stamps(tmp_path)
    assert len(done) == 5  # each was stored when it ended: fold 1 has two of its three points
    again = walk(tmp_path)
    pd.testing.assert_frame_equal(again.points, found.points)
    assert len(stamps(tmp_path)) == 9
    assert all(stamps(tmp_path)[path] == at for path, at in done.items())


@pytest.mark.long
def test_fits_of_a_path_and_fits_from_scratch_are_told_apart(walked, tmp_path):
    found, folder, _ = walked
    before = stamps(folder)
    again = walk(folder)
    pd.testing.assert_frame_equal(again.points, found.points)
    with pytest.raises(ValueError, match=r"after.*epochs.* differ.*Choose another store"):
        frontier(FAIR, small_data(), weights=WEIGHTS, store=folder, **SHARED)
    with pytest.raises(ValueError, match=r"group1=2.*with other settings: after differ"):
        walk(folder, [0, {"group1": 2.0}])
    with pytest.raises(ValueError, match=r"min_steps differ"):
        walk(folder, path_epochs=2)
    assert stamps(folder) == before
    scratch = frontier(FAIR, small_data(), weights=[0, 0.3], store=tmp_path, **SHARED)
    np.testing.assert_array_equal(prediction(scratch, "0"), prediction(found, "0"))
    assert np.abs(prediction(scratch, "0.3") - prediction(found, "0.3")).max() > 1e-3
    with pytest.raises(ValueError, match="after"):
        walk(tmp_path, [0, 0.3])


@pytest.mark.long
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_path_can_be_walked_further_and_in_several_processes(walked, tmp_path, processes):
    found, _, _ = walked
    walk(tmp_path, [0, 0.3], n_jobs=processes)
    done = stamps(tmp_path)
    assert len(done) == 6
    further = walk(tmp_path, n_jobs=processes)
    assert all(stamps(tmp_path)[path] == at for path, at in done.items())
    for label in PATH:
        np.testing.assert_allclose(prediction(further, label), prediction(found, label), atol=1e-6)


def test_the_choice_says_that_its_estimator_begins_anew(walked):
    choice = walked[0].choose(1.0)
    walks = choice.variant != "0"
    assert ("the figures are of a path" in choice.note) is walks
    assert choice.estimator.epochs == FAIR.epochs
    assert choice.estimator.warm_start is False


def test_jobs_go_as_far_as_the_last_missing_fit():
    part, names = object(), ("a", "b", "c")
    parts = {(0, 0): part, (0, 1): part, (0, 2): part}
    missing = [Key("b", 0, 0), Key("c", 0, 1), Key("a", 0, 1)]
    jobs = jobs_of(missing, parts, names)
    assert [[key.variant for key in job.keys] for job in jobs] == [["a", "b"], ["a", "b", "c"]]
    assert [sorted(key.variant for key in job.wanted) for job in jobs] == [["b"], ["a", "c"]]
    alone = jobs_of(missing, parts, ())
    assert [job.keys for job in alone] == [(key,) for key in missing]


def test_models_of_two_structures_begin_anew_and_are_told(tmp_path):
    first = light_models()["nnet"]
    models = {"one": first, "two": pf.FairMixedEffectsClassifier(**first.get_params())}
    models["two"].set_params(hidden=(4,))
    shared = {"seen": 4, "folds": 3, "seeds": 1, "turns": 1, "n_boot": 0, "progress": False}
    found = cross_validate(models, small_data(), path=True, store=tmp_path, **shared)
    texts = found.warnings.set_index("variant")["warning"]
    assert texts.loc["two"].startswith("warm_start=True, but the model differs")
    alone = cross_validate({"two": models["two"]}, small_data(), **shared)
    np.testing.assert_array_equal(prediction_of(found), prediction_of(alone))
    assert json.loads(next(tmp_path.rglob("two/seed*.json")).read_text())["parameters"]["after"]


def prediction_of(found):
    return found.runs["two", 0].judged.prediction["mixed"]


@pytest.mark.slow  # starts a cluster
def test_a_path_by_ray_is_the_local_one():
    pytest.importorskip("ray")
    models = {"one": light_models()["nnet"], "two": light_models()["nnet"]}
    shared = {"seen": 4, "folds": 3, "seeds": 1, "n_boot": 0, "progress": False, "path": True}
    local = cross_validate(models, small_data(), **shared)
    found = cross_validate(models, small_data(), engine="ray", **shared)
    pd.testing.assert_frame_equal(found.frame, local.frame)


def test_epochs_of_a_path_need_a_path():
    with pytest.raises(ValueError, match=r"path_epochs=5 needs path=True: give both"):
        frontier(FAIR, small_data(), weights=[0, 1], path_epochs=5, **SHARED)
    with pytest.raises(ValueError, match=r"path_epochs: 0. Expected an integer >= 1"):
        walk(None, path_epochs=0)
