"""Conformal intervals of a fitted regressor, on outcomes whose noise is known."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import pyfairme as pf
from pyfairme import persistence

NOISE = {"g0": 0.3, "g1": 2.0}
BRACKET = pf.Binned("x3", (-0.5, 0.5), name="bracket")


@pytest.fixture(scope="module")
def many():
    """Rows of the six clusters that `reg` may know, many of them."""
    found = pf.datasets.make_clustered(
        rows=2400, clusters=6, sensitive_levels=(2, 3), likelihood="normal", random_state=3
    )
    return found.frame


@pytest.fixture(scope="module")
def outcomes(reg, many):
    """Outcomes around the prediction, one group noisier: the model knows nothing of it."""
    known = many["cluster"].isin(reg.design_.clusters["cluster"]).to_numpy()
    rows = many[known].reset_index(drop=True)
    noise = np.random.default_rng(0).normal(size=len(rows)) * rows["group1"].map(NOISE)
    half = len(rows) // 2
    y = pd.Series(reg.predict(rows) + noise, name="y")
    return rows[:half], y[:half], rows[half:], y[half:]


def held(found, y):
    return (found["low"] <= y) & (y <= found["high"])


def intervals(reg, outcomes, by=None, **keywords):
    return pf.ConformalIntervals(reg, by, **keywords).fit(*outcomes[:2])


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_all_rows_are_covered_at_the_level_and_groups_are_not(reg, outcomes, level):
    X, y = outcomes[2:]
    covered = held(intervals(reg, outcomes).predict_interval(X, level), y)
    n = len(y)
    assert covered.mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) * 2 / n))
    by = covered.groupby(X["group1"]).mean()
    assert by["g0"] > level + 0.03
    assert by["g1"] < level - 0.03


@pytest.mark.parametrize(
    "by",
    ["group1", ["group1", "group2"], ("group1", "group2"), ["group1", "cluster", "group2"]],
)
def test_by_group_each_is_covered_with_intervals_of_its_own_width(reg, outcomes, by):
    X, y = outcomes[2:]
    found = intervals(reg, outcomes, by).predict_interval(X, 0.9)
    for name in ("group1", "group2"):
        rows = X.groupby(name).size()
        shares = held(found, y).groupby(X[name]).mean()
        assert (np.abs(shares - 0.9) < 4 * np.sqrt(0.09 * 3 / rows)).all()
    width = (found["high"] - found["low"]).groupby(X["group1"]).mean()
    assert width["g1"] / width["g0"] == pytest.approx(2.0 / 0.3, rel=0.25)
    assert set(found["calibrated_on"].str.partition("=")[0]) <= {"group1", "group1 x group2"}


def test_it_is_split_conformal_prediction_by_hand(reg, outcomes):
    """The interval is the model's own at the level of the k-th smallest score."""
    X, y, new, _ = outcomes
    found = intervals(reg, outcomes)
    grid = np.arange(0.1, 1, 0.1)
    inside = [held(reg.predict_interval(X, a, kind="observation"), y.to_numpy()) for a in grid]
    first = np.where(np.any(inside, axis=0), np.argmax(inside, axis=0), len(grid))
    k = int(np.ceil(0.5 * (len(y) + 1)))
    step = np.sort(first)[k - 1]  # the first level of the grid that holds k rows
    quantile = found.calibration(0.5).loc[0, "quantile"]
    assert 0.1 * step - 1e-3 <= quantile <= 0.1 * (step + 1) + 1e-3
    mine, own = found.predict_interval(new, 0.5), reg.predict_interval(new, 0.9, "observation")
    assert mine["mean"].tolist() == pytest.approx(own["mean"].tolist())


def test_a_row_alone_has_the_interval_it_has_in_company(reg, outcomes):
    found = intervals(reg, outcomes, ["group1", "group2"])
    X = outcomes[2]
    every = found.predict_interval(X)
    pd.testing.assert_frame_equal(found.predict_interval(X.iloc[[7]]), every.iloc[[7]])
    assert every.index.equals(X.index)


def test_clusters_are_calibrated_on_their_own_rows(reg, outcomes):
    X, _, new, _ = outcomes
    shift = X["cluster"].map({c: i for i, c in enumerate(sorted(X["cluster"].unique()))})
    rng = np.random.default_rng(5)

    def noisy(rows):
        scale = 0.2 + shift.max() - rows["cluster"].map(dict(zip(X["cluster"], shift, strict=True)))
        return reg.predict(rows) + scale * rng.normal(size=len(rows))

    numbered = [rows.assign(cluster=rows["cluster"]) for rows in (X, new)]
    by = pf.ConformalIntervals(reg, "cluster").fit(numbered[0], noisy(numbered[0]))
    y = pd.Series(noisy(new), index=new.index)
    shares = held(by.predict_interval(new), y).groupby(new["cluster"]).mean()
    rows = new.groupby("cluster").size()
    assert (np.abs(shares - 0.9) < 4 * np.sqrt(0.09 * 2 / rows)).all()
    table = by.calibration().set_index("group")
    assert table.loc[sorted(X["cluster"].unique()), "n"].sum() == len(X)


@pytest.mark.filterwarnings("ignore:Unlike the training rows")  # g9
def test_a_small_group_gets_the_quantile_of_all_and_it_is_said(reg, outcomes):
    X, y, new, _ = outcomes
    rare = X["group2"] != "g2"
    rare.iloc[np.flatnonzero(~rare)[:8]] = True  # 8 rows of g2 are left; .9 takes 9
    found = pf.ConformalIntervals(reg, "group2").fit(X[rare], y[rare])
    with pytest.warns(pf.DataWarning, match=r"takes, 9: group2=g2\..*\[calibrated-on-all-rows\]"):
        rows = found.predict_interval(new)
    assert (rows["calibrated_on"] == "all").equals(new["group2"] == "g2")
    marginal = pf.ConformalIntervals(reg).fit(X[rare], y[rare]).predict_interval(new)
    here = new["group2"] == "g2"
    pd.testing.assert_frame_equal(rows[here], marginal[here])
    table = found.calibration().set_index("group")
    assert table["calibrated_on"].to_dict() == {
        "all": "all", "g0": "own rows", "g1": "own rows", "g2": "all",
    }  # fmt: skip
    assert (table["n"] == [rare.sum(), *X[rare].groupby("group2").size()]).all()
    with pytest.warns(pf.DataWarning, match=r"group2=\(no calibration row\)"):
        found.predict_interval(new.assign(group2="g9"))
    several = pf.ConformalIntervals(reg, ["group1", "group2"]).fit(X[rare], y[rare])
    with pytest.warns(pf.DataWarning, match="calibrated-on-all-rows"):
        rows = several.predict_interval(new)
    assert (
        rows.loc[here, "calibrated_on"]
        .isin(["group1=g0, group2=all", "group1=g1, group2=all"])
        .all()
    )
    group = pf.ConformalIntervals(reg, "group1").fit(X[rare], y[rare]).predict_interval(new)
    assert rows.loc[here, "low"].tolist() == group.loc[here, "low"].tolist()


def test_the_table_says_what_coverage_these_rows_can_have(reg, outcomes):
    line = intervals(reg, outcomes).calibration(0.9).iloc[0]
    n = len(outcomes[0])
    k = np.ceil(0.9 * (n + 1))
    assert line["coverage"] == pytest.approx(k / (n + 1))
    sd = np.sqrt(0.09 / n)
    assert [line["low"], line["high"]] == pytest.approx(
        [0.9 - 1.645 * sd, 0.9 + 1.645 * sd], abs=2e-3
    )
    several = intervals(reg, outcomes, ["group1", "group2"]).calibration(0.9).iloc[1:]
    assert several["attribute"].tolist() == ["group1"] * 2 + ["group2"] * 3
    assert (np.abs(several["coverage"] - 0.9) < 5 / several["n"]).all()


@pytest.mark.filterwarnings("ignore:.*mostly-unseen")
def test_new_clusters_are_units_where_there_are_enough(reg, outcomes):
    X, y, new, _ = outcomes
    rng = np.random.default_rng(6)
    names = [f"new{i}" for i in range(30)]
    effect = dict(zip(names, 5 * rng.normal(size=30), strict=True))
    other = new.assign(cluster=rng.choice(names, len(new)))
    truth = reg.predict(other) + other["cluster"].map(effect).to_numpy()
    held_out = other["cluster"].isin(names[:20]).to_numpy()
    few = other["cluster"].isin(names[:8]).to_numpy()

    def fitted(chosen, by=None):
        rows, values = pd.concat([X, other[chosen]]), np.r_[y, truth[chosen]]
        return pf.ConformalIntervals(reg, by).fit(rows, values)

    enough, late = fitted(held_out), other[~held_out]
    found = enough.predict_interval(late)
    assert set(found["calibrated_on"]) == {"all (unseen clusters)"}
    assert held(found, truth[~held_out]).mean() > 0.8
    table = enough.calibration().set_index("clusters")
    assert table["units"].to_dict() == {"seen": len(X), "unseen": 20}
    assert np.isnan(table.loc["unseen", "low"])
    with pytest.warns(
        pf.DataWarning, match=r"takes 9 such clusters .* have 8\..*\[calibrated-on-o"
    ):
        rows = fitted(few).predict_interval(late)
    assert set(rows["calibrated_on"]) == {"all"}
    assert held(rows, truth[~held_out]).mean() < 0.5
    only = pf.ConformalIntervals(reg).fit(other[held_out], truth[held_out])
    with pytest.warns(
        pf.DataWarning, match="of clusters of training, and are calibrated on rows of o"
    ):
        rows = only.predict_interval(X)
    assert set(rows["calibrated_on"]) == {"all (unseen clusters)"}
    groups = fitted(held_out, "group1").predict_interval(late)
    assert set(groups["calibrated_on"]) == {
        "group1=g0 (unseen clusters)", "group1=g1 (unseen clusters)",
    }  # fmt: skip
    fixed = pf.ConformalIntervals(reg, effects="fixed").fit(
        X, y
    )  # knows no cluster, so none is new
    assert set(fixed.predict_interval(late.drop(columns="cluster"))["calibrated_on"]) == {"all"}


def test_rows_without_a_cluster_are_units_of_their_own(reg, outcomes):
    X, y = outcomes[:2]
    gaps = X.assign(cluster=X["cluster"].where(np.arange(len(X)) >= 12, None))
    found = pf.ConformalIntervals(reg).fit(gaps, y)
    assert found.calibration().set_index("clusters")["units"].to_dict() == {
        "seen": len(X) - 12, "unseen": 12,
    }  # fmt: skip


@pytest.mark.parametrize("by", [None, "group1", ("group1", BRACKET), ["group1", BRACKET]])
def test_a_saved_one_has_the_same_intervals(reg, outcomes, tmp_path, by):
    found = intervals(reg, outcomes, by, effects="fixed")
    found.save(tmp_path / "intervals.pyfairme")
    again = pf.ConformalIntervals.load(tmp_path / "intervals.pyfairme")
    assert (again.by, again.effects, again.n_rows_) == (by, "fixed", found.n_rows_)
    X = outcomes[2]
    pd.testing.assert_frame_equal(again.predict_interval(X), found.predict_interval(X))
    pd.testing.assert_frame_equal(again.calibration(0.8), found.calibration(0.8))
    with pytest.raises(ValueError, match="holds a 'ConformalIntervals', not a GroupThresholds"):
        pf.GroupThresholds.load(tmp_path / "intervals.pyfairme")


@pytest.mark.long
@pytest.mark.usefixtures("optimised")
def test_counts_have_whole_bounds_and_no_less_than_the_level():
    data = pf.datasets.make_clustered(600, clusters=5, likelihood="poisson", random_state=0)
    rng = np.random.default_rng(0)
    y = pd.Series(rng.poisson(data.target * rng.gamma(2, 0.5, 600)))  # more than Poisson's noise
    X = data.frame
    reg = pf.FairMixedEffectsRegressor(
        "cluster", likelihood="poisson", fairness=None, guide="mean_field", hidden=(8,),
        min_steps=300, random_state=0, progress=False,
    ).fit(X[:400], y[:400])  # fmt: skip
    by = pf.ConformalIntervals(reg).fit(X[400:], y[400:])
    assert by.calibration(0.9).loc[0, "quantile"] > 0.95  # the model's noise is too small
    found = by.predict_interval(X[400:], 0.9)
    assert held(found, y[400:]).sum() >= np.ceil(0.9 * 201)  # by construction, on these rows
    assert held(found, y[400:]).mean() < 0.95
    assert (found["low"] >= 0).all()
    assert (found[["low", "high"]] == found[["low", "high"]].round()).all(axis=None)


def test_what_cannot_be_calibrated_is_refused(reg, clf, outcomes):
    X, y, new, _ = outcomes
    with pytest.raises(ValueError, match=r"level=0.9 takes 9 calibration rows, got 8: .*\[few-cal"):
        pf.ConformalIntervals(reg).fit(X[:8], y[:8]).predict_interval(new)
    by = intervals(reg, outcomes, "group2")
    with pytest.raises(
        ValueError, match=r"Quantiles by group of 'group2' need .* leave it out of by"
    ):
        by.predict_interval(new.drop(columns="group2"))
    one = X["group1"] == "g0"
    with pytest.raises(
        ValueError, match=r"No quantiles by group can be chosen on these .*\[no-groups"
    ):
        pf.ConformalIntervals(reg, "group1").fit(X[one], y[one])
    with pytest.raises(ValueError, match=r"by names 'group1' twice.*\[given-twice\]"):
        pf.ConformalIntervals(reg, ["group1", "group1"]).fit(X, y)
    with pytest.raises(TypeError, match=r"by takes a column, .* got 3\. \[by-kind\]"):
        pf.ConformalIntervals(reg, 3).fit(X, y)
    with pytest.raises(
        TypeError, match=r"fitted FairMixedEffectsRegressor, got FairMixedEffectsCl"
    ):
        pf.ConformalIntervals(clf).fit(X, y)
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1, got 90"):
        by.predict_interval(new, 90)
    with pytest.raises(ValueError, match=r"Invalid value of effects"):
        pf.ConformalIntervals(reg, effects="all").fit(X, y)
    with pytest.raises(ValueError, match=r"X has \d+ rows, y has 3"):
        pf.ConformalIntervals(reg).fit(X, y[:3])
    with pytest.raises(NotFittedError):
        pf.ConformalIntervals(reg).predict_interval(new)
    many = X.assign(group2=[f"g{row // 2}" for row in range(len(X))])
    with pytest.raises(ValueError, match=r"401 are of 'group2', and .* have 300: .*\[many"):
        pf.ConformalIntervals(reg, ["group1", "group2"]).fit(many, y)


def test_another_fit_needs_another_calibration(reg, outcomes):
    X, y, new, _ = outcomes
    rows = X[:400].assign(cluster="new")
    other = reg.adapt(rows[:50], y[:50])
    found = intervals(reg, outcomes)
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(again.predict_interval(new), found.predict_interval(new))
    found.set_params(estimator=other)
    with pytest.raises(ValueError, match=r"was fitted again, or replaced, .*\[refitted-esti"):
        found.predict_interval(new)
    found.fit(X, y).predict_interval(new)


def test_it_says_what_it_reads(reg):
    by = pf.ConformalIntervals(reg, "group1")
    assert repr(by).endswith("by='group1', effects='mixed')  # reads these columns when predicting")
    assert repr(pf.ConformalIntervals(reg)).endswith("effects='mixed')")
    assert clone(by).estimator is reg


def test_intervals_of_a_file_are_checked(reg, outcomes, tmp_path):
    intervals(reg, outcomes, "group1").save(tmp_path / "whole")
    kind, saved = persistence.load_state(tmp_path / "whole")
    whole = saved["calibrated"]
    for name, value in (
        ("codes", whole["codes"] + 5),
        ("unit", whole["unit"][1:]),
        ("score", whole["score"] * np.nan),
    ):
        broken = saved | {"calibrated": whole | {name: value}}
        persistence.save_state(tmp_path / "broken", broken, kind=kind)
        with pytest.raises(ValueError, match=rf"truncated or altered: {name}: expected"):
            pf.ConformalIntervals.load(tmp_path / "broken")


def test_the_report_has_coverage_and_width_by_group(reg, outcomes):
    X, y = outcomes[2:]
    found = intervals(reg, outcomes, ["group1", "group2"])
    report = found.fairness_report(X, y, n_boot=20, interval_level=0.8)
    value = report.set_index(["attribute", "group", "metric"])["value"]
    rows = found.predict_interval(X, 0.8)
    shares = held(rows, y).groupby(X["group1"]).mean()
    width = (rows["high"] - rows["low"]).groupby(X["group1"]).mean()
    assert set(report["effects"]) == {"mixed"}
    assert set(report["attribute"]) == {"all", "group1", "group2"}
    for group in ("g0", "g1"):
        assert value["group1", group, "coverage"] == pytest.approx(shares[group])
        assert value["group1", group, "interval_width"] == pytest.approx(width[group])
    assert value["group1", "all", "coverage_sd"] == pytest.approx(np.std(shares))
    by_cluster = intervals(reg, outcomes, "cluster").fairness_report(X, y, True, n_boot=0)
    assert set(by_cluster["clusters"]) == set(X["cluster"])
    assert "coverage" in set(by_cluster["metric"])


def test_the_estimators_own_intervals_are_judged_beside_its_predictions(reg, outcomes):
    X, y = outcomes[2:]
    own = reg.predict_interval(X, 0.9, kind="observation")
    report = reg.fairness_report(X, y, n_boot=0, intervals=own)
    lines = report[report["metric"].isin(["coverage", "interval_width"])]
    assert set(lines["effects"]) == {"mixed"}
    assert lines["value"].iloc[0] == pytest.approx(held(own, y).mean())
    fixed = reg.fairness_report(X, y, n_boot=0, intervals={"fixed": own})
    assert set(fixed.loc[fixed["metric"] == "coverage", "effects"]) == {"fixed"}
    with pytest.raises(ValueError, match=r"columns 'low', 'high', got \['mean'\].*\[interv"):
        reg.fairness_report(X, y, intervals=own[["mean"]])
    with pytest.raises(ValueError, match=r"got array|got a ndarray"):
        reg.fairness_report(X, y, intervals=own.to_numpy())
    with pytest.raises(ValueError, match=r"intervals have 3: give one line per row"):
        reg.fairness_report(X, y, intervals=own[:3])
    with pytest.raises(ValueError, match=r"Invalid value of effects of intervals"):
        reg.fairness_report(X, y, intervals={"both": own})
    with pytest.warns(pf.DataWarning, match=r"intervals has the row labels of X in another order"):
        reg.fairness_report(X, y, n_boot=0, intervals=own[::-1])


def test_it_shows_what_its_rows_allow(reg, outcomes):
    X, y, *_ = outcomes
    found = pf.ConformalIntervals(reg, by="group1").fit(X, y)
    table, facts = found.calibration(0.9), found.summary()
    grid = facts.parts[-1]
    for name, at in (("n", 3), ("quantile", 5), ("coverage", 6)):
        assert [row[at].value for row in grid.rows] == table[name].tolist()
    assert f"{len(X):,} held-out rows" in facts.lead
    assert ("calibrated by", "group1") in facts.parts[0].items
    assert 'class="pyfairme"' in found._repr_html_()
    few = pf.ConformalIntervals(reg, by="group1").fit(X[:5], y[:5])
    assert "takes 9 calibration rows, got 5" in str(few.summary())
