import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pyfairme.metrics.accuracy_rows import METRICS, by_loss, by_rank
from pyfairme.metrics.bootstrap import (
    draw_weights,
    resample,
    resampling_design,
    reweighted,
)
from pyfairme.metrics.confusion import confusion, selection_rate
from pyfairme.metrics.group_moments import moments
from pyfairme.metrics.group_sums import PredictedRows, make_table, totals, ungrouped

REPLICATES = 4000


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    group = rng.choice(4, size=600, p=[0.6, 0.3, 0.08, 0.02])
    y = (rng.random(600) < 0.4).astype(float)
    pred = (rng.random(600) < 0.2 + 0.5 * y).astype(float)
    return PredictedRows(y, pred, group, tuple("abcd"))


def run(tables, design, n_boot=REPLICATES, seed=1):
    blocks = list(resample(tables, design, np.random.default_rng(seed), n_boot))
    return [np.concatenate(part) for part in zip(*blocks, strict=True)]


def naive_rows(table, unit, rng, n_boot):
    """Pick m - 1 of the m rows of each stratum with replacement, and add up m / (m - 1) of them."""
    strata = [np.flatnonzero(unit == code) for code in np.unique(unit)]
    scale = np.concatenate([np.full(len(r) - 1, len(r) / (len(r) - 1)) for r in strata])
    for _ in range(n_boot):
        picked = np.concatenate([rng.choice(rows, len(rows) - 1) for rows in strata])
        taken = table._replace(cell=table.cell[picked], columns=table.columns[picked])
        yield totals(taken, scale)


def assert_same_distribution(ours, naive, relative_to):
    """Agree in mean and SD.

    With B replicates each mean has SE SD / sqrt(B), a difference of two sqrt(2) of that, and the
    SD a relative SE of about 1 / sqrt(2 B) = .016 for the naive 2,000: bounds are about 4 of each.
    """
    sd = np.asarray(naive).std(0)
    assert (
        np.abs(ours.mean(0) - naive.mean(0)) <= 4 * sd * np.sqrt(1 / 2000 + 1 / 4000) + 1e-9
    ).all()
    np.testing.assert_allclose(ours.std(0), sd, rtol=0.08, atol=1e-9 * relative_to)


def test_the_share_of_positives_varies_as_all_else_does(rows):
    """Rows within groups, but not within outcomes: a selection rate has its binomial error."""
    design = resampling_design(np.zeros(600, np.intp), rows.group)
    (ours,) = run([confusion(rows)], design)
    rate = selection_rate(totals(confusion(rows)))
    expected = np.sqrt(rate * (1 - rate) / (np.bincount(rows.group) - 1))
    # relative SE of the SD of 4,000 replicates: .011
    np.testing.assert_allclose(selection_rate(ours).std(0), expected, rtol=0.05)
    assert np.ptp(ours[..., 0, 1, 0]) > 0  # positives of the first group


def test_the_variance_of_small_strata_is_not_too_small():
    """Means over strata of 5 rows vary by s²/m with ddof = 1, not by (m - 1)/m of it."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    rows = PredictedRows(y, np.zeros(60), np.zeros(60, np.intp))
    design = resampling_design(np.repeat(np.arange(12), 5))
    assert not design.whole
    (ours,) = run([moments(rows)], design)
    unbiased = y.reshape(12, 5).var(1, ddof=1).mean() / 60
    assert ours[:, 0, 1].var() / 60**2 == pytest.approx(unbiased, rel=0.1)  # SE .022


def test_drawn_weights_agree_with_picking_rows(rows):
    real = rows._replace(y_true=rows.y_true + np.random.default_rng(5).normal(size=600))
    design = resampling_design(np.arange(600) % 3, rows.group)
    table = moments(real)
    (ours,) = run([table], design)
    naive = np.stack(list(naive_rows(table, design.unit, np.random.default_rng(2), 2000)))
    np.testing.assert_allclose(ours[..., 0], np.broadcast_to(totals(table)[..., 0], (4000, 4)))
    assert_same_distribution(ours, naive, 600)


def test_every_draw_is_that_of_the_plain_definition(rows):
    """Of each stratum in turn, a row for every number between 0 and 1: its share of the stratum."""
    design = resampling_design(np.arange(600) % 3, rows.group)
    strata = [np.flatnonzero(design.unit == code) for code in np.unique(design.unit)]
    rng, plain = np.random.default_rng(4), []
    for _ in range(30):
        picked = [s[np.floor(rng.random(len(s) - 1) * len(s)).astype(int)] for s in strata]
        plain.append(np.bincount(np.concatenate(picked), minlength=600))
    drawn = draw_weights(design, np.random.default_rng(4), 30)
    np.testing.assert_array_equal(drawn.T, plain)
    tables = [confusion(rows), moments(rows)]
    for table, sums in zip(tables, run(tables, design, 30, 4), strict=True):
        expected = [totals(table, weight * design.scale) for weight in plain]
        np.testing.assert_allclose(sums, expected, rtol=1e-12, atol=1e-12)


def test_replicates_of_the_auroc_are_those_of_scikit_learn(rows):
    """Scores with and without ties, in long runs of one outcome too."""
    score = np.random.default_rng(0).normal(2 * rows.y_true)
    score[:300] = score[:300].round(1)
    scored = rows._replace(y_prob=score, group=np.zeros(600, np.intp), levels=("all",))
    table = by_rank(scored)
    assert table.shape[0] < len(np.unique(score)) / 2
    design = resampling_design(np.zeros(600, np.intp))
    (auroc,) = [m for m in METRICS if m.name == "auroc"]
    (sums,) = run([table], design, 20, 2)
    weights = draw_weights(design, np.random.default_rng(2), 20)
    expected = [roc_auc_score(rows.y_true, score, sample_weight=weight) for weight in weights.T]
    np.testing.assert_allclose(auroc.reduce(sums), expected, rtol=1e-12)


def test_few_clusters_keep_the_size_of_every_stratum(rows):
    cluster = np.arange(600) % 29
    design = resampling_design(cluster, rows.group)
    assert not design.whole
    strata = make_table(design.unit, (int(design.unit.max()) + 1,), np.arange(600.0))
    (ours,) = run([strata], design, n_boot=20)
    np.testing.assert_allclose(
        ours[..., 0], np.broadcast_to(np.bincount(design.unit), ours.shape[:2])
    )
    assert np.ptp(ours[..., 1], axis=0).max() > 0


def test_from_thirty_clusters_up_whole_clusters_are_drawn(rows):
    cluster = np.sort(np.arange(600) % 30) * 7  # codes need not be dense
    design = resampling_design(cluster, rows.group)
    assert design.whole
    per_cluster = make_table(design.unit, (30,), np.ones(600))
    decisions = confusion(rows)
    picks, ours = run([per_cluster, decisions], design, n_boot=50)
    times = picks[..., 0] / 20
    np.testing.assert_allclose(times * 29 / 30, np.round(times * 29 / 30), atol=1e-9)
    np.testing.assert_allclose(times.sum(1), 30)
    by_hand = [totals(decisions, np.take(count, design.unit)) for count in times]
    np.testing.assert_allclose(ours, by_hand)


def test_cluster_bootstrap_sees_variation_between_clusters():
    """The SE of a mean over 40 clusters of 25 equal rows is that of 40 values, not of 1,000."""
    rng = np.random.default_rng(0)
    effect = (rng.random(40) < 0.5).astype(float)
    rows = PredictedRows(np.ones(1000), np.repeat(effect, 25), np.zeros(1000, int))
    design = resampling_design(np.repeat(np.arange(40), 25), rows.group)
    (ours,) = run([confusion(rows)], design)
    assert selection_rate(ours).std() == pytest.approx(effect.std() / np.sqrt(40), rel=0.05)


def test_blocks_do_not_change_the_number_of_replicates():
    rng = np.random.default_rng(0)
    n = 80_000
    rows = ungrouped((rng.random(n) < 0.5).astype(float), np.zeros(n), rng.random(n))
    design = resampling_design(np.zeros(n, np.intp))
    blocks = list(resample([by_loss(rows), confusion(rows)], design, rng, 100))
    assert [len(loss) for loss, _ in blocks] == [75, 25]
    assert all(loss.shape == (len(counts), 1, 3) for loss, counts in blocks)
    np.testing.assert_allclose(np.concatenate([c[..., 0].sum((1, 2)) for _, c in blocks]), n)


def test_the_same_seed_gives_the_same_draws(rows):
    design = resampling_design(np.zeros(600, np.intp), rows.group)
    first, again, other = (run([confusion(rows)], design, 5, seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("clusters", [4, 40], ids=["rows", "clusters"])
def test_given_weights_add_up_as_weighted_totals(rows, clusters):
    design = resampling_design(np.arange(600) % clusters, rows.group)
    weights = draw_weights(design, np.random.default_rng(0), 7)
    tables = [confusion(rows), moments(rows)]
    blocks = list(reweighted(tables, weights, design))
    for table, sums in zip(tables, zip(*blocks, strict=True), strict=True):
        expected = [totals(table, weight * design.scale) for weight in weights.T]
        np.testing.assert_allclose(np.concatenate(sums), expected, rtol=1e-12, atol=1e-12)


def test_weights_keep_the_size_of_every_stratum(rows):
    design = resampling_design(np.arange(600) % 4, rows.group)
    weights = draw_weights(design, np.random.default_rng(0), 50)
    for stratum in np.unique(design.unit):
        inside = weights[design.unit == stratum]
        assert (inside.sum(0) == max(len(inside) - 1, 1)).all()
    assert weights.var() > 0.5  # about Poisson(1) in large strata


def test_weights_of_whole_clusters_are_those_of_their_rows(rows):
    design = resampling_design(np.arange(600) % 40)
    weights = draw_weights(design, np.random.default_rng(0), 50)
    by_cluster = weights.reshape(15, 40, 50)
    assert (by_cluster == by_cluster[0]).all()
    assert (by_cluster[0].sum(0) == 39).all()


def test_blocks_of_given_weights_are_all_of_them(rows, monkeypatch):
    design = resampling_design(np.zeros(600, np.intp))
    weights = draw_weights(design, np.random.default_rng(0), 11)
    whole = np.concatenate([sums for (sums,) in reweighted([confusion(rows)], weights, design)])
    monkeypatch.setattr("pyfairme.metrics.bootstrap._WIDE_BLOCK", 600 * 3)
    parts = [sums for (sums,) in reweighted([confusion(rows)], weights, design)]
    assert [len(part) for part in parts] == [3, 3, 3, 2]
    assert (np.concatenate(parts) == whole).all()


def test_rows_of_small_strata_are_drawn_across_clusters():
    cluster = np.repeat(np.arange(4), [10, 10, 3, 3])
    group = np.zeros(26, dtype=np.intp)
    design = resampling_design(cluster, group)
    assert not design.whole
    units = [np.unique(design.unit[cluster == k]) for k in range(4)]
    assert units[2].tolist() == units[3].tolist()
    assert len({*units[0], *units[1], *units[2]}) == 3


def test_a_straggler_joins_the_smallest_stratum_of_its_group():
    cluster = np.repeat([0, 1, 2], [10, 8, 1])
    design = resampling_design(cluster, np.zeros(19, np.intp))
    units = [np.unique(design.unit[cluster == k]).tolist() for k in range(3)]
    assert units[1] == units[2] != units[0]
