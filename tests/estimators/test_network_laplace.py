"""network_posterior="laplace" from the front door: intervals, clusters, files, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.datasets import make_clustered
from pyfairme.estimators.estimator_keywords import prior_numbers
from pyfairme.inference.prior_draws import prior_draws
from pyfairme.model.program import predictor

QUICK = {"hidden": (16, 8), "min_steps": 300, "epochs": 1, "random_state": 0, "progress": False}


def make(likelihood="bernoulli", **keywords):
    settings = QUICK | {"network_posterior": "laplace"} | keywords
    if likelihood in ("bernoulli", "categorical"):
        return pf.FairMixedEffectsClassifier("cluster", **settings)
    return pf.FairMixedEffectsRegressor("cluster", likelihood=likelihood, **settings)


@pytest.fixture(scope="module")
def table():
    return make_clustered(700, 6, random_state=3)


@pytest.fixture(scope="module")
def known(table):
    return table.frame["cluster"].isin(["c0", "c1", "c2", "c3"]).to_numpy()


@pytest.fixture(scope="module")
def fitted(table, known):
    return make(random_slopes=["x1"]).fit(table.frame[known], table.target[known])


def covered(model, table, rows):
    true = 1 / (1 + np.exp(-table.truth.mixed[rows]))
    found = model.predict_interval(table.frame[rows], 0.9)
    assert np.all((found["low"] <= found["mean"]) & (found["mean"] <= found["high"]))
    return ((found["low"] <= true) & (true <= found["high"])).mean()


@pytest.mark.long
def test_intervals_hold_the_truth_about_as_often_as_they_say(table, known):
    first = np.flatnonzero(known)[:300]
    rest = np.flatnonzero(known)[300:]
    share = {}
    for posterior in ("none", "laplace"):
        model = make(network_posterior=posterior, random_slopes=["x1"], guide="mean_field")
        model.fit(table.frame.iloc[first], table.target.iloc[first])
        rows = np.isin(np.arange(len(known)), rest)
        share[posterior] = covered(model, table, rows)
    assert share["none"] < 0.75
    assert 0.7 < share["laplace"] <= 1.0


@pytest.mark.long
@pytest.mark.parametrize("unseen", ["infer", "sample", "population"])
def test_clusters_never_seen(fitted, table, known, unseen):
    fitted.set_params(unseen=unseen)
    share = covered(fitted, table, ~known)
    fitted.set_params(unseen="infer")
    assert share > (0.3 if unseen == "population" else 0.7)


@pytest.mark.long
def test_adapted_clusters(fitted, table, known):
    new = table.frame["cluster"].to_numpy() == "c5"
    rows = np.flatnonzero(new)
    grown = fitted.adapt(table.frame.iloc[rows[:40]], table.target.iloc[rows[:40]])
    rest = np.isin(np.arange(len(new)), rows[40:])
    before = fitted.predict_interval(table.frame[rest])
    after = grown.predict_interval(table.frame[rest])
    assert (after["high"] - after["low"]).mean() < (before["high"] - before["low"]).mean()
    assert covered(grown, table, rest) > 0.6


def test_files_hold_the_weights(fitted, table, tmp_path):
    fitted.save(tmp_path / "model.pyfairme")
    loaded = pf.load(tmp_path / "model.pyfairme")
    for kind in ("mean", "observation"):
        one, other = (m.predict_interval(table.frame, kind=kind) for m in (fitted, loaded))
        np.testing.assert_array_equal(one, other)


def test_posterior_has_the_effects_and_not_the_weights(fitted):
    posterior = fitted.posterior_
    names = set(posterior.posterior.data_vars)
    assert names == {
        f"cluster_{one}" for one in ("intercept", "intercept_sd", "slopes", "slopes_sd")
    }
    assert "tangent" in posterior.posterior.attrs["conditional_on"]
    assert fitted.guide_ == "mean_field"
    table = fitted.diagnostics_
    assert set(table["measure"]) == {"pareto_k", "relative_ess", "prior_sensitivity"}
    judged = table[table["measure"] == "prior_sensitivity"]
    assert set(judged["parameter"]) == {
        "cluster_intercept_sd", "cluster_slopes_sd", "network_sd", "linear_sd",
    }  # fmt: skip
    assert judged["value"].between(0, 1).all()


def test_new_outcomes_and_their_densities(fitted, table):
    drawn = fitted.sample_predictive(table.frame, draws=400)
    mean = fitted.predict_proba(table.frame)[:, 1]
    np.testing.assert_allclose(drawn.mean(("chain", "draw")), mean, atol=0.12)


@pytest.mark.long
@pytest.mark.parametrize("likelihood", ["normal", "student_t", "poisson", "negative_binomial"])
def test_regressors(likelihood):
    data = make_clustered(300, 5, likelihood=likelihood, random_state=0)
    model = make(likelihood).fit(data.frame, data.target)
    found = model.predict_interval(data.frame)
    assert np.isfinite(found).all(axis=None)
    residual = np.corrcoef(found["mean"], data.truth.mixed)[0, 1]
    assert residual > 0.5


@pytest.mark.long
def test_classes_and_members_and_weights():
    data = make_clustered(300, 5, likelihood="categorical", random_state=0)
    weight = np.ones(300)
    weight[:50] = 2.5
    model = make("categorical", ensemble=2).fit(data.frame, data.target, sample_weight=weight)
    p = model.predict_proba(data.frame)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert dict(model.posterior_.posterior.sizes)["chain"] == 2


@pytest.mark.long
def test_linear_fixed_effects_have_a_spread():
    data = make_clustered(300, 5, likelihood="normal", nonlinear=False, random_state=0)
    model = make("normal", hidden=()).fit(data.frame, data.target)
    other = make("normal", hidden=(), network_posterior="last_layer")
    other.fit(data.frame, data.target)
    one, two = (m.fixed_effects_.set_index("term") for m in (model, other))
    slopes = [f"x{number}" for number in range(1, 6)]
    away = (one["mean"] - two["mean"]) / two["sd"]
    assert away[slopes].abs().max() < 0.5
    np.testing.assert_allclose(one["sd"][slopes] / two["sd"][slopes], 1.0, atol=0.2)


@pytest.mark.long
def test_a_target_without_noise():
    """Its residual's scale has no posterior but an end; warnings would be errors."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "cluster": 0})
    X["cluster"] = np.arange(60) % 6
    y = 2 * X["a"] - X["b"] + 0.5 * X["cluster"]
    model = make("normal").fit(X, y)
    of_draws = model.diagnostics_.query("measure != 'prior_sensitivity'")
    assert of_draws["ok"].all()
    assert model.variance_components_["mean"].iloc[0] < 0.01 * y.std()
    np.testing.assert_allclose(model.predict(X), y, atol=0.02 * y.std())


@pytest.mark.long
def test_penalties_are_not_undone(table):
    def gap(model):
        p = model.predict_proba(table.frame, effects="fixed")[:, 1]
        group = table.frame["group1"].to_numpy()
        return np.ptp([p[group == level].mean() for level in np.unique(group)])

    settings = {"sensitive": ["group1"], "fairness": "moment", "criterion": "demographic_parity"}
    plain = make().fit(table.frame, table.target)
    fair = make(fairness_weight=5.0, **settings).fit(table.frame, table.target)
    point = make(network_posterior="none", guide="mean_field", fairness_weight=5.0, **settings)
    point.fit(table.frame, table.target)
    assert gap(fair) < 0.5 * gap(plain)
    assert gap(fair) == pytest.approx(gap(point), abs=0.05)


@pytest.mark.long
def test_without_clusters(table):
    model = pf.FairMixedEffectsClassifier(None, **QUICK, network_posterior="laplace")
    model.fit(table.frame.drop(columns="cluster"), table.target)
    found = model.predict_interval(table.frame)
    assert (found["high"] - found["low"]).min() > 0


@pytest.mark.long
def test_refused():
    data = make_clustered(200, 4, random_state=0)
    with pytest.raises(ValueError, match=r"needs kl_weight > 0.*\[prior-off\]"):
        make(kl_weight=0.0).fit(data.frame, data.target)
    model = make().fit(data.frame, data.target)
    with pytest.raises(ValueError, match=r"too many for it.*\[refine-network\]"):
        model.refine()
    with pytest.raises(ValueError, match=r"weights of the network.*\[network-too-large\]"):
        make(hidden=(400, 400)).fit(data.frame, data.target)


def prior_links(model, X):
    """Fixed links (draws, rows) under the model's prior."""
    spec = model.fit_.spec
    numbers = prior_numbers(model.get_params(deep=False), spec)
    drawn = prior_draws(model.fit_, numbers, 200, 0)
    network = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), model.fit_.network)
    batch, _ = model.program_.inputs(X)

    @jax.jit
    def links(draws):
        return jax.lax.map(lambda u: predictor(spec, network, u, batch).fixed[:, 0], draws)

    return np.asarray(links({name: jnp.asarray(value[0]) for name, value in drawn.items()}))


@pytest.mark.long
def test_the_prior_of_the_network_is_on_the_scale_of_the_link(table, known):
    """What a small prior lets the network add is small, a priori and in the posterior."""
    X, y = (part[known].iloc[:300] for part in (table.frame, table.target))
    spread, after = [], []
    for scale in (0.05, 2.0):
        own = {"network_sd": ("half_normal", scale), "linear_sd": ("half_normal", scale)}
        model = make(prior=own, fairness=None, unseen="population").fit(X, y)
        _, objective = model.program_.inputs(X, y)
        np.testing.assert_allclose(objective.gains, model.fit_.gains[0])
        links = prior_links(model, X)
        spread.append(np.sqrt(links.var(axis=1).mean()) / scale)
        after.append(model.predict_proba(X, effects="fixed")[:, 1].std())
    # two networks of SD 1 and ten linear columns, whose means are in the constant's place
    assert spread[0] == pytest.approx(spread[1], rel=1e-4)
    assert 2 < spread[0] < (2 + model.fit_.spec.covariates) ** 0.5
    assert after[0] < 0.85 * after[1]


@pytest.mark.long
def test_scales_far_from_where_their_search_starts_are_found(table, known):
    """A search that had gone too far once ended on a slope; draws then weighed next to nothing."""
    X, y = (part[known].iloc[:300] for part in (table.frame, table.target))
    own = {"network_sd": ("half_normal", 0.05), "linear_sd": ("half_normal", 0.05)}
    for seed in (1, 3, 4):
        model = make(prior=own, fairness=None, unseen="population", random_state=seed).fit(X, y)
        assert model.fit_.quality["pareto_k"].max() < 0.7
        assert model.fit_.quality["relative_ess"].min() > 0.25


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:NUTS")  # a short chain
def test_refine_leaves_the_priors_of_the_network_behind(table, known, tmp_path):
    """Its network is a point estimate; the file of what it gives is read as any other."""
    X, y = (part[known].iloc[:300] for part in (table.frame, table.target))
    own = {"network_sd": ("exponential", 1.0), "sd": ("half_cauchy", 0.5)}
    keywords = {"network_posterior": "auto", "prior": own, "ensemble": 2, "unseen": "population"}
    model = make(fairness=None, **keywords).fit(X, y)
    assert model.fit_.gains.shape == (2, 2)
    refined = model.refine(draws=20, chains=1, warmup=50, progress=False)
    assert [site for site, _ in refined.fit_.spec.priors] == ["cluster_intercept_sd"]
    refined.save(tmp_path / "refined.pyfairme")
    loaded = pf.load(tmp_path / "refined.pyfairme")
    assert loaded.fit_.gains is None
    assert loaded.prior.keys() == own.keys()
    np.testing.assert_array_equal(loaded.predict_proba(X), refined.predict_proba(X))
    model.save(tmp_path / "model.pyfairme")
    again = pf.load(tmp_path / "model.pyfairme")
    np.testing.assert_array_equal(again.fit_.gains, model.fit_.gains)
    pd.testing.assert_frame_equal(again.diagnostics_, model.diagnostics_)
    assert set(again.diagnostics_["member"]) == {0, 1}
