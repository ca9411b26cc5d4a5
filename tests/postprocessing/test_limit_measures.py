"""Limits of differences and ratios of rates, against linear programming over the rows."""

import numpy as np
import pytest
from scipy.optimize import check_grad, linprog
from scipy.special import expit

from pyfairme.postprocessing.joint_rule import Members, expected_rates, gains, joint_rule
from pyfairme.postprocessing.limit_support import MEASURES, Limit, support


def rows(n, seed, sizes=(3, 2)):
    """Probabilities that differ between the groups of attributes "a", "b", ..."""
    rng = np.random.default_rng(seed)
    codes = {name: rng.integers(k, size=n) for name, k in zip("abcd", sizes, strict=False)}
    shift = sum((-1) ** j * 0.5 * c for j, c in enumerate(codes.values()))
    p = expit(-1 + shift + rng.normal(size=n))
    return p, {name: Members.of(codes[name], k) for name, k in zip("abcd", sizes, strict=False)}


def doubtful(n, seed):
    """The same where only chances of groups are known, others for each outcome."""
    p, members = rows(n, seed)
    rng = np.random.default_rng(seed + 100)
    found = {}
    for name, known in members.items():
        two = [np.exp(2 * known.positive + 0.5 * rng.normal(size=known.positive.shape))
               for _ in range(2)]  # fmt: skip
        found[name] = Members(*(one / one.sum(1, keepdims=True) for one in two))
    return p, found


def shares(p, members, limit, mass):
    """How much each row's decision adds to the rate of each group, (n, groups)."""
    positive, negative = members[limit.attribute]
    weight = np.zeros_like(positive)
    weight += (limit.rate != "fpr") * (mass * p)[:, None] * positive
    weight += (limit.rate != "tpr") * (mass * (1 - p))[:, None] * negative
    return weight / weight.sum(0)


def linear_program(p, members, limits, objective, mass):
    """Least loss over all chances of a positive decision, rows of weight ``mass``."""
    reward, charge = gains(p, objective, mass)
    gain = mass * (reward * p - charge * (1 - p))
    table, bounds = [], []
    for limit in limits:
        share = shares(p, members, limit, mass)
        for g in range(share.shape[1]):
            for h in range(share.shape[1]):
                if g != h and limit.measure == "difference":
                    table.append(share[:, g] - share[:, h])
                    bounds.append(limit.bound)
                elif g != h:
                    table.append(limit.bound * share[:, g] - share[:, h])
                    bounds.append(0.0)
    found = linprog(-gain, A_ub=np.array(table), b_ub=bounds, bounds=(0, 1), method="highs")
    assert found.success
    return np.maximum(gain, 0).sum() + found.fun


CASES = [
    [("a", "tpr", 0.0, "difference")],
    [("a", "selection_rate", 0.05, "difference"), ("b", "selection_rate", 0.02, "difference")],
    [("a", "tpr", 0.04, "difference"), ("a", "fpr", 0.02, "difference")],
    [("a", "selection_rate", 0.8, "ratio")],
    [("a", "selection_rate", 0.9, "ratio"), ("b", "selection_rate", 0.95, "ratio")],
    [("a", "tpr", 0.9, "ratio"), ("b", "fpr", 0.8, "ratio")],
    [("b", "tpr", 1.0, "ratio"), ("a", "fpr", 0.03, "difference")],
]


@pytest.mark.parametrize("objective", ["balanced_accuracy", "accuracy"])
@pytest.mark.parametrize("limits", CASES)
@pytest.mark.parametrize("draw", [rows, doubtful])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_rule_within_differences_and_ratios_loses_less(draw, limits, objective, weighted):
    limits = tuple(Limit(*one) for one in limits)
    p, members = draw(800, seed=0)
    mass = np.random.default_rng(1).exponential(size=len(p)) if weighted else np.ones(len(p))
    mass /= mass.mean()
    least = linear_program(p, members, limits, objective, mass)
    rule = joint_rule(p, members, limits, objective, mass)
    chance = rule.chances(p, members)
    gain = mass * (rule.reward * p - rule.charge * (1 - p))
    loss = gain[gain > 0].sum() - gain @ chance
    assert least > 0.0003  # the limits cost something
    assert rule.least == pytest.approx(least, rel=0.01, abs=1e-5)
    assert rule.least <= least + 1e-9  # weak duality
    assert loss == pytest.approx(least, rel=0.05, abs=4e-5)
    for limit in limits:
        found = expected_rates(chance, p, members[limit.attribute], limit.rate, mass)
        assert limit.excess(found) < 5e-4


def test_the_four_fifths_rule_on_a_table_small_enough_to_try_every_rule():
    """Four kinds of rows, 100 of each: every rule decides so many of each kind."""
    p = np.array([0.2, 0.6, 0.1, 0.5]).repeat(100)
    group = np.array([0, 0, 1, 1]).repeat(100)
    members = {"g": Members.of(group, 2)}
    limit = Limit("g", "selection_rate", 0.8, "ratio")
    taken = np.stack(np.meshgrid(*[np.linspace(0, 1, 21)] * 4, indexing="ij"), -1).reshape(-1, 4)
    reward, charge = gains(p, "accuracy")
    gain = 100 * (reward * p - charge * (1 - p)).reshape(4, 100)[:, 0]
    first, second = taken[:, :2].mean(1), taken[:, 2:].mean(1)
    kept = np.minimum(first, second) >= 0.8 * np.maximum(first, second) - 1e-12
    best = (taken[kept] @ gain).max()
    rule = joint_rule(p, members, (limit,), "accuracy")
    chance = rule.chances(p, members)
    found = 100 * (reward * p - charge * (1 - p)) @ chance / 100
    assert found == pytest.approx(best, abs=2e-4)
    assert gain[gain > 0].sum() - rule.least == pytest.approx(best, abs=2e-4)


def test_limits_of_different_kinds_hold_together():
    p, members = rows(8000, seed=5, sizes=(5, 3, 2))
    limits = (
        Limit("a", "selection_rate", 0.8, "ratio"),
        Limit("b", "tpr", 0.02, "sd"),
        Limit("b", "fpr", 0.01, "difference"),
        Limit("c", "selection_rate", 0.9, "ratio"),
    )
    rule = joint_rule(p, members, limits, "balanced_accuracy")
    chance = rule.chances(p, members)
    gain = rule.reward * p - rule.charge * (1 - p)
    loss = np.maximum(gain, 0).sum() - gain @ chance
    for limit in limits:
        found = expected_rates(chance, p, members[limit.attribute], limit.rate)
        assert -0.002 < limit.excess(found) < 2e-4  # all of them bind
    assert 0.001 < rule.least <= loss < rule.least + 3e-4


@pytest.mark.parametrize("measure", MEASURES)
def test_limits_that_bind_nothing_are_one_threshold(measure):
    p, members = rows(500, seed=1)
    bound = 0.0 if measure == "ratio" else np.inf
    rule = joint_rule(p, members, (Limit("a", "tpr", bound, measure),), "accuracy")
    assert rule.least == 0
    assert set(rule.chances(p, members)) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("measure", "bound"),
    [("sd", 0.0), ("sd", 0.1), ("difference", 0.0), ("difference", 0.2), ("ratio", 0.0),
     ("ratio", 0.7), ("ratio", 1.0)],
)  # fmt: skip
def test_a_support_function_is_the_largest_price_of_allowed_rates(measure, bound):
    """Against rates drawn at random and made to keep the limit by mixing with their mean."""
    rng = np.random.default_rng(0)
    limit = Limit("a", "tpr", bound, measure)
    w = rng.normal(size=4)
    if measure != "ratio":
        w -= w.mean()
    exact = support(w, limit, 0.0).value
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4), -1).reshape(-1, 4)
    drawn = np.concatenate([rng.random((3000, 4)), corners])
    best = 0.0
    for mix in np.linspace(0, 1, 51):
        r = mix * drawn + (1 - mix) * drawn.mean(1, keepdims=True)
        kept = np.array([limit.excess(one) for one in r]) <= 1e-12
        best = max(best, float((r[kept] @ w).max(initial=0.0)))
    assert best <= exact + 1e-9  # no allowed rates are worth more
    assert best > 0.85 * exact - 1e-9


@pytest.mark.parametrize("measure", MEASURES)
def test_slopes_and_curvatures_are_those_of_the_value(measure):
    rng = np.random.default_rng(2)
    limit, e = Limit("a", "tpr", 0.3, measure), 0.1
    for _ in range(20):
        w = rng.normal(size=5) * 0.3

        def value(x):
            return support(x, limit, e).value

        def slope(x):
            return support(x, limit, e).slope

        assert check_grad(value, slope, w) < 1e-5
        bent = support(w, limit, e, curved=True).curvature
        numeric = np.stack([(slope(w + d) - slope(w - d)) / 2e-5 for d in 1e-5 * np.eye(5)])
        np.testing.assert_allclose(bent, numeric, atol=1e-5)
        assert np.linalg.eigvalsh(bent).min() > -1e-10  # convex


@pytest.mark.parametrize(("seed", "bound"), [(4, 0.8), (6, 0.5), (18, 0.8), (20, 0.8)])
def test_ratios_of_a_rule_that_decides_nobody_positively_are_kept(seed, bound):
    """Few rows are likelier positive than not, all of one group: the optimum is nobody at all.

    Of coins that rounding had left, one in 10^5 to 10^8 rows, ratios were any number.
    """
    rng = np.random.default_rng(seed)
    codes, p = rng.integers(0, 2, 400), rng.beta(1, 6, 400)
    p = np.where(codes == 0, p, p / 2)
    members, mass = {"g": Members.of(codes, 2)}, np.ones(400)
    limits = tuple(Limit("g", rate, bound, "ratio") for rate in ("tpr", "fpr", "selection_rate"))
    rule = joint_rule(p, members, limits, "accuracy")
    gain = rule.reward * p - rule.charge * (1 - p)
    least = linear_program(p, members, limits, "accuracy", mass)
    assert 0 < gain[gain > 0].sum() == pytest.approx(least)  # all that there was to gain
    chance = rule.chances(p, members)
    assert not chance.any()
    for limit in limits:
        found = expected_rates(chance, p, members["g"], limit.rate)
        assert limit.excess(found) <= 0
