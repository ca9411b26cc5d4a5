"""What belonging to a cluster tells: against simulated effects whose likeness is known."""

import numpy as np
import pytest

from pyfairme.inference.cluster_similarity import GRID, PRIOR, _log_density, _some_rows, drawn

DRAWS, ROWS, NOISE = 200, 10, 0.1


def simulate(clusters, smooth, seed):
    """Return effects (S, G, 1), scales, memberships in others and codes of rows at their place.

    A cluster's effect is a wave of its place by a share of ``smooth``, else its own.
    """
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 10, clusters)
    own = rng.normal(size=clusters)
    effect = np.sqrt(2) * np.sin(place) * smooth + np.sqrt(1 - smooth**2) * own
    codes = np.repeat(np.arange(clusters), ROWS)
    near = -0.5 * ((place[codes, None] - place) / 0.3) ** 2
    near[np.arange(len(codes)), codes] = -np.inf
    others = np.exp(near - near.max(axis=1, keepdims=True))
    others /= others.sum(axis=1, keepdims=True)
    effects = effect + NOISE * rng.normal(size=(1, DRAWS, clusters))
    return effects[..., None], np.ones((1, DRAWS, 1)), others, codes


def posterior(clusters, smooth, seed):
    log_density = PRIOR + _log_density(*simulate(clusters, smooth, seed))
    weight = np.exp(log_density - log_density.max())
    return weight / weight.sum()


def test_likeness_is_found_where_it_is():
    found = {s: np.mean([posterior(40, s, i) @ GRID for i in range(5)]) for s in (0, 0.7, 1)}
    assert found[0] < 0.25
    assert found[0] + 0.1 < found[0.7] < found[1] - 0.1
    assert found[1] > 0.85


def test_two_others_say_little():
    """With 3 clusters the posterior is near its prior, Beta(1, 3) of mean 1/4."""
    found = np.mean([posterior(3, s, i) @ GRID for i in range(20) for s in (0, 1)])
    assert found == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("clusters", [4, 8, 40])
def test_no_one_looks_like_another_more_than_the_mean(clusters):
    """Memberships that are the same for all say nothing, though others' means lean away.

    Left out of effects that sum to 0, the others' mean is -u / (G - 1): without its own centre a
    perfect negative relation.
    """
    prior = np.exp(PRIOR) / np.exp(PRIOR).sum()
    found = []
    for seed in range(20):
        effects, scales, others, codes = simulate(clusters, 0.0, seed)
        effects = effects - effects.mean(axis=2, keepdims=True)
        others = np.full_like(others, 1 / (clusters - 1))
        others[np.arange(len(codes)), codes] = 0
        log_density = PRIOR + _log_density(effects, scales, others, codes)
        weight = np.exp(log_density - log_density.max())
        found.append(weight @ GRID / weight.sum())
    assert np.mean(found) == pytest.approx(prior @ GRID, abs=0.1)


def test_draws_have_the_posterior():
    weight = posterior(12, 1, 0)
    found = drawn(weight, (2, 500), seed=1)
    shares = np.array([(np.abs(found - at) < 1e-6).mean() for at in GRID])
    np.testing.assert_allclose(shares, weight, atol=1.1e-3)  # evenly: one draw of 1000 off


def test_rows_of_every_cluster_are_asked():
    codes = np.array([0] * 1000 + [1] * 3 + [-1] * 5)
    rows = _some_rows(codes, 2)
    assert set(rows) >= {1000, 1001, 1002}
    assert np.bincount(codes[rows]).tolist() == [100, 3]
