"""The generator keeps its word: each part of the truth is checked against the data."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from pyfairme.datasets.synthetic import make_clustered


def test_shapes_names_and_roles():
    data = make_clustered(300, 12, covariates=3, probes=2, sensitive_levels=(4,), random_state=0)
    expected = ["x1", "x2", "x3", "cluster", "group1", "probe1", "probe2"]
    assert list(data.frame.columns) == expected
    assert data.schema.cluster == ("cluster",)
    assert data.schema.sensitive == ("group1",)
    assert data.truth.intercepts.index.tolist() == [f"c{k:02d}" for k in range(12)]
    assert set(data.frame["cluster"]) == set(data.truth.intercepts.index)
    assert data.truth.probes == ("probe1", "probe2")
    assert data.schema.task == "classification"
    assert set(data.target) == {0, 1}


def test_the_seed_decides_everything():
    one, same, other = (make_clustered(200, random_state=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.frame, same.frame)
    assert not one.target.equals(other.target)


def test_mixed_is_fixed_plus_random_effects():
    data = make_clustered(500, 6, slopes=2, random_state=3)
    truth, z = data.truth, data.frame["cluster"]
    slopes = truth.slopes.loc[z].to_numpy()
    random = truth.intercepts.loc[z].to_numpy() + (data.frame[["x1", "x2"]] * slopes).sum(axis=1)
    np.testing.assert_allclose(truth.mixed, truth.fixed + random)


@pytest.mark.parametrize("nonlinear", [True, False])
def test_the_fixed_part_is_the_documented_formula(nonlinear):
    data = make_clustered(100, 4, covariates=3, nonlinear=nonlinear, random_state=4)
    x1, x2, x3 = (data.frame[name] for name in ("x1", "x2", "x3"))
    f = x1 - x2 / np.sqrt(2) + x3 / np.sqrt(3)
    if nonlinear:
        f = f + np.sin(2 * x1) + x1 * x3 / 2
    for name in ("group1", "group2"):
        rows = data.truth.unfairness.query("attribute == @name").set_index("level")
        f = f + rows["direct"].loc[data.frame[name]].to_numpy()
    np.testing.assert_allclose(data.truth.fixed, f)


def test_effects_have_the_stated_scales():
    data = make_clustered(
        4000, 4000, intercept_scale=2.0, slope_scale=0.3, slopes=2, random_state=5
    )
    assert data.truth.intercepts.std() == pytest.approx(2.0, rel=0.05)
    assert data.truth.slopes.std().tolist() == pytest.approx([0.3, 0.3], rel=0.05)


def test_normal_noise_has_the_stated_scale():
    data = make_clustered(5000, likelihood="normal", noise=0.7, random_state=6)
    assert data.schema.task == "regression"
    assert np.std(data.target - data.truth.mixed) == pytest.approx(0.7, rel=0.05)


def test_bernoulli_probabilities_are_the_logistic_of_the_link():
    data = make_clustered(40_000, random_state=7)
    model = LogisticRegression(C=1e6).fit(data.truth.mixed[:, None], data.target)
    assert model.coef_[0, 0] == pytest.approx(1, abs=0.05)
    assert model.intercept_[0] == pytest.approx(0, abs=0.05)


def test_without_noise_the_label_is_the_sign_of_the_link():
    data = make_clustered(500, noise=0.0, random_state=8)
    assert (data.target == (data.truth.mixed > 0)).all()


def test_proxies_shift_by_the_stated_amount():
    data = make_clustered(40_000, unfairness=2.0, random_state=9)
    for row in data.truth.unfairness.itertuples():
        there = data.frame[row.attribute] == row.level
        assert data.frame[row.proxy][there].mean() == pytest.approx(row.proxy_shift, abs=0.05)
    low, high = data.truth.unfairness.query("attribute == 'group1'")["direct"]
    assert (low, high) == (-2.0, 2.0)


def rate_gap(unfairness: float) -> float:
    """Largest difference of TPR between groups, of an ordinary model that sees everything."""
    data = make_clustered(20_000, 5, unfairness=unfairness, random_state=10)
    x = pd.get_dummies(data.frame.drop(columns="cluster"), dtype=float)
    decision = LogisticRegression(max_iter=1000).fit(x, data.target).predict(x)
    positive = data.target == 1
    rates = pd.Series(decision)[positive].groupby(data.frame["group2"][positive]).mean()
    return rates.max() - rates.min()


def test_unfairness_makes_rates_differ_and_zero_makes_groups_exchangeable():
    gaps = [rate_gap(amount) for amount in (0.0, 0.5, 1.0)]
    assert gaps[0] < 0.03
    assert gaps[0] < gaps[1] < gaps[2]
    assert gaps[2] > 0.2


def test_at_zero_unfairness_nothing_depends_on_the_group():
    fair = make_clustered(20_000, unfairness=0.0, random_state=11)
    assert (fair.truth.unfairness[["direct", "proxy_shift"]] == 0).all(axis=None)
    groups = fair.frame["group1"] == "g0"
    for values in (fair.truth.fixed, fair.truth.mixed, fair.frame["x1"], fair.target):
        column = np.asarray(values, dtype=float)
        error = column.std() / np.sqrt(5000)
        assert abs(column[groups].mean() - column[~groups].mean()) < 4 * error


def test_unfairness_and_probes_leave_other_draws_alone():
    plain = make_clustered(300, unfairness=0.0, random_state=12)
    other = make_clustered(300, unfairness=1.0, probes=3, random_state=12)
    assert plain.frame["cluster"].equals(other.frame["cluster"])
    assert plain.frame["group2"].equals(other.frame["group2"])
    assert plain.truth.intercepts.equals(other.truth.intercepts)
    assert plain.frame["x5"].equals(other.frame["x5"])


def test_probes_know_the_cluster_and_no_covariate():
    data = make_clustered(
        20_000, 200, likelihood="normal", probes=2, probe_strength=2.0, random_state=13
    )
    intercepts = data.truth.intercepts.loc[data.frame["cluster"]].to_numpy()
    covariates = data.frame[["x1", "x2", "x3", "x4", "x5"]]
    for name in data.truth.probes:
        probe = data.frame[name]
        assert np.corrcoef(probe, intercepts)[0, 1] > 0.8
        assert np.corrcoef(probe, data.target)[0, 1] > 0.2
        assert LinearRegression().fit(covariates, probe).score(covariates, probe) < 0.01
        within = probe - probe.groupby(data.frame["cluster"]).transform("mean")
        assert abs(np.corrcoef(within, data.target)[0, 1]) < 0.03


def test_imbalance_makes_the_first_clusters_large():
    even = make_clustered(10_000, 5, random_state=14).frame["cluster"].value_counts()
    steep = make_clustered(10_000, 5, cluster_imbalance=2.0, random_state=14)
    counts = steep.frame["cluster"].value_counts()
    assert even.max() / even.min() < 1.2
    assert counts["c0"] / counts["c1"] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 1}, "Expected clusters >= 2, got 1."),
        ({"covariates": 0}, "Expected covariates >= 1, got 0."),
        ({"rows": 5}, "at least one row per cluster (10), got rows=5"),
        ({"slopes": 6}, "Expected slopes <= covariates (5), got 6."),
        ({"sensitive_levels": (2, 1)}, "Expected sensitive_levels of at least 2 each, got (2, 1)"),
        ({"likelihood": "gamma"}, "'negative_binomial'), got 'gamma'"),
        ({"classes": 1}, "Expected classes >= 2, got 1"),
        ({"exposure": 0.5}, "exposure is for counts: expected likelihood to be one of ('poisson'"),
        ({"noise": -1.0}, "Expected noise to be finite and >= 0, got -1.0"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_clustered(**options, random_state=0)


def test_new_settings_leave_the_draws_of_old_ones():
    """Numbers of this seed as they were before there were counts."""
    data = make_clustered(50, 4, probes=1, random_state=0)
    assert data.truth.mixed[:3].round(6).tolist() == [-1.11426, 6.028983, 0.192177]
    assert int(data.target.sum()) == 27
    assert data.frame["probe1"].iloc[-1] == pytest.approx(2.482699635374428)
    real = make_clustered(50, 4, likelihood="normal", random_state=0)
    assert real.target[:2].tolist() == pytest.approx([-1.9103467270119179, 5.541765035870544])
    other = make_clustered(50, 4, probes=1, classes=5, random_state=0)
    pd.testing.assert_frame_equal(data.frame, other.frame)


def test_counts_have_the_stated_mean_and_dispersion():
    plain = {"unfairness": 0.0, "slopes": 0, "nonlinear": False, "random_state": 6}
    for likelihood, extra in (("poisson", 0.0), ("negative_binomial", 0.49)):
        data = make_clustered(
            40_000, 5, likelihood=likelihood, noise=0.7, exposure=0.5, intercept_scale=0.3, **plain
        )
        mean = np.exp(data.truth.mixed + data.frame["log_exposure"])
        residual = data.target - mean
        assert data.schema.task == "regression"
        assert data.target.dtype.kind == "i"
        assert residual.sum() / mean.sum() == pytest.approx(0, abs=0.02)
        excess = (residual**2 - mean).sum() / (mean**2).sum()  # var = mean + mean^2 / concentration
        assert excess == pytest.approx(extra, abs=0.06)
        assert data.frame["log_exposure"].std() == pytest.approx(0.5, rel=0.02)
    assert "log_exposure" not in make_clustered(50, 4, likelihood="poisson", random_state=0).frame


def test_student_t_has_three_degrees_of_freedom():
    data = make_clustered(40_000, 5, likelihood="student_t", noise=2.0, random_state=7)
    residual = (data.target - data.truth.mixed) / 2.0
    quartiles = residual.quantile([0.25, 0.75]).tolist()
    assert quartiles == pytest.approx([-0.7649, 0.7649], abs=0.02)
    assert (residual.abs() > 5.841).mean() == pytest.approx(0.01, rel=0.15)


def test_a_categorical_is_the_documented_softmax():
    data = make_clustered(40_000, 5, likelihood="categorical", classes=4, random_state=8)
    assert set(data.target) == {0, 1, 2, 3}
    assert data.schema.task == "classification"
    utility = np.exp(data.truth.mixed[:, None] * np.linspace(-0.5, 0.5, 4))
    share = (utility / utility.sum(axis=1, keepdims=True)).mean(axis=0)
    found = [(data.target == k).mean() for k in range(4)]
    np.testing.assert_allclose(found, share, atol=0.01)
