import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

import pyfairme as pf
from pyfairme.data import Batch
from pyfairme.inference.cluster_buckets import filled_spec
from pyfairme.inference.compiled_steps import engine
from pyfairme.inference.svi import FLOOR_STEPS, Schedule, bucket, fit, pad, table_bucket
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.penalties import AttributeCodes, penalties_of
from pyfairme.model.program import ModelSpec, Objective, Totals

ATTRIBUTES = (AttributeCodes("sex", 2), AttributeCodes("race", 3))
PLAIN = ModelSpec(Bernoulli(), 3, (8,), (RandomEffects("g", 4),), fixed_loss=True)
FAIR = ModelSpec(
    Bernoulli(), 3, (8,), (RandomEffects("g", 4),), (("g", 4),), ATTRIBUTES,
    penalties_of("adversarial"), ("fixed", "mixed"),
)  # fmt: skip
SHORT = Schedule(epochs=1, min_steps=300, batch_size=64, learning_rate=3e-3)


def make_rows(rows=600, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    cluster = rng.integers(0, 4, rows)
    sensitive = np.stack([(x[:, 0] + rng.normal(size=rows) > 0), rng.integers(0, 3, rows)], axis=1)
    link = 1.5 * x[:, 0] - x[:, 1] + np.array([-1.0, 0.0, 0.5, 1.0])[cluster]
    return Batch(
        x=x,
        y=(rng.uniform(size=rows) < 1 / (1 + np.exp(-link))).astype(np.int32),
        cluster=cluster[:, None].astype(np.int32),
        slopes=np.zeros((rows, 0), np.float32),
        sensitive=sensitive.astype(np.int32),
        weight=np.ones(rows, np.float32),
        offset=np.zeros(rows, np.float32),
    )


def make_objective(spec, strength=0.3, cluster=0.1):
    fairness = {
        p: {v: np.full(len(ATTRIBUTES), strength, np.float32) for v in spec.views}
        for p, _ in spec.penalties
    }
    balance = (np.ones(2, np.float32), np.ones(3, np.float32))
    return Objective(0.5, cluster=cluster, fairness=fairness, balance=balance)


@pytest.fixture(scope="module")
def rows():
    return make_rows()


@pytest.fixture(scope="module")
def held(rows):
    return make_rows(150, seed=1)


@pytest.mark.long
def test_weight_zero_equals_the_model_without_adversaries(rows):
    plain = fit(PLAIN, "mean_field", rows, None, make_objective(PLAIN), SHORT, seed=3)
    zero = make_objective(FAIR, strength=0.0, cluster=0.0)
    fair = fit(FAIR, "mean_field", rows, None, zero, SHORT, seed=3)
    for name, value in plain.params.items():
        for one, other in zip(jax.tree.leaves(value), jax.tree.leaves(fair.params[name])):  # noqa: B905
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=name)


def test_adversaries_change_the_fit_when_their_weight_is_not_zero(rows):
    fits = [
        fit(FAIR, "mean_field", rows, None, make_objective(FAIR, strength=s), SHORT, seed=3)
        for s in (0.0, 1.0)
    ]
    first, second = (jax.tree.leaves(f.params["network"])[0] for f in fits)
    assert np.abs(first - second).max() > 1e-3


def test_a_second_fit_of_the_same_shape_compiles_nothing(rows):
    fit(FAIR, "mean_field", rows, None, make_objective(FAIR), SHORT, seed=0)
    compiled = engine(filled_spec(FAIR), "mean_field").run._cache_size()
    assert compiled >= 1  # tests of other shapes may have run before
    fewer = Batch(*(a[:-1] for a in rows))  # a fold with one row less
    other = Schedule(epochs=2, min_steps=500, batch_size=64, learning_rate=1e-3, warm_up=0.5)
    fit(FAIR, "mean_field", fewer, None, make_objective(FAIR, strength=2.0), other, seed=9)
    assert engine(filled_spec(FAIR), "mean_field").run._cache_size() == compiled


def test_the_same_seed_gives_the_same_fit(rows):
    one, same, other = (
        fit(PLAIN, "mean_field", rows, None, make_objective(PLAIN), SHORT, seed=s)
        for s in (1, 1, 2)
    )
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(same.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history[-1]["mixed"] != other.history[-1]["mixed"]


def test_history_names_every_term(rows, held):
    trained = fit(FAIR, "mean_field", rows, held, make_objective(FAIR), SHORT, seed=0)
    assert len(trained.history) == SHORT.min_steps // FLOOR_STEPS
    adversaries = {
        f"adversarial/{view}/{a.name}" for view in ("fixed", "mixed") for a in ATTRIBUTES
    }
    terms = {"mixed", "fixed", "cluster_adversary/g"} | adversaries
    expected = {"epoch", "kl"} | terms | {f"validation/{term}" for term in terms}
    disparities = {f"validation/{name.replace('adversarial', 'disparity')}" for name in adversaries}
    assert set(trained.history[-1]) == expected | disparities
    assert trained.history[-1]["mixed"] < trained.history[0]["mixed"]


def test_a_loss_that_is_not_finite_stops_with_advice(rows):
    broken = rows._replace(x=np.sign(rows.x) * np.float32(3e38))
    with pytest.raises(FloatingPointError, match=r"not finite at epoch .* \(terms: .*Lower learn"):
        fit(PLAIN, "mean_field", broken, None, make_objective(PLAIN), SHORT, seed=0)


def test_early_stopping_keeps_the_best_score_after_the_warm_up(rows, held):
    schedule = Schedule(
        epochs=1, min_steps=4000, batch_size=64, learning_rate=2e-2, early_stopping=True, patience=4
    )
    trained = fit(FAIR, "mean_field", rows, held, make_objective(FAIR), schedule, seed=0)
    scores = [row.get("validation/score", np.inf) for row in trained.history]
    warm = int(0.2 * 4000 / FLOOR_STEPS) - 1
    assert np.isinf(scores[:warm]).all()  # no epoch counts before λ has its full strength
    assert trained.best == int(np.argmin(scores))
    assert len(trained.history) == trained.best + 1 + schedule.patience  # it did stop early


def test_report_sees_every_chunk(rows):
    seen = []
    fit(PLAIN, "mean_field", rows, None, make_objective(PLAIN), SHORT, 0, seen.append)
    steps = [(i * FLOOR_STEPS, 3 * FLOOR_STEPS) for i in range(4)]
    assert [one[:3] for one in seen] == [("compiling", 0, 1), *(("training", *s) for s in steps)]


def test_padding_changes_nothing():
    """Full-batch steps of 33 rows padded to a bucket equal those of the rows alone, in expectation.

    The loss of padded rows has weight 0: the first chunk's loss is that of the bare rows.
    """
    rows = make_rows(33)
    assert bucket(33) > 33
    padded = pad(rows, bucket(33))
    assert padded.weight.sum() == 33
    machine = engine(PLAIN, "mean_field")
    objective = make_objective(PLAIN)
    state = machine.init(jax.random.key(0), padded, objective)
    one = machine.evaluate(state.params, padded, objective, Totals(33.0, 33.0))
    other = machine.evaluate(state.params, rows, objective, Totals(33.0, 33.0))
    assert float(one["mixed"]) == pytest.approx(float(other["mixed"]), rel=1e-5)


@pytest.mark.parametrize("rows", [1, 33, 513, 1024])
def test_buckets_of_few_rows_are_powers_of_two(rows):
    assert rows <= bucket(rows) <= max(32, 2 * rows - 1)
    assert bucket(rows).bit_count() == 1


@pytest.mark.parametrize("rows", [1025, 2048, 18_403, 274_000])
def test_buckets_of_many_rows_waste_little(rows):
    assert rows <= bucket(rows) <= rows * 17 / 16 + 1


@pytest.mark.parametrize("rows", [1, 256, 257, 540, 1025, 1791, 4096, 4097, 274_000])
def test_sizes_of_tables_are_few_and_hold_the_rows(rows):
    assert rows <= table_bucket(rows) <= max(1024, 2 * rows - 1)
    assert rows > 4096 or table_bucket(rows) in (256, 1024, 2048, 4096)


def test_weights_of_rows_count_as_copies(rows):
    """A Normal model with weight 2 on some rows equals the table with these rows twice."""
    rng = np.random.default_rng(5)
    few = Batch(*(a[:200] for a in rows))._replace(y=rng.normal(size=200).astype(np.float32))
    double = few._replace(weight=np.where(np.arange(200) < 100, 2.0, 1.0).astype(np.float32))
    twice = np.r_[np.arange(200), np.arange(100)]
    copies = Batch(*(a[twice] for a in few))
    spec = ModelSpec(Normal(), 3, (), (RandomEffects("g", 4),))
    slow = Schedule(epochs=1, min_steps=3000, batch_size=512, learning_rate=3e-3)
    found = [
        fit(spec, "mean_field", table, None, make_objective(spec), slow, 0).params
        for table in (double, copies)
    ]
    np.testing.assert_allclose(
        found[0]["network"][0].weight, found[1]["network"][0].weight, atol=0.01
    )
    np.testing.assert_allclose(found[0]["g_intercept_loc"], found[1]["g_intercept_loc"], atol=0.03)


def test_the_name_of_a_factor_changes_nothing(rows):
    """Adversaries learn at a rate of their own; a column called so is none."""
    short = replace(SHORT, min_steps=20)
    fits = {}
    for name in ("g", "adversary"):
        spec = replace(PLAIN, factors=(RandomEffects(name, 4),))
        found = fit(spec, "mean_field", rows, None, make_objective(spec), short, seed=3).params
        fits[name] = found[f"{name}_intercept_loc"]
    np.testing.assert_array_equal(fits["g"], fits["adversary"])


@pytest.mark.long
@pytest.mark.parametrize(("rows", "guide"), [(290, "auto"), (523, "block")])
def test_whole_fits_are_those_of_the_rows_there_are(rows, guide, monkeypatch):
    """Rows that fill a table up have no part in training, in the second stage or in predictions."""
    data = pf.datasets.make_clustered(rows, 4, random_state=rows)
    keywords = {"hidden": (4,), "min_steps": 100, "guide": guide, "random_state": 0}
    model = pf.FairMixedEffectsClassifier("cluster", ["group1"], progress=False, **keywords)
    found = model.fit(data.frame, data.target).predict_proba(data.frame)
    scales = model.cluster_effects_["mean"].to_numpy()
    for name, module in list(sys.modules.items()):
        if name.startswith("pyfairme.") and hasattr(module, "table_bucket"):
            monkeypatch.setattr(module, "table_bucket", lambda rows: rows)
    exact = model.fit(data.frame, data.target).predict_proba(data.frame)
    np.testing.assert_allclose(found, exact, atol=1e-3)
    np.testing.assert_allclose(scales, model.cluster_effects_["mean"], atol=5e-3)
