"""R-hat and effective sample sizes against the installed ArviZ, and chains that stand still."""

import numpy as np
import pytest

from pyfairme.inference import chain_convergence
from pyfairme.inference.chain_convergence import FEWEST_DRAWS, worst


def autoregressive(shape, phi, seed=0):
    """Draws (chains, draws, numbers) of a process whose ESS is (1 - phi) / (1 + phi) of them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    for t in range(1, shape[1]):
        values[:, t] = phi * values[:, t - 1] + np.sqrt(1 - phi**2) * values[:, t]
    return values


def by_arviz(values):
    """R-hat, bulk and tail ESS of one number, (chains, draws), by the installed ArviZ."""
    try:
        from arviz_stats.base import array_stats
    except ImportError:
        import arviz as az

        return az.rhat(values), az.ess(values, method="bulk"), az.ess(values, method="tail")
    axes = {"chain_axis": 0, "draw_axis": 1}
    return (
        array_stats.rhat(values, **axes),
        array_stats.ess(values, method="bulk", **axes),
        array_stats.ess(values, method="tail", prob=(0.05, 0.95), **axes),
    )


def cases():
    mixed = autoregressive((2, 500, 1), 0.5)
    shifted = mixed + np.array([0.0, 1.0])[:, None, None]
    wide = mixed * np.array([1.0, 3.0])[:, None, None]  # the plain R-hat does not see this
    return {
        "mixed": mixed,
        "odd": mixed[:, :-1],
        "heavy": np.tan(1.5 * np.arctan(mixed)) ** 3,
        "shifted": shifted,
        "wide": wide,
    }


@pytest.mark.arviz
@pytest.mark.parametrize("name", list(cases()))
def test_they_are_those_of_arviz(name):
    values = cases()[name]
    rhat, bulk, tail = by_arviz(values[:, :, 0])
    found = worst(values)
    assert found.rhat == pytest.approx(float(rhat), abs=1e-6)
    assert found.ess_bulk == pytest.approx(float(bulk), rel=0.05)
    assert found.ess_tail == pytest.approx(float(tail), rel=0.05)


def test_one_chain_is_judged_by_its_halves():
    alone = cases()["mixed"][:1]
    assert worst(alone).rhat == pytest.approx(worst(np.split(alone, 2, axis=1)[0]).rhat, abs=0.05)
    drifting = alone + np.linspace(0, 4, 500)[:, None]
    assert worst(drifting).rhat > 1.5


def test_effective_size_of_an_autoregression():
    found = worst(autoregressive((4, 5000, 1), 0.6))
    assert found.ess_bulk == pytest.approx(20_000 * 0.4 / 1.6, rel=0.1)
    assert found.rhat < 1.01


def test_a_chain_of_another_width_is_found_by_rank_and_fold():
    from numpyro.diagnostics import split_gelman_rubin

    wide = cases()["wide"]
    assert split_gelman_rubin(wide[:, :, 0]) < 1.01
    assert worst(wide).rhat > 1.1


def test_the_worst_number_decides_and_constants_do_not_count(monkeypatch):
    values = autoregressive((2, 300, 5), 0.0)
    values[:, :, 1] = 4.0  # as a diagonal that is always 1
    values[1, :, 3] += 3.0
    alone = worst(values[:, :, 3])
    assert worst(values).rhat == alone.rhat > 1.5
    assert worst(values).ess_bulk == alone.ess_bulk
    monkeypatch.setattr(chain_convergence, "AT_ONCE", 600)  # one number at a time
    assert worst(values) == worst(values.reshape(2, 300, 5, 1))
    assert worst(values).rhat == alone.rhat


def test_chains_that_never_moved_have_no_worth():
    still = np.ones((2, 50, 3))
    assert np.isnan(worst(still)).all()
    still[1] = 2.0  # at different places
    assert np.isnan(worst(still)).all()
    still[1] += autoregressive((50, 3), 0.0)  # one of the two moves: they do not agree
    assert worst(still).rhat > 1.5


def test_the_fewest_draws_have_numbers():
    found = worst(autoregressive((2, FEWEST_DRAWS, 3), 0.0))
    assert np.isfinite(found).all()
