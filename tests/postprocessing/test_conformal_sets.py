"""Conformal sets of a fitted classifier, on outcomes drawn from known probabilities."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import pyfairme as pf
from pyfairme import persistence
from pyfairme.postprocessing.set_scores import aps_scores, lac_scores

NAMES = {"often": "often", "size": '"size"', "rare": "rare"}  # columns of classes


@pytest.fixture(scope="module")
def rows(clf):
    """Rows of known clusters, with classes that go by the probability in one group only."""
    data = pf.datasets.make_clustered(
        rows=2400, clusters=6, sensitive_levels=(2, 3), random_state=4
    )
    known = data.frame["cluster"].isin(clf.design_.clusters["cluster"]).to_numpy()
    X = data.frame[known].reset_index(drop=True)
    p = clf.predict_proba(X)[:, 1]
    sure = np.where(X["group1"] == "g0", p, 1 - p)  # of g1 the model believes the opposite
    y = pd.Series((np.random.default_rng(0).random(len(X)) < sure).astype(int), name="y")
    half = len(X) // 2
    return X[:half], y[:half], X[half:], y[half:]


def holds(sets, y):
    return np.where(y == 1, sets[1], sets[0])


def near(share, level, n):
    return abs(share - level) < 4 * np.sqrt(level * (1 - level) * 2 / n)


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize("level", [0.7, 0.9])
def test_groups_are_covered_at_the_level(clf, rows, level, score):
    X, y = rows[2:]
    marginal = pf.ConformalSets(clf, conformity_score=score).fit(*rows[:2]).predict_set(X, level)
    assert near(holds(marginal, y).mean(), level, len(y))
    by = pf.ConformalSets(clf, "group1", conformity_score=score).fit(*rows[:2])
    found = by.predict_set(X, level)
    apart = {}
    for group in ("g0", "g1"):
        here = (X["group1"] == group).to_numpy()
        assert near(holds(found, y)[here].mean(), level, here.sum())
        apart[group] = holds(marginal, y)[here].mean() - level
    assert apart["g0"] > apart["g1"] + 0.02
    assert (found["size"] == found[[0, 1]].sum(axis=1)).all()
    assert found["size"][X["group1"] == "g1"].mean() > found["size"][X["group1"] == "g0"].mean()


def test_a_set_has_the_classes_up_to_the_quantile_by_hand(clf, rows):
    X, y, new, _ = rows
    p, probability = clf.predict_proba(X), clf.predict_proba(new)
    score = np.sort(1 - p[np.arange(len(y)), y])
    quantile = score[int(np.ceil(0.8 * (len(y) + 1))) - 1]
    found = pf.ConformalSets(clf).fit(X, y)
    assert (found.predict_set(new, 0.8)[[0, 1]].to_numpy() == (1 - probability <= quantile)).all()
    assert found.calibration(0.8)["quantile"].tolist() == pytest.approx([quantile])
    assert found.calibration(0.8)["class"].tolist() == ["all"]


def test_the_scores_are_those_of_their_definitions():
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    assert lac_scores(p) == pytest.approx(1 - p)
    last = aps_scores(p, np.ones(2))
    assert last == pytest.approx(np.array([[0.5, 0.8, 1.0], [0.9, 1.0, 0.8]]))
    first = aps_scores(p, np.zeros(2))
    assert first == pytest.approx(np.array([[0, 0.5, 0.8], [0.8, 0.9, 0]]))


def test_scores_of_true_classes_are_uniform_where_the_model_is_right():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(4), 20_000)
    y = (p.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    scores = aps_scores(p, rng.random(20_000))[np.arange(20_000), y]
    counts = np.histogram(scores, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 950).sum() < 43.8  # chi-squared, 19 df, p = .001


def test_the_random_part_of_a_row_is_always_the_same(clf, rows):
    found = pf.ConformalSets(clf, conformity_score="aps").fit(*rows[:2])
    every = found.predict_set(rows[2])
    order = np.random.default_rng(0).permutation(len(every))
    pd.testing.assert_frame_equal(found.predict_set(rows[2].iloc[order]), every.iloc[order])
    other = pf.ConformalSets(clf, conformity_score="aps", random_state=1).fit(*rows[:2])
    assert (other.predict_set(rows[2])["size"] != every["size"]).any()


@pytest.fixture(scope="module")
def three():
    """A classifier of three classes, one of them rare, and held-out rows."""
    data = pf.datasets.make_clustered(
        rows=2000, clusters=5, classes=3, likelihood="categorical", sensitive_levels=(2,),
        random_state=0,
    )  # fmt: skip
    y = data.target.map({0: "often", 1: "size", 2: "rare"})
    kept = (y != "rare") | (np.arange(2000) % 4 == 0)
    X, y = data.frame[kept].reset_index(drop=True), y[kept].reset_index(drop=True)
    clf = pf.FairMixedEffectsClassifier(
        "cluster", "group1", guide="mean_field", hidden=(8,), fairness=None, min_steps=300,
        random_state=0, progress=False,
    ).fit(X[:500], y[:500])  # fmt: skip
    return clf, (X[500:1000], y[500:1000]), (X[1000:], y[1000:])


@pytest.mark.long
def test_rare_classes_are_covered_where_each_is_calibrated(three):
    clf, fit, (X, y) = three
    held = {}
    for conditional in (False, True):
        sets = pf.ConformalSets(clf, class_conditional=conditional).fit(*fit).predict_set(X, 0.8)
        assert [*sets] == ["often", "rare", '"size"', "size", "calibrated_on"]
        inside = np.array([sets.at[i, NAMES[label]] for i, label in y.items()])
        held[conditional] = pd.Series(inside, index=y.index).groupby(y).mean()
        if not conditional:
            assert near(inside.mean(), 0.8, len(y))
    assert held[False]["rare"] < 0.7
    calibrated = fit[1].value_counts()
    for label, share in held[True].items():
        assert abs(share - 0.8) < 4 * np.sqrt(0.16 / calibrated[label] + 0.16 / (y == label).sum())


def test_each_class_in_each_group_has_a_line(three):
    clf, fit, (X, _) = three
    found = pf.ConformalSets(clf, "group1", class_conditional=True).fit(*fit)
    table = found.calibration(0.8)
    assert table["class"].drop_duplicates().tolist() == ["often", "rare", "size"]
    assert table.groupby("class").size().tolist() == [3, 3, 3]
    assert set(found.predict_set(X)["calibrated_on"]) == {"group1=g0", "group1=g1"}
    few = fit[1] != "rare"
    few[few[~few].index[:5]] = True
    small = pf.ConformalSets(clf, class_conditional=True).fit(fit[0][few], fit[1][few])
    with pytest.raises(
        ValueError, match=r"^Class 'rare': level=0.9 takes 9 calibration rows, got 5"
    ):
        small.predict_set(X)


def test_the_report_has_lines_of_sets_that_are_no_classs_own(three):
    clf, fit, (X, y) = three
    found = pf.ConformalSets(clf, "group1").fit(*fit)
    report = found.fairness_report(X, y, n_boot=20, set_level=0.8)
    assert set(report["effects"]) == {"mixed"}
    lines = report[report["metric"].isin(["coverage", "set_size"])]
    assert set(lines["class"]) == {"all"}
    assert not report.loc[report["class"] == "all", "metric"].isin(["auroc", "tpr"]).any()
    sets = found.predict_set(X, 0.8)
    inside = np.array(
        [sets.at[i, '"size"' if label == "size" else label] for i, label in y.items()]
    )
    value = lines.set_index(["group", "metric"])["value"]
    assert value["all", "coverage"] == pytest.approx(inside.mean())
    here = (X["group1"] == "g0").to_numpy()
    assert value["g0", "coverage"] == pytest.approx(inside[here].mean())
    assert value["g0", "set_size"] == pytest.approx(sets["size"][here].mean())
    some = found.fairness_report(X, y, n_boot=0, metrics=["tpr_sd"])
    assert set(some["metric"]) == {"tpr_sd"}


def test_two_classes_have_them_beside_all_others(clf, rows):
    found = pf.ConformalSets(clf, "group2", effects="fixed").fit(*rows[:2])
    report = found.fairness_report(*rows[2:], n_boot=20)
    assert set(report["effects"]) == {"fixed"}
    assert {"auroc", "coverage", "set_size_sd", "worst_group_coverage"} <= set(report["metric"])
    assert set(report["attribute"]) == {"all", "group1", "group2"}


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"by": ["group1", "group2"], "conformity_score": "aps", "random_state": 3},
        {
            "by": "group1",
            "class_conditional": True,
            "conformity_score": "aps",
            "random_state": None,
        },
    ],
)
def test_a_saved_one_has_the_same_sets(clf, rows, tmp_path, keywords):
    found = pf.ConformalSets(clf, **keywords).fit(*rows[:2])
    found.save(tmp_path / "sets.pyfairme")
    again = pf.ConformalSets.load(tmp_path / "sets.pyfairme")
    pd.testing.assert_frame_equal(again.predict_set(rows[2]), found.predict_set(rows[2]))
    pd.testing.assert_frame_equal(again.calibration(), found.calibration())
    assert repr(again) == repr(found)
    assert again.n_rows_ == found.n_rows_
    assert clone(again).by == again.by


def test_what_a_file_of_sets_contradicts_is_damage(clf, rows, tmp_path):
    pf.ConformalSets(clf, class_conditional=True).fit(*rows[:2]).save(tmp_path / "one")
    kind, saved = persistence.load_state(tmp_path / "one")
    saved["calibrated"] = saved["calibrated"][:1]
    persistence.save_state(tmp_path / "one", saved, kind=kind)
    with pytest.raises(ValueError, match="calibrated: expected the scores of every class"):
        pf.ConformalSets.load(tmp_path / "one")


def test_bad_keywords_are_refused(clf, reg, rows):
    X, y = rows[:2]
    for keywords, message in [
        ({"conformity_score": "raps"}, "Invalid value of conformity_score: 'raps'"),
        ({"class_conditional": 1.5}, "Invalid value of class_conditional"),
        ({"effects": "all"}, "Invalid value of effects"),
    ]:
        with pytest.raises(ValueError, match=message):
            pf.ConformalSets(clf, **keywords).fit(X, y)
    with pytest.raises(TypeError, match="got FairMixedEffectsRegressor; real targets and counts"):
        pf.ConformalSets(reg).fit(X, y)
    with pytest.raises(ValueError, match=r"y has the label 7, unknown in training"):
        pf.ConformalSets(clf).fit(X, y.replace({1: 7}))
