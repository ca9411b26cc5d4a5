"""How often a probe finds what is not there, and how often what is."""

import numpy as np
import pytest

from pyfairme.inference.adversary_probe import FEWEST_ROWS, probe


def case(rows, seed, shift=0.0, shares=(0.55, 0.45)):
    """What an adversary saw, levels, classes, and balancing weights; S shifts the link."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(len(shares), rows, p=shares)
    y = (rng.random(rows) < 0.25).astype(int)
    link = 1.2 * y - 1 + rng.normal(size=rows) + shift * (codes > 0)
    told = np.stack([1 / (1 + np.exp(-link)), y], axis=1)
    counts = np.bincount(codes, minlength=len(shares))
    return told, codes, y, rows / (len(shares) * np.maximum(counts, 1))


@pytest.mark.long
@pytest.mark.parametrize("shares", [(0.55, 0.45), (0.9, 0.06, 0.03, 0.01)])
@pytest.mark.parametrize("rows", [60, 200])
def test_false_alarms_are_rare(rows, shares):
    """At .01 in all, of 80 at most 4 by chance (binomial, .999); two standard errors gave 12 %."""
    found = [probe(*case(rows, seed, shares=shares), seed).beats_chance for seed in range(80)]
    assert sum(found) <= 4


@pytest.mark.parametrize("looks", [1, 40])
def test_what_tells_the_group_is_found(looks):
    """1 SD of the link between groups, 600 rows: a gain of .1 nats, 5 standard errors."""
    found = [probe(*case(600, seed, shift=1.0), seed, looks) for seed in range(12)]
    assert sum(one.beats_chance for one in found) >= 10
    assert np.mean([one.gain for one in found]) == pytest.approx(0.1, abs=0.03)


def test_few_rows_are_not_probed():
    assert not probe(*case(FEWEST_ROWS - 1, 0, shift=5.0), 0).beats_chance
    assert probe(*case(FEWEST_ROWS + 20, 0, shift=5.0), 0).beats_chance


@pytest.mark.long
def test_more_looks_ask_for_more():
    """A gain of some 3.2 standard errors is one among one, and none among a hundred."""
    seeds = range(30)
    one, many = (
        [probe(*case(900, seed, shift=0.55), seed, looks).beats_chance for seed in seeds]
        for looks in (1, 100)
    )
    assert sum(many) < sum(one)
    assert not any(late and not early for early, late in zip(one, many, strict=True))
