"""The gap between groups, split by clusters: against sums by hand."""

import numpy as np
import pytest

from pyfairme.explain import avg_predictions, gap_decomposition, predictions
from tests.bad_inputs import tiny


def by_hand(rows, group, cluster, a, b):
    """Kitagawa's decomposition of drawn predictions (n, draws), cluster by cluster."""
    within = between = 0.0
    for k in sorted(set(cluster)):
        means, shares = [], []
        for g in (a, b):
            there = (group == g) & (cluster == k)
            shares.append(there.sum() / (group == g).sum())
            means.append(rows[there].mean(axis=0) if there.any() else None)
        if not any(shares):
            continue
        first = means[1] if means[0] is None else means[0]
        second = means[0] if means[1] is None else means[1]
        within = within + (shares[0] + shares[1]) / 2 * (second - first)
        between = between + (shares[1] - shares[0]) * (second + first) / 2
    return within, between


@pytest.fixture(scope="module")
def uneven(binary):
    """Rows of which one cluster has one group only."""
    X = binary.test
    first = sorted(X["cluster"].unique())[0]
    return X[(X["cluster"] != first) | (X["group2"] == "g1")]


def test_parts_are_those_by_hand_and_add_up(clf, uneven):
    found = gap_decomposition(clf, uneven, "group2", by_cluster=True)
    rows = predictions(clf, uneven).draws
    group, cluster = (uneven[name].to_numpy() for name in ("group2", "cluster"))
    averages = {g: rows[group == g].mean(axis=0) for g in np.unique(group)}
    frame = found.frame.reset_index(drop=True)
    assert list(dict.fromkeys(frame["contrast"])) == ["g1 - g0", "g2 - g0", "g2 - g1"]
    for contrast, lines in frame.groupby("contrast"):
        b, a = contrast.split(" - ")
        whole = lines[lines["cluster"] == "all"].index
        gap, within, between = found.draws[whole]
        np.testing.assert_allclose(gap, averages[b] - averages[a], atol=1e-6)
        np.testing.assert_allclose(within + between, gap, atol=1e-12)
        expected = by_hand(rows, group, cluster, a, b)
        np.testing.assert_allclose([within, between], expected, atol=1e-6)
        for component, part in (("within clusters", within), ("between clusters", between)):
            own = lines[(lines["component"] == component) & (lines["cluster"] != "all")].index
            np.testing.assert_allclose(found.draws[own].sum(axis=0), part, atol=1e-12)


def test_exchanged_groups_exchange_the_sign(clf, uneven):
    one = gap_decomposition(clf, uneven, "group2", ["g0", "g2"], by_cluster=True)
    other = gap_decomposition(clf, uneven, "group2", ["g2", "g0"], by_cluster=True)
    np.testing.assert_allclose(one.draws, -other.draws, atol=1e-12)
    assert other.frame["contrast"].unique().tolist() == ["g0 - g2"]


def test_intercepts_alone_make_no_gap_within_and_equal_shares_none_between(clf, binary):
    """The random part of random intercepts is the same for all people of a cluster."""
    X = binary.test
    random = gap_decomposition(clf, X, "group1", effects="random").frame["estimate"]
    assert random[1] == pytest.approx(0, abs=1e-7)
    assert abs(random[2]) > 1e-3
    twice = X.iloc[np.repeat(np.arange(len(X)), 2)].assign(group1=np.tile(["g0", "g1"], len(X)))
    equal = gap_decomposition(clf, twice, "group1").frame["estimate"]
    assert equal[2] == pytest.approx(0, abs=1e-9)
    flipped = avg_predictions(clf, X, "group1").frame["estimate"]
    assert equal[0] == pytest.approx(flipped[1] - flipped[0], abs=1e-6)


def test_weights_count(clf, uneven):
    weight = np.arange(len(uneven)) % 3
    repeated = uneven.iloc[np.repeat(np.arange(len(uneven)), weight)]
    one = gap_decomposition(clf, uneven, "group1", sample_weight=weight)
    np.testing.assert_allclose(one.draws, gap_decomposition(clf, repeated, "group1").draws,
                               atol=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"attribute": "cluster", "groups": ["c0"]}, r"groups=\['c0'\]: expected two.*two-groups"),
        ({"attribute": "group1", "groups": ["g0", "q"]}, r"g0, g1\. \[two-groups\]"),
        ({"attribute": "spare"}, r"'spare' has one group only \(1\).*\[one-group\]"),
        ({"attribute": "group1", "cluster": "town"}, r"'town' is not in the frame.*absent-column"),
    ],
)
def test_a_gap_that_cannot_be_split_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        gap_decomposition(tiny.clean(), tiny.rows().assign(spare=1), **options)


def test_without_a_cluster_column_one_is_named():
    plain = tiny.fit(cluster=None)
    with pytest.raises(ValueError, match=r"it has none: choose a column.*\[choose-one\]"):
        gap_decomposition(plain, tiny.rows(), "group1")
    assert len(gap_decomposition(plain, tiny.rows(), "group1", cluster="cluster")) == 3
