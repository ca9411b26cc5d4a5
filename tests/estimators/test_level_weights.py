"""Levels of sensitive attributes weigh alike, but for those that steps hardly meet."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

import pyfairme as pf
from pyfairme.data import Batch
from pyfairme.estimators import estimator_keywords
from pyfairme.estimators.level_weights import ROWS_A_STEP, level_weights
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.penalties import AttributeCodes

SIZES = np.array([1000, 500, 6])
SPEC = SimpleNamespace(
    attributes=(AttributeCodes("group", 3),),
    criterion="equalized_odds",
    penalties=(None,),
    likelihood=Bernoulli(),
)
INVERSE = 1506 / 3 / SIZES


def rows(weight=None, y=None):
    codes = np.repeat(np.arange(3), SIZES)
    one = np.ones(len(codes), np.float32)
    return Batch(*[None] * 7)._replace(
        sensitive=codes[:, None].astype(np.float32),
        weight=one if weight is None else weight,
        y=one if y is None else y,
    )


def weights(batch, step_rows, **keywords):
    (found,) = level_weights(SPEC, batch, step_rows, **keywords)
    assert found @ SIZES == pytest.approx(1506, rel=1e-5) or batch.weight.max() != 1
    return found


def test_levels_that_steps_meet_weigh_by_inverse_frequency():
    """Of 6 in 1,506 rows a step of 502 has two."""
    for step_rows in (502, 1506, 10_000):
        np.testing.assert_allclose(weights(rows(), step_rows), INVERSE, rtol=1e-6)


def test_a_rarer_level_weighs_in_proportion_to_its_rows_in_a_step():
    found = weights(rows(), 251)  # one in a step: half of what the others weigh
    np.testing.assert_allclose(found * SIZES / (found * SIZES).sum(), [0.4, 0.4, 0.2], rtol=1e-5)
    assert found[2] == pytest.approx(0.2 * 1506 / 6, rel=1e-5)
    np.testing.assert_allclose(weights(rows(), 251, least=1e-12), INVERSE, rtol=1e-6)


def test_weighted_rows_count_by_their_effective_number():
    """One row of weight 1000 beside five of weight 0.001 is one row, in any unit of weights."""
    heavy = np.ones(1506, np.float32)
    heavy[-6:] = [1000, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3]
    for unit in (1.0, 5000.0):
        found = weights(rows(unit * heavy), 502)
        mass = unit * np.array([1000, 500, 1000.005])
        part = found * mass / (found * mass).sum()
        np.testing.assert_allclose(part, np.array([1, 1, 1 / 6]) / (2 + 1 / 6), rtol=1e-4)
        assert (found * mass).sum() == pytest.approx(unit * heavy.sum(), rel=1e-5)


def test_equal_opportunity_counts_positive_rows():
    y = np.zeros(1506)
    y[:900] = y[1000:1400] = y[-3:] = 1
    spec = SimpleNamespace(**vars(SPEC) | {"criterion": "equal_opportunity"})
    (found,) = level_weights(spec, rows(y=y), 502)  # of the three positives a step has one
    part = found * [900, 400, 3]
    np.testing.assert_allclose(part / part.sum(), [0.4, 0.4, 0.2], rtol=1e-5)


def test_a_level_without_rows_weighs_nothing():
    spec = SimpleNamespace(**vars(SPEC) | {"attributes": (AttributeCodes("group", 4),)})
    (found,) = level_weights(spec, rows(), 1506)
    np.testing.assert_allclose(found, [*INVERSE, 0.0], rtol=1e-6)


def made(rng, n=8000):
    """Ten clusters, two groups whose log odds are 1.6 apart, and two numbers."""
    cluster, group = rng.integers(10, size=n), rng.integers(2, size=n)
    x = rng.normal(size=(n, 2))
    link = x @ [1, 0.5] + 0.8 * (2 * group - 1) + 0.4 * rng.normal(size=10)[cluster] - 1
    frame = pd.DataFrame(x, columns=["x0", "x1"])
    frame["cluster"] = np.char.add("c", cluster.astype(str))
    frame["group"] = np.array(["a", "b"])[group]
    return frame, (rng.random(n) < 1 / (1 + np.exp(-link))).astype(int)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pyfairme.notices.DataWarning")  # tiny groups, as meant
def test_three_people_of_four_thousand_do_not_spoil_a_fit(monkeypatch):
    """Log loss of 4,000 other rows, weight 1, made rows 0 to 2.

    .515, .524 and .526 without the three as a group, .519, .531 and .532 with them; as heavy as
    the others they made it .648, .619 and .638. A constant has .65.
    """
    X, y = made(np.random.default_rng(0))
    X, test, y, y_test = X[:4000].copy(), X[4000:], y[:4000], y[4000:]

    def loss(frame):
        model = pf.FairMixedEffectsClassifier(
            "cluster", ["group"], fairness_weight=1, batch_size=64, hidden=(16,), epochs=1,
            guide="mean_field", network_posterior="none", validation_fraction=0,
            random_state=0, progress=False,
        )  # fmt: skip
        return log_loss(y_test, model.fit(frame, y).predict_proba(test)[:, 1])

    without = loss(X)
    X.iloc[:3, X.columns.get_loc("group")] = "tiny"
    assert loss(X) < without + 0.03
    monkeypatch.setattr(
        estimator_keywords, "level_weights", partial(level_weights, least=1e-12 * ROWS_A_STEP)
    )
    assert loss(X) > without + 0.06
