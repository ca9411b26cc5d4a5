"""Clusters that fill up change nothing: terms, gradients, fits and predictions are the same."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pyfairme as pf
from pyfairme.data import Batch
from pyfairme.inference import cluster_classifier, predictions, svi
from pyfairme.inference.cluster_buckets import (
    cluster_bucket,
    filled_spec,
    levels_of,
    resized_params,
)
from pyfairme.inference.compiled_steps import engine
from pyfairme.inference.elbo import negative_elbo
from pyfairme.inference.svi import Schedule, fit
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.networks import mlp_apply
from pyfairme.model.program import ModelSpec, Objective, Totals

SHORT = Schedule(epochs=1, min_steps=200, batch_size=64, learning_rate=3e-3)


def made(clusters: tuple[int, ...], likelihood=None, rows: int = 200, **terms) -> tuple:
    """Return a structure with an effect for every factor and an adversary for it, and rows."""
    rng = np.random.default_rng(sum(clusters))
    factors = tuple(
        RandomEffects(f"g{i}", size, column=i, **terms) for i, size in enumerate(clusters)
    )
    adversaries = tuple((f.name, f.clusters) for f in factors)
    spec = ModelSpec(likelihood or Bernoulli(), 3, (8,), factors, adversaries)
    batch = Batch(
        x=rng.normal(size=(rows, 3)).astype(np.float32),
        y=rng.integers(0, 2, rows).astype(np.int32),
        cluster=np.stack([rng.integers(0, size, rows) for size in clusters], 1).astype(np.int32),
        slopes=rng.normal(size=(rows, 2)).astype(np.float32),
        sensitive=np.zeros((rows, 0), np.int32),
        weight=rng.uniform(0.5, 2.0, rows).astype(np.float32),
        offset=np.zeros(rows, np.float32),
    )
    if likelihood is not None:
        batch = batch._replace(y=rng.normal(size=rows).astype(np.float32))
    return spec, batch


STRUCTURES = [
    made((3,)),
    made((13,), slopes=(0, 1)),
    made((9,), slopes=(1,), correlated=True),
    made((70, 5), Normal(), slopes=(0,)),  # above 64 each row looks its cluster up
    made((21,), intercept=False, slopes=(0, 1), correlated=True),
]


@pytest.mark.long
@pytest.mark.parametrize(("spec", "batch"), STRUCTURES)
def test_terms_and_gradients_are_those_of_the_clusters_there_are(spec, batch):
    own, wide = engine(spec, "mean_field"), engine(filled_spec(spec), "mean_field")
    batch = jax.tree.map(jnp.asarray, batch)
    objective = Objective(fixed=0.5, cluster=0.3)
    filled = objective._replace(levels=levels_of(spec))
    totals, key = Totals(200.0, 100.0), jax.random.key(1)
    state = own.init(jax.random.key(0), batch, objective)
    wide.init(jax.random.key(0), batch, filled)  # so that it knows its constraints
    params = jax.tree.map(np.asarray, own.constrain(state.params))

    def judged(machine, at, numbers):
        def loss(at):
            terms = negative_elbo(machine.program, machine.guide, at, key, batch, numbers, totals)
            return sum(terms.values()), terms

        (_, terms), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(at)
        return terms, jax.tree.map(np.asarray, slope)

    terms, slope = judged(own, params, objective)
    room = resized_params(params, spec, filled_spec(spec))
    wide_terms, wide_slope = judged(wide, room, filled)
    assert terms.keys() == wide_terms.keys()
    for name, value in terms.items():
        assert float(wide_terms[name]) == pytest.approx(float(value), rel=1e-6, abs=1e-6), name
    cut = resized_params(wide_slope, filled_spec(spec), spec)
    for one, other in zip(jax.tree.leaves(slope), jax.tree.leaves(cut), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    # nothing moves what does not exist
    kept = sum(np.abs(v).sum() for v in jax.tree.leaves(cut))
    every = sum(np.abs(v).sum() for v in jax.tree.leaves(wide_slope))
    assert every == pytest.approx(kept, rel=1e-6)


@pytest.mark.long
@pytest.mark.parametrize(("spec", "batch"), STRUCTURES[1:3])
def test_whole_fits_are_those_of_the_clusters_there_are(spec, batch, monkeypatch):
    objective = Objective(fixed=0.5, cluster=0.3)
    found = fit(spec, "mean_field", batch, None, objective, SHORT, seed=3)
    monkeypatch.setattr(svi, "can_be_filled", lambda guide: False)
    exact = fit(spec, "mean_field", batch, None, objective, SHORT, seed=3)
    assert found.history[-1] == pytest.approx(exact.history[-1], rel=1e-3)
    shapes = [jax.tree.map(np.shape, one.params) for one in (found, exact)]
    assert shapes[0] == shapes[1]
    for name, value in exact.params.items():
        for one, other in zip(
            jax.tree.leaves(value), jax.tree.leaves(found.params[name]), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=name)


def test_the_cluster_classifier_is_that_of_the_clusters_there_are(monkeypatch):
    _, batch = made((11,))
    found = cluster_classifier.fit_membership(batch, 0, 11, seed=0)
    monkeypatch.setattr(cluster_classifier, "cluster_bucket", lambda clusters: clusters)
    exact = cluster_classifier.fit_membership(batch, 0, 11, seed=0)
    # Adam makes rounding visible in single weights, not in what they say
    one, other = (
        jax.nn.softmax(mlp_apply(layers, jnp.asarray(batch.x))[0]) for layers in (found, exact)
    )
    assert one.shape == (200, 11)
    np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.long
def test_predictions_are_those_of_the_clusters_there_are(monkeypatch):
    data = pf.datasets.make_clustered(200, 11, random_state=1)
    model = pf.FairMixedEffectsClassifier(
        "cluster", hidden=(4,), random_state=0, progress=False, network_posterior="none"
    ).fit(data.frame, data.target)
    X = data.frame.head(30).copy()
    X.loc[X.index[:10], "cluster"] = "new"  # which share in known clusters, by membership

    def answers():
        return model.predict_proba(X), model.predict_interval(X).to_numpy(float)

    found = answers()
    monkeypatch.setattr(predictions, "filled_spec", lambda spec: spec)
    monkeypatch.setattr(predictions, "filled_effects", lambda spec, draws, axis: dict(draws))
    monkeypatch.setattr(predictions, "filled_columns", lambda values, factor: values)
    for one, exact in zip(found, answers(), strict=True):
        np.testing.assert_allclose(one, exact, atol=2e-6)


def test_a_bucket_holds_its_clusters_and_little_more():
    for clusters in (1, 2, 8, 9, 63, 64, 65, 100, 999, 12_345):
        room = cluster_bucket(clusters)
        assert clusters <= room <= max(8, 2 * clusters if clusters <= 64 else clusters * 9 / 8 + 1)
        assert cluster_bucket(room) == room


def test_a_start_of_other_clusters_is_refused():
    spec, batch = made((13,))
    other = replace(spec, factors=(replace(spec.factors[0], clusters=30),), adversaries=())
    start = [fit(other, "mean_field", batch, None, Objective(), SHORT, seed=0).params]
    with pytest.raises(ValueError, match="bad-start"):
        svi.fit_members(
            replace(spec, adversaries=()), "mean_field", batch, None, Objective(), SHORT, (0,),
            start=start,
        )  # fmt: skip
