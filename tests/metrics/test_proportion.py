import numpy as np
import pytest
from scipy import stats

from pyfairme.metrics.proportion import proportion_interval


def test_of_independent_rows_it_is_wilsons():
    for hits, n in ((0, 12), (3, 12), (12, 12), (700, 1000)):
        rows = np.arange(n) < hits
        expected = stats.binomtest(hits, n).proportion_ci(0.8, method="wilson")
        found = proportion_interval(rows.astype(int), level=0.8)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def clustered(seed):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(20), 30)
    rate = rng.beta(3, 2, 20)[codes]  # mean .6
    return rng.random(600) < rate, codes


def share_covered(grouped):
    found = []
    for seed in range(400):
        hits, codes = clustered(seed)
        interval = proportion_interval(hits.astype(int), groups=codes if grouped else None)
        found.append(interval.low <= 0.6 <= interval.high)
    return np.mean(found)


def test_with_groups_it_covers_where_rows_hang_together():
    assert share_covered(grouped=False) < 0.6
    assert 0.86 < share_covered(grouped=True) < 0.96


def test_groups_that_say_nothing_are_rows():
    """Of hits only, 4 groups of 100 rows are worth 4 rows."""
    hits, codes = np.ones(400), np.repeat(np.arange(4), 100)
    found = proportion_interval(hits, groups=codes)
    assert found.low == pytest.approx(4 / (4 + stats.t.ppf(0.95, 3) ** 2))
    assert found.high == 1


def test_groups_never_help():
    hits = np.tile([0, 1], 50)
    alike = proportion_interval(hits, groups=np.repeat(np.arange(50), 2))  # each has a share of 1/2
    alone = proportion_interval(hits)
    assert alike.low < alone.low < alone.high < alike.high


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="groups has 1 group"):
        proportion_interval([0, 1], groups=["a", "a"])
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 90"):
        proportion_interval([0, 1], level=90)
    with pytest.raises(ValueError, match="hits must be 0 or 1"):
        proportion_interval([0, 2])
