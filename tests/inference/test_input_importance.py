"""Gradients against finite differences and against a linear model's coefficients."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from pyfairme.data import Batch
from pyfairme.inference.input_importance import (
    mean_absolute_changes,
    mean_absolute_gradients,
    rank_features,
)
from pyfairme.inference.predictions import Query, mean_link
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.networks import Layer
from pyfairme.model.program import ModelSpec

WEIGHT = np.array([0.5, -1.0, 0.2])
SLOPE = np.array([0.8, -0.4])  # of the last column, one per cluster


def make_query(likelihood, membership=None):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    codes = rng.integers(0, 2, (40, 1)).astype(np.int32)
    batch = Batch(
        x, None, codes, x[:, 2:] + 1.5, np.zeros((40, 0), np.int32), np.ones(40, np.float32),
        np.zeros(40, np.float32),
    )  # fmt: skip
    spec = ModelSpec(likelihood, 3, (), (RandomEffects("g", 2, intercept=False, slopes=(0,)),))
    network = (Layer(jnp.asarray(WEIGHT[None, :, None], jnp.float32), jnp.zeros((1, 1))),)
    draws = {"g_slopes": np.tile(SLOPE[:, None, None], (1, 5, 1, 1, 1)).astype(np.float32)}
    if isinstance(likelihood, Normal):
        draws["residual_sd"] = np.ones((1, 5), np.float32)
    return Query(spec, network, draws, np.zeros((1, 1), np.float32), batch, membership)


def test_a_linear_model_has_its_coefficients():
    query = make_query(Normal())
    fixed = mean_absolute_gradients(query, "fixed", (2,))
    np.testing.assert_allclose(fixed, np.abs(WEIGHT), rtol=1e-5)
    mixed = mean_absolute_gradients(query, "mixed", (2,))
    z = query.batch.cluster[:, 0]
    expected = [0.5, 1.0, np.abs(WEIGHT[2] + SLOPE[z]).mean()]
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)
    random = mean_absolute_gradients(query, "random", (2,))
    np.testing.assert_allclose(random, [0, 0, np.abs(SLOPE[z]).mean()], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("soft", [False, True])
def test_probabilities_agree_with_finite_differences(soft):
    membership = (np.tile(np.float32([0.3, 0.7]), (40, 1)),) if soft else None
    query = make_query(Bernoulli(), membership)
    found = mean_absolute_gradients(query, "mixed", (2,))

    def probability(shift):
        x = query.batch.x + shift
        moved = query.batch._replace(x=x, slopes=query.batch.slopes + shift[2:])
        link = mean_link(query._replace(batch=moved), "mixed")[:, 0].astype(np.float64)
        return special.expit(link)

    for column in range(3):
        step = np.zeros(3, np.float32)
        step[column] = 1e-2
        slope = (probability(step) - probability(-step)) / 2e-2
        assert found[column] == pytest.approx(np.abs(slope).mean(), rel=1e-2)
    p = special.expit(query.batch.x @ WEIGHT)
    if not soft:
        assert mean_absolute_gradients(query, "fixed", (2,))[0] == pytest.approx(
            0.5 * (p * (1 - p)).mean(), rel=1e-3
        )


def test_exchanged_values_of_a_linear_model_differ_by_what_chance_says():
    query = make_query(Normal())
    places = {"both": (0, 1), "sloped": (2,)}
    x, z = query.batch.x.astype(float), query.batch.cluster[:, 0]
    both = x[:, :2] @ WEIGHT[:2]
    pairs = ~np.eye(len(x), dtype=bool)  # every row but itself is equally likely
    apart = np.abs(both[:, None] - both)[pairs].mean()
    step = np.abs(x[:, 2][:, None] - x[:, 2])
    fixed = mean_absolute_changes(query, "fixed", places, (2,), seed=0)
    # 20 exchanges of 40 rows: standard error about 3 %
    np.testing.assert_allclose(fixed, [apart, 0.2 * step[pairs].mean()], rtol=0.1)
    mixed = mean_absolute_changes(query, "mixed", places, (2,), seed=0)
    rate = np.abs(WEIGHT[2] + SLOPE[z])[:, None]  # the slope moves along
    np.testing.assert_allclose(mixed, [apart, (rate * step)[pairs].mean()], rtol=0.1)
    random = mean_absolute_changes(query, "random", places, (2,), seed=0)
    assert random[0] == 0
    assert mean_absolute_changes(query, "mixed", places, (2,), seed=0).tolist() == mixed.tolist()


def test_columns_of_one_covariate_are_joined_by_the_root_of_their_squares():
    found = rank_features(np.array([3.0, 2.0, 4.0]), ["colour", "age", "colour"])
    assert found["feature"].tolist() == ["colour", "age"]
    assert found["importance"].tolist() == [5.0, 2.0]
    assert found["share"].tolist() == pytest.approx([5 / 7, 2 / 7])
    assert found["rank"].tolist() == [1, 2]
