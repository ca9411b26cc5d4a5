"""`to_arviz`: groups with named dims, and the right numbers in them."""

import copy
from types import SimpleNamespace

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import pyfairme as pf

NEW = int(az.__version__.split(".")[0]) >= 1

pytestmark = [
    pytest.mark.arviz,
    # ArviZ 0.23 calls Matplotlib 3.11 in a way that it warns of
    pytest.mark.filterwarnings("ignore:Passing a dict or None as alias_mapping"),
]


@pytest.fixture(scope="module")
def glmm(linear):
    """A linear mixed model with slopes, 1,000 training rows and their groups."""
    data, reg = linear
    X, y = data.frame[:1000], data.target[:1000].rename("outcome")
    return SimpleNamespace(reg=reg, X=X, y=y, found=reg.to_arviz(X, y, prior_draws=200))


def names(found):
    """Names of the groups, in both ArviZ worlds."""
    return {name.strip("/") for name in (found.children if NEW else found.groups())}


def values(found, group, name):
    return found[group][name].to_numpy()


def effect(found, cluster, name="cluster_intercept"):
    """Draws of the effect of each row's cluster: (chain, draw, row)."""
    return found["posterior"][name].sel(cluster=np.asarray(cluster)).to_numpy()


def test_groups_are_those_that_the_arguments_allow(clf, binary):
    X, y = binary.test, binary.y_test
    always = {"posterior", "log_prior"}
    rows = always | {"posterior_predictive", "constant_data"}
    assert names(clf.to_arviz()) == always
    assert names(clf.to_arviz(X, draws=10)) == rows
    judged = rows | {"log_likelihood", "observed_data"}
    assert names(clf.to_arviz(X, y, draws=10)) == judged
    priors = {"prior", "prior_predictive"}
    assert names(clf.to_arviz(X, y, draws=10, prior_draws=10)) == judged | priors
    assert names(clf.to_arviz(prior_draws=10)) == always | {"prior"}


def test_dims_are_named_and_rows_are_labelled(rich, binary):
    found = rich.to_arviz(binary.test, binary.y_test, draws=30, prior_draws=20)
    each = {"posterior_predictive": 15, "log_likelihood": 15, "prior_predictive": 10}
    for group, draws in each.items():
        variable = found[group][binary.y_test.name]
        assert variable.dims == ("chain", "draw", "row")
        assert variable.shape == (2, draws, len(binary.test))  # two members of the ensemble
        assert list(variable["row"].to_numpy()) == list(binary.test.index)
    slopes = ("chain", "draw", "cluster", "cluster_term")
    assert found["posterior"]["cluster_slopes"].dims == slopes
    assert found["prior"]["cluster_slopes"].dims == slopes
    assert found["observed_data"][binary.y_test.name].dims == ("row",)


@pytest.mark.long
def test_every_group_says_where_it_comes_from(glmm):
    for group in names(glmm.found):
        attrs = glmm.found[group].attrs
        assert attrs["creation_library"] == "pyfairme"
        assert attrs["creation_library_version"] == pf.__version__
        assert attrs["inference_library"] == "numpyro"
    for group in ("posterior", "posterior_predictive", "log_likelihood"):
        assert glmm.found[group].attrs["kind"] == "variational posterior"
        assert glmm.found[group].attrs["guide"] == "mean_field"
    assert "per unit of y" in glmm.found["log_likelihood"].attrs["note"]
    for group in ("prior", "prior_predictive"):
        assert glmm.found[group].attrs["kind"] == "prior"
        assert "with the fitted network" in glmm.found[group].attrs["note"]


def test_log_likelihood_of_a_real_target_is_per_unit_of_it(glmm):
    residual = values(glmm.found, "posterior", "residual_sd")[..., None]
    slopes = glmm.found["posterior"]["cluster_slopes"].sel(cluster_term="x1")
    mine = slopes.sel(cluster=glmm.X["cluster"].to_numpy()).to_numpy()
    random = effect(glmm.found, glmm.X["cluster"]) + mine * glmm.X["x1"].to_numpy()
    mean = glmm.reg.predict(glmm.X, effects="fixed") + random
    by_hand = stats.norm.logpdf(glmm.y.to_numpy(), mean, residual)
    found = values(glmm.found, "log_likelihood", "outcome")
    np.testing.assert_allclose(found, by_hand, atol=2e-3)
    assert abs(np.log(glmm.reg.target_.scale)) > 0.05  # without it the check says nothing


def test_log_likelihood_and_posterior_are_thinned_alike(clf, binary):
    found = clf.to_arviz(binary.test, binary.y_test, draws=37)
    assert found["posterior"].sizes["draw"] == 37
    # the network is a point estimate: its link is the logit of the fixed probability
    fixed = special.logit(clf.predict_proba(binary.test, effects="fixed")[:, 1])
    link = fixed + effect(found, binary.test["cluster"])
    by_hand = stats.bernoulli.logpmf(binary.y_test.to_numpy(), special.expit(link))
    name = binary.y_test.name
    np.testing.assert_allclose(values(found, "log_likelihood", name), by_hand, atol=1e-3)


def test_more_draws_than_there_are_give_all(clf):
    have = next(iter(clf.fit_.draws.values())).shape[1]
    assert clf.to_arviz(draws=10 * have)["posterior"].sizes["draw"] == have


@pytest.mark.slow
def test_counts_are_integers(regressor):
    data = pf.datasets.make_clustered(
        rows=400, clusters=4, likelihood="poisson", sensitive_levels=(2, 3), random_state=1
    )
    reg = regressor(likelihood="poisson").fit(data.frame, data.target)
    found = reg.to_arviz(data.frame, data.target.to_numpy(), draws=40)
    for group in ("observed_data", "posterior_predictive"):
        assert found[group]["y"].dtype == np.int64
    mean = reg.predict(data.frame, effects="fixed")
    mean = mean * np.exp(effect(found, data.frame["cluster"]))
    by_hand = stats.poisson.logpmf(data.target.to_numpy(), mean)
    np.testing.assert_allclose(values(found, "log_likelihood", "y"), by_hand, rtol=1e-3, atol=1e-3)
    assert (az.plot_ppc_rootogram if NEW else az.plot_ppc)(found) is not None
    plt.close("all")


@pytest.mark.long
def test_classes_are_codes_with_their_labels(binary, classifier):
    labels = np.array(["low", "mid", "top"])
    level = np.clip(np.digitize(binary.X["x1"], (-0.5, 0.5)), 0, 2)
    y = pd.Series(labels[level], index=binary.X.index, name="level")
    found = (est := classifier().fit(binary.X, y)).to_arviz(binary.X, y, draws=20)
    observed = found["observed_data"]["level"]
    assert list(observed.to_numpy()) == list(level)
    assert list(observed.attrs["classes"]) == ["low", "mid", "top"]
    assert set(np.unique(values(found, "posterior_predictive", "level"))) <= {0, 1, 2}
    fixed = np.log(est.predict_proba(binary.X, effects="fixed"))
    random = found["posterior"]["cluster_intercept"].sel(cluster=binary.X["cluster"].to_numpy())
    log_p = special.log_softmax(fixed + random.to_numpy(), axis=-1)
    by_hand = np.take_along_axis(log_p, level[None, None, :, None], axis=-1)[..., 0]
    np.testing.assert_allclose(values(found, "log_likelihood", "level"), by_hand, atol=1e-3)


def test_predictive_outcomes_are_spread_as_the_model_says(glmm):
    drawn = values(glmm.found, "posterior_predictive", "outcome")
    mean, sd = drawn.mean(axis=(0, 1)), drawn.std(axis=(0, 1))
    expected = glmm.reg.predict(glmm.X)
    draws = drawn.shape[0] * drawn.shape[1]
    assert (np.abs(mean - expected) < 6 * sd / np.sqrt(min(draws, 200))).all()
    residual = values(glmm.found, "posterior", "residual_sd").mean()
    assert np.median(sd) == pytest.approx(residual, rel=0.05)


def test_prior_draws_have_the_target_s_units(glmm):
    scales = values(glmm.found, "prior", "residual_sd").ravel() / glmm.reg.target_.scale
    assert stats.kstest(scales, "halfnorm").pvalue > 1e-3
    drawn = values(glmm.found, "prior_predictive", "outcome")
    spread = values(glmm.found, "posterior_predictive", "outcome").std(axis=(0, 1)).mean()
    assert drawn.std(axis=(0, 1)).mean() > 1.5 * spread
    # effects have mean zero, so the middle is the fitted network's
    middle = np.median(drawn, axis=(0, 1))
    fixed = glmm.reg.predict(glmm.X, effects="fixed")
    assert np.mean(middle - fixed) == pytest.approx(0, abs=0.3 * drawn.std(axis=(0, 1)).mean())


def test_constant_data_are_the_columns_that_the_model_uses(rich, binary):
    X = binary.test.assign(unused=1.0, cluster=binary.test["cluster"].to_numpy())
    found = rich.to_arviz(X[list(rich.feature_names_in_)], draws=10)["constant_data"]
    expected = {"x1", "x2", "x3", "x4", "x5", "group1", "group2", "cluster"}
    assert set(found.data_vars) == expected
    np.testing.assert_array_equal(found["x1"].to_numpy(), X["x1"])
    assert list(found["cluster"].to_numpy()) == list(X["cluster"])
    assert list(found["group2"].to_numpy()) == list(X["group2"])


@pytest.mark.long
def test_names_of_columns_and_rows_that_files_do_not_allow(real, regressor):
    renamed = {"cluster": "in/out", "x2": "row", "x3": "a/b"}
    X = real.X.rename(columns=renamed).assign(x4=np.arange(400) % 7)
    X.index = [f"p{i}" for i in range(400)]
    reg = regressor(cluster="in/out").fit(X, real.y)
    found = reg.to_arviz(X, real.y.rename("in_out"), draws=10)
    assert {"row_", "a_b", "in_out", "x4"} <= set(found["constant_data"].data_vars)
    assert found["constant_data"]["x4"].dtype == np.int64
    assert found["posterior"]["in_out_intercept"].dims == ("chain", "draw", "in_out")
    assert list(found["log_likelihood"].data_vars) == ["y"]  # the cluster has the series' name
    assert found["constant_data"]["row"].to_numpy()[1] == "p1"
    twice = reg.to_arviz(pd.concat([X, X]), draws=10)["posterior_predictive"]
    assert list(twice["row"].to_numpy()) == list(range(800))


def test_unseen_clusters_follow_the_policy(clf, binary):
    average = copy.copy(clf).set_params(unseen="population")
    found = average.to_arviz(binary.unseen, binary.y_unseen, draws=20)
    log_p = values(found, "log_likelihood", binary.y_unseen.name)
    p = average.predict_proba(binary.unseen, effects="fixed")[:, 1]
    by_hand = stats.bernoulli.logpmf(binary.y_unseen.to_numpy(), p)
    np.testing.assert_allclose(log_p, np.broadcast_to(by_hand, log_p.shape), atol=1e-3)
    assert found["log_likelihood"].attrs["unseen"] == "population"
    drawn = copy.copy(clf).set_params(unseen="sample")
    found = drawn.to_arviz(binary.unseen, binary.y_unseen, draws=20, prior_draws=20)
    assert values(found, "log_likelihood", binary.y_unseen.name).std(axis=1).min() > 0
    assert list(found["posterior"]["cluster"].to_numpy()) == ["c0", "c1", "c2", "c3"]
    with pytest.raises(ValueError, match="clusters that were not in the training rows"):
        copy.copy(clf).set_params(unseen="raise").to_arviz(binary.unseen)


# Errors ---------------------------------------------------------------------------------------


def test_too_many_numbers_are_refused_with_advice(clf, binary):
    many = pd.concat([binary.test] * 1500)  # 300,000 rows
    target = pd.concat([binary.y_test] * 1500)
    with pytest.raises(ValueError, match=r"1000 draws of 300000 rows .* draws=833 .* would do"):
        clf.to_arviz(many, target)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"y": [0, 1]}, "got y without X: give the rows"),
        ({"draws": 0}, "draws must be at least 1, or None"),
        ({"draws": "5"}, r"or None for all there are; got '5'\. Give a whole number"),
        ({"prior_draws": 1.5}, r"prior_draws must be at least 0, got 1\.5\. Give a whole number"),
        ({"prior_draws": -1}, "prior_draws must be at least 0, got -1"),
    ],
)
def test_bad_arguments_are_told(clf, keywords, message):
    with pytest.raises(ValueError, match=message):
        clf.to_arviz(**keywords)


def test_a_target_of_another_length_is_told(clf, binary):
    with pytest.raises(ValueError, match=r"Expected y of shape \(200,\), one per row"):
        clf.to_arviz(binary.test, binary.y_test[:5])


def test_a_model_without_latents_has_nothing_to_give(binary, classifier):
    fitted = classifier(random_intercepts=False).fit(binary.X, binary.y)
    with pytest.raises(AttributeError, match=r"to_arviz needs latent variables.*give cluster="):
        fitted.to_arviz(binary.test)
