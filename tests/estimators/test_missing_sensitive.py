"""Rows without a sensitive value: what they change in a penalty, and in how strongly it acts.

Predictions are fixed, and only what is known of S is drawn: of many tables with gaps at random the
mean penalty, and the mean gradients that the prediction and the adversary get, are those of the
table without gaps. Weights of levels come from the table with gaps, as in a fit.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro import handlers

import pyfairme as pf
from pyfairme.data import Design, Schema
from pyfairme.estimators import estimator_keywords
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.penalties import CRITERIA, PENALTIES, AttributeCodes, View, group_gaps

ROWS, TABLES, LOST = 600, 60, 0.3
AT = jnp.array([-0.3, 0.5, 1.0])  # intercept, slope of x, slope of S: groups differ in p


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    age, x = rng.uniform(20, 70, ROWS), rng.normal(size=ROWS)
    y = (rng.uniform(size=ROWS) < 1 / (1 + np.exp(-x - (age - 45) / 15))).astype(int)
    group = np.array(["a", "b", "c"])[np.searchsorted([30, 42], age)]
    return pd.DataFrame({"x": x, "age": age, "group": group}), y


def known(frame, y, kind, there, penalty="moment", **keywords):
    """Return codes and weights of levels of a table whose S is known ``there``, and strengths."""
    told = frame["age" if kind == "number" else "group"].where(there)
    frame = frame[["x"]].assign(told=told)
    entry = pf.Continuous("told", groups=4) if kind == "number" else "told"
    out = {"exclude": {"told": [None]}} if kind == "groups" and not there.all() else {}
    roles = Schema.infer(frame, sensitive=entry)
    design = Design.fit(frame, roles, drop_sensitive=True, **(out | keywords))
    batch = design.encode(frame, y=y, quiet=True)
    model = pf.FairMixedEffectsClassifier(fairness=penalty, fairness_weight=1.0)
    params = model.get_params(deep=False)
    spec = estimator_keywords.model_spec(params, design, Bernoulli())
    objective = estimator_keywords.objective(params, spec, batch)
    return batch.sensitive, objective.balance[0], objective.fairness[penalty]["fixed"], spec


def measured(frame, y, kind, penalty, criterion, attributes):
    """Return a function of codes and weights of levels: penalty, gradients, all in a vector."""
    scaled = jnp.asarray((frame["age"] - 45) / 15, jnp.float32)
    design = jnp.stack([jnp.ones(ROWS), jnp.asarray(frame["x"], jnp.float32), scaled], axis=1)

    def view(theta, codes, balance):
        return View(
            name="mixed",
            prediction=jax.nn.sigmoid(design @ theta)[:, None],
            outcome=jnp.asarray(y[:, None], jnp.float32),
            strata=jax.nn.one_hot(jnp.asarray(y), 2),
            sensitive=codes,
            share=jnp.full(ROWS, 1 / ROWS),
            balance=(balance,),
            strength=jnp.ones(1),
        )

    seeded = handlers.seed(PENALTIES[penalty], rng_seed=0)
    codes, balance, _, _ = known(frame, y, kind, np.ones(ROWS, bool))
    sites = handlers.trace(seeded).get_trace(
        penalty, view(AT, codes, balance), attributes, criterion
    )
    networks = {k: v["value"] for k, v in sites.items() if v["type"] == "param"}
    networks = jax.tree.map(lambda layer: 5 * layer, networks)  # its start knows nearly nothing

    def term(theta, networks, codes, balance):
        penalised = handlers.substitute(seeded, data=networks)
        own = view(theta, codes, balance)
        sites = handlers.trace(penalised).get_trace(penalty, own, attributes, criterion)
        (site,) = (v for v in sites.values() if v["type"] == "sample")
        return -site["fn"].log_prob(site["value"]).sum()

    gradients = jax.grad(term, (0, 1))
    ahead = jax.tree.leaves(gradients(AT, networks, codes, balance)[1])
    length = jnp.sqrt(sum((leaf**2).sum() for leaf in ahead)) if ahead else 1.0

    @jax.jit
    def found(given):
        codes, balance = given
        prediction, adversary = gradients(AT, networks, codes, balance)
        each = zip(jax.tree.leaves(adversary), ahead, strict=True)
        along = sum(((one * full).sum() for one, full in each), jnp.zeros(())) / length
        value = term(AT, networks, codes, balance)
        return jnp.concatenate([value[None], prediction, *[along[None]] * bool(ahead)])

    return found


@pytest.fixture(scope="module", params=["number", "groups"])
def drawn(request, rows):
    """The table without gaps, and many with gaps: what `known` returns, stacked."""
    rng = np.random.default_rng(1)
    there = [np.ones(ROWS, bool), *(rng.uniform(size=(TABLES, ROWS)) >= LOST)]
    found = [known(*rows, request.param, one) for one in there]
    codes, balances = (jnp.asarray(np.stack([one[at] for one in found])) for at in (0, 1))
    return request.param, codes, balances, found[0][3].attributes


LONG = [
    pytest.param(penalty, criterion, marks=[] if quick else pytest.mark.long)
    for penalty in PENALTIES
    for criterion in CRITERIA
    for quick in [criterion == "equalized_odds" and penalty in ("decision_adversarial", "moment")]
]


@pytest.mark.parametrize(("penalty", "criterion"), LONG)
def test_gaps_at_random_leave_penalties_and_their_gradients_as_they_are(
    rows, drawn, penalty, criterion
):
    """On average over tables, up to Monte-Carlo error, and a hundredth.

    The hundredth is for functions of means that are curved: with 30 % fewer of some 75 rows in a
    cell they differ by .3 / .7 / 75 of their curvature. A sum over known rows, not divided by what
    it is of, would be 30 % off.
    """
    kind, codes, balances, attributes = drawn
    found = measured(*rows, kind, penalty, criterion, attributes)
    every = np.asarray(jax.lax.map(found, (codes, balances)))
    full, each = every[0], every[1:]
    sizes = np.abs(full)
    sizes[1:4] = np.linalg.norm(full[1:4])  # the prediction's gradient is one vector
    allowed = 4 * each.std(axis=0, ddof=1) / TABLES**0.5 + 0.01 * sizes
    assert (allowed < 0.2 * sizes).all()
    assert (np.abs(each.mean(axis=0) - full) < allowed).all()


def test_gaps_change_no_strength(rows):
    """What a weight is multiplied by depends on the outcomes, not on how many tell their S."""
    frame, y = rows
    there = np.arange(ROWS) % 10 >= 3
    for penalty in ("decision_adversarial", "moment"):
        whole, fewer = (known(frame, y, "number", t, penalty) for t in (there | True, there))
        assert (whole[2] == fewer[2]).all()
        assert fewer[1] == pytest.approx(whole[1] / 0.7, rel=0.05)  # levels of the known rows
        assert fewer[3].attributes == whole[3].attributes


def test_where_the_covariate_has_the_gaps_too_a_weight_acts_as_one_divided_by_what_is_known():
    """The likelihood moves a covariate's slope by 70 % of the rows, the penalty as by all.

    By hand: p = sigmoid(a + b age) where age is known, else sigmoid(a). The mean over tables of the
    likelihood's gradient in b is .7 of what it is without gaps, that of the penalty is 1.
    """
    rng = np.random.default_rng(0)
    age = jnp.asarray(rng.uniform(-1.5, 1.5, ROWS), jnp.float32)
    y = jnp.asarray(rng.uniform(size=ROWS) < jax.nn.sigmoid(2 * age), jnp.float32)
    place = jnp.where(age < -0.5, 0, jnp.where(age < 0.5, 1, 2))

    def terms(slope, there):
        p = jax.nn.sigmoid(-0.3 + slope * age * there)
        view = View(
            name="mixed",
            prediction=p[:, None],
            outcome=y[:, None],
            strata=jax.nn.one_hot(y.astype(int), 2),
            sensitive=jnp.where(there, place, -1)[:, None],
            share=jnp.full(ROWS, 1 / ROWS),
            balance=(jnp.ones(3),),
            strength=jnp.ones(1),
        )
        gaps, _ = group_gaps(view, 0, AttributeCodes("age", 3), "demographic_parity")
        return -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p)).mean(), gaps.mean()

    found = jax.jit(jax.vmap(jax.jacobian(terms), (None, 0)))
    there = np.concatenate([np.ones((1, ROWS), bool), rng.uniform(size=(400, ROWS)) >= LOST])
    for each, expected in zip(found(1.0, there), (1 - LOST, 1.0), strict=True):
        ratio = np.asarray(each[1:] / each[0])
        assert ratio.mean() == pytest.approx(expected, abs=float(ratio.std() / 5) + 0.005)


def test_gaps_that_are_a_group_weaken_the_penalty_of_the_others(rows):
    """Three groups and a fourth that is like all: the mean gap is three quarters of what it was."""
    rng = np.random.default_rng(2)
    means = []
    for there in (np.ones((1, ROWS), bool), rng.uniform(size=(TABLES, ROWS)) >= LOST):
        tables = [known(*rows, "groups", one, exclude=None) for one in there]
        codes, balances = (jnp.asarray(np.stack([one[at] for one in tables])) for at in (0, 1))
        attributes = tables[0][3].attributes
        term = measured(*rows, "groups", "moment", "demographic_parity", attributes)
        means.append(float(jax.lax.map(term, (codes, balances))[:, 0].mean()))
    assert attributes[0].levels == 4
    assert means[1] == pytest.approx(0.75 * means[0], rel=0.05)
