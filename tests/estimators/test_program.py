"""`program_`: NumPyro's own tools on the fitted model, guide and parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro import handlers, optim
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from numpyro.infer.inspect import get_model_relations
from numpyro.infer.util import log_density
from scipy import stats

import pyfairme as pf
from pyfairme.inference.compiled_steps import engine
from pyfairme.model.program import build

ROWS, GROUPS = 90, 5
TINY = {
    "guide": "mean_field", "hidden": (), "epochs": 1, "min_steps": 5, "unseen": "population",
    "validation_fraction": 0, "random_state": 0, "progress": False,
}  # fmt: skip


class Table(NamedTuple):
    X: pd.DataFrame
    real: np.ndarray
    binary: np.ndarray
    three: np.ndarray
    counts: np.ndarray


@pytest.fixture(scope="module")
def table() -> Table:
    rng = np.random.default_rng(0)
    school = np.arange(ROWS) % GROUPS
    x = rng.normal(size=ROWS)
    X = pd.DataFrame({"x": x, "sex": rng.choice(["f", "m"], ROWS), "school": school.astype(str)})
    real = 3 + x + rng.normal(size=GROUPS)[school] + rng.normal(size=ROWS)
    return Table(X, real, (real > 3).astype(int), school % 3, rng.poisson(2.0, ROWS))


def classifier(**keywords):
    return pf.FairMixedEffectsClassifier("school", **{**TINY, **keywords})


def regressor(**keywords):
    return pf.FairMixedEffectsRegressor("school", **{**TINY, **keywords})


FAIR = {"sensitive": ["sex"], "fairness": "moment"}
MODELS = {
    "bernoulli": (classifier(hidden=(4,), ensemble=2, **FAIR), "binary"),
    "normal": (regressor(random_slopes=["x"], correlated=True, guide="low_rank"), "real"),
    "categorical": (classifier(guide="full_rank"), "three"),
    "student_t": (regressor(likelihood="student_t"), "real"),
    "poisson": (regressor(likelihood="poisson", **FAIR), "counts"),
    "negative_binomial": (regressor(likelihood="negative_binomial"), "counts"),
}
QUICK = ("bernoulli",)
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in MODELS if name not in QUICK]


@pytest.fixture(scope="module", params=[*QUICK, *SLOW])
def fitted(request, table):
    model, target = MODELS[request.param]
    y = getattr(table, target)
    return model.fit(table.X, y), y


@pytest.fixture(scope="module")
def fair(table):
    """A linear model of one real target; penalties and weights must not touch its posterior."""
    return regressor(fixed_weight=2.0, **FAIR).fit(table.X, table.real)


def test_the_loss_of_svi_is_that_of_training(fitted, table):
    """NumPyro's sampled ELBO on the front door, against that of training in one draw."""
    model, y = fitted
    p = model.program_.member(model.program_.members - 1)
    rows = p.inputs(table.X, y)
    key, spec = jax.random.key(3), model.fit_.spec
    guide = engine(spec, model.guide_).guide

    @jax.jit
    def both(params):
        ours = Trace_ELBO().loss(key, params, build(spec).model, guide.sample, *rows)
        return ours, Trace_ELBO().loss(key, params, p.model, p.guide, *rows)

    ours, theirs = both(p.params)
    assert float(theirs) == pytest.approx(float(ours), rel=1e-4)


def test_svi_trains_on_and_again(fitted, table):
    """From the fitted parameters, and from the start; a second call is the first one."""
    model, y = fitted
    p = model.program_
    svi = SVI(p.model, p.guide, optim.Adam(0.01), Trace_ELBO())
    rows = p.inputs(table.X, y)
    start = jax.jit(lambda key: svi.init(key, *rows, init_params=p.params))
    states = [start(jax.random.key(0)) for _ in range(2)]
    first, second = (svi.get_params(state) for state in states)
    for one, two, fit in zip(*map(jax.tree.leaves, (first, second, p.params)), strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one, fit, rtol=1e-4, atol=1e-6)
    state, loss = jax.jit(svi.update)(states[0], *rows)
    assert np.isfinite(float(loss))
    moved = svi.get_params(state)["network"][0].weight
    assert not np.array_equal(moved, first["network"][0].weight)


def test_predictive_draws_outcomes_and_the_three_predictions(fitted, table):
    """The mean over draws is the estimator's own mean prediction, within its Monte-Carlo error."""
    model, _ = fitted
    p = model.program_
    new = table.X[:7]
    draw = Predictive(p.model, guide=p.guide, params=p.params, num_samples=400)
    found = draw(jax.random.key(0), *p.inputs(new))
    outputs = model.fit_.spec.likelihood.outputs
    assert found["y"].shape == (400, 7)
    assert found["fixed"].shape == found["random"].shape == (400, 7, outputs)
    np.testing.assert_allclose(found["mixed"], found["fixed"] + found["random"], atol=1e-5)
    kept = jax.jit(jax.vmap(lambda u: handlers.trace(handlers.substitute(
        handlers.seed(p.posterior_model, jax.random.key(0)), data=u
    )).get_trace(*p.inputs(new))["mixed"]["value"]))(p.draws)  # fmt: skip
    error = 5 * np.sqrt(np.var(kept, axis=0) * (1 / 400 + 1 / len(kept))) + 1e-5
    np.testing.assert_array_less(abs(found["mixed"].mean(0) - np.mean(kept, axis=0)), error)


def test_clusters_and_rows_are_plates_named_by_their_columns(fitted, table):
    model, y = fitted
    p = model.program_
    rows = p.inputs(table.X, y)
    for program in (p.model, p.posterior_model):
        graph = get_model_relations(program, model_args=rows)
        effects = [f"school_{term}" for term in model.fit_.spec.factors[0].sites]
        assert graph["plate_sample"] == {
            "school": effects, "rows": ["fixed", "random", "mixed", "y"],
        }  # fmt: skip
        parents = graph["sample_sample"]
        assert set(parents["random"]) == set(effects)
        assert set(parents["mixed"]) == {"fixed", "random"}
        assert "mixed" in parents["y"]
    assert set(graph["observed"]) == {"y"}  # no penalty is left in the last one


@pytest.mark.long
def test_log_density_is_that_of_the_posterior_by_hand(fair, table):
    """Rows and prior count in full, penalties not at all, whatever the objective's weights."""
    model, p = fair, fair.program_
    draw = {name: jnp.asarray(value[3]) for name, value in p.draws.items()}
    weight = np.random.default_rng(1).uniform(0.5, 2.0, ROWS)
    found, _ = log_density(p.posterior_model, p.inputs(table.X, table.real, weight), {}, draw)
    tau, u = draw["school_intercept_sd"][0], draw["school_intercept"][:, 0]
    sigma, target = draw["residual_sd"], model.target_
    fixed = (model.predict(table.X, effects="fixed") - target.mean) / target.scale
    link = fixed + u[np.arange(ROWS) % GROUPS]
    y = (table.real - target.mean) / target.scale
    expected = weight @ stats.norm.logpdf(y, link, sigma) + stats.norm.logpdf(u, 0, tau).sum()
    expected += stats.halfnorm.logpdf(tau, 0, model.fit_.spec.likelihood.effect_scale)
    expected += stats.halfnorm.logpdf(sigma)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:NUTS")  # short chains
def test_nuts_draws_what_refine_draws(table):
    """Two samplers, one posterior; Monte-Carlo errors from what the chains are worth."""
    model = regressor(kl_weight=0.5, min_steps=100).fit(table.X, table.real)
    exact = model.refine(draws=600, chains=1, warmup=200, progress=False).program_
    p = model.program_
    chain = MCMC(NUTS(p.posterior_model), num_warmup=200, num_samples=600, progress_bar=False)
    chain.run(jax.random.key(1), *p.inputs(table.X, table.real))
    found = chain.get_samples()
    for name, value in exact.draws.items():
        spread = value.std(axis=0)
        # 100 independent draws at least of either chain: error of a difference sd * sqrt(2 / 100)
        np.testing.assert_array_less(abs(found[name].mean(0) - value.mean(0)), 0.57 * spread)
        # of a standard deviation sd / sqrt(2 * 100), of a ratio of two 1.4 times that
        np.testing.assert_allclose(np.std(found[name], axis=0), spread, rtol=0.4)


@pytest.mark.long
def test_program_of_a_loaded_model(fair, table, tmp_path):
    """The same parameters; a guide matched to the draws where the file is too old to hold them."""
    fair.save(tmp_path / "model.pfm")
    loaded = pf.load(tmp_path / "model.pfm")
    one, other = fair.program_, loaded.program_
    assert one.params.keys() == other.params.keys()
    for mine, theirs in zip(*map(jax.tree.leaves, (one.params, other.params)), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    del loaded._learned
    check_matched(loaded.program_, loaded.program_.inputs(table.X, table.real))


def check_matched(p, rows):
    """The guide draws what the estimator's draws are like, and SVI takes it."""
    draw = Predictive(p.guide, params=p.params, num_samples=1000)
    found = draw(jax.random.key(0), *rows)
    assert found.keys() == p.draws.keys()
    for name, value in p.draws.items():
        free = np.log if name.endswith("_sd") else np.asarray
        mean, sd = free(value).mean(axis=0), free(value).std(axis=0)
        np.testing.assert_array_less(abs(free(found[name]).mean(0) - mean), 5 * sd / 1000**0.5)
        np.testing.assert_allclose(free(found[name]).std(0), sd, rtol=0.12)  # 5 / sqrt(2000)
    svi = SVI(p.model, p.guide, optim.Adam(0.01), Trace_ELBO())
    state = jax.jit(lambda key: svi.init(key, *rows, init_params=p.params))(jax.random.key(0))
    assert np.isfinite(float(svi.evaluate(state, *rows)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pyfairme.inference.laplace.second_stage.PosteriorWarning")
def test_programs_of_fits_whose_draws_no_guide_made(fair, table):
    rows = table.X, table.real
    new = table.X[:20].assign(school=["new"] * 10 + ["newer"] * 10), table.real[:20]
    block = regressor(guide="block").fit(*rows)
    check_matched(block.program_, block.program_.inputs(*rows))
    refined = fair.refine(draws=100, chains=1, warmup=100, progress=False).program_
    check_matched(refined, refined.inputs(*rows))
    grown = fair.adapt(*new).program_
    assert grown.draws["school_intercept"].shape[1:] == (GROUPS + 2, 1)
    check_matched(grown, grown.inputs(*new))


def test_two_batches_take_one_guide(fair, table):
    """The guide knows no rows: the same latents for a batch of any size."""
    p = fair.program_
    few, many = (
        handlers.trace(handlers.seed(handlers.substitute(p.guide, data=p.params), 0)).get_trace(
            *p.inputs(table.X[:rows], table.real[:rows])
        )
        for rows in (10, 50)
    )
    assert "rows" not in few
    for name, site in few.items():
        np.testing.assert_array_equal(site["value"], many[name]["value"])


def test_what_cannot_be_is_refused(table):
    unfitted = regressor()
    assert not hasattr(unfitted, "program_")
    model = regressor(kl_weight=0.0, **FAIR).fit(table.X, table.real)
    p = model.program_
    rows = p.inputs(table.X, table.real)
    with pytest.raises(ValueError, match="prior-off"):
        log_density(p.posterior_model, rows, {}, {k: jnp.asarray(v[0]) for k, v in p.draws.items()})
    with pytest.raises(ValueError, match=r"from 0 to 0, .*\[no-such-member"):
        p.member(1)
