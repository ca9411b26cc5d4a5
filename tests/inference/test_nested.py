"""Nested factors: classes within schools, against the analysis of variance of a balanced design."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf

pytestmark = pytest.mark.long
SCHOOLS, CLASSES, ROWS = 30, 4, 8


@pytest.fixture(scope="module")
def schools():
    rng = np.random.default_rng(3)
    school = np.repeat(np.arange(SCHOOLS), CLASSES * ROWS)
    room = np.repeat(np.arange(SCHOOLS * CLASSES), ROWS)  # labels unique within the parent
    y = 50 + rng.normal(0, 4, SCHOOLS)[school] + rng.normal(0, 2, SCHOOLS * CLASSES)[room]
    y = y + rng.normal(0, 3, len(school))
    return pd.DataFrame({"school": school.astype(str), "room": room.astype(str)}), pd.Series(y)


def test_nested_factors_agree_with_the_analysis_of_variance(schools):
    X, y = schools
    reg = pf.FairMixedEffectsRegressor(
        ["school", "room"], guide="block", hidden=(), fixed_weight=0, validation_fraction=0,
        network_posterior="last_layer", random_state=0, progress=False,
    ).fit(X, y)  # fmt: skip
    within = y.groupby(X["room"]).var(ddof=1).mean()
    rooms = y.groupby(X["room"]).mean()
    parent = X.drop_duplicates("room").set_index("room")["school"]
    between_rooms = rooms.groupby(parent).var(ddof=1).mean() - within / ROWS
    means = rooms.groupby(parent).mean()
    between_schools = means.var(ddof=1) - (between_rooms + within / ROWS) / CLASSES
    found = reg.variance_components_.set_index("factor")
    expected = {"school": between_schools, "room": between_rooms, "residual": within}
    for factor, variance in expected.items():
        # the posterior's median is within half of its own SD of the moment estimate
        line = found.loc[factor]
        assert abs(line["median"] - variance**0.5) < 0.5 * line["sd"]
    # a class's prediction is its school's effect and its own: both shrunk, their sum near the mean
    predicted = pd.Series(reg.predict(X)).groupby(X["room"]).mean()
    assert np.corrcoef(predicted[rooms.index], rooms)[0, 1] > 0.98
    shrunk = within / ROWS / (between_rooms + within / ROWS)
    assert (predicted - rooms).std() == pytest.approx(shrunk * between_rooms**0.5, rel=0.5)


@pytest.mark.slow
def test_a_new_class_of_a_known_school_is_adapted_to(schools):
    X, y = schools
    reg = pf.FairMixedEffectsRegressor(
        ["school", "room"], guide="mean_field", hidden=(), fixed_weight=0, validation_fraction=0,
        random_state=0, progress=False,
    ).fit(X, y)  # fmt: skip
    fresh = X.iloc[:6].assign(room="new")  # of school 0
    low, high = (reg.adapt(fresh, np.full(6, y.mean() + shift)) for shift in (-20, 20))
    assert (high.predict(fresh) > low.predict(fresh) + 5).all()
    np.testing.assert_array_equal(high.predict(X), reg.predict(X))
