"""The report: its shape, and its numbers against predictions and metrics called by hand."""

import copy

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme import metrics
from pyfairme.cli.fairness_text import fairness_text
from pyfairme.estimators import fairness_report
from pyfairme.estimators.refine_and_adapt import FairnessWarning

COLUMNS = ["effects", "clusters", "attribute", "group", "class", "metric", "value", "low", "high"]
COLUMNS += ["null", "null_low", "null_high", "n", "note"]
EFFECTS = ["fixed", "random", "mixed"]
BRACKET = pf.Binned("x3", (-0.5, 0.5), name="bracket")


def together(case):
    """Rows of known, then of unseen clusters."""
    return pd.concat([case.test, case.unseen]), pd.concat([case.y_test, case.y_unseen])


def value(report, metric, attribute, clusters="seen", effects="mixed", group="all"):
    """The one value of that line."""
    keys = {
        "metric": metric,
        "attribute": attribute,
        "clusters": clusters,
        "effects": effects,
        "group": group,
    }
    rows = report[np.logical_and.reduce([report[k] == v for k, v in keys.items()])]
    assert len(rows) == 1, (keys, len(rows))
    return rows["value"].item()


@pytest.fixture(scope="module")
def report(rich, binary):
    return rich.fairness_report(*together(binary), n_boot=20)


def test_columns_are_those_of_the_contract(report):
    assert list(report.columns) == COLUMNS
    assert list(report.index) == list(range(len(report)))


def test_every_effect_meets_seen_and_unseen_clusters(report, binary):
    blocks = report.groupby(["effects", "clusters"], sort=False)
    assert set(blocks.groups) == {(e, c) for e in EFFECTS for c in ("seen", "unseen")}
    assert blocks.size().nunique() == 1
    overall = report[report["metric"] == "auroc"].set_index(["clusters", "effects"])["n"]
    assert (overall["seen"] == 200).all()
    assert (overall["unseen"] == len(binary.unseen)).all()
    assert list(report["attribute"].unique()) == ["all", "group1", "bracket", "group1 x group2"]
    assert set(report["class"]) == {1}


@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("clusters", ["seen", "unseen"])
def test_numbers_equal_the_metrics_of_the_predictions(report, rich, binary, effects, clusters):
    X, y = (binary.test, binary.y_test) if clusters == "seen" else (binary.unseen, binary.y_unseen)
    proba = rich.predict_proba(X, effects=effects)[:, 1]
    decision = rich.predict(X, effects=effects)
    groups = {
        "group1": X["group1"],
        "bracket": BRACKET.apply(X["x3"]),
        "group1 x group2": X["group1"] + " & " + X["group2"],
    }
    for name in ("auroc", "log_loss", "brier"):
        found = value(report, name, "all", clusters, effects)
        assert found == pytest.approx(getattr(metrics, name)(y, proba), rel=1e-5), name
    found = value(report, "balanced_accuracy", "all", clusters, effects)
    assert found == pytest.approx(metrics.balanced_accuracy(y, decision))
    on_decisions = [
        "tpr_sd",
        "fpr_sd",
        "tpr_sd_corrected",
        "fpr_sd_corrected",
        "demographic_parity",
        "demographic_parity_difference",
        "equalized_odds_difference",
        "worst_group_accuracy",
    ]
    for attribute, s in groups.items():
        for name in on_decisions:
            by_hand = getattr(metrics, name)(y, decision, sensitive_features=s)
            found = value(report, name, attribute, clusters, effects)
            assert found == pytest.approx(by_hand, nan_ok=True), (name, attribute)
        by_hand = metrics.worst_group_calibration_error(y, proba, sensitive_features=s)
        found = value(report, "worst_group_calibration_error", attribute, clusters, effects)
        assert found == pytest.approx(by_hand, rel=1e-5, abs=1e-6)
    rate = decision[groups["group1"] == "g0"].mean()
    found = value(report, "selection_rate", "group1", clusters, effects, group="g0")
    assert found == pytest.approx(rate)


@pytest.mark.parametrize("effects", EFFECTS)
def test_counterfactual_gap_equals_a_flip_by_hand(report, rich, binary, effects):
    X = binary.test

    def proba(rows):
        return rich.predict_proba(rows, effects=effects)[:, 1]

    base = proba(X)
    other = X.assign(group1=X["group1"].map({"g0": "g1", "g1": "g0"}))
    gap = np.abs(proba(other) - base).mean()
    assert gap > 1e-4 or effects == "random"  # no slope on group1
    assert value(report, "counterfactual_gap", "group1", effects=effects) == pytest.approx(
        gap, rel=1e-4
    )
    cells = [(a, b) for a in ("g0", "g1") for b in ("g0", "g1", "g2")]
    every = np.stack([np.abs(proba(X.assign(group1=a, group2=b)) - base) for a, b in cells])
    gap = every.sum(axis=0).mean() / 5  # a row's own cell adds nothing
    assert value(report, "counterfactual_gap", "group1 x group2", effects=effects) == pytest.approx(
        gap, rel=1e-4
    )


def test_a_flip_of_a_bracket_replaces_its_number(report, rich, binary):
    X = binary.test
    base = rich.predict_proba(X)[:, 1]
    mine = BRACKET.codes(X["x3"].to_numpy())
    values = rich.design_.attributes[1].components[0].values  # medians of the training rows
    assert [int(code) for code in BRACKET.codes(np.array(values))] == [0, 1, 2]
    every = np.stack([rich.predict_proba(X.assign(x3=v))[:, 1] for v in values])
    gaps = np.abs(every - base) * (mine != np.arange(3)[:, None])
    assert value(report, "counterfactual_gap", "bracket") == pytest.approx(
        gaps.sum(axis=0).mean() / 2, rel=1e-4
    )


def test_a_flip_of_the_cluster_itself_is_one_by_hand(clf, binary):
    X, y = binary.test[:300], binary.y_test[:300]
    report = clf.fairness_report(
        X, y, attributes=["cluster"], n_boot=0, metrics=["counterfactual_gap"]
    )
    base, labels = clf.predict_proba(X)[:, 1], sorted(X["cluster"].unique())
    every = [np.abs(clf.predict_proba(X.assign(cluster=v))[:, 1] - base) for v in labels]
    gap = np.sum(every, axis=0).mean() / (len(labels) - 1)
    assert value(report, "counterfactual_gap", "cluster") == pytest.approx(gap, rel=1e-4)
    assert value(report, "counterfactual_gap", "cluster", effects="fixed") == 0


def test_by_cluster_gives_a_block_for_each(clf, binary):
    X, y = together(binary)
    found = clf.fairness_report(X, y, by_cluster=True, n_boot=0)
    assert set(found["clusters"]) == {"c0", "c1", "c2", "c3", "c4", "c5"}
    at = (X["cluster"] == "c2").to_numpy()
    by_hand = metrics.tpr_sd(y[at], clf.predict(X[at]), sensitive_features=X["group1"][at])
    assert value(found, "tpr_sd", "group1", "c2") == pytest.approx(by_hand)
    assert found[["low", "high"]].isna().all(axis=None)  # no bootstrap was asked for


def test_without_clusters_there_is_one_block(binary, classifier):
    estimator = classifier(cluster=None, hidden=()).fit(binary.X.drop(columns="cluster"), binary.y)
    for by_cluster, name in ((False, "seen"), (True, "all")):
        found = estimator.fairness_report(*together(binary), by_cluster=by_cluster, n_boot=0)
        assert set(found["clusters"]) == {name}


def test_attributes_that_were_not_penalised(clf, binary):
    X, y = binary.test, binary.y_test
    asked = ["group2", ("group1", "group2"), BRACKET]
    found = clf.fairness_report(X, y, attributes=asked, n_boot=0)
    assert list(found["attribute"].unique()) == ["all", "group2", "group1 x group2", "bracket"]
    decision = clf.predict(X)
    crossed = metrics.fpr_sd(y, decision, sensitive_features=X["group1"] + " & " + X["group2"])
    assert value(found, "fpr_sd", "group1 x group2") == pytest.approx(crossed)
    proba = clf.predict_proba(X)[:, 1]
    every = np.stack(
        [np.abs(clf.predict_proba(X.assign(group2=g))[:, 1] - proba) for g in ("g0", "g1", "g2")]
    )
    assert value(found, "counterfactual_gap", "group2") == pytest.approx(
        every.sum(axis=0).mean() / 2, rel=1e-4
    )


def test_one_attribute_needs_no_list(clf, binary):
    rows = binary.test, binary.y_test
    by_name = clf.fairness_report(*rows, attributes="group1", n_boot=0)
    assert by_name.equals(clf.fairness_report(*rows, n_boot=0))
    nothing = clf.fairness_report(*rows, attributes=[], n_boot=0)
    assert set(nothing["attribute"]) == {"all"}


def test_penalised_attributes_keep_their_training_brackets(rich, report, binary):
    """Asked for by its description, an attribute is the one the model was trained with."""
    asked = ["group1", BRACKET, ("group1", "group2")]
    found = rich.fairness_report(*together(binary), attributes=asked, n_boot=20)
    pd.testing.assert_frame_equal(found, report)


def test_unknown_attributes_are_refused_with_a_near_match(clf, binary):
    expected = r"The sensitive column 'grup1' is not in the frame\. Did you mean 'group1'"
    with pytest.raises(ValueError, match=expected):
        clf.fairness_report(binary.test, binary.y_test, attributes=["grup1"])
    flat = binary.test.assign(group2="g0")
    with pytest.raises(ValueError, match=r"'group2' has one level only \('g0'\)"):
        clf.fairness_report(flat, binary.y_test, attributes=["group2"])


@pytest.mark.long
def test_hidden_attributes_are_judged_when_they_are_there(binary, classifier):
    estimator = classifier(drop_sensitive=True, hidden=()).fit(binary.X, binary.y)
    found = estimator.fairness_report(binary.test, binary.y_test, n_boot=0)
    assert value(found, "counterfactual_gap", "group1") == 0.0  # the network never sees it
    without = binary.test.drop(columns="group1")
    np.testing.assert_array_equal(estimator.predict(without), estimator.predict(binary.test))
    with pytest.raises(ValueError, match=r"The sensitive column 'group1' is not in the frame\. "):
        estimator.fairness_report(without, binary.y_test)


def test_one_class_gives_nan_with_the_reason(clf, binary):
    only = (binary.y_test == 1).to_numpy()
    found = clf.fairness_report(binary.test[only], binary.y_test[only], n_boot=10)
    lines = found[found["metric"].isin(["auroc", "balanced_accuracy"])]
    assert lines["value"].isna().all()
    assert (lines["note"] == "not defined: y_true has only one outcome").all()
    assert np.isnan(value(found, "fpr_sd", "group1"))
    assert np.isfinite(value(found, "tpr_sd", "group1"))


def test_a_new_level_is_a_group_of_its_own(clf, binary):
    X, y = together(binary)
    rows = np.flatnonzero(X["cluster"] == "c5")[:20]
    odd = X.assign(group1=np.where(np.isin(np.arange(len(X)), rows), "g9", X["group1"]))
    with pytest.warns(UserWarning, match="'group1': levels unknown in training: g9"):
        found = clf.fairness_report(odd, y, n_boot=10)
    here = found["clusters"] == "unseen"
    assert set(found[here]["group"]) == {"all", "(new level)", "g0", "g1"}
    assert "counterfactual_gap" not in set(found[here]["metric"])  # what is not g9?
    plain = clf.fairness_report(X, y, n_boot=10)
    pd.testing.assert_frame_equal(  # rows elsewhere are judged as if there were none
        found[~here].reset_index(drop=True),
        plain[plain["clusters"] == "seen"].reset_index(drop=True),
    )


def test_pooling_two_halves_equals_the_whole(clf, binary):
    X, y = together(binary)
    parts = [fairness_report.collect(clf, X[i::2], y[i::2]) for i in (0, 1)]
    pooled = fairness_report.report(
        fairness_report.pool(parts), by_cluster=False, n_boot=0, level=0.9
    )
    order = np.r_[0 : len(X) : 2, 1 : len(X) : 2]
    whole = clf.fairness_report(X.iloc[order], y.iloc[order], n_boot=0)
    pd.testing.assert_frame_equal(pooled, whole, rtol=1e-5)


def test_the_report_repeats_and_obeys_its_level(clf, binary):
    rows = binary.test, binary.y_test
    first, second = (clf.fairness_report(*rows, n_boot=50) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    narrow = clf.fairness_report(*rows, n_boot=50, level=0.5)
    wide, slim = ((t["high"] - t["low"])[t["metric"] == "tpr_sd"].mean() for t in (first, narrow))
    assert slim < wide


def test_wrong_targets_are_refused(clf, binary):
    with pytest.raises(ValueError, match="X has 200 rows, y has 3: give one target per row"):
        clf.fairness_report(binary.test, [0, 1, 0])
    with pytest.raises(ValueError, match=r"y has the label 7, unknown in training: \(0, 1\)"):
        clf.fairness_report(binary.test, np.full(200, 7))


def test_text_labels_name_the_class(binary, classifier):
    labels = np.array(["no", "yes"])
    estimator = classifier().fit(binary.X, labels[binary.y])
    found = estimator.fairness_report(binary.test, labels[binary.y_test], n_boot=0)
    assert set(found["class"]) == {"yes"}


@pytest.mark.parametrize("effects", EFFECTS)
def test_regression_equals_the_metrics_of_the_predictions(reg, real, effects):
    X, y = real.test, real.y_test
    found = reg.fairness_report(X, y, n_boot=10)
    assert list(found.columns) == COLUMNS
    assert set(found["class"]) == {""}
    predicted = reg.predict(X, effects=effects)
    for name in ("mse", "r2"):
        by_hand = getattr(metrics, name)(y, predicted)
        assert value(found, name, "all", effects=effects) == pytest.approx(by_hand, rel=1e-5)
    s = X["group1"]
    for name in ("mse_sd", "residual_sd", "demographic_parity"):
        by_hand = getattr(metrics, name)(y, predicted, sensitive_features=s)
        assert value(found, name, "group1", effects=effects) == pytest.approx(by_hand, rel=1e-5)
    by_hand = metrics.conditional_demographic_disparity(y, predicted, sensitive_features=s)
    line = value(found, "conditional_demographic_disparity", "group1", effects=effects)
    assert line == pytest.approx(by_hand, rel=1e-5)
    other = X.assign(group1=X["group1"].map({"g0": "g1", "g1": "g0"}))
    gap = np.abs(reg.predict(other, effects=effects) - predicted).mean()
    line = value(found, "counterfactual_gap", "group1", effects=effects)
    assert line == pytest.approx(gap, rel=1e-4)


def test_log_predictive_density_is_that_of_the_drawn_normals(reg, real):
    """log mean over draws of Normal(y | link, residual SD), with units: made from the posterior."""
    X, y = real.test[:50], real.y_test[:50].to_numpy()
    effects = {k: v[0].astype(float) for k, v in reg.fit_.draws.items()}
    codes = np.array([list(reg.design_.clusters["cluster"]).index(c) for c in X["cluster"]])
    scale = next(c.scale for c in reg.design_.slope_columns)
    slope = effects["cluster_slopes"][:, codes, 0, 0] * (X["x1"].to_numpy() / scale)
    link = (effects["cluster_intercept"][:, codes, 0] + slope) * reg.target_.scale
    link += reg.predict(X, effects="fixed")
    sd = effects["residual_sd"][:, None] * reg.target_.scale
    density = np.exp(-0.5 * ((y - link) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    by_hand = np.log(density.mean(axis=0)).mean()
    found = reg.fairness_report(X, y, n_boot=0)
    assert value(found, "log_predictive_density", "all") == pytest.approx(by_hand, rel=1e-4)


def test_one_decision_for_all_rows_is_no_fairness(clf, binary):
    model = copy.copy(clf).set_params(threshold=1.0)
    with pytest.warns(FairnessWarning, match=r"Every one of the 200 rows is decided 0: .*\[const"):
        found = model.fairness_report(binary.test, binary.y_test, n_boot=0)
    spread = found[(found["attribute"] != "all") & (found["group"] == "all")]
    of_decisions = ~spread["metric"].isin(
        ["counterfactual_gap", "worst_group_accuracy", "worst_group_calibration_error"]
    )
    told = spread["note"].str.startswith("decides 0 for every row: no sign of fairness")
    assert (told == of_decisions).all()
    assert told.any()
    text = " ".join(fairness_text(found).split())
    assert "Every row is decided 0: equal rates are no sign of fairness. Try --threshold" in text
    assert "0 is fair" not in text
    usual = clf.fairness_report(binary.test, binary.y_test, n_boot=0)
    assert "0 is fair" in " ".join(fairness_text(usual).split())


# --- groups of few rows -------------------------------------------------------------------------


def test_small_groups_are_put_together_for_every_kind_of_effects(clf, binary):
    """The least group of the new clusters is too small by one row of its rarer class."""
    counts = pd.crosstab(binary.unseen["group2"], binary.y_unseen.to_numpy())
    least = int(counts.min(axis=None)) + 1
    found = clf.fairness_report(
        binary.unseen, binary.y_unseen, attributes="group2", n_boot=0, min_group_size=least
    )
    rates = found[found["metric"].isin(["tpr", "fpr"])]
    assert (rates["n"] >= least).all()
    for _, block in rates.groupby("effects"):
        assert "(small groups)" in set(block["group"])
        assert block.loc[block["metric"] == "tpr", "n"].sum() == counts[1].sum()


def test_clusters_of_few_rows_are_left_out_and_counted(clf, binary):
    X, y = together(binary)
    classes = y.groupby(X["cluster"].astype(str)).value_counts().unstack(fill_value=0).min(axis=1)
    least = int(classes.median()) + 1
    few = int((classes < least).sum())
    with pytest.warns(pf.DataWarning, match=rf"{few} of {len(classes)} clusters .*-left-out\]"):
        found = clf.fairness_report(X, y, True, n_boot=0, min_group_size=least)
    assert set(found["clusters"]) == set(classes.index[classes >= least])
    with pytest.raises(ValueError, match=r"\[nothing-large-enough\]"):
        clf.fairness_report(X, y, True, n_boot=0, min_group_size=10_000)
