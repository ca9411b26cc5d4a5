"""What random effects add to disparities: against sums by hand, and against a known truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

import pyfairme as pf
from pyfairme.estimators.random_part_disparity import random_disparity

COLUMNS = ["factor", "cluster", "attribute", "group", "class", "measure", "value", "sd", "low"]
COLUMNS += ["high", "null", "null_low", "null_high", "n"]


@pytest.fixture(scope="module")
def found(clf, binary):
    return random_disparity(clf, binary.test, ["group1", "group2"])


def draws_by_hand(clf, X):
    """Random part and change of the probability, (draws, n), from the posterior's intercepts."""
    effects = clf.posterior_.posterior["cluster_intercept"].to_numpy()
    effects = effects.reshape(-1, effects.shape[-1])
    step = np.linspace(0, len(effects) - 1, 500).round().astype(int)
    labels = list(clf.cluster_effects_["cluster"])
    u = effects[step][:, [labels.index(label) for label in X["cluster"]]]
    fixed = clf.predict_proba(X, effects="fixed")[:, 1]
    return {"random_mean": u, "tilt": expit(logit(fixed) + u) - fixed}


def test_columns_and_lines(found, binary):
    assert list(found.columns) == COLUMNS
    assert list(found.index) == list(range(len(found)))
    assert set(found["cluster"]) == {"all", *binary.test["cluster"]}
    pooled = found[(found["cluster"] == "all") & (found["attribute"] == "group2")]
    assert pooled["n"][pooled["group"] == "all"].tolist() == [200] * 4
    counts = binary.test["group2"].value_counts()
    assert all(n == counts[g] for g, n in zip(pooled["group"], pooled["n"], strict=True)
               if g != "all")  # fmt: skip
    assert found[["value", "sd", "low", "high"]].notna().all().all()
    assert (found["low"] <= found["high"]).all()
    assert found["null"].notna().equals(found["measure"].str.endswith("_sd"))


@pytest.mark.parametrize("measure", ["random_mean", "tilt"])
@pytest.mark.parametrize("attribute", ["group1", "group2"])
def test_means_and_spread_are_those_of_the_draws(found, clf, binary, measure, attribute):
    X = binary.test
    draws = draws_by_hand(clf, X)[measure]
    for cluster in ("all", X["cluster"].iloc[0]):
        there = np.ones(len(X), bool) if cluster == "all" else (X["cluster"] == cluster).to_numpy()
        lines = found[(found["cluster"] == cluster) & (found["attribute"] == attribute)]
        lines = lines.set_index(["measure", "group"])
        means = {
            group: draws[:, there & (X[attribute] == group).to_numpy()].mean(axis=1)
            for group in sorted(X[attribute].unique())
        }
        means["all"] = draws[:, there].mean(axis=1)
        spread = np.std([m for g, m in means.items() if g != "all"], axis=0)
        expected = {(measure, g): m for g, m in means.items()} | {(f"{measure}_sd", "all"): spread}
        for key, values in expected.items():
            numbers = [values.mean(), values.std(), *np.quantile(values, [0.05, 0.95])]
            line = lines.loc[key, ["value", "sd", "low", "high"]].to_numpy(float)
            assert line == pytest.approx(numbers, abs=2e-5), key


def test_excess_adds_up_over_clusters(found):
    excess = found[found["measure"] == "excess"].set_index(["attribute", "group", "cluster"])
    parts = excess["value"].drop("all", level="cluster").groupby(["attribute", "group"]).sum()
    whole = excess["value"].xs("all", level="cluster")
    assert parts.to_numpy() == pytest.approx(whole.to_numpy(), abs=1e-9)
    tilt = found[(found["measure"] == "tilt") & (found["cluster"] == "all")]
    tilt = tilt.set_index(["attribute", "group"])["value"]
    for (attribute, group), value in whole.items():
        assert value == pytest.approx(tilt[attribute, group] - tilt[attribute, "all"])


def test_tilt_is_mixed_less_fixed_whatever_the_model(rich, reg, binary, real):
    """With slopes, ensembles, intersections, brackets; for a regression in the target's units."""
    bracket = pf.Binned("x3", (-0.5, 0.5), name="bracket")
    lines = random_disparity(rich, binary.test, [bracket, ("group1", "group2")])
    p = {e: rich.predict_proba(binary.test, effects=e)[:, 1] for e in ("fixed", "mixed")}
    groups = {
        "bracket": bracket.apply(binary.test["x3"]),
        "group1 x group2": binary.test["group1"] + " & " + binary.test["group2"],
    }
    pooled = lines[(lines["cluster"] == "all") & (lines["measure"] == "tilt")]
    assert len(pooled) == 3 + 6 + 2
    for line in pooled[pooled["group"] != "all"].itertuples():
        rows = (groups[line.attribute] == line.group).to_numpy()
        expected = (p["mixed"] - p["fixed"])[rows].mean()
        assert line.value == pytest.approx(expected, abs=0.006), line  # 200 draws against 500
    lines = random_disparity(reg, real.test).set_index(["cluster", "group", "measure"])["value"]
    change = reg.predict(real.test) - reg.predict(real.test, effects="fixed")
    rows = (real.test["group1"] == "g1").to_numpy()
    assert lines["all", "g1", "tilt"] == pytest.approx(change[rows].mean(), abs=0.02)
    one = lines.drop(index="excess", level="measure").unstack()
    assert one["tilt"].to_numpy() == pytest.approx(one["random_mean"].to_numpy(), abs=1e-5)
    assert one["tilt"].abs().max() > 0.3


def test_unseen_clusters_follow_the_policy(clf, binary):
    both = pd.concat([binary.test, binary.unseen])
    lines = random_disparity(clf, both)
    place = lines.set_index(["cluster", "group", "measure"])["value"]
    new = binary.unseen["cluster"].iloc[0]
    rows = binary.unseen[binary.unseen["cluster"] == new]
    change = np.subtract(*(clf.predict_proba(rows, effects=e)[:, 1] for e in ("mixed", "fixed")))
    assert place[new, "all", "tilt"] == pytest.approx(change.mean(), abs=0.02)
    assert set(lines["cluster"]) == {"all", *both["cluster"]}


def test_levels_never_seen_are_a_group(clf, binary):
    rows = binary.test.assign(group1=binary.test["group1"].where(binary.test["x2"] < 1, "g9"))
    with pytest.warns(UserWarning, match="g9"):
        lines = random_disparity(clf, rows, by_cluster=False)
    assert lines["group"].drop_duplicates().tolist() == ["g0", "g1", "(new level)", "all"]


@pytest.mark.long
def test_the_null_band_is_that_of_shuffled_groups(clf, binary):
    X, rng = binary.test, np.random.default_rng(0)
    inside, spreads = [], []
    for _ in range(60):
        shuffled = X.assign(other=rng.permutation(X["group2"].to_numpy()))
        lines = random_disparity(clf, shuffled, "other", by_cluster=False)
        line = lines[lines["measure"] == "tilt_sd"].iloc[0]
        inside.append(line["null_low"] <= line["value"] <= line["null_high"])
        spreads.append(line["value"])
    assert 0.78 <= np.mean(inside) <= 0.98
    assert np.mean(spreads) == pytest.approx(line["null"], rel=0.2)


@pytest.mark.slow
def test_two_factors_and_three_classes(classifier):
    data = pf.datasets.make_clustered(
        rows=400, clusters=4, likelihood="categorical", sensitive_levels=(2, 3), random_state=3
    )
    clf = classifier(cluster=["cluster", "group2"], min_steps=100).fit(data.frame, data.target)
    lines = random_disparity(clf, data.frame)
    assert lines["factor"].drop_duplicates().tolist() == ["all", "cluster", "group2"]
    assert set(lines["class"]) == {0, 1, 2}
    assert lines["n"][lines["group"] == "all"].eq(400).sum() == 4 * 3
    tilts = lines[(lines["measure"] == "tilt") & (lines["cluster"] == "all")]
    assert tilts.groupby("group")["value"].sum().abs().max() < 1e-6  # probabilities add up to 1
    for factor in ("cluster", "group2"):
        parts = lines[(lines["factor"] == factor) & (lines["measure"] == "excess")]
        pooled = lines[(lines["factor"] == "all") & (lines["measure"] == "excess")]
        sums = parts.groupby(["group", "class"])["value"].sum().to_numpy()
        assert sums == pytest.approx(pooled["value"].to_numpy(), abs=1e-9)


def test_what_cannot_be_judged_is_refused(clf, binary, classifier):
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 90"):
        random_disparity(clf, binary.test, level=90)
    with pytest.raises(ValueError, match="sensitive column 'sex' is not in the frame"):
        random_disparity(clf, binary.test, "sex")
    none = classifier(random_intercepts=False, min_steps=20).fit(binary.X, binary.y)
    with pytest.raises(ValueError, match="no random effects, so there is no random part"):
        random_disparity(none, binary.test)


# --- random effects bring the bias back, and the measure tells --------------------------------


@pytest.fixture(scope="module")
def together():
    """Sites with more of group b have better outcomes; the group itself does nothing."""
    rng = np.random.default_rng(4)
    share, effect = np.linspace(0.1, 0.9, 8), np.linspace(-1.2, 1.2, 8)
    site = rng.integers(8, size=4000)
    x = rng.normal(size=(4000, 3))
    fixed = x @ [1.0, -0.7, 0.5]
    group = np.where(rng.random(4000) < share[site], "b", "a")
    y = (rng.random(4000) < expit(fixed + effect[site])).astype(int)
    X = pd.DataFrame(x, columns=["x1", "x2", "x3"]).assign(site=site.astype(str), group=group)
    tilt = expit(fixed + effect[site]) - expit(fixed)
    return X, y, tilt


def fitted(together, on):
    clf = pf.FairMixedEffectsClassifier(
        "site", "group", hidden=(), guide="mean_field", fairness="moment", fairness_weight=3.0,
        fairness_on=on, criterion="demographic_parity", epochs=1, min_steps=600,
        learning_rate=3e-3, validation_fraction=0.0, random_state=4, progress=False,
    )  # fmt: skip
    clf.fit(together[0], together[1])
    return clf, random_disparity(clf, together[0])


def gap(clf, X, effects):
    p = clf.predict_proba(X, effects=effects)[:, 1]
    return p[X["group"] == "b"].mean() - p[X["group"] == "a"].mean()


def test_bias_that_random_effects_bring_back_is_shown_and_penalised(together):
    X, _, tilt = together
    (half, before), (whole, after) = (
        fitted(together, on) for on in (("fixed",), ("fixed", "random", "mixed"))
    )
    assert abs(gap(half, X, "fixed")) < 0.01  # fair without the random effects,
    assert gap(half, X, "mixed") > 0.12  # unfair with them
    pooled = before[before["cluster"] == "all"].set_index(["measure", "group"])
    for group in "ab":
        truth = tilt[X["group"] == group].mean() - tilt.mean()
        line = pooled.loc["excess", group]
        assert line["low"] <= truth <= line["high"]
        assert line["high"] < 0 if group == "a" else line["low"] > 0
    spread = pooled.loc["tilt_sd", "all"]
    assert spread["low"] > 10 * spread["null_high"]
    ends = before[(before["measure"] == "excess") & (before["group"] == "b")].set_index("cluster")
    assert ends["low"]["0"] > 0  # few of b are at the worst site, most at the best
    assert ends["low"]["7"] > 0
    now = after[after["cluster"] == "all"].set_index(["measure", "group"])
    assert now.loc["tilt_sd", "all"]["high"] < spread["low"] / 5
    assert abs(gap(whole, X, "mixed")) < 0.03
