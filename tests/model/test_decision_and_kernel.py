"""The penalties on decisions and on any dependence, against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers

from pyfairme.model.penalties import AttributeCodes, Decision, Kernel, View

SEX = (AttributeCodes("sex", 2),)


def make_view(prediction, sensitive, y=None, balance=(1.0, 1.0), threshold=0.5):
    n = len(sensitive)
    y = np.zeros(n, int) if y is None else y
    return View(
        name="mixed",
        prediction=jnp.asarray(prediction, jnp.float32).reshape(n, -1),
        outcome=jnp.asarray(y[:, None], jnp.float32),
        strata=jax.nn.one_hot(y, 2),
        sensitive=jnp.asarray(sensitive)[:, None],
        share=jnp.full(n, 1 / n),
        balance=(jnp.asarray(balance, jnp.float32),),
        strength=jnp.ones(1),
        threshold=threshold,
    )


def value(penalty, view, criterion="demographic_parity"):
    sites = handlers.trace(penalty).get_trace("p", view, SEX, criterion)
    site = sites["p/mixed/sex"]
    return -float(site["fn"].log_prob(site["value"]))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    s, y = rng.integers(0, 2, 80), rng.integers(0, 2, 80)
    return rng.uniform(0.02, 0.98, 80), s, y


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_sharp_decisions_give_the_gaps_of_tpr_and_fpr(rows, threshold):
    p, s, y = rows
    found = value(Decision(1e4), make_view(p, s, y, threshold=threshold), "equalized_odds")
    decided = p > threshold
    gaps = [
        abs(decided[(s == g) & (y == c)].mean() - decided[y == c].mean())
        for c in (0, 1)
        for g in (0, 1)
    ]
    assert found == pytest.approx(np.mean(gaps), abs=1e-5)


def test_soft_decisions_move_only_near_the_threshold():
    soft = Decision().soft(jnp.array([[0.001], [0.2], [0.999]]), 0.2)
    np.testing.assert_allclose(soft[:, 0], [0, 0.5, 1], atol=1e-4)
    slope = jax.vmap(jax.grad(lambda p: Decision().soft(p[None, None], 0.2)[0, 0]))
    near, far = slope(jnp.array([0.2, 0.9]))
    assert near > 50 * far


def test_soft_decisions_of_several_classes_favour_the_likeliest():
    p = jnp.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(Decision(1.0).soft(p, 0.5), p, rtol=1e-5)
    assert Decision(20.0).soft(p, 0.5)[0, 0] > 0.999


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_certain_predictions_have_finite_gradients(p):
    slope = jax.grad(lambda q: Decision().soft(q[None, None], 0.5).sum())(jnp.asarray(p))
    assert np.isfinite(slope)


def test_alignment_is_hsic_of_centred_kernels(rows):
    p, s, _ = rows
    balance = 0.5 / np.array([(s == 0).mean(), (s == 1).mean()])
    found = value(Kernel(), make_view(p, s, balance=balance))
    n = len(p)
    h = np.eye(n) - 1 / n
    k = h @ np.exp(-0.5 * (p[:, None] - p) ** 2 / p.var()) @ h
    same = (s[:, None] == s) * balance[s][:, None]
    centred = h @ same @ h
    expected = np.trace(k @ centred) / np.sqrt(np.trace(k @ k) * np.trace(centred @ centred))
    assert found == pytest.approx(expected, rel=1e-3)


def test_alignment_sees_spreads_that_moments_do_not():
    s = np.repeat([0, 1], 200)
    same = np.tile(np.linspace(0.1, 0.9, 200), 2)
    spread = np.where(s == 1, 0.5 + 0.3 * (same - 0.5), same)
    assert value(Kernel(), make_view(same, s)) == pytest.approx(0, abs=1e-3)
    assert value(Decision(), make_view(spread, s)) == pytest.approx(0, abs=1e-2)
    assert value(Kernel(), make_view(spread, s)) > 0.1
    two = np.where(s == 1, 0.8, 0.2)
    assert value(Kernel(), make_view(two, s)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("penalty", [Decision(), Kernel()])
def test_a_constant_prediction_has_no_term_and_a_finite_gradient(penalty):
    view = make_view(np.full(20, 0.4), np.arange(20) % 2, np.arange(20) // 2 % 2)
    assert value(penalty, view, "equalized_odds") == pytest.approx(0, abs=1e-3)

    def total(p):
        sites = handlers.trace(penalty).get_trace(
            "p", view._replace(prediction=p), SEX, "equalized_odds"
        )
        return sites["p/mixed/sex"]["fn"].log_prob(0.0)

    assert np.isfinite(jax.grad(total)(view.prediction)).all()
