import numpy as np
import pytest

from pyfairme.data import Batch
from pyfairme.inference.adversary_skill import add_skill, chance, find_collapse, judge
from pyfairme.model.likelihoods import Bernoulli, Normal
from pyfairme.model.penalties import AttributeCodes

SEX = (AttributeCodes("sex", 2),)
EVEN = (np.ones(2, np.float32),)


def make_case(unfair, rows=1200, seed=0):
    """Rows whose link leaks the group within each outcome class, or does not."""
    rng = np.random.default_rng(seed)
    group, y = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    link = (y - 0.5 + unfair * (group - 0.5) + rng.normal(size=rows))[:, None].astype(np.float32)
    zeros = np.zeros((rows, 0), np.float32)
    batch = Batch(
        zeros, y, np.zeros((rows, 0), np.int32), zeros, group[:, None].astype(np.int32),
        np.ones(rows, np.float32), np.zeros(rows, np.float32),
    )  # fmt: skip
    return link, batch


def test_chance_is_the_entropy_given_the_outcome():
    _, batch = make_case(0.0)
    y, s = batch.y, batch.sensitive[:, 0]
    expected = 0.0
    for c in (0, 1):
        share = np.mean(s[y == c])
        expected -= np.mean(y == c) * (share * np.log(share) + (1 - share) * np.log(1 - share))
    view = judge(Bernoulli(), np.zeros((1200, 1), np.float32), y, "equalized_odds")
    assert chance(batch, 0, EVEN[0], view) == pytest.approx(expected)


def test_balanced_chance_is_log_of_the_number_of_levels():
    rng = np.random.default_rng(0)
    _, batch = make_case(0.0)
    s = (rng.uniform(size=1200) < 0.05).astype(np.int32)
    counts = np.bincount(s)
    balance = 1200 / (2 * counts)
    view = judge(Bernoulli(), np.zeros((1200, 1), np.float32), batch.y, "demographic_parity")
    found = chance(batch._replace(sensitive=s[:, None]), 0, balance, view)
    assert found == pytest.approx(np.log(2))


def test_skill_is_one_minus_the_share_of_chance():
    history = [{"validation/adversarial/mixed/sex": 0.5}]
    add_skill(history, {"adversarial/mixed/sex": 0.625}, "validation/")
    assert history[0]["skill/mixed/sex"] == pytest.approx(0.2)


def _find(link, batch, skill, likelihood=None, y=None):
    likelihood = likelihood or Bernoulli()
    view = judge(likelihood, link, batch.y if y is None else y, "equalized_odds")
    skills = {"skill/mixed/sex": skill}
    return find_collapse({"mixed": view}, skills, SEX, batch, EVEN, seed=0)


def test_at_chance_while_a_probe_sees_the_group_is_a_collapse():
    (found,) = _find(*make_case(2.0), skill=0.0)
    assert "adversary of 'sex' on the mixed prediction is at chance" in found.text
    assert "fresh probe beats chance by" in found.text
    assert found.of_adversary


def test_at_chance_with_the_probe_at_chance_is_success():
    assert _find(*make_case(0.0), skill=0.0) == []


def test_groups_of_single_rows_are_not_probed():
    link, batch = make_case(0.0, rows=60)
    many = batch._replace(sensitive=np.arange(60, dtype=np.int32)[:, None] % 40)
    view = judge(Bernoulli(), link, many.y, "equalized_odds")
    attributes, even = (AttributeCodes("sex x race", 40),), (np.ones(40, np.float32),)
    skills = {"skill/mixed/sex x race": 0.0}
    assert find_collapse({"mixed": view}, skills, attributes, many, even, seed=0) == []


def test_an_adversary_with_skill_is_not_probed():
    assert _find(*make_case(2.0), skill=0.3) == []


def test_constant_and_diverging_predictions_are_collapses():
    link, batch = make_case(0.0)
    (flat,) = _find(0 * link + 0.2, batch, 0.3)
    (far,) = _find(1e3 * link, batch, 0.3)
    assert "mixed prediction is nearly constant" in flat.text
    assert "mixed prediction diverges" in far.text
    assert not flat.of_adversary
    assert not far.of_adversary


def test_a_real_target_is_judged_too():
    link, batch = make_case(3.0)
    y = np.random.default_rng(1).normal(size=len(link)).astype(np.float32)
    assert len(_find(link, batch, 0.0, Normal(), y)) == 1


def test_chance_of_equal_opportunity_counts_positive_rows():
    """Balanced weights have mean 1 over all rows although only positive rows carry any."""
    link, batch = make_case(0.0)
    positive = batch.y == 1
    mass = np.bincount(batch.sensitive[positive, 0])
    balance = 1200 / (2 * mass)
    view = judge(Bernoulli(), link, batch.y, "equal_opportunity")
    assert chance(batch, 0, balance, view) == pytest.approx(np.log(2))


def test_a_real_outcome_that_tells_the_group_is_not_the_predictions_fault():
    """S follows from y, the prediction knows nothing: chance is low, and no probe beats it."""
    rng = np.random.default_rng(0)
    link, batch = make_case(0.0)
    y = rng.normal(size=1200).astype(np.float32)
    batch = batch._replace(sensitive=(y + rng.normal(size=1200) > 0).astype(np.int32)[:, None])
    link = rng.normal(size=(1200, 1)).astype(np.float32)
    view = judge(Normal(), link, y, "equalized_odds")
    assert chance(batch, 0, EVEN[0], view) < 0.95 * np.log(2)
    assert _find(link, batch, 0.0, Normal(), y) == []
