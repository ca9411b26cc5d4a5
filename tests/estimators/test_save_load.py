"""Fitted estimators come back from a file, in another process, bit for bit."""

import copy
import io
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import pyfairme as pf

PROCESS = """
import pickle, sys
import pyfairme as pf

folder = sys.argv[1]
with open(f"{folder}/rows", "rb") as file:
    frames = pickle.load(file)
found = {}
for name, rows in frames.items():
    estimator = pf.load(f"{folder}/{name}.pyfairme")
    found[name] = everything = {}
    for effects in ("fixed", "random", "mixed"):
        everything[effects] = estimator.predict(rows, effects=effects)
    if name != "glmm":
        everything["interval"] = estimator.predict_interval(rows)
    if name == "rich":
        everything["proba"] = estimator.predict_proba(rows)
    if name == "reg":
        everything["observation"] = estimator.predict_interval(rows, kind="observation")
        everything["drawn"] = estimator.sample_predictive(rows, draws=20).to_numpy()
    everything["effects"] = estimator.cluster_effects_
    everything["scales"] = estimator.variance_components_
    everything["icc"] = estimator.icc()
    everything["history"] = estimator.history_
    everything["params"] = estimator.get_params()
    everything["n_iter"] = estimator.n_iter_
    everything["features"] = list(estimator.feature_names_in_)
with open(f"{folder}/found", "wb") as file:
    pickle.dump(found, file)
"""


@pytest.fixture(scope="module")
def frames(rich, reg, linear, binary, real):
    """Three estimators, with rows of known and of unseen clusters."""
    data, glmm = linear
    return {
        "rich": (rich, pd.concat([binary.test, binary.unseen[::3]])),
        "reg": (reg, pd.concat([real.test, real.unseen[::3]])),
        "glmm": (glmm, data.frame[1000:].assign(cluster=lambda t: t["cluster"].replace("c3", "?"))),
    }


@pytest.fixture(scope="module")
def elsewhere(frames, tmp_path_factory):
    """What a new process makes of the three files."""
    folder = tmp_path_factory.mktemp("saved")
    for name, (estimator, _) in frames.items():
        estimator.save(folder / f"{name}.pyfairme")
    (folder / "rows").write_bytes(pickle.dumps({k: rows for k, (_, rows) in frames.items()}))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROCESS, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads((folder / "found").read_bytes())


def equal(left, right):
    """Equality to the last bit."""
    if isinstance(left, pd.DataFrame):
        return left.equals(right)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    return left == right


@pytest.mark.long
@pytest.mark.parametrize("name", ["rich", "reg", "glmm"])
def test_a_new_process_finds_the_same_bits(frames, elsewhere, name):
    estimator, rows = frames[name]
    expected = {
        "effects": estimator.cluster_effects_,
        "scales": estimator.variance_components_,
        "icc": estimator.icc(),
        "history": estimator.history_,
        "params": estimator.get_params(),
        "n_iter": estimator.n_iter_,
        "features": list(rows.columns),
    }
    for effects in ("fixed", "random", "mixed"):
        expected[effects] = estimator.predict(rows, effects=effects)
    if name != "glmm":
        expected["interval"] = estimator.predict_interval(rows)
    if name == "rich":
        expected["proba"] = estimator.predict_proba(rows)
    if name == "reg":
        expected["observation"] = estimator.predict_interval(rows, kind="observation")
        expected["drawn"] = estimator.sample_predictive(rows, draws=20).to_numpy()
    found = elsewhere[name]
    assert set(found) == set(expected)
    different = [key for key, value in expected.items() if not equal(value, found[key])]
    assert different == []


@pytest.fixture
def loaded(rich, tmp_path):
    rich.save(tmp_path / "model.pyfairme")
    return pf.load(tmp_path / "model.pyfairme")


def test_the_loaded_estimator_is_whole(loaded, rich, binary):
    assert type(loaded) is pf.FairMixedEffectsClassifier
    assert loaded.get_params() == rich.get_params()
    assert loaded.sensitive == rich.sensitive
    assert loaded.design_ == rich.design_
    assert loaded.fit_.spec == rich.fit_.spec
    assert loaded.threshold_ == rich.threshold_
    assert loaded.classes_.dtype == rich.classes_.dtype
    rows = binary.test, binary.y_test
    pd.testing.assert_frame_equal(
        loaded.fairness_report(*rows, n_boot=5), rich.fairness_report(*rows, n_boot=5)
    )
    assert loaded.posterior_["posterior"].equals(rich.posterior_["posterior"])


def test_the_loaded_estimator_can_be_cloned_and_fitted(loaded, rich, binary):
    copy = clone(loaded)
    with pytest.raises(NotFittedError):
        copy.predict(binary.test)
    refitted = copy.fit(binary.X, binary.y)
    np.testing.assert_array_equal(
        refitted.predict_proba(binary.test), rich.predict_proba(binary.test)
    )


def test_saving_the_loaded_estimator_gives_the_same_file(loaded, tmp_path):
    loaded.save(tmp_path / "again.pyfairme")
    first, second = ((tmp_path / f"{n}.pyfairme").read_bytes() for n in ("model", "again"))
    assert first == second


def test_the_file_holds_json_and_tensors_only(loaded, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pyfairme") as archive:
        assert sorted(archive.namelist()) == ["arrays.safetensors", "config.json"]
        config = archive.read("config.json")
    assert json.loads(config)["kind"] == "FairMixedEffectsClassifier"
    assert pickle.PROTO + b"\x04" not in (tmp_path / "model.pyfairme").read_bytes()[:4]
    with pytest.raises(pickle.UnpicklingError):
        pickle.load(io.BytesIO((tmp_path / "model.pyfairme").read_bytes()))


def test_polars_goes_through_a_file(loaded, rich, binary):
    polars = pytest.importorskip("polars")
    rows = polars.DataFrame({name: binary.test[name].to_list() for name in binary.test})
    np.testing.assert_array_equal(loaded.predict_proba(rows), rich.predict_proba(binary.test))


@pytest.mark.parametrize(
    "labels",
    [np.array(["no", "yes"]), np.array([False, True]), np.array(["a", "b"], dtype=object)],
    ids=["text", "bool", "object"],
)
def test_labels_keep_their_type(binary, classifier, tmp_path, labels):
    estimator = classifier().fit(binary.X, labels[binary.y])
    estimator.save(tmp_path / "model")
    found = pf.load(tmp_path / "model")
    assert found.classes_.dtype == estimator.classes_.dtype
    expected = estimator.predict(binary.test)
    assert found.predict(binary.test).dtype == expected.dtype
    np.testing.assert_array_equal(found.predict(binary.test), expected)


def test_an_estimator_of_an_array_has_no_names(binary, classifier, tmp_path):
    numbers = binary.X.filter(regex="^x").to_numpy()
    estimator = classifier(cluster=None, sensitive=(), random_state=np.random.RandomState(3))
    estimator.fit(numbers, binary.y).save(tmp_path / "model")
    found = pf.load(tmp_path / "model")
    assert not hasattr(found, "feature_names_in_")
    assert found.n_features_in_ == 5
    assert found.random_state is None  # the state of a generator is not kept
    np.testing.assert_array_equal(found.predict_proba(numbers), estimator.predict_proba(numbers))


def test_keywords_changed_after_fit_are_noticed(binary, classifier, tmp_path):
    estimator = classifier().fit(binary.X, binary.y)
    estimator.set_params(unseen="population", threshold=0.9).save(tmp_path / "model")
    found = pf.load(tmp_path / "model")
    assert (found.unseen, found.threshold_["mixed"]) == ("population", 0.9)
    for changed in ({"fairness_weight": 2.0}, {"hidden": (16,)}, {"cluster": "group2"}):
        with pytest.raises(ValueError, match=r"changed after fit .* fit again, or set them back"):
            copy.copy(estimator).set_params(**changed).save(tmp_path / "model")


def test_only_fitted_estimators_are_saved(classifier, tmp_path):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        classifier().save(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        pf.load(tmp_path / "model")


def test_truncated_altered_and_newer_files_are_refused(loaded, tmp_path):
    path = tmp_path / "model.pyfairme"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"is truncated or altered: .* Restore it from a copy"):
        pf.load(path)
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(ValueError, match="is truncated or altered"):
        pf.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="expected a file written by pyfairme's save"):
        pf.load(path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    members["config.json"] = json.dumps({**config, "format_version": 99}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    with pytest.raises(ValueError, match=r"got format 99 .* upgrade pyfairme"):
        pf.load(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    from pyfairme.persistence import save_state

    save_state(tmp_path / "other", {"a": 1}, kind="Study")
    with pytest.raises(ValueError, match=r"holds a 'Study', not an estimator\. Expected one of"):
        pf.load(tmp_path / "other")
