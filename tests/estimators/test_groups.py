"""Rows that belong together: a fit holds out whole groups, and none on both sides."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

import pyfairme as pf
from pyfairme.estimators import validation_rows
from pyfairme.estimators.given_rows import read_groups
from pyfairme.estimators.validation_rows import held_out
from pyfairme.inference.decay_choice import strongest_of_the_best
from pyfairme.metrics.standard_error import error_of_mean

GROUPS = np.repeat(np.arange(100), 4)  # of the 400 training rows


def apart(estimator, case, groups=GROUPS):
    """Numbers of the rows that `fit` held out."""
    keys = validation_rows.keys_of(case.X, estimator.design_.schema)
    y, seed = case.y.to_numpy(), estimator._seed
    return held_out(keys, y, len(case.X), estimator.validation_fraction, seed, groups)[1]


def same(one, other, rows):
    return np.array_equal(one.predict_proba(rows), other.predict_proba(rows))


def test_groups_are_held_out_whole_and_are_like_all_rows():
    rng = np.random.default_rng(0)
    rare = rng.random(300) < 0.1  # groups of positives, and groups without any
    groups = np.repeat(np.arange(300), rng.integers(1, 12, 300))
    classes = (rare[groups] & (rng.random(len(groups)) < 0.8)).astype(int)
    wanted = 0.1 * np.bincount(classes)
    distances = []
    for seed in range(40):
        training, held = held_out([], classes, len(groups), 0.1, seed, groups)
        assert not set(groups[training]) & set(groups[held])
        assert sorted([*training, *held]) == list(range(len(groups)))
        assert 0.97 * len(groups) < 10 * len(held) <= len(groups) + 5
        distances.append(((np.bincount(classes[held], minlength=2) - wanted) ** 2 / wanted).sum())
    # one draw: positives come in groups of about 5, so their number is 5 times as uncertain as
    # that of single rows, whose chi squared has mean 1; the best of 20 is far below that
    assert np.mean(distances) < 0.5


def test_a_group_too_large_is_passed_over_and_training_keeps_what_it_needs():
    groups = np.r_[np.zeros(60, int), np.repeat(np.arange(1, 21), 2)]
    for seed in range(20):
        _, held = held_out([], None, 100, 0.1, seed, groups)
        assert len(held) == 10
        assert 0 not in groups[held]
    lone = (groups == 7).astype(int)  # a class of one group
    for seed in range(20):
        training, held = held_out([], lone, 100, 0.3, seed, groups)
        assert {0, 1} == set(lone[training])
        assert not set(groups[training]) & set(groups[held])


def test_the_error_of_a_mean_knows_which_rows_belong_together():
    """SD over 4,000 simulated tables; a standard deviation of so many is known to 1.1 %."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 9, 80)
    groups = np.repeat(np.arange(80), sizes)
    weight = rng.uniform(0.5, 2.0, len(groups))
    means, robust, naive = [], [], []
    for _ in range(4000):
        values = rng.normal(size=80)[groups] + 0.7 * rng.normal(size=len(groups))
        means.append(np.average(values, weights=weight))
        robust.append(error_of_mean(values, weight, groups) ** 2)
        naive.append(error_of_mean(values, weight) ** 2)
    sd = np.std(means)
    # the sandwich is biased downwards by about its leverage, 2 / 80
    assert np.sqrt(np.mean(robust)) == pytest.approx(sd, rel=0.04)
    assert np.sqrt(np.mean(naive)) < 0.6 * sd
    assert np.isnan(error_of_mean(np.arange(3.0), groups=np.zeros(3, int)))


def test_rows_told_ten_times_choose_the_decay_that_they_choose_once():
    rng = np.random.default_rng(2)
    losses = np.abs(rng.normal(size=(1, 60))) + np.stack([np.zeros(60), rng.normal(0.02, 0.5, 60)])
    once = strongest_of_the_best(losses, np.ones(60))
    tenfold = np.repeat(losses, 10, axis=1)
    together = np.repeat(np.arange(60), 10)
    assert once == 1
    assert strongest_of_the_best(tenfold, np.ones(600), together) == once
    assert strongest_of_the_best(tenfold, np.ones(600)) == 0  # 600 rows would be more certain


@pytest.fixture(scope="module")
def grouped(binary, classifier):
    model = classifier(threshold="balanced_accuracy")
    return model.fit(binary.X, binary.y, groups=[f"p{g}" for g in GROUPS])


def test_a_fit_holds_out_whole_groups(binary, grouped):
    held = apart(grouped, binary)
    record = grouped._record
    assert (record.rows, record.held_out) == (360, 40)
    assert (record.groups, record.groups_held_out) == (100, 10)
    assert "40 held out (10 whole groups of 100)" in str(grouped.summary())
    X, y = binary.X.iloc[held], binary.y.to_numpy()[held]
    chance = grouped.predict_proba(X)[:, 1]
    best = max(balanced_accuracy_score(y, chance >= t) for t in np.unique(chance))
    assert balanced_accuracy_score(y, grouped.predict(X)) == pytest.approx(best, abs=1e-6)
    link = np.where(y == 1, chance, 1 - chance)
    last = grouped.history_["validation/mixed"].iloc[-1]
    assert -np.log(link).mean() == pytest.approx(last, abs=0.05)  # at medians, not means


def test_only_which_rows_are_alike_counts_not_how_groups_are_called(binary, classifier, grouped):
    names = np.random.default_rng(0).permutation(1000)[GROUPS]
    for called in (names, pd.Series(names, index=binary.X.index), names[:, None], list(names)):
        model = classifier(threshold="balanced_accuracy").fit(binary.X, binary.y, groups=called)
        assert same(model, grouped, binary.test)
    single = classifier().fit(binary.X, binary.y, groups=np.arange(400))
    assert single._record.held_out == 40


@pytest.mark.long
def test_groups_go_with_their_rows_where_some_are_left_out(binary, classifier):
    """Rows without a cluster, and of weight 0, take their groups with them."""
    X = binary.X.copy()
    X.loc[X.index[::7], "cluster"] = None
    weight = (np.arange(400) % 5 > 0).astype(float)
    kept = np.flatnonzero(X["cluster"].notna().to_numpy() & (weight > 0))
    with pytest.warns(pf.notices.DataWarning, match="missing-cluster"):
        model = classifier().fit(X, binary.y, sample_weight=weight, groups=GROUPS)
    own = classifier().fit(X.iloc[kept], binary.y.iloc[kept], groups=GROUPS[kept])
    assert same(model, own, binary.test)
    assert model._record.groups == len(np.unique(GROUPS[kept]))


@pytest.mark.long
def test_a_regression_holds_out_whole_groups(real, regressor):
    model = regressor().fit(real.X, real.y, groups=GROUPS)
    assert model._record.groups_held_out == 10


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (GROUPS[:-1], r"groups has 399 labels, and X has 400 rows.*\[other-length\]"),
        (np.where(GROUPS < 5, np.nan, GROUPS), r"missing in 20 of 400 rows.*\[missing-label\]"),
        ([None, *GROUPS[1:]], r"missing in 1 of 400 rows.*\[missing-label\]"),
        (np.array(["a", np.nan] * 200), r"text .* holds 'nan' in 200 rows.*\[missing-label\]"),
        (np.zeros(400), r"All 400 rows are of one group, 0.0.*\[few-groups\]"),
        (GROUPS // 50, r"none of the 2 can be: the smallest has 50% .*\[few-groups\]"),
        ("cluster", r"groups='cluster' is one text: .* X\['cluster'\].*\[groups-shape\]"),
        (np.zeros((400, 2)), r"one label per row.*\[groups-shape\]"),
        (7, r"one label per row.*\[groups-shape\]"),
        ([(1, 2)] * 400, r"one label per row, \(n,\); got \(1, 2\).*\[groups-shape\]"),
        (np.ma.masked_equal(GROUPS, 3), r"groups is a masked array.*\[masked-values\]"),
    ],
)
def test_groups_that_cannot_be_are_refused(binary, classifier, groups, message):
    with pytest.raises((ValueError, TypeError), match=message):
        classifier().fit(binary.X, binary.y, groups=groups)


@pytest.mark.long
def test_groups_may_be_few_where_more_rows_or_none_are_held_out(binary, classifier):
    few = GROUPS // 25
    for share in (0.1, 0.25):  # the smallest one at least
        with pytest.warns(pf.notices.DataWarning, match=r"Only 1 of 4 groups is held out \(100 r"):
            model = classifier(validation_fraction=share).fit(binary.X, binary.y, groups=few)
        assert model._record.groups_held_out == 1
    with pytest.warns(pf.notices.DataWarning, match=r"Only 1 of 2 groups is held out \(200 rows"):
        classifier(validation_fraction=0.5).fit(binary.X, binary.y, groups=GROUPS // 50)
    none = classifier(validation_fraction=0).fit(binary.X, binary.y, groups=few)
    assert none._record.held_out == 0
    assert "none held out" in str(none.summary())


def test_the_order_of_rows_is_compared(binary, classifier):
    moved = pd.Series(GROUPS, index=binary.X.index[::-1])
    with pytest.warns(UserWarning, match=r"groups has the row labels of X in another order"):
        classifier().fit(binary.X, binary.y, groups=moved)


def test_files_and_pickles_remember_that_groups_were_held_out(grouped, tmp_path):
    grouped.save(tmp_path / "model.pyfairme")
    for copy in (pf.load(tmp_path / "model.pyfairme"), pickle.loads(pickle.dumps(grouped))):
        assert copy._record == grouped._record


def test_a_warm_start_does_not_go_on_from_rows_that_are_now_held_out(binary, classifier, grouped):
    model = classifier(warm_start=True).fit(binary.X, binary.y)
    with pytest.warns(UserWarning, match=r"rows held out by groups= .*False then, True now"):
        model.fit(binary.X, binary.y, groups=GROUPS)
    cold = classifier().fit(binary.X, binary.y, groups=GROUPS)
    assert same(model, cold, binary.test)
    again = model.fit(binary.X, binary.y, groups=GROUPS)  # no warning: the same groups
    assert not same(again, cold, binary.test)
    with pytest.warns(UserWarning, match=r"rows held out by groups= .*True then, False now"):
        again.fit(binary.X, binary.y)


def test_parquet_files_name_the_column_of_groups(binary, classifier, tmp_path):
    path = tmp_path / "rows.parquet"
    table = binary.X.assign(y=binary.y, person=[f"p{g}" for g in GROUPS])
    table.to_parquet(path)
    there = classifier().fit(binary.X, binary.y, groups=GROUPS)
    for groups in ("person", GROUPS):
        drop = None if isinstance(groups, str) else "person"
        model = classifier(drop=drop).fit(path, "y", groups=groups)
        assert same(model, there, binary.test.assign(person="p0"))
        assert "person" not in model.design_.used_columns
    dropped = classifier(drop=["person"]).fit(path, "y", groups="person")
    assert same(dropped, there, binary.test)
    clusters = classifier(validation_fraction=0.3, min_steps=100, drop="person")
    with pytest.warns(pf.notices.DataWarning, match="few-groups-held-out"):
        clusters.fit(path, "y", groups="cluster")  # which stays the cluster
    assert clusters._record.groups == 4
    assert len(clusters.design_.clusters["cluster"]) == 4
    with pytest.raises(ValueError, match=r"groups column 'persn' .*'person'.*\[absent"):
        classifier().fit(path, "y", groups="persn")


@pytest.mark.parametrize("routing", [False, True])
def test_scikit_learn_hands_each_fit_the_groups_of_its_rows(binary, classifier, routing):
    model = classifier(min_steps=100)
    folds = GroupKFold(2)
    by_hand = [
        classifier(min_steps=100)
        .fit(binary.X.iloc[own], binary.y.iloc[own], groups=GROUPS[own])
        .score(binary.X.iloc[others], binary.y.iloc[others])
        for own, others in folds.split(binary.X, groups=GROUPS)
    ]
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            given = {"params": {"groups": GROUPS}}
            found = cross_val_score(
                model.set_fit_request(groups=True), binary.X, binary.y, cv=folds, **given
            )
        else:
            step = make_pipeline(model)
            name = "fairmixedeffectsclassifier__groups"
            given = {"groups": GROUPS, "params": {name: GROUPS}}
            found = cross_val_score(step, binary.X, binary.y, cv=folds, **given)
    assert found == pytest.approx(by_hand)


def test_labels_of_several_types_stay_apart():
    assert read_groups([1, "1", 1.5, 1], 4).tolist() == [0, 1, 2, 0]
    assert read_groups(pd.Categorical(["b", "a", "b"]), 3).tolist() == [0, 1, 0]
