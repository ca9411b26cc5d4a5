"""The keyword ``prior`` from the front door: names, what it changes, files, what is refused."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from scipy import stats
from sklearn.base import clone

import pyfairme as pf
from pyfairme.model.priors import PRIORS
from tests.estimators.conftest import SMALL

QUICK = SMALL | {"fairness": None, "cluster_weight": 0.0, "unseen": "population"}
COMPILED = []


def note_compilation(event, duration, **_):
    if "backend_compile" in event:
        COMPILED.append(event)


def regressor(**keywords):
    return pf.FairMixedEffectsRegressor("cluster", **QUICK | {"hidden": ()} | keywords)


@dataclass(frozen=True)
class Lomax:
    """A positive number with the density of a Pareto that begins at 0."""

    shape: float = 2.0
    support: str = "positive"
    values: tuple[str, ...] = ("scale",)

    def distribution(self, shape, scale):
        pareto = dist.Pareto(scale, self.shape)
        moved = dist.transforms.AffineTransform(-scale, 1.0)
        whole = dist.TransformedDistribution(pareto, moved)
        return whole.expand(shape).to_event(len(shape))


CHOSEN = {
    "sd": ("half_cauchy", 0.4),
    "slopes_sd": (Lomax(), 0.5),
    "correlation": ("lkj", 1.0),
    "residual_sd": ["exponential", np.float32(3)],
}


@pytest.fixture(scope="module")
def fitted(real):
    model = regressor(prior=CHOSEN, random_slopes=["x1"], correlated=True)
    return model.fit(real.X, real.y)


@pytest.mark.long
def test_the_posterior_model_has_these_priors(fitted, real):
    p = fitted.program_
    draw = {name: jnp.asarray(value[3]) for name, value in p.draws.items()}
    seeded = handlers.seed(handlers.substitute(p.posterior_model, data=draw), jax.random.key(0))
    sites = handlers.trace(seeded).get_trace(*p.inputs(real.X, real.y))
    found = {name: float(sites[name]["fn"].log_prob(draw[name]).sum()) for name in draw}
    known = {
        "cluster_intercept_sd": stats.halfcauchy(scale=0.4),
        "cluster_slopes_sd": stats.lomax(2.0, scale=0.5),
        "residual_sd": stats.expon(scale=1 / 3),
    }
    for name, distribution in known.items():
        expected = distribution.logpdf(np.asarray(draw[name])).sum()
        assert found[name] == pytest.approx(expected, abs=1e-3)
    assert found["cluster_cholesky"] == pytest.approx(np.log(1 / 2), abs=1e-4)  # LKJ(1): uniform


def test_draws_of_the_prior_have_them_too(fitted):
    data = fitted.to_arviz(prior_draws=2000)
    drawn = data["prior"]["cluster_intercept_sd"].to_numpy().ravel() / fitted.target_.scale
    assert stats.kstest(drawn, stats.halfcauchy(scale=0.4).cdf).pvalue > 1e-3
    correlation = data["prior"]["cluster_correlation"].to_numpy()[..., 0, 1].ravel()
    assert stats.kstest((correlation + 1) / 2, "uniform").pvalue > 1e-3


@pytest.mark.long
def test_the_closest_name_counts(real):
    two = real.X.assign(town=np.where(np.arange(len(real.X)) % 3 == 0, "here", "there"))
    prior = {
        "sd": ("half_normal", 0.1), "town_intercept_sd": ("exponential", 2.0),
        "slopes_sd": ("half_cauchy", 0.3),
    }  # fmt: skip
    keywords = {"random_slopes": {"cluster": ["x1"]}, "prior": prior, "min_steps": 20}
    model = pf.FairMixedEffectsRegressor(["cluster", "town"], **QUICK | {"hidden": ()} | keywords)
    model.fit(two, real.y)
    found = dict(model.fit_.spec.priors)
    assert found == {
        "cluster_intercept_sd": PRIORS["half_normal"], "cluster_slopes_sd": PRIORS["half_cauchy"],
        "town_intercept_sd": PRIORS["exponential"],
    }  # fmt: skip
    _, objective = model.program_.inputs(two, real.y)
    assert float(objective.priors["town_intercept_sd"][0]) == 2.0


def test_prior_scale_multiplies_only_the_priors_that_are_not_named(real):
    """A named prior is as it is written."""
    one = regressor(prior={"sd": ("half_normal", 2.0)}, prior_scale=0.01).fit(real.X, real.y)
    other = regressor(prior_scale=2.0).fit(real.X, real.y)
    np.testing.assert_allclose(one.predict(real.test), other.predict(real.test), rtol=1e-5)


def test_other_numbers_compile_nothing(real):
    prior = {"sd": ("gamma", 2.0, 3.0)}
    before = regressor(prior=prior, min_steps=20).fit(real.X, real.y)
    jax.monitoring.register_event_duration_secs_listener(note_compilation)
    jax.jit(lambda: 1)()
    assert COMPILED  # the event has this name
    COMPILED.clear()
    other = clone(before).set_params(prior={"sd": ("gamma", 9.0, 90.0)}).fit(real.X, real.y)
    assert not COMPILED
    means = [m.variance_components_.set_index("factor")["mean"]["cluster"] for m in (before, other)]
    assert means[1] < means[0]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:NUTS")  # a short chain
def test_files_hold_the_prior_and_objects_are_given_back(fitted, real, tmp_path):
    fitted.save(tmp_path / "model.pyfairme")
    with pytest.raises(ValueError, match=r"prior=lomax\(shape=2.0.*objects=.*\[object-missing\]"):
        pf.load(tmp_path / "model.pyfairme")
    loaded = pf.load(tmp_path / "model.pyfairme", objects={"lomax": Lomax()})
    np.testing.assert_array_equal(loaded.predict(real.test), fitted.predict(real.test))
    assert loaded.fit_.spec == fitted.fit_.spec
    assert loaded.prior["slopes_sd"][0] == Lomax()
    loaded.save(tmp_path / "again.pyfairme")
    again = loaded.refine(X=real.X, y=real.y, draws=20, chains=1, warmup=20, progress=False)
    assert again.prior == loaded.prior


def test_a_clone_and_a_change_after_fit(fitted, real):
    copy = clone(fitted)
    assert copy.prior == CHOSEN
    changed = clone(fitted).set_params(prior={"sd": ("half_normal", 1.0)})
    assert changed.prior != copy.prior
    fitted.set_params(prior=None)
    try:
        with pytest.raises(ValueError, match=r"prior \(.*changed-after-fit"):
            fitted.predict(real.test)
    finally:
        fitted.set_params(prior=CHOSEN)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (
            "half_normal",
            r"prior: 'half_normal'\. Expected a dictionary by name, .*\[prior-format\]",
        ),
        ({1: ("half_normal", 1)}, r"prior: .*\. Expected a dictionary by name, .*\[prior-format\]"),
        ({"sd": ("cauchy", 1)}, r"prior\['sd'\] is \('cauchy', 1\)\. .*'half_cauchy'.*\[prior-fam"),
        ({"sd": 1.0}, r"prior\['sd'\] is 1\.0\. Expected the name of a family .*\[prior-family\]"),
        ({"sd": ()}, r"prior\['sd'\] is \(\)\. Expected the name of a family .*\[prior-family\]"),
        (
            {"sd": "gamma"},
            r"is 'gamma', with 0 number.*expected \('gamma', concentration, rate\)",
        ),
        (
            {"sd": ("half_normal", 1, 2)},
            r"with 2 number\(s\); expected .*scale\)\. \[prior-nu",
        ),
        (
            {"sd": ("half_normal", 0)},
            r"value of prior\['sd'\], scale: 0\. Expected a number gr",
        ),
        ({"sd": ("log_normal", np.nan, 1)}, r"prior\['sd'\], loc: nan\. Expected a number at leas"),
        ({"sd": ("gamma", 1, "2")}, r"prior\['sd'\], rate: '2'\. Expected a number greater than 0"),
        ({"sd": ("half_normal", 1e99)}, r"prior\['sd'\], scale: 1e\+99\. .*\[single-precision\]"),
        (
            {"sdd": ("half_normal", 1)},
            r"'sdd', and this model has no such prior\. It has \['resi",
        ),
        ({"slopes_sd": ("half_normal", 1)}, r"'slopes_sd' needs random_slopes=\. .*\[prior-name\]"),
        ({"correlation": ("lkj", 1)}, r"'correlation' needs correlated=True, .*\[prior-name\]"),
        ({"network_sd": ("half_normal", 1)}, r"'network_sd' needs network_posterior='laplace'"),
        ({"df": ("half_normal", 1)}, r"'df' needs likelihood='student_t'\. .*\[prior-name\]"),
        (
            {"sd": ("normal", 1)},
            r"a prior of a weight, which may .* 'sd' is a positive number: ",
        ),
        (
            {"sd": ("lkj", 1)},
            r"a prior of correlations, and 'sd' is a pos.*\[prior-support\]",
        ),
        ({"sd": (Lomax, 1.0)}, r"prior\['sd'\]=Lomax is a class: .*\[class-for-object\]"),
        ({"sd": (object(), 1.0)}, r"does not equal its own copy.*\[not-a-value\]"),
        (
            {"sd": ((lambda: 0), 1.0)},
            r"it has no support, values, distribution\..*\[missing-members",
        ),
    ],
)
def test_priors_that_are_none(prior, message, real):
    with pytest.raises(ValueError, match=message):
        regressor(prior=prior).fit(real.X, real.y)


@pytest.mark.long
def test_a_latent_last_layer_has_a_normal_prior_only(real):
    """What the guide "block" makes of it is Gaussian."""
    model = regressor(network_posterior="last_layer", prior={"last_layer": ("half_normal", 1)})
    with pytest.raises(ValueError, match=r"'last_layer' is a weight, .*: give one of \['normal'\]"):
        model.fit(real.X, real.y)
    tight, wide = (
        regressor(network_posterior="last_layer", prior={"last_layer": ("normal", sd)})
        .fit(real.X, real.y)
        .fixed_effects_.query("term != 'Intercept'")["mean"]
        for sd in (0.01, 2.0)
    )
    assert tight.abs().max() < 0.3 * wide.abs().max()


@pytest.mark.long
@pytest.mark.arviz
def test_arviz_finds_the_prior_sensitivity_of_the_table(real):
    """Both ArviZ lines, on the same draws."""
    keywords = {"guide": "block", "random_slopes": ["x1"], "correlated": True, "prior": CHOSEN}
    model = regressor(**keywords).fit(real.X, real.y)
    table = model.diagnostics_.query("measure == 'prior_sensitivity'").set_index("parameter")
    data = model.to_arviz(real.X[:50], real.y[:50])
    assert {*data["log_prior"].data_vars} == {
        "residual_sd", "cluster_intercept_sd", "cluster_slopes_sd", "cluster_correlation",
    }  # fmt: skip
    names = ["cluster_intercept_sd", "cluster_slopes_sd", "residual_sd"]
    found = power_scaled(data, names)
    for name in names:
        assert float(found[name].max()) == pytest.approx(table["value"][name], abs=1e-4)
    assert list(table["ok"]) == list(table["value"] <= 0.05)


def power_scaled(data, names):
    try:
        from arviz_stats import psense, psense_summary
    except ImportError:
        from arviz import psens

        return psens(data, var_names=names)
    summary = psense_summary(data, var_names=names)
    assert {"prior", "likelihood", "diagnosis"} <= set(summary)
    return psense(data, var_names=names)
