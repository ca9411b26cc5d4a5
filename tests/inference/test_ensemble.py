"""An ensemble is one program whose members are fits of their own."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pyfairme.inference import fit_program as train_module
from pyfairme.inference.cluster_buckets import filled_spec
from pyfairme.inference.compiled_steps import _evaluate, engine
from pyfairme.inference.fit_program import lean, train
from pyfairme.inference.fit_stages import STAGES
from pyfairme.inference.predictions import Query, mean_link
from pyfairme.inference.svi import FLOOR_STEPS, Schedule, fit, fit_members
from pyfairme.model.effects import RandomEffects
from pyfairme.model.program import totals_of
from tests.inference.test_svi import FAIR, PLAIN, SHORT, make_objective, make_rows

EARLY = Schedule(
    epochs=1, min_steps=4000, batch_size=64, learning_rate=2e-2, early_stopping=True, patience=3
)


@pytest.fixture(scope="module")
def rows():
    return make_rows()


@pytest.fixture(scope="module")
def held():
    return make_rows(150, seed=1)


@pytest.fixture(scope="module")
def pair(rows):
    return fit_members(PLAIN, "mean_field", rows, None, make_objective(PLAIN), SHORT, (3, 4))


@pytest.fixture(scope="module")
def early(rows, held):
    objective = make_objective(FAIR)
    return fit_members(FAIR, "mean_field", rows, held, objective, EARLY, (0, 1, 2))


def assert_close(one, other, **tolerance):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for name, value in one.items():
        for a, b in zip(jax.tree.leaves(value), jax.tree.leaves(other[name]), strict=True):
            np.testing.assert_allclose(a, b, err_msg=name, **tolerance)


def test_a_member_does_not_depend_on_its_company(rows, pair):
    objective = make_objective(PLAIN)
    company = fit_members(PLAIN, "mean_field", rows, None, objective, SHORT, (4, 9, 7))
    assert_close(pair[1].params, company[0].params, rtol=1e-3, atol=1e-4)
    assert pair[1].history[-1] == pytest.approx(company[0].history[-1], rel=1e-3, abs=1e-4)


def test_members_have_their_own_start_noise_and_order(pair):
    first, second = (one.params for one in pair)
    assert np.abs(first["network"][0].weight - second["network"][0].weight).max() > 0.1
    assert np.abs(first["g_intercept_loc"] - second["g_intercept_loc"]).max() > 1e-3


def test_a_member_is_as_good_as_a_fit_with_its_seed(rows, held):
    """Only the generator of the guide's noise differs: the same losses, the same effects."""
    longer = Schedule(epochs=1, min_steps=1500, batch_size=64, learning_rate=3e-3)
    objective = make_objective(PLAIN)
    members = fit_members(PLAIN, "mean_field", rows, held, objective, longer, (3, 4))
    for seed, member in zip((3, 4), members, strict=True):
        alone = fit(PLAIN, "mean_field", rows, held, objective, longer, seed)
        assert jax.tree.structure(alone.params) == jax.tree.structure(member.params)
        for term in ("validation/mixed", "validation/fixed", "kl"):
            expected = alone.history[-1][term]
            assert member.history[-1][term] == pytest.approx(expected, rel=0.1), term
        locs = [one.params["g_intercept_loc"] for one in (alone, member)]
        np.testing.assert_allclose(*locs, atol=0.2)


def test_one_program_serves_every_ensemble_of_its_size(rows, pair):
    machine = engine(filled_spec(PLAIN), "mean_field", ensemble=True)
    compiled = machine.run._cache_size()
    assert compiled >= 1
    objective = make_objective(PLAIN)._replace(fixed=1.0)
    fit_members(PLAIN, "mean_field", rows, None, objective, SHORT, (20, 30))
    assert machine.run._cache_size() == compiled


@pytest.mark.long
def test_each_member_stops_on_its_own_and_keeps_its_best_state(held, early):
    lengths, objective = [], make_objective(FAIR)
    for member in early:
        scores = [row.get("validation/score", np.inf) for row in member.history]
        assert member.best == int(np.argmin(scores))
        assert len(member.history) == member.best + 1 + EARLY.patience
        lengths.append(len(member.history))
    assert len(set(lengths)) > 1  # one went on while another had stopped
    machine, held = engine(FAIR, "mean_field", ensemble=True), jax.tree.map(jnp.asarray, held)
    objective = jax.tree.map(jnp.asarray, objective)
    for member in early:  # the state kept is the one of the best row, though training went on
        params = jax.tree.map(jnp.asarray, member.params)
        terms = _evaluate(machine.program, machine.guide, params, held, objective, totals_of(held))
        expected = member.history[member.best]["validation/mixed"]
        assert float(terms["mixed"]) == pytest.approx(expected, rel=1e-4)


def test_report_sees_every_chunk_once_until_the_last_member_stops(rows, held, early):
    seen = []
    members = fit_members(
        FAIR, "mean_field", rows, held, make_objective(FAIR), EARLY, (0, 1, 2),
        seen.append,
    )  # fmt: skip
    chunks = max(len(one.history) for one in members)
    done = [one.done for one in seen if one.stage == "training" and one.total == 4000]
    assert done == [i * FLOOR_STEPS for i in range(chunks + 1)]
    assert seen[2].note == f"loss {np.mean([one.history[0]['mixed'] for one in members]):.4f}"
    last = [one.history[-1]["mixed"] for one in members if len(one.history) == chunks]
    assert seen[-1].note == f"loss {np.mean(last):.4f}"
    assert [one.history for one in members] == [one.history for one in early]  # the same again


def test_a_loss_that_is_not_finite_stops_the_ensemble(rows):
    broken = rows._replace(x=np.sign(rows.x) * np.float32(3e38))
    with pytest.raises(FloatingPointError, match=r"not finite at epoch .* \(terms: .*Lower learn"):
        fit_members(PLAIN, "mean_field", broken, None, make_objective(PLAIN), SHORT, (0, 1))


def test_train_stacks_members_and_their_histories(rows, held):
    objective = make_objective(PLAIN)
    seen = []
    found = train(
        PLAIN, "mean_field", rows, held, objective, EARLY, seed=0, members=3, report=seen.append
    )
    after = [one[:3] for one in seen if one.stage not in ("compiling", "training")]
    each = [(stage, i, 3) for stage in ("posterior", "diagnostics") for i in range(3)]
    assert after == [*each, ("cluster classifier", 0, 1)]
    assert list(dict.fromkeys(one.stage for one in seen)) == list(STAGES[1:-1])
    assert found.fit.draws["g_intercept"].shape == (3, 1000, 4, 1)
    assert found.fit.network[0].weight.shape == (3, 3, 8)
    assert found.fit.centre.shape == (3, 1)
    history = found.history
    assert list(history["member"]) == sorted(history["member"])
    best = history.groupby("member")["validation/score"].apply(lambda s: int(np.nanargmin(s)))
    assert found.epochs == best.max() + 1
    means = found.fit.draws["g_intercept"].mean(axis=1)
    assert np.abs(means[0] - means[1]).max() > 0.01


def test_draws_of_many_effects_are_shared_out_over_the_members(rows, monkeypatch):
    size = 5  # four intercepts and their scale
    monkeypatch.setattr(train_module, "DRAWN_VALUES", 300.0 * size)
    objective = make_objective(PLAIN)
    for members, expected in ((1, 300), (2, 150)):
        found = train(
            PLAIN, "mean_field", rows, None, objective, SHORT, seed=0, members=members, infer=False
        )  # fmt: skip
        assert found.fit.draws["g_intercept"].shape == (members, expected, 4, 1)


@pytest.mark.long
def test_the_centre_is_the_mean_fixed_link(rows):
    """Of a latent last layer too: the mean over draws of the link equals the mean layer's link."""
    spec = replace(PLAIN, last_layer=True)
    objective = make_objective(spec)
    found = train(spec, "mean_field", rows, None, objective, SHORT, seed=0, infer=False).fit
    batch = rows._replace(offset=rows.offset + 0.0)
    link = mean_link(Query(spec, found.network, found.draws, found.centre, batch, None), "fixed")
    spread = found.draws["output_bias"].std()
    np.testing.assert_allclose(found.centre[0], link.mean(axis=0), atol=4 * spread / 200**0.5)


def test_an_idle_cluster_adversary_of_many_clusters_is_left_out():
    few, many = (replace(FAIR, adversaries=(("g", size),)) for size in (4, 65))
    idle, active = make_objective(FAIR, cluster=0.0), make_objective(FAIR, cluster=0.1)
    assert lean(few, idle) is few
    assert lean(many, active) is many
    assert lean(many, idle) == replace(many, adversaries=())


def test_inferring_more_clusters_than_can_be_told_apart_warns_before_training(rows):
    spec = replace(PLAIN, factors=(RandomEffects("g", 1001),))
    objective = make_objective(spec)
    message = r"unseen='infer' tells up to 1,000 clusters apart, .*'g' has 1,001.*'population'"
    with pytest.warns(UserWarning, match=message):
        found = train(spec, "mean_field", rows, None, objective, SHORT, seed=0)
    assert found.fit.membership == ((),)  # of each factor
    assert found.fit.draws["g_intercept"].shape == (1, 1000, 1001, 1)
