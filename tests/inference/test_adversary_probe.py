"""How often a probe finds what is not there, and how often what is."""

import numpy as np
import pytest

from pyfairme.inference.adversary_probe import FEWEST_ROWS, probe, units_of_level


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


def visits(seed, patients, each, shift=0.0):
    """The same of patients with a sex and a level of prediction each, and several visits."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(patients), each)
    codes = np.repeat(rng.integers(0, 2, patients), each)
    link = np.repeat(rng.normal(size=patients), each) + 0.3 * rng.normal(size=len(who))
    p = 1 / (1 + np.exp(-link - shift * codes))
    y = (rng.random(len(who)) < p).astype(int)
    return np.stack([p, y], axis=1), codes, y, np.ones(2), who


@pytest.mark.long
def test_visits_of_few_patients_are_no_evidence_of_many():
    """What 50 patients' sex has to do with their level by chance, 1,000 rows seem to prove.

    Of 40 sound tables at .01 in all 3 may be flagged (binomial, .999); by rows a quarter is.
    """
    found = []
    for seed in range(40):
        *given, who = visits(seed, patients=50, each=20)
        units = units_of_level(who[:, None], given[1])
        found.append(probe(*given, seed, 8, units).beats_chance)
    assert sum(found) <= 3


def test_a_level_that_tells_the_sex_of_patients_is_found():
    """300 patients whose level is 1.5 SD of their own higher: 12 of 12."""
    found = []
    for seed in range(12):
        *given, who = visits(seed, patients=300, each=4, shift=1.5)
        found.append(probe(*given, seed, 8, units_of_level(who[:, None], given[1])).beats_chance)
    assert sum(found) >= 11


def test_units_are_clusters_that_have_one_level_each():
    rng = np.random.default_rng(0)
    patient, ward = np.repeat(np.arange(60), 5), rng.integers(0, 40, 300)
    sex = rng.integers(0, 2, 60)[patient]
    two = np.stack([ward, patient], axis=1)
    np.testing.assert_array_equal(units_of_level(two, sex), patient)
    assert units_of_level(two, rng.integers(0, 2, 300)) is None  # varies within both
    assert units_of_level(np.repeat(np.arange(29), 5)[:, None], np.repeat(np.arange(29), 5)) is None
    assert units_of_level(np.zeros((300, 0), int), sex) is None  # no grouping factor
    assert units_of_level(np.arange(300)[:, None], sex) is None  # one row each
    unknown = np.full((300, 1), -1)
    assert units_of_level(unknown, sex) is None
    odd = np.where(np.arange(300) == 7, 1 - sex, sex)  # one visit recorded otherwise
    np.testing.assert_array_equal(units_of_level(patient[:, None], odd), patient)


@pytest.mark.long
def test_levels_that_a_stratum_lacks_are_no_gain():
    """Eight levels in tenths of a real outcome of 120 rows: six rows of a half are in a tenth.

    What the prediction tells beyond the outcome is nothing. Shares of the tenths alone are a guess
    that the probe beats by 1.8 nats in the mean, 2.8 at most, where ln 8 = 2.1 are to be had.
    """
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=120)
        hidden = y + rng.normal(size=120)
        codes = np.searchsorted(np.quantile(hidden, np.arange(1, 8) / 8), hidden)
        strata = np.searchsorted(np.quantile(y, np.arange(1, 10) / 10), y)
        told = np.stack([y + rng.normal(size=120), y], axis=1)
        found.append(probe(told, codes, strata, np.ones(8), seed, 2))
    assert max(one.gain for one in found) < 0.2
    assert not any(one.beats_chance for one in found)
