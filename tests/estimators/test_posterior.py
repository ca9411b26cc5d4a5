"""The posterior as users see it: ArviZ objects and tidy tables, in the data's units."""

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.arviz


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def group(estimator):
    """The posterior group: a Dataset of ArviZ 0.x's InferenceData, or a node of 1.x's DataTree."""
    return estimator.posterior_["posterior"]


def test_it_is_the_object_of_the_installed_arviz(rich):
    expected = "DataTree" if int(az.__version__.split(".")[0]) >= 1 else "InferenceData"
    assert type(rich.posterior_).__name__ == expected


def test_dims_and_labels(rich, reg):
    found = group(rich)
    assert found["cluster_intercept"].dims == ("chain", "draw", "cluster")
    assert found["cluster_intercept_sd"].dims == ("chain", "draw")
    assert found["cluster_slopes"].dims == ("chain", "draw", "cluster", "cluster_term")
    assert found["cluster_slopes_sd"].dims == ("chain", "draw", "cluster_term")
    assert list(found["cluster"].to_numpy()) == ["c0", "c1", "c2", "c3"]
    terms = ["x1", "group2[g0]", "group2[g1]", "group2[g2]"]
    assert list(found["cluster_term"].to_numpy()) == terms
    assert found.sizes["chain"] == 2  # the members of the ensemble
    assert set(group(reg).data_vars) == {
        "residual_sd",
        "cluster_intercept",
        "cluster_intercept_sd",
        "cluster_slopes",
        "cluster_slopes_sd",
    }


@pytest.mark.slow
def test_dims_are_named_after_the_columns(binary, classifier):
    renamed = binary.X.rename(columns={"cluster": "school"}).assign(town=np.arange(400) % 3)
    estimator = classifier(cluster=["school", "town"], sensitive=(), hidden=())
    estimator.fit(renamed, binary.y)
    found = group(estimator)
    assert found["school_intercept"].dims == ("chain", "draw", "school")
    assert found["town_intercept"].dims == ("chain", "draw", "town")
    assert list(found["town"].to_numpy()) == ["0", "1", "2"]
    assert list(estimator.cluster_effects_["factor"].unique()) == ["school", "town"]
    assert list(estimator.icc()["factor"]) == ["school", "town"]


def test_attributes_say_what_the_draws_are(rich, linear, binary, classifier):
    assert group(rich).attrs["kind"] == "penalised (generalised) posterior"
    _, plain = linear
    attrs = group(plain).attrs
    assert attrs["kind"] == "variational posterior"
    assert attrs["guide"] == "mean_field"
    assert attrs["conditional_on"] == "the network's point estimate"
    assert "R-hat and ESS say nothing" in attrs["note"]
    only_fixed = classifier(fairness_on="fixed", hidden=()).fit(binary.X, binary.y)
    assert only_fixed.fit_.spec.views == ("fixed",)
    assert group(only_fixed).attrs["kind"] == "variational posterior"


def test_summary_works_as_it_is(rich):
    table = az.summary(rich.posterior_)
    assert {"cluster_intercept[c0]", "cluster_slopes[c3, group2[g1]]"} <= set(table.index)
    means = rich.cluster_effects_.set_index(["cluster", "term"])["mean"]
    found = float(table.loc["cluster_intercept[c0]", "mean"])
    assert found == pytest.approx(means["c0", "Intercept"], abs=0.01)


def test_plot_forest_works_as_it_is(rich):
    assert az.plot_forest(rich.posterior_) is not None
    assert az.plot_forest(rich.posterior_, var_names=["cluster_intercept"]) is not None
    shown = " ".join(t.get_text() for t in plt.gcf().findobj(plt.Text))
    assert all(label in shown for label in ("c0", "c1", "c2", "c3"))


def test_cluster_effects_are_the_tidy_posterior(reg):
    table = reg.cluster_effects_
    assert list(table.columns) == ["factor", "cluster", "term", "mean", "sd", "low", "high"]
    assert len(table) == 8
    found = group(reg)
    draws = found["cluster_slopes"].sel(cluster="c2", cluster_term="x1").to_numpy()
    row = table.set_index(["cluster", "term"]).loc[("c2", "x1")]
    assert row["mean"] == pytest.approx(draws.mean(), rel=1e-5)
    assert row["sd"] == pytest.approx(draws.std(), rel=1e-5)
    assert row["low"] == pytest.approx(np.quantile(draws, 0.05), rel=1e-5)
    assert row["high"] == pytest.approx(np.quantile(draws, 0.95), rel=1e-5)


def test_variance_components_are_the_tidy_scales(reg, clf):
    table = reg.variance_components_
    columns = ["factor", "term", "mean", "median", "sd", "low", "high", "origin"]
    assert list(table.columns) == columns
    assert list(table["factor"]) == ["residual", "cluster", "cluster"]
    assert list(table["term"]) == ["residual_sd", "Intercept", "x1"]
    assert list(table["origin"]) == ["", "x1 = 0", ""]
    draws = group(reg)["cluster_slopes_sd"].to_numpy()
    assert table["median"].iloc[2] == pytest.approx(np.median(draws), rel=1e-5)
    assert list(clf.variance_components_["term"]) == ["Intercept"]


def test_icc_is_the_share_of_the_clusters_at_the_mean_covariates(linear):
    data, reg = linear
    found = group(reg)
    at = data.frame["x1"][:1000].mean()
    between = (
        found["cluster_intercept_sd"].to_numpy() ** 2
        + at**2 * found["cluster_slopes_sd"].sel(cluster_term="x1").to_numpy() ** 2
    )
    share = between / (between + found["residual_sd"].to_numpy() ** 2)
    table = reg.icc(level=0.5)
    assert list(table.columns) == ["factor", "mean", "sd", "low", "high"]
    assert table["mean"].item() == pytest.approx(share.mean(), rel=1e-4)
    assert table["low"].item() == pytest.approx(np.quantile(share, 0.25), rel=1e-4)


def test_icc_of_a_classifier_takes_the_logistic_variance(clf):
    between = group(clf)["cluster_intercept_sd"].to_numpy() ** 2
    share = between / (between + np.pi**2 / 3)
    assert clf.icc()["mean"].item() == pytest.approx(share.mean(), rel=1e-4)


def test_linear_fixed_effects_are_those_of_the_data(linear):
    data, reg = linear
    table = reg.fixed_effects_
    assert list(table.columns) == ["term", "mean", "sd", "low", "high", "note"]
    assert table["note"].str.contains("network_posterior='laplace' gives its spread").all()
    assert table[["sd", "low", "high"]].isna().all(axis=None)  # point estimates
    found = table.set_index("term")["mean"]
    terms = ["Intercept", "x1", "x2", "x3", "x4", "x5", "group1[g1]"]
    assert list(found.index) == terms
    np.testing.assert_allclose(found["x2":"x5"], [-(2**-0.5), 3**-0.5, -0.5, 5**-0.5], atol=0.1)
    by_hand = found["Intercept"] + data.frame.filter(regex="^x") @ found["x1":"x5"].to_numpy()
    by_hand += found["group1[g1]"] * (data.frame["group1"] == "g1")
    np.testing.assert_allclose(by_hand, reg.predict(data.frame, effects="fixed"), atol=1e-4)


def test_effects_add_up_to_the_prediction_in_original_units(linear):
    data, reg = linear
    effects = reg.cluster_effects_.pivot(index="cluster", columns="term", values="mean")
    mine = effects.loc[data.frame["cluster"]].to_numpy()
    random = mine[:, 0] + mine[:, 1] * data.frame["x1"]
    assert list(effects.columns) == ["Intercept", "x1"]
    mixed, fixed = (reg.predict(data.frame, effects=e) for e in ("mixed", "fixed"))
    spread = reg.cluster_effects_.pivot(index="cluster", columns="term", values="sd")
    own = spread.loc[data.frame["cluster"]].to_numpy()
    sd = np.hypot(own[:, 0], own[:, 1] * data.frame["x1"])
    # the prediction averages over 200 of the 1,000 draws
    assert (np.abs(mixed - fixed - random) < 4.5 * sd / np.sqrt(200)).all()
    truth = data.truth.intercepts
    assert np.corrcoef(effects["Intercept"], truth[effects.index])[0, 1] > 0.95


@pytest.mark.long
def test_a_column_far_from_zero_is_centred_as_by_hand(linear):
    data, reg = linear
    x1 = data.frame["x1"]
    far = type(reg)(**reg.get_params() | {"min_steps": 300})
    far.fit(data.frame.assign(x1=x1 + 1000), data.target)
    hand = type(reg)(**reg.get_params() | {"min_steps": 300})
    hand.fit(data.frame.assign(x1=x1 - x1.mean()), data.target)
    table = far.variance_components_
    assert table["origin"].tolist() == ["", f"x1 = {x1.mean() + 1000:.7g}", ""]
    for name in ("variance_components_", "cluster_effects_"):
        ours, theirs = (getattr(one, name).select_dtypes("number") for one in (far, hand))
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-4, atol=1e-4)
    fixed = [one.fixed_effects_.set_index("term")["mean"] for one in (far, hand)]
    pd.testing.assert_series_equal(*(one.drop("Intercept") for one in fixed), rtol=1e-4)
    # the intercept stays that of x = 0, and slopes multiply the distance from the origin
    moved = fixed[1]["Intercept"] - fixed[1]["x1"] * (x1.mean() + 1000)
    assert fixed[0]["Intercept"] == pytest.approx(moved, abs=0.05)
    effects = far.cluster_effects_.pivot(index="cluster", columns="term", values="mean")
    mine = effects.loc[data.frame["cluster"]]
    random = mine["Intercept"].to_numpy() + mine["x1"].to_numpy() * (x1 - x1.mean())
    X = data.frame.assign(x1=x1 + 1000)
    added = far.predict(X) - far.predict(X, effects="fixed")
    assert np.abs(added - random).max() < 0.1  # 200 of the draws; the SD of random is above 1
    assert f"x1 = {x1.mean() + 1000:.4f}"[:12] in group(far).attrs["origin"]
    assert "origin" not in group(hand).attrs


def test_units_of_the_data_are_the_units_of_everything(linear):
    data, reg = linear
    X = data.frame[:1000].assign(x1=10 * data.frame["x1"])
    scaled = type(reg)(**reg.get_params()).fit(X, 1000 * data.target[:1000] + 5e4)
    assert reg.icc()["mean"].item() == pytest.approx(scaled.icc()["mean"].item(), rel=0.02)

    def ratio(table, keys):
        return table(scaled).set_index(keys)["mean"] / table(reg).set_index(keys)["mean"]

    close = {"rel": 0.02}
    scales = ratio(lambda e: e.variance_components_, "term")
    assert scales["Intercept"] == pytest.approx(1000, **close)
    assert scales["residual_sd"] == pytest.approx(1000, **close)
    assert scales["x1"] == pytest.approx(100, **close)
    slopes = ratio(lambda e: e.fixed_effects_, "term")
    assert slopes["x1"] == pytest.approx(100, **close)
    assert slopes["x2"] == pytest.approx(1000, **close)
    np.testing.assert_allclose(
        scaled.predict(X), 1000 * reg.predict(data.frame[:1000]) + 5e4, atol=20
    )
    effects = scaled.cluster_effects_.set_index("term")
    original = reg.cluster_effects_.set_index("term")
    for term, factor in (("Intercept", 1000), ("x1", 100)):
        np.testing.assert_allclose(
            effects.loc[term, "sd"], factor * original.loc[term, "sd"], rtol=0.02
        )


def test_fixed_effects_of_a_network_are_refused(clf):
    assert not hasattr(clf, "fixed_effects_")
    with pytest.raises(AttributeError, match=r"fit with hidden=\(\), or read the network through"):
        _ = clf.fixed_effects_


def test_a_model_without_latents_has_no_posterior(binary, classifier):
    estimator = classifier(random_intercepts=False).fit(binary.X, binary.y)
    with pytest.raises(AttributeError, match=r"posterior_ needs latent variables.*give cluster="):
        _ = estimator.posterior_
    assert estimator.cluster_effects_.empty
    assert estimator.variance_components_.empty
    assert list(estimator.icc().columns) == ["factor", "mean", "sd", "low", "high"]


@pytest.mark.parametrize(
    "name", ["posterior_", "cluster_effects_", "variance_components_", "fixed_effects_"]
)
def test_before_fit_there_is_nothing(classifier, name):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        getattr(classifier(), name)


def test_tables_are_new_each_time(reg):
    first = reg.cluster_effects_
    first["mean"] = 0.0
    assert isinstance(first, pd.DataFrame)
    assert not reg.cluster_effects_.equals(first)
