import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpyro import handlers

from pyfairme.model.networks import mlp_init
from pyfairme.model.penalties import (
    PENALTIES,
    AttributeCodes,
    View,
    cluster_adversary,
    group_gaps,
    members,
)
from pyfairme.model.penalties.adversarial import HASHED_CLASSES, Adversarial, with_waves

ATTRIBUTES = (AttributeCodes("sex", 2), AttributeCodes("race", 4))


def _view(rows=60, seed=0, strength=(1.0, 1.0), **keywords):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    sensitive = np.stack([rng.integers(0, a.levels, rows) for a in ATTRIBUTES], axis=1)
    weight = rng.uniform(0.5, 2, rows)
    return View(
        name="mixed",
        prediction=jnp.asarray(rng.uniform(size=(rows, 1)), jnp.float32),
        outcome=jnp.asarray(y[:, None], jnp.float32),
        strata=jax.nn.one_hot(y, 2),
        sensitive=jnp.asarray(sensitive),
        share=jnp.asarray(weight / weight.sum(), jnp.float32),
        balance=tuple(jnp.ones(a.levels) for a in ATTRIBUTES),
        strength=jnp.asarray(strength, jnp.float32),
        **keywords,
    )


def _run(penalty, view, criterion="equalized_odds", params=None, seed=0):
    """Trace a penalty: its parameters, and its terms (losses) by name."""
    program = handlers.seed(PENALTIES[penalty], rng_seed=seed)
    if params is not None:
        program = handlers.substitute(program, data=params)
    sites = handlers.trace(program).get_trace(penalty, view, ATTRIBUTES, criterion)
    params = {k: v["value"] for k, v in sites.items() if v["type"] == "param"}
    terms = {
        k: -v["fn"].log_prob(v["value"]).sum() for k, v in sites.items() if v["type"] == "sample"
    }
    return params, terms


def _prediction_gradient(penalty, view, criterion="equalized_odds", only=None):
    params, _ = _run(penalty, view, criterion)

    def total(prediction):
        _, terms = _run(penalty, view._replace(prediction=prediction), criterion, params)
        return sum(v for k, v in terms.items() if only is None or k.endswith(only))

    return jax.grad(total)(view.prediction)


@pytest.mark.long
def test_terms_are_named_by_penalty_view_and_attribute():
    for penalty in PENALTIES:
        _, terms = _run(penalty, _view())
        assert set(terms) == {f"{penalty}/mixed/sex", f"{penalty}/mixed/race"}


def test_adversary_is_a_weighted_cross_entropy():
    balance = (jnp.array([0.5, 2.0]), jnp.array([1.0, 0.3, 2.0, 4.0]))
    view = _view()._replace(balance=balance)
    params, terms = _run("adversarial", view)
    first, last = params["adversary_mixed"]
    p, y, share = (
        np.asarray(a, np.float64) for a in (view.prediction, view.outcome, view.share[:, None])
    )
    mean = np.average(p, weights=share)
    z = (p - mean) / np.sqrt(np.average((p - mean) ** 2, weights=share))
    features = np.hstack([np.hstack([z, y, z * y])] * 2)
    inner = np.kron(np.eye(2), np.ones((3, 16)))
    outer = np.zeros((32, 6))
    outer[:16, :2], outer[16:, 2:] = 1, 1
    hidden = np.maximum(features @ (np.asarray(first.weight) * inner) + first.bias, 0)
    logits = hidden @ (np.asarray(last.weight) * outer) + last.bias
    for index, (name, columns) in enumerate((("sex", slice(0, 2)), ("race", slice(2, 6)))):
        part = np.asarray(logits[:, columns], np.float64)
        log_p = part - np.log(np.exp(part).sum(axis=1, keepdims=True))
        s = np.asarray(view.sensitive[:, index])
        each = -np.asarray(balance[index])[s] * log_p[np.arange(len(s)), s]
        expected = float(np.asarray(view.share, np.float64) @ each)
        assert float(terms[f"adversarial/mixed/{name}"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("scale", "shift"), [(0.01, 0.0), (0.1, 0.3), (-0.5, 0.9)])
def test_an_adversary_sees_small_probabilities_as_it_sees_large_ones(scale, shift):
    """Its terms do not change with shift and scale of the prediction; gradients, with 1 / scale."""
    view = _view()
    params, terms = _run("adversarial", view)
    sign = np.sign(scale)
    first, last = params["adversary_mixed"]
    turned = first.weight.at[0::3].multiply(sign).at[2::3].multiply(sign)  # of z and of z y
    params = {"adversary_mixed": (first._replace(weight=turned), last)}
    moved = view._replace(prediction=scale * view.prediction + shift)
    _, found = _run("adversarial", moved, params=params)
    for name, value in terms.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-4)

    def total(prediction, of):
        return sum(_run("adversarial", view._replace(prediction=prediction), params=of)[1].values())

    plain = jax.grad(total)(view.prediction, {"adversary_mixed": (first, last)})
    small = jax.grad(total)(moved.prediction, params)
    np.testing.assert_allclose(scale * small, plain, rtol=1e-3, atol=1e-6)


@pytest.mark.long
def test_constant_predictions_stay_finite_for_adversaries():
    view = _view()
    view = view._replace(prediction=jnp.full_like(view.prediction, 0.2))
    for penalty in ("adversarial", "decision_adversarial", "decision_only_adversarial"):
        for criterion in ("equalized_odds", "equal_opportunity"):
            assert np.isfinite(_prediction_gradient(penalty, view, criterion)).all()


def _trained_loss(penalty, p, group, steps):
    """The loss of an adversary of two groups, after so many steps at a fit's rate, on all rows."""
    rows, batch, sex = len(p), 256, ATTRIBUTES[:1]
    everything = View(
        name="mixed",
        prediction=jnp.asarray(p[:, None], jnp.float32),
        outcome=jnp.zeros((rows, 1)),
        strata=jax.nn.one_hot(jnp.zeros(rows, int), 2),
        sensitive=jnp.asarray(group[:, None]),
        share=jnp.full(rows, 1 / rows),
        balance=(jnp.ones(2),),
        strength=jnp.ones(1),
    )

    def loss(params, view):
        program = handlers.substitute(handlers.seed(penalty, 0), data=params)
        sites = handlers.trace(program).get_trace("adversarial", view, sex, "equalized_odds")
        return -sites["adversarial/mixed/sex"]["fn"].log_prob(0.0).sum()

    sites = handlers.trace(handlers.seed(penalty, 0)).get_trace(
        "adversarial", everything, sex, "equalized_odds"
    )
    params = {"adversary_mixed": sites["adversary_mixed"]["value"]}
    adam = optax.adam(5e-3)

    def step(state, chosen):
        params, moments = state
        some = everything._replace(
            **{k: getattr(everything, k)[chosen] for k in ("prediction", "outcome", "strata")},
            sensitive=everything.sensitive[chosen],
            share=jnp.full(batch, 1 / batch),
        )
        update, moments = adam.update(jax.grad(loss)(params, some), moments)
        return (optax.apply_updates(params, update), moments), None

    chosen = jnp.asarray(np.random.default_rng(1).integers(0, rows, (steps, batch)))
    (params, _), _ = jax.lax.scan(step, (params, adam.init(params)), chosen)
    return float(loss(params, everything))


@pytest.mark.long
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("scale", [0.3, 0.003])
def test_an_adversary_reaches_the_bayes_loss_at_any_scale(scale):
    """Two groups, one's predictions Normal, the other's a mixture of two about the same mean.

    Means are equal, so that no linear adversary tells them apart; the loss of the best one is the
    conditional entropy, an integral over the predictions. Both are within .02 nats after a fit's
    2,000 steps at a fit's rate; before, chance is log 2.
    """
    rng = np.random.default_rng(0)
    rows = 20_000
    group = rng.integers(0, 2, rows)
    centre = np.where(group == 0, 0.0, rng.choice([-1.2, 1.2], rows))
    p = 0.5 + scale * (centre + 0.5 * rng.normal(size=rows)) / 3
    at = np.linspace(-5, 5, 20_001)
    density = [
        np.exp(-2 * at**2),
        (np.exp(-2 * (at - 1.2) ** 2) + np.exp(-2 * (at + 1.2) ** 2)) / 2,
    ]
    one, two = (d / d.sum() for d in density)
    both = one + two
    bayes = -0.5 * float((one * np.log(one / both) + two * np.log(two / both)).sum())
    found = _trained_loss(PENALTIES["adversarial"], p, group, 2000)
    assert bayes < 0.55
    assert bayes - 0.01 < found < bayes + 0.02


@pytest.mark.usefixtures("optimised")
def test_an_adversary_with_waves_finds_a_group_in_narrow_ranges():
    """Sixteen ranges of a uniform prediction belong to one group and the other in turn.

    The prediction tells the group, so the best loss is 0; chance is log 2. In 200 steps, the time
    that a restart gives it alone, an adversary without waves has found a fiftieth of that, one with
    five a third. Of 12,000 rows the error of a mean loss is below .01.
    """
    rng = np.random.default_rng(0)
    p = rng.random(12_000)
    group = (16 * p).astype(int) % 2
    plain, waves = (_trained_loss(Adversarial(waves=w), p, group, 200) for w in (0, 5))
    assert plain > 0.97 * np.log(2)
    assert waves < 0.67 * np.log(2)


def test_an_adversary_without_waves_is_what_it_was():
    seen = jnp.array([[0.3, -1.0]])
    assert with_waves(seen, 0) is seen
    np.testing.assert_allclose(
        with_waves(seen, 2)[0],
        [0.3, -1, *np.sin([0.3, -1]), *np.cos([0.3, -1]), *np.sin([0.6, -2]), *np.cos([0.6, -2])],
        rtol=1e-6,
    )


def test_gradient_of_the_prediction_is_reversed_and_scaled_by_attribute():
    """The prediction ascends the adversary's loss: -λ times the gradient without reversal."""
    plain = _prediction_gradient("adversarial", _view(strength=(-1.0, -1.0)), only="race")
    for strength in (0.3, 2.0):
        found = _prediction_gradient("adversarial", _view(strength=(5.0, strength)), only="race")
        np.testing.assert_allclose(found, -strength * plain, rtol=1e-5, atol=1e-9)
    assert np.abs(plain).max() > 0


def test_an_adversary_of_decisions_only_moves_what_is_near_the_threshold():
    view = _view(threshold=0.5)
    far = (view.prediction < 0.15) | (view.prediction > 0.85)
    pull = {
        name: jnp.abs(_prediction_gradient(name, view))
        for name in ("decision_adversarial", "decision_only_adversarial")
    }
    largest = pull["decision_only_adversarial"].max()
    assert jnp.where(far, pull["decision_only_adversarial"], 0).max() < 1e-3 * largest
    assert jnp.where(far, pull["decision_adversarial"], 0).max() > 1e-2 * largest


def test_adversary_learns_at_full_strength_whatever_the_weight():
    params, _ = _run("adversarial", _view())

    def gradient(strength):
        view = _view(strength=(strength, strength))
        return jax.grad(lambda p: sum(_run("adversarial", view, params=p)[1].values()))(params)

    for one, other in zip(
        jax.tree.leaves(gradient(0.0)), jax.tree.leaves(gradient(3.0)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_adversaries_of_different_attributes_do_not_touch():
    params, _ = _run("adversarial", _view())
    gradient = jax.grad(
        lambda p: _run("adversarial", _view(), params=p)[1]["adversarial/mixed/sex"]
    )
    first, last = gradient(params)["adversary_mixed"]
    assert np.abs(first.weight[:3, :16]).max() > 0
    assert not first.weight[3:].any()
    assert not first.weight[:, 16:].any()
    assert not last.weight[16:].any()
    assert not last.weight[:, 2:].any()


def test_criteria_decide_what_the_adversary_is_told():
    view = _view()
    flipped = view._replace(outcome=1 - view.outcome)
    params, told = _run("adversarial", view)
    assert told != _run("adversarial", flipped, params=params)[1]
    params, blind = _run("adversarial", view, "demographic_parity")
    assert blind == _run("adversarial", flipped, "demographic_parity", params)[1]


def test_equal_opportunity_counts_positive_rows_only():
    view = _view()
    negative = np.asarray(view.outcome[:, 0]) == 0
    for penalty in PENALTIES:
        gradient = np.asarray(_prediction_gradient(penalty, view, "equal_opportunity"))
        assert not gradient[negative].any()
        assert np.abs(gradient[~negative]).max() > 0


def test_correlation_equals_numpy():
    view = _view()._replace(share=jnp.full(60, 1 / 60))
    _, terms = _run("correlation", view, "demographic_parity")
    for index, attribute in enumerate(ATTRIBUTES):
        s = np.asarray(view.sensitive[:, index])
        each = [
            abs(np.corrcoef(np.asarray(view.prediction[:, 0]), s == level)[0, 1])
            for level in range(attribute.levels)
        ]
        found = float(terms[f"correlation/mixed/{attribute.name}"])
        assert found == pytest.approx(np.mean(each), rel=1e-3)


def test_group_gaps_equal_weighted_means_by_hand():
    view = _view()
    p, y, w = (np.asarray(a, np.float64) for a in (view.prediction[:, 0], view.outcome, view.share))
    for index, attribute in enumerate(ATTRIBUTES):
        gaps, exists = group_gaps(view, index, attribute, "equalized_odds")
        for c in (0, 1):
            rows = y[:, 0] == c
            overall = np.average(p[rows], weights=w[rows])
            for level in range(attribute.levels):
                cell = rows & (np.asarray(view.sensitive[:, index]) == level)
                expected = abs(np.average(p[cell], weights=w[cell]) - overall)
                assert float(gaps[c, level, 0]) == pytest.approx(expected, abs=1e-6)
        assert exists.all()


def test_moment_leaves_empty_groups_out():
    view = _view()
    merged = view.sensitive.at[:, 1].set(jnp.minimum(view.sensitive[:, 1], 2))  # level 3 is empty
    view = view._replace(sensitive=merged)
    gaps, exists = group_gaps(view, 1, ATTRIBUTES[1], "demographic_parity")
    np.testing.assert_array_equal(exists[0, :, 0], [1, 1, 1, 0])
    _, terms = _run("moment", view, "demographic_parity")
    expected = float(gaps[0, :3].mean())
    assert float(terms["moment/mixed/race"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("penalty", ["correlation", "moment"])
def test_plain_penalties_log_themselves_and_scale_their_gradient(penalty):
    values, gradients = [], []
    for strength in (0.5, 1.0):
        view = _view(strength=(strength, strength))
        values.append(_run(penalty, view)[1][f"{penalty}/mixed/sex"])
        gradients.append(_prediction_gradient(penalty, view, only="sex"))
    assert values[0] == values[1]
    np.testing.assert_allclose(2 * gradients[0], gradients[1], rtol=1e-5)


def test_rows_of_a_level_never_seen_belong_to_no_group():
    view = _view()
    rows = view.sensitive.at[:10].set(-1)
    for penalty in PENALTIES:
        gradient = _prediction_gradient(penalty, view._replace(sensitive=rows))
        assert np.isfinite(gradient).all()
    gradient = _prediction_gradient("adversarial", view._replace(sensitive=rows))
    assert not np.asarray(gradient)[:10].any()


@pytest.mark.long
@pytest.mark.parametrize("clusters", [5, 3 * HASHED_CLASSES])
def test_cluster_adversary_reverses_and_bounds_its_classes(clusters):
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(40, 6)), jnp.float32)
    codes = jnp.asarray(rng.integers(0, clusters, 40))
    share = jnp.full(40, 1 / 40)

    def loss(values, strength, params=None):
        program = handlers.seed(cluster_adversary, rng_seed=0)
        if params is not None:
            program = handlers.substitute(program, data=params)
        sites = handlers.trace(program).get_trace("f", clusters, values, codes, share, strength)
        site = sites["cluster_adversary/f"]
        return -site["fn"].log_prob(site["value"]).sum(), sites["adversary_cluster_f"]["value"]

    value, layers = loss(hidden, jnp.array(1.0))
    classes = min(clusters, HASHED_CLASSES)
    assert layers[-1].weight.shape == (16, classes)
    assert float(value) == pytest.approx(np.log(classes), rel=0.05)  # the last layer starts narrow
    params = {"adversary_cluster_f": layers}
    plain = jax.grad(lambda h: loss(h, jnp.array(-1.0), params)[0])(hidden)
    found = jax.grad(lambda h: loss(h, jnp.array(0.2), params)[0])(hidden)
    np.testing.assert_allclose(found, -0.2 * plain, rtol=1e-5, atol=1e-10)


@pytest.mark.long
def test_a_cluster_adversary_of_many_classes_sees_a_fair_sample_of_the_rows():
    """Every row has the same chance to be seen, so loss and gradient are those of all on average.

    Every start of the sample is drawn once or more; each is weighted by how often, so that the
    comparison is exact but for rounding.
    """
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(40, 6)), jnp.float32)
    codes = jnp.asarray(rng.integers(-1, 5, 40))
    share = jnp.asarray(rng.uniform(size=40), jnp.float32)
    layers = tuple(
        layer._replace(weight=jnp.asarray(rng.normal(size=layer.weight.shape), jnp.float32))
        for layer in mlp_init(jax.random.key(0), (6, 16, 5))
    )

    def loss(key, values, cells):
        program = handlers.seed(cluster_adversary, rng_seed=key)
        program = handlers.substitute(program, data={"adversary_cluster_f": layers})
        inputs = ("f", 5, values, codes, share, jnp.array(0.3))
        site = handlers.trace(program).get_trace(*inputs, cells=cells)["cluster_adversary/f"]
        return -site["fn"].log_prob(site["value"]).sum()

    found = jax.jit(
        jax.vmap(jax.value_and_grad(loss, argnums=1), (0, None, None)), static_argnums=2
    )
    keys = jax.random.split(jax.random.key(1), 4000)
    values, gradients = found(keys, hidden, 50)  # 10 of 40 rows
    sampled = np.abs(np.asarray(gradients)).max(axis=2) > 0  # a code of -1 has no gradient
    assert set(sampled.sum(axis=1)) <= set(range(7, 11))
    _, start, times = np.unique(sampled, axis=0, return_index=True, return_counts=True)
    assert len(start) == 4  # rows 0, 4, 8, ... and their neighbours: starts 4 apart are one sample
    np.testing.assert_allclose(times / 4000, 0.25, atol=4 * (0.25 * 0.75 / 4000) ** 0.5)
    whole, gradient = found(keys[:1], hidden, None)
    np.testing.assert_allclose(np.mean(values[start]), whole[0], rtol=1e-5)
    np.testing.assert_allclose(np.mean(gradients[start], axis=0), gradient[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("criterion", ["equalized_odds", "demographic_parity"])
@pytest.mark.parametrize("penalty", list(PENALTIES))
def test_rows_of_no_group_count_for_nothing(penalty, criterion):
    """As if the rows were not there, but for the adversaries' share and unit.

    Both are of all rows of the batch: here rows of no group have the predictions and shares of
    those of some group, so that mean and standard deviation stay.
    """
    out = np.arange(60) % 2 == 0
    view = _view()
    view = view._replace(
        prediction=view.prediction.at[out].set(view.prediction[~out]),
        share=view.share.at[out].set(view.share[~out]),
    )
    codes = np.array(view.sensitive)
    codes[out, 1] = -1
    fewer = {name: getattr(view, name)[~out] for name in ("prediction", "outcome", "strata")}
    rest = view._replace(**fewer, sensitive=view.sensitive[~out], share=view.share[~out])
    params, found = _run(penalty, view._replace(sensitive=jnp.asarray(codes)), criterion)
    _, expected = _run(penalty, rest, criterion, params)
    name = f"{penalty}/mixed/race"
    np.testing.assert_allclose(found[name], expected[name], rtol=2e-4, atol=1e-6)


def test_groups_of_codes_are_one_hot_and_places_between_them_are_shared():
    view = _view()
    exact = jax.nn.one_hot(view.sensitive[:, 1], 4)
    np.testing.assert_array_equal(members(view, 1, ATTRIBUTES[1]), exact)
    between = jnp.tile(jnp.array([[0.0], [0.25], [2.5], [-1.0]]), (15, 2))
    found = members(view._replace(sensitive=between), 1, ATTRIBUTES[1])
    np.testing.assert_allclose(
        found[:4], [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 0]]
    )


def test_gaps_of_a_number_are_those_of_weighted_means():
    """By hand: a row counts in each of its two groups with its share of it."""
    view = _view()
    place = np.random.default_rng(3).uniform(0, 3, 60).astype(np.float32)
    both = jnp.stack([jnp.zeros(60), jnp.asarray(place)], axis=1)
    gaps, exists = group_gaps(view._replace(sensitive=both), 1, ATTRIBUTES[1], "demographic_parity")
    share, p = np.asarray(view.share, float), np.asarray(view.prediction)[:, 0]
    for group in range(4):
        weight = share * np.clip(1 - abs(place - group), 0, None)
        gap = abs(np.average(p, weights=weight) - np.average(p, weights=share))
        assert gaps[0, group, 0] == pytest.approx(gap, abs=1e-6)
    assert bool((exists == 1).all())


@pytest.mark.parametrize("penalty", ["moment", "kernel", "correlation"])
def test_predictions_that_follow_a_number_cost_more_than_shuffled_ones(penalty):
    place = np.random.default_rng(4).uniform(0, 3, 60).astype(np.float32)
    both = jnp.stack([jnp.asarray(place) / 3, jnp.asarray(place)], axis=1)
    wave = 0.5 + 0.4 * np.sin(place[:, None] * 2)  # not linear in the number
    view = _view()._replace(sensitive=both, prediction=jnp.asarray(wave, jnp.float32))
    follows = _run(penalty, view, "demographic_parity")[1][f"{penalty}/mixed/race"]
    shuffled = np.random.default_rng(5).permutation(wave)
    view = view._replace(prediction=jnp.asarray(shuffled, jnp.float32))
    assert follows > 2 * _run(penalty, view, "demographic_parity")[1][f"{penalty}/mixed/race"]
