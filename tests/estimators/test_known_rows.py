"""Training rows among those that a model is judged on, in tables with and without twins."""

import numpy as np
import pytest

from pyfairme.data import Batch
from pyfairme.estimators.known_rows import compare, row_hashes


def table(rows, seed, levels=None):
    """Rows of two covariates, a cluster and a group; with so many levels, twins abound."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)) if levels is None else rng.poisson(levels, (rows, 2))
    codes = rng.integers(0, 3, (rows, 2)).astype(np.int32)
    none = np.zeros(rows, np.float32)
    return Batch(x.astype(np.float32), rng.integers(0, 2, rows), codes[:, :1],
                 np.zeros((rows, 0), np.float32), codes[:, 1:], none + 1, none)  # fmt: skip


def rows_of(batch, chosen):
    return Batch(*(part[chosen] for part in batch))


def test_equal_contents_have_equal_hashes_and_others_do_not():
    one = table(2000, 0)
    every = row_hashes(one)
    assert len(np.unique(every)) == 2000
    order = np.random.default_rng(0).permutation(2000)
    assert np.array_equal(row_hashes(rows_of(one, order)), every[order])
    for part in ("x", "y", "cluster", "sensitive", "offset"):
        moved = np.array(getattr(one, part))
        moved[7] += 1
        assert np.flatnonzero(row_hashes(one._replace(**{part: moved})) != every).tolist() == [7]
    assert np.array_equal(row_hashes(one._replace(weight=one.weight * 2)), every)


@pytest.mark.parametrize("levels", [None, 60, 3])
@pytest.mark.parametrize("known", [0.0, 0.3, 1.0])
def test_training_rows_are_found_and_twins_by_nature_raise_no_alarm(levels, known):
    training, new = table(4000, 1, levels), table(1500, 2, levels)
    again = int(known * 1500)
    some = np.random.default_rng(3).permutation(4000)[:again]
    judged = np.concatenate([row_hashes(rows_of(training, some)), row_hashes(new)[again:]])
    found = compare(row_hashes(training), judged)
    twins = np.isin(row_hashes(new), row_hashes(training)).mean()
    assert {None: twins == 0, 60: 0.1 < twins < 0.9, 3: twins > 0.9}[levels]
    if known == 0 or levels == 3:  # hardly a row without a twin: nothing can be told
        assert found is None
    else:
        assert found.share == pytest.approx(known, abs=0.1)


def test_rows_of_the_commonest_contents_alone_raise_no_alarm():
    training, new = table(4000, 1, 20), row_hashes(table(6000, 2, 20))
    contents, counts = np.unique(row_hashes(training), return_counts=True)
    common = new[np.isin(new, contents[counts > 1])]
    assert len(common) > 500
    assert compare(row_hashes(training), common) is None


def test_a_few_rows_say_nothing():
    training = row_hashes(table(100, 0))
    assert compare(training, training[:4]) is None
    assert compare(training, training[:40]).share == 1
