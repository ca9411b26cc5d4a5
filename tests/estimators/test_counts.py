"""Counts and heavy tails: closed forms, simulations with a known truth, offsets, files, reports."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf

pytestmark = pytest.mark.usefixtures("optimised")
GLMM = {
    "hidden": (),
    "guide": "mean_field",
    "fixed_weight": 0,
    "validation_fraction": 0,
    "unseen": "population",
    "random_state": 0,
    "progress": False,
}


def simulated(likelihood, rows=5000, **keywords):
    return pf.datasets.make_clustered(
        rows,
        15,
        likelihood=likelihood,
        nonlinear=False,
        slopes=0,
        sensitive_levels=(2,),
        random_state=3,
        **keywords,
    )


def near_truth(reg, data):
    effects = reg.cluster_effects_.set_index("cluster")["mean"]
    truth = data.truth.intercepts
    return np.corrcoef(effects[truth.index], truth)[0, 1]


@pytest.fixture(scope="module")
def exposed():
    return simulated("poisson", exposure=0.7)


@pytest.fixture(scope="module")
def poisson(exposed):
    reg = pf.FairMixedEffectsRegressor(
        "cluster", likelihood="poisson", offset="log_exposure", **GLMM
    )
    return reg.fit(exposed.frame, exposed.target)


@pytest.fixture(scope="module")
def dispersed():
    return simulated("negative_binomial", noise=0.7)


@pytest.fixture(scope="module")
def negative_binomial(dispersed):
    reg = pf.FairMixedEffectsRegressor(
        "cluster",
        ("group1",),
        likelihood="negative_binomial",
        fairness=("adversarial", "moment"),
        fairness_weight=0,
        **GLMM,
    )
    return reg.fit(dispersed.frame, dispersed.target)


def test_the_intercept_of_a_poisson_is_the_log_of_events_over_exposure():
    rng = np.random.default_rng(0)
    exposure = rng.gamma(2.0, 5.0, 400)
    y = rng.poisson(0.3 * exposure)
    X = pd.DataFrame({"log_exposure": np.log(exposure)})
    reg = pf.FairMixedEffectsRegressor(likelihood="poisson", offset="log_exposure", **GLMM)
    reg.fit(X, y)
    rate = y.sum() / exposure.sum()
    assert reg.fixed_effects_["mean"].item() == pytest.approx(np.log(rate), abs=1e-3)
    np.testing.assert_allclose(reg.predict(X), rate * exposure, rtol=2e-3)


def test_poisson_recovers_the_truth(poisson, exposed):
    assert near_truth(poisson, exposed) >= 0.99
    mean = np.exp(exposed.truth.mixed + exposed.frame["log_exposure"])
    assert np.corrcoef(poisson.predict(exposed.frame), mean)[0, 1] > 0.995


def test_every_prediction_honours_the_offset_of_its_row(poisson, exposed):
    rows = exposed.frame[:50]
    longer = rows.assign(log_exposure=rows["log_exposure"] + np.log(3))
    for effects in ("fixed", "random", "mixed"):
        ratio = poisson.predict(longer, effects) / poisson.predict(rows, effects)
        np.testing.assert_allclose(ratio, 3, rtol=1e-4)


def test_the_prediction_is_the_posterior_mean_of_the_mean_count(poisson, exposed):
    """Not exp of the mean link: the mean over draws of exp(link), made by hand."""
    rows = exposed.frame[:40]
    fixed = np.log(poisson.predict(rows, "fixed"))
    labels = list(poisson.design_.clusters["cluster"])
    codes = [labels.index(label) for label in rows["cluster"]]
    effects = poisson.fit_.draws["cluster_intercept"][0, :, :, 0].astype(float)[:, codes]
    effects = effects[np.linspace(0, len(effects) - 1, 200).round().astype(int)]  # of 1000 draws
    np.testing.assert_allclose(poisson.predict(rows), np.exp(fixed + effects).mean(0), rtol=1e-4)


def test_new_counts_are_whole_and_covered(poisson, exposed):
    rows, y = exposed.frame[:1000], exposed.target[:1000]
    drawn = poisson.sample_predictive(rows[:50], draws=40)
    assert drawn.dtype.kind == "i"
    assert (drawn >= 0).all()
    assert drawn.dims == ("chain", "draw", "row")
    found = poisson.predict_interval(rows, level=0.8, kind="observation")
    assert (found % 1 == 0)[["low", "high"]].all(axis=None)
    covered = ((y >= found["low"]) & (y <= found["high"])).mean()
    assert 0.8 <= covered < 0.97  # discrete: bounds that hold at least 80 %


def test_the_icc_of_counts_is_nakagawas(poisson, exposed):
    between = poisson.fit_.draws["cluster_intercept_sd"][0, :, 0] ** 2
    noise = np.log(1 + 1 / exposed.target.mean())
    assert poisson.icc()["mean"].item() == pytest.approx((between / (between + noise)).mean())


def test_the_density_of_counts_is_that_of_the_drawn_poissons(poisson, exposed):
    from scipy import stats

    rows, y = exposed.frame[:200], exposed.target[:200].to_numpy()
    fixed = np.log(poisson.predict(rows, "fixed"))
    labels = list(poisson.design_.clusters["cluster"])
    codes = [labels.index(label) for label in rows["cluster"]]
    effects = poisson.fit_.draws["cluster_intercept"][0, :, :, 0].astype(float)[:, codes]
    by_hand = np.log(stats.poisson.pmf(y, np.exp(fixed + effects)).mean(0)).mean()
    report = poisson.fairness_report(rows, y, attributes="group1", n_boot=0)
    lines = report.query("metric == 'log_predictive_density' and effects == 'mixed'")
    assert lines["value"].item() == pytest.approx(by_hand, rel=1e-3)
    mse = report.query("metric == 'mse' and effects == 'mixed' and group == 'all'")["value"].item()
    assert mse == pytest.approx(((poisson.predict(rows) - y) ** 2).mean(), rel=1e-4)


@pytest.mark.long
def test_negative_binomial_recovers_effects_and_concentration(negative_binomial, dispersed):
    assert near_truth(negative_binomial, dispersed) >= 0.95
    table = negative_binomial.variance_components_.set_index("term")
    assert table.loc["concentration", "factor"] == "residual"
    assert table.loc["concentration", "mean"] == pytest.approx(1 / 0.7**2, rel=0.25)
    posterior = negative_binomial.posterior_
    assert posterior.posterior["concentration"].dims == ("chain", "draw")


def test_penalties_of_counts_are_finite_and_logged(negative_binomial):
    history = negative_binomial.history_
    for term in ("adversarial/mixed/group1", "moment/fixed/group1"):
        assert np.isfinite(history[term]).all()


def test_saved_counts_predict_the_same(negative_binomial, dispersed, tmp_path):
    negative_binomial.save(tmp_path / "model.pyfairme")
    again = pf.load(tmp_path / "model.pyfairme")
    rows = dispersed.frame[:30]
    np.testing.assert_array_equal(again.predict(rows), negative_binomial.predict(rows))
    pd.testing.assert_frame_equal(again.icc(), negative_binomial.icc())


def test_counts_far_from_one_are_fitted():
    """Means of thousands: the fit starts at their log, and nothing overflows."""
    data = simulated("poisson", rows=600)
    y = np.random.default_rng(0).poisson(3000 * np.exp(0.3 * data.truth.mixed))
    reg = pf.FairMixedEffectsRegressor("cluster", likelihood="poisson", **GLMM)
    reg.fit(data.frame, y)
    mean = 3000 * np.exp(0.3 * data.truth.mixed)
    assert np.corrcoef(reg.predict(data.frame), mean)[0, 1] > 0.99


def test_what_is_no_count_is_refused():
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    for wrong, message in (
        ([0.5, 1, 2, 3], r"Expected counts 0, 1, 2, \.\.\. in y, got 0\.5"),
        ([0, 0, 0, 0], "Every count in y is 0"),
        ([0, 0, 0, 1e12], r"Expected counts below 2\^31 in y, got 1e\+12"),
    ):
        with pytest.raises(ValueError, match=message):
            pf.FairMixedEffectsRegressor(likelihood="poisson", **GLMM).fit(X, wrong)
    reg = pf.FairMixedEffectsRegressor(likelihood="gamma")
    with pytest.raises(ValueError, match=r"likelihood: 'gamma'. Valid values are .*'student_t'"):
        reg.fit(X, [0, 1, 2, 3])


def test_equal_opportunity_is_refused_for_counts(exposed):
    reg = pf.FairMixedEffectsRegressor(
        "cluster", ("group1",), likelihood="poisson", criterion="equal_opportunity", **GLMM
    )
    with pytest.raises(ValueError, match="a real or count target does not have"):
        reg.fit(exposed.frame, exposed.target)


def test_tags_say_that_counts_are_positive():
    for likelihood, positive in (("normal", False), ("poisson", True), ("no such", False)):
        tags = pf.FairMixedEffectsRegressor(likelihood=likelihood).__sklearn_tags__()
        assert tags.target_tags.positive_only is positive


@pytest.mark.long
def test_student_t_resists_outliers():
    """5 % of the rows moved by 20 noise SDs: its slopes stay near the truth, a Normal's do not."""
    data = simulated("normal", rows=1500)
    rng = np.random.default_rng(1)
    y = data.target + 20 * (rng.random(1500) < 0.05) * (data.frame["x1"] > 0.5)
    truth = np.array([1.0, -1, 1, -1, 1]) / np.sqrt(np.arange(1, 6))
    errors = {}
    for likelihood in ("normal", "student_t"):
        reg = pf.FairMixedEffectsRegressor("cluster", likelihood=likelihood, **GLMM)
        slopes = reg.fit(data.frame, y).fixed_effects_.set_index("term")["mean"]
        errors[likelihood] = np.abs(slopes[[f"x{j}" for j in range(1, 6)]] - truth).max()
    assert errors["student_t"] < 0.15 < errors["normal"]
    table = reg.variance_components_.set_index("term")["mean"]
    assert table["residual_scale"] == pytest.approx(1.0, abs=0.25)  # in the target's units
    assert table["df"] < 5
