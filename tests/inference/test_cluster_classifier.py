import numpy as np

from pyfairme.data import Batch
from pyfairme.inference.cluster_classifier import fit_membership, left_out, memberships
from pyfairme.model.effects import RandomEffects


def make_rows(rows=900, seed=0):
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 3, rows)
    centres = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0]])
    x = (centres[cluster] + rng.normal(size=(rows, 2))).astype(np.float32)
    zeros = np.zeros((rows, 0))
    return Batch(
        x, None, cluster[:, None].astype(np.int32), zeros.astype(np.float32),
        zeros.astype(np.int32), np.ones(rows, np.float32), np.zeros(rows, np.float32),
    )  # fmt: skip


def test_memberships_are_calibrated_where_the_truth_is_known():
    """Against the Bayes posterior of three Normal clusters: mean absolute error below .05."""
    network = fit_membership(make_rows(3000), 0, 3, seed=0)
    new = make_rows(500, seed=1)
    new = new._replace(cluster=np.full_like(new.cluster, -1))
    (found,) = memberships((network,), (RandomEffects("g", 3),), new)
    centres = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0]])
    log_p = -0.5 * ((new.x[:, None, :] - centres) ** 2).sum(axis=2)
    truth = np.exp(log_p) / np.exp(log_p).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    assert np.abs(found - truth).mean() < 0.05


def test_known_clusters_have_none_and_rows_do_not_touch():
    rows = make_rows(50)
    network = fit_membership(rows, 0, 3, seed=0)
    codes = rows.cluster.copy()
    codes[:5] = -1
    (found,) = memberships((network,), (RandomEffects("g", 3),), rows._replace(cluster=codes))
    assert (found[5:] == 0).all()
    alone = Batch(*(None if a is None else a[:1] for a in rows._replace(cluster=codes)))
    (one,) = memberships((network,), (RandomEffects("g", 3),), alone)
    np.testing.assert_array_equal(one[0], found[0])


def test_a_cluster_struck_out_is_as_good_as_one_never_seen():
    """Against a classifier fitted without the cluster: the same cluster comes next."""
    rows = make_rows(1500)
    own = rows.cluster[:, 0]
    every = fit_membership(rows, 0, 3, seed=0)
    kept = Batch(*(None if a is None else a[own != 2] for a in rows))
    without = fit_membership(kept, 0, 2, seed=0)
    x = rows.x[own == 2]
    struck = left_out(every, x, np.full(len(x), 2))
    new = Batch(*(None if a is None else a[own == 2] for a in rows))
    new = new._replace(cluster=np.full_like(new.cluster, -1))
    (fresh,) = memberships((without,), (RandomEffects("g", 2),), new)
    assert (struck[:, 2] == 0).all()
    np.testing.assert_allclose(struck.sum(axis=1), 1.0, rtol=1e-5)
    assert np.abs(struck[:, :2] - fresh).mean() < 0.1
