"""Intervals and draws of new outcomes."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

EFFECTS = ["fixed", "random", "mixed"]


@pytest.fixture(params=["rich", "reg"])
def fitted(request, binary, real):
    """Estimator, rows of known and of unseen clusters."""
    case = binary if request.param == "rich" else real
    rows = pd.concat([case.test[:60], case.unseen[:20]])
    return request.getfixturevalue(request.param), rows


def centre(estimator, rows, effects="mixed"):
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(rows, effects=effects)[:, 1]
    return estimator.predict(rows, effects=effects)


@pytest.mark.long
@pytest.mark.parametrize("effects", EFFECTS)
def test_the_mean_is_the_prediction_and_lies_within(fitted, effects):
    estimator, rows = fitted
    found = estimator.predict_interval(rows, effects=effects)
    assert list(found.columns) == ["mean", "low", "high"]
    assert found.index.equals(rows.index)
    np.testing.assert_array_equal(found["mean"], centre(estimator, rows, effects))
    slack = 1e-5 * np.abs(found["mean"]).max()  # a point estimate has no width
    assert (found["low"] <= found["mean"] + slack).all()
    assert (found["mean"] <= found["high"] + slack).all()
    width = found["high"] - found["low"]
    if effects == "fixed" and estimator.ensemble == 1:
        assert width.max() < slack
    else:
        assert width.min() > slack


@pytest.mark.parametrize("kind", ["cluster", "observation"])
def test_a_higher_level_gives_a_wider_interval(fitted, kind):
    estimator, rows = fitted
    levels = [0.5, 0.8, 0.95]
    found = [estimator.predict_interval(rows, level=level, kind=kind) for level in levels]
    for inner, outer in pairwise(found):
        assert (outer["low"] <= inner["low"]).all()
        assert (inner["high"] <= outer["high"]).all()
    first, *_, last = (table["high"] - table["low"] for table in found)
    assert last.mean() > first.mean()


def test_observations_of_a_classifier_are_outcomes(rich, binary):
    found = rich.predict_interval(binary.test, level=0.9, kind="observation")
    assert set(np.unique(found[["low", "high"]])) == {0.0, 1.0}
    np.testing.assert_array_equal(found["mean"], rich.predict_proba(binary.test)[:, 1])
    sure = found["mean"] > 0.98
    assert (found.loc[sure, "low"] == 1.0).all()


@pytest.mark.long
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_observation_intervals_of_a_normal_cover_their_share(linear, level):
    data, reg = linear
    X, y = data.frame[1000:], data.target[1000:]
    found = reg.predict_interval(X, level=level, kind="observation")
    covered = y.between(found["low"], found["high"])
    error = np.sqrt(level * (1 - level) / len(y))
    assert covered.mean() == pytest.approx(level, abs=3 * error)
    inner = reg.predict_interval(X, level=level, kind="cluster")
    assert ((found["high"] - found["low"]) > (inner["high"] - inner["low"])).all()


@pytest.mark.parametrize("effects", EFFECTS)
def test_mean_of_drawn_outcomes_is_the_prediction(fitted, effects):
    estimator, rows = fitted
    drawn = estimator.sample_predictive(rows, draws=1000, effects=effects)
    spread = drawn.std(("chain", "draw")).to_numpy()
    expected = centre(estimator, rows, effects)
    gap = np.abs(drawn.mean(("chain", "draw")).to_numpy() - expected)
    # 80 rows at 4.5 standard errors, and the error of a mean over 200 draws of the effects
    assert (gap < 4.5 * np.maximum(spread, 0.05) * (1000**-0.5 + 200**-0.5)).all()
    assert np.abs(drawn.mean() - expected.mean()) < 0.15 * spread.mean()


def test_drawn_outcomes_are_labelled(rich, reg, binary, real):
    drawn = rich.sample_predictive(binary.test, draws=10)
    assert drawn.dims == ("chain", "draw", "row")
    assert drawn.shape == (2, 5, 200)  # two members of an ensemble
    assert list(drawn.coords["chain"].to_numpy()) == [0, 1]
    assert list(drawn.coords["row"].to_numpy()) == list(binary.test.index)
    assert set(np.unique(drawn)) == {0, 1}
    drawn = reg.sample_predictive(real.test, draws=7)
    assert drawn.shape == (1, 7, 200)
    assert drawn.name == "y"
    assert drawn.dtype == np.float64


def test_more_draws_than_are_stored_are_independent_outcomes(reg, real):
    drawn = reg.sample_predictive(real.test[:5], draws=2500).to_numpy()[0]
    assert drawn.shape == (2500, 5)
    assert len(np.unique(drawn[:, 0])) > 2400
    assert np.abs(np.corrcoef(drawn[:1000, 0], drawn[1000:2000, 0])[0, 1]) < 0.6
    assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.5  # rows have noise of their own


@pytest.mark.parametrize("roles", [{"cluster": None}, {"random_intercepts": False}])
def test_outcomes_vary_without_any_latent_variable(binary, classifier, roles):
    estimator = classifier(**roles, hidden=(), fairness=None).fit(binary.X, binary.y)
    drawn = estimator.sample_predictive(binary.test, draws=500)
    assert drawn.shape == (1, 500, 200)
    expected = estimator.predict_proba(binary.test)[:, 1]
    np.testing.assert_allclose(drawn.mean(("chain", "draw")), expected, atol=0.12)
    middle = np.abs(expected - 0.5) < 0.3
    found = estimator.predict_interval(binary.test, kind="observation")[middle]
    assert (found["low"] == 0).all()
    assert (found["high"] == 1).all()


MEMORY = """
import resource, sys
import numpy as np, pandas as pd
import pyfairme as pf

path, rows = sys.argv[1], sys.argv[2]
clf, few = pf.load(path), pd.read_pickle(rows)
many = pd.concat([few] * (200_000 // len(few)), ignore_index=True)

def use(frame):
    clf.predict_proba(frame)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = use(few)
print(use(many) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.slow
def test_memory_does_not_grow_with_rows_times_draws(clf, binary, tmp_path):
    """200,000 rows x 200 draws in single precision would be 160 MB for the mean alone."""
    clf.save(tmp_path / "model")
    pd.concat([binary.test, binary.unseen]).to_pickle(tmp_path / "rows")
    command = [sys.executable, "-c", MEMORY, tmp_path / "model", tmp_path / "rows"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100  # MB: the frame, its encoding and the memberships


def test_outcomes_of_parts_are_those_of_the_whole(clf, reg, binary, real):
    for model, X in ((clf, binary.test), (reg, real.test)):
        whole = model.sample_predictive(X, 500)
        parts = [model.sample_predictive(X[i : i + 100], 500) for i in (0, 100)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=-1), whole)
    # rows numbered anew in every part: the sum over parts varies as that of the whole
    anew = [reg.sample_predictive(X[i : i + 100].reset_index(drop=True), 500) for i in (0, 100)]
    total = np.std(sum(np.asarray(part)[0].sum(axis=1) for part in anew))
    expected = np.std(np.asarray(whole)[0].sum(axis=1))
    assert abs(total / expected - 1) < 4 * np.sqrt(2 / (2 * 500))  # 4 standard errors of a ratio


def test_equal_rows_have_noise_of_their_own(clf, binary):
    same = pd.concat([binary.test[:1]] * 100)
    drawn = np.asarray(clf.sample_predictive(same, 500))[0].astype(float)
    each = np.corrcoef(drawn.T)[np.triu_indices(100, 1)]
    p = drawn.mean()
    assert abs(drawn.sum(axis=1).std() / np.sqrt(100 * p * (1 - p)) - 1) < 0.3  # a copy: 10 times
    assert np.abs(each).max() < 0.3


def test_what_would_fill_the_memory_is_refused(clf, binary):
    calls = [
        lambda: clf.sample_predictive(binary.test, draws=10**8),
        lambda: clf.sample_predictive(binary.test[:1], draws=10**8),
        lambda: clf.refine(draws=10**9),
        lambda: clf.to_arviz(prior_draws=10**9),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"more than 5e\+08.* at most .*\[too-many-draws\]"):
            call()
    with pytest.raises(ValueError, match=r"n_boot must be at most 1,000,000.*\[count-too-large\]"):
        clf.fairness_report(binary.test, binary.y_test, n_boot=10**9)
