"""Raw and pooled estimates of fitted models."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.report import shrinkage_frame

ORACLE = {
    "guide": "mean_field",
    "hidden": (), "fairness": None, "fixed_weight": 0, "cluster_weight": 0,
    "validation_fraction": 0, "early_stopping": False, "random_state": 0, "progress": False,
    "min_steps": 500,
}  # fmt: skip


def made(likelihood, **more):
    return pf.datasets.make_clustered(
        rows=600, clusters=12, likelihood=likelihood, nonlinear=False, slopes=0, random_state=0,
        cluster_imbalance=1.0, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def normal():
    data = made("normal")
    reg = pf.FairMixedEffectsRegressor(
        "cluster", **ORACLE | {"guide": "full_rank", "min_steps": 1500}
    )
    return reg.fit(data.frame, data.target), data.frame, data.target


def test_of_an_intercept_it_is_mean_residual_and_posterior_mean(normal):
    reg, X, y = normal
    frame = shrinkage_frame(reg, X, y).set_index("cluster")
    residual = (y - reg.predict(X, effects="fixed")).groupby(X["cluster"])
    assert frame["n"].equals(residual.size().loc[frame.index].rename("n"))
    assert frame["raw"].to_numpy() == pytest.approx(residual.mean().loc[frame.index], abs=1e-4)
    effects = reg.cluster_effects_.set_index("cluster")["mean"].loc[frame.index]
    assert frame["pooled"].to_numpy() == pytest.approx(effects, abs=1e-4)
    assert (frame["note"] == "").all()
    assert frame["factor"].unique().tolist() == ["cluster"]


def test_the_shrinkage_of_an_intercept_is_the_formula(normal):
    """1 - pooled / raw = residual_sd^2 / (residual_sd^2 + n tau^2)."""
    reg, X, y = normal
    frame = shrinkage_frame(reg, X, y)
    sd = reg.variance_components_.set_index("term")["mean"]
    expected = sd["residual_sd"] ** 2 / (sd["residual_sd"] ** 2 + frame["n"] * sd["Intercept"] ** 2)
    kept = (1 - expected) * frame["raw"]
    assert frame["pooled"].to_numpy() == pytest.approx(kept, abs=0.06 * sd["Intercept"])
    far = frame["raw"].abs() > sd["Intercept"]
    assert frame.loc[far, "shrinkage"].between(0, 1).all()


def test_rows_weigh_and_unseen_clusters_are_left_out(normal):
    reg, X, y = normal
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    frame = shrinkage_frame(reg, X, y, sample_weight=weight).set_index("cluster")
    residual = (y - reg.predict(X, effects="fixed")) * weight
    expected = residual.groupby(X["cluster"]).sum() / pd.Series(weight).groupby(X["cluster"]).sum()
    assert frame["raw"].to_numpy() == pytest.approx(expected.loc[frame.index], abs=1e-4)
    new = X.assign(cluster=X["cluster"].where(X["cluster"] != "c00", "elsewhere"))
    partly = shrinkage_frame(reg, new, y)
    assert "elsewhere" not in set(partly["cluster"])
    assert len(partly) == len(frame) - 1
    with pytest.raises(ValueError, match="No row of X is of a cluster that training saw"):
        shrinkage_frame(reg, X.assign(cluster="elsewhere"), y)


@pytest.mark.long
def test_slopes_are_compared_by_their_mean_contribution():
    data = pf.datasets.make_clustered(
        rows=600, clusters=8, likelihood="normal", nonlinear=False, slopes=1, random_state=2
    )
    X, y = data.frame, data.target
    reg = pf.FairMixedEffectsRegressor("cluster", random_slopes=["x1"], **ORACLE).fit(X, y)
    frame = shrinkage_frame(reg, X, y).set_index("cluster")
    effects = reg.cluster_effects_.pivot(index="cluster", columns="term", values="mean")
    mean = X.groupby("cluster")["x1"].mean()
    expected = effects["Intercept"] + effects["x1"] * mean
    assert frame["pooled"].to_numpy() == pytest.approx(expected.loc[frame.index], abs=2e-3)


@pytest.mark.long
def test_crossed_factors_are_read_given_each_other():
    data = made("normal")
    rng = np.random.default_rng(3)
    town = rng.choice(list("abcd"), len(data.frame))
    X = data.frame.assign(town=town)
    y = data.target + pd.Series(town).map(dict(zip("abcd", (-2, -1, 1, 2), strict=True)))
    reg = pf.FairMixedEffectsRegressor(["cluster", "town"], **ORACLE).fit(X, y)
    frame = shrinkage_frame(reg, X, y)
    effects = reg.cluster_effects_.set_index(["factor", "cluster"])["mean"]
    assert set(frame["factor"]) == {"cluster", "town"}
    fixed = reg.predict(X, effects="fixed")
    other = X["cluster"].map(effects["cluster"])
    raw = (y - fixed - other).groupby(X["town"]).mean()
    one = shrinkage_frame(reg, X, y, factor="town")
    pd.testing.assert_frame_equal(one, frame[frame["factor"] == "town"].reset_index(drop=True))
    with pytest.raises(ValueError, match=r"no factor 'twon'; it has \['cluster', 'town'\]"):
        shrinkage_frame(reg, X, y, factor="twon")
    towns = frame[frame["factor"] == "town"].set_index("cluster")
    assert towns["raw"].to_numpy() == pytest.approx(raw.loc[towns.index], abs=1e-3)
    assert towns["pooled"].to_numpy() == pytest.approx(effects["town"].loc[towns.index], abs=1e-3)


@pytest.mark.long
def test_a_cluster_of_zeros_has_no_finite_estimate_and_is_pooled():
    data = made("bernoulli")
    X = data.frame
    y = data.target.where(X["cluster"] != "c03", 0).where(X["cluster"] != "c04", 1)
    clf = pf.FairMixedEffectsClassifier("cluster", **ORACLE).fit(X, y)
    frame = shrinkage_frame(clf, X, y).set_index("cluster")
    assert frame["raw"]["c03"] == -np.inf
    assert frame["raw"]["c04"] == np.inf
    assert frame["note"][["c03", "c04"]].tolist() == [
        "no finite estimate: no event", "no finite estimate: events only"
    ]  # fmt: skip
    assert frame["shrinkage"][["c03", "c04"]].isna().all()
    assert frame["pooled"]["c03"] < 0 < frame["pooled"]["c04"]
    finite = np.isfinite(frame["raw"])
    assert (frame.loc[finite, "note"] == "").all()
    assert finite.sum() == 10


@pytest.mark.slow
def test_counts_are_log_ratios_of_sums_with_their_exposure():
    data = made("poisson", exposure=0.5)
    X, y = data.frame, data.target
    reg = pf.FairMixedEffectsRegressor(
        "cluster",
        likelihood="poisson",
        offset="log_exposure",
        **ORACLE,
    ).fit(X, y)
    frame = shrinkage_frame(reg, X, y).set_index("cluster")
    by = X["cluster"]
    fixed = pd.Series(reg.predict(X, effects="fixed"))
    expected = np.log(y.groupby(by).sum() / fixed.groupby(by).sum())
    assert frame["raw"].to_numpy() == pytest.approx(expected.loc[frame.index], abs=1e-3)


@pytest.mark.slow
def test_more_classes_have_a_line_each():
    data = made("categorical")
    X, y = data.frame, data.target.map({0: "low", 1: "mid", 2: "top"})
    clf = pf.FairMixedEffectsClassifier("cluster", **ORACLE).fit(X, y)
    frame = shrinkage_frame(clf, X, y)
    assert list(frame.columns[:3]) == ["factor", "cluster", "class"]
    key = ["cluster", "class"]
    effects = clf.cluster_effects_.set_index(key)["mean"]
    pooled = frame.set_index(key)["pooled"]
    assert pooled.to_numpy() == pytest.approx(effects.loc[pooled.index], abs=1e-4)


def test_what_cannot_be_shrunk_is_refused(normal):
    reg, X, y = normal
    with pytest.raises(ValueError, match="X has 600 rows, y has 3"):
        shrinkage_frame(reg, X, y[:3])
    plain = pf.FairMixedEffectsRegressor("cluster", random_intercepts=False, **ORACLE)
    plain.set_params(min_steps=20, epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="no random effects, so there is nothing to shrink"):
        shrinkage_frame(plain, X, y)
