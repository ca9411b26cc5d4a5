"""Clusters that training never saw, and cluster values that are odd or missing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from pyfairme.estimators import saved_state
from pyfairme.estimators.table_predictions import table_query
from pyfairme.inference.cluster_classifier import memberships
from pyfairme.inference.predictions import mean_link
from pyfairme.notices import DataWarning

POLICIES = ["infer", "population", "sample"]


def under(estimator, policy):
    """The fitted estimator with another policy; nothing is fitted again."""
    copy = clone(estimator).set_params(unseen=policy)
    copy.__dict__.update({k: v for k, v in vars(estimator).items() if k.endswith("_")})
    copy._seed, copy._slope_means = estimator._seed, estimator._slope_means
    return copy


@pytest.fixture(params=["classifier", "regressor"])
def fitted(request, clf, reg, binary, real):
    """Estimator, seen rows, unseen rows."""
    if request.param == "classifier":
        return clf, binary.test, binary.unseen
    return reg, real.test, real.unseen


def predict(estimator, rows, effects="mixed"):
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(rows, effects=effects)[:, 1]
    return estimator.predict(rows, effects=effects)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_row_alone_equals_the_row_in_a_batch(fitted, policy):
    estimator, seen, unseen = fitted
    estimator = under(estimator, policy)
    rows = pd.concat([seen[:2], unseen[:3], unseen[-2:]])
    mixed, random = predict(estimator, rows), predict(estimator, rows, "random")
    interval = estimator.predict_interval(rows)
    for i in range(len(rows)):
        row = rows.iloc[[i]]
        np.testing.assert_allclose(predict(estimator, row), mixed[i], rtol=1e-7)
        np.testing.assert_allclose(predict(estimator, row, "random"), random[i], rtol=1e-7)
        np.testing.assert_allclose(estimator.predict_interval(row), interval[i : i + 1], rtol=1e-7)


@pytest.mark.parametrize("policy", POLICIES)
def test_unseen_rows_leave_seen_rows_alone(fitted, policy):
    estimator, seen, unseen = fitted
    estimator = under(estimator, policy)
    together = pd.concat([unseen, seen])
    for kind in ("cluster", "observation")[: 1 + (policy == "infer")]:
        np.testing.assert_allclose(
            estimator.predict_interval(together, kind=kind)[len(unseen) :],
            estimator.predict_interval(seen, kind=kind),
            rtol=1e-6,
            atol=1e-6,
        )


def test_population_is_the_fixed_prediction(fitted):
    estimator, seen, unseen = fitted
    estimator = under(estimator, "population")
    np.testing.assert_allclose(
        predict(estimator, unseen), predict(estimator, unseen, "fixed"), rtol=1e-6, atol=1e-6
    )
    assert np.abs(predict(estimator, seen) - predict(estimator, seen, "fixed")).max() > 0.01


def test_infer_lies_among_the_known_clusters(fitted):
    estimator, seen, unseen = fitted
    found = predict(estimator, unseen)
    each = np.stack(
        [predict(estimator, unseen.assign(cluster=c)) for c in seen["cluster"].unique()]
    )
    assert (found >= each.min(axis=0) - 0.01 * np.ptp(each)).all()
    assert (found <= each.max(axis=0) + 0.01 * np.ptp(each)).all()
    assert np.abs(found - predict(estimator, unseen, "fixed")).max() > 1e-3


def test_infer_does_not_read_the_new_label(fitted):
    estimator, _, unseen = fitted
    renamed = unseen.assign(cluster="another one")
    np.testing.assert_array_equal(predict(estimator, renamed), predict(estimator, unseen))


def test_intervals_of_new_clusters_are_wider(fitted):
    estimator, seen, _ = fitted

    def width(rows, policy):
        found = under(estimator, policy).predict_interval(rows)
        return (found["high"] - found["low"]).mean()

    new = seen.assign(cluster="new")  # the same rows, but for the cluster
    assert width(new, "infer") > 1.3 * width(seen, "infer")
    assert width(new, "sample") > 1.3 * width(seen, "sample")
    assert width(new, "population") < width(new, "infer")


def test_sample_depends_on_the_label_and_on_nothing_else(fitted):
    estimator, seen, unseen = fitted
    estimator = under(estimator, "sample")
    one = unseen[:5].assign(cluster="A")
    alone = predict(estimator, one)
    company = pd.concat([seen, unseen.assign(cluster="B"), one, unseen.assign(cluster="C")])
    start = len(seen) + len(unseen)
    np.testing.assert_allclose(predict(estimator, company)[start : start + 5], alone, rtol=1e-6)
    other = predict(estimator, one.assign(cluster="B"))
    assert np.abs(other - alone).max() > 1e-4
    np.testing.assert_allclose(predict(estimator, one.assign(cluster="A")), alone, rtol=0)


def test_sampled_effects_follow_the_fitted_scales(reg, real):
    """Between new clusters the random part has the posterior's spread of a new effect."""
    estimator = under(reg, "sample")
    row = real.test.iloc[[0]]
    rows = pd.concat([row.assign(cluster=f"new {i}") for i in range(32)])
    drawn = estimator.sample_predictive(rows, draws=400, effects="mixed")
    found = drawn.to_numpy()[0]
    draws, unit = reg.fit_.draws, reg.target_.scale
    slope = float(row["x1"].iloc[0]) / next(c.scale for c in reg.design_.slope_columns)
    # of a cluster around the mean of G = 4 known ones, by restricted maximum likelihood
    clusters = (4 + 1) / (4 - 1)
    variance = (
        clusters * (draws["cluster_intercept_sd"] ** 2).mean()
        + clusters * slope**2 * (draws["cluster_slopes_sd"] ** 2).mean()
        + (draws["residual_sd"] ** 2).mean()
    )
    assert found.std() == pytest.approx(unit * np.sqrt(variance), rel=0.1)


def test_raise_refuses_by_name(binary, classifier):
    estimator = classifier(unseen="raise").fit(binary.X, binary.y)
    assert estimator.predict(binary.test).shape == (200,)
    with pytest.raises(ValueError, match=r"'cluster' has .* 2 in all: 'c4', 'c5'\. Known are 4"):
        estimator.predict(binary.unseen)
    with pytest.raises(
        ValueError, match=r"'cluster' is missing in 200 rows\. Known are 4.*unseen-clu"
    ):
        estimator.predict(binary.test.assign(cluster=None))


def test_infer_must_be_chosen_before_fitting(binary, classifier):
    estimator = classifier(unseen="population").fit(binary.X, binary.y)
    estimator.set_params(unseen="infer")
    assert estimator.predict(binary.test).shape == (200,)
    with pytest.raises(
        ValueError, match=r"needs the cluster classifier.*'popu.*\[no-cluster-classifier\]"
    ):
        estimator.predict(binary.unseen)


def minus_one(kind):
    """Labels in place of c0..c3, the last of which is -1."""
    names = {"c0": 10, "c1": 2, "c2": 7, "c3": -1}
    return {k: str(v) for k, v in names.items()} if kind == "text" else names


@pytest.mark.parametrize("kind", ["text", "int"])
def test_minus_one_is_an_ordinary_cluster(clf, binary, classifier, kind):
    names = minus_one(kind)
    X, test = (t.assign(cluster=t["cluster"].map(names)) for t in (binary.X, binary.test))
    estimator = classifier().fit(X, binary.y)
    effects = estimator.cluster_effects_.set_index("cluster")["mean"]
    assert list(effects.index) == ["-1", "2", "7", "10"]
    original = clf.cluster_effects_.set_index("cluster")["mean"]
    renamed = original.rename({k: str(v) for k, v in names.items()})
    # the order of clusters is another one, and with it the noise of the fit
    assert np.corrcoef(effects, renamed[effects.index])[0, 1] > 0.98
    same = predict(estimator, test), predict(estimator, test.assign(cluster="-1"))
    at = (test["cluster"].astype(str) == "-1").to_numpy()
    np.testing.assert_array_equal(same[0][at], same[1][at])
    new = predict(under(estimator, "population"), test.assign(cluster=-2))
    np.testing.assert_allclose(new, predict(estimator, test, "fixed"), rtol=1e-6)


@pytest.mark.parametrize("gap", [None, np.nan], ids=["None", "NaN"])
def test_rows_without_a_cluster_are_left_out_of_the_fit(binary, classifier, gap):
    """As lme4 does: each may be of another cluster, and together they are none."""
    placed = (binary.X["cluster"] != "c3").to_numpy()
    X, test = (
        t.assign(cluster=t["cluster"].astype(object).where(t["cluster"] != "c3", gap))
        for t in (binary.X, binary.test)
    )
    said = rf"'cluster' is missing in {(~placed).sum()} of 400 rows.*\[missing-cluster\]"
    with pytest.warns(DataWarning, match=said):
        estimator = classifier().fit(X, binary.y)
    assert list(estimator.cluster_effects_["cluster"]) == ["c0", "c1", "c2"]
    whole = classifier().fit(binary.X[placed], binary.y[placed])
    np.testing.assert_array_equal(predict(estimator, binary.test), predict(whole, binary.test))
    report = estimator.fairness_report(test, binary.y_test, by_cluster=True, n_boot=0)
    assert set(report["clusters"]) == {"c0", "c1", "c2", "(missing)"}
    with pytest.raises(ValueError, match=r"'cluster' is missing in .* rows"):
        predict(under(estimator, "raise"), test)


@pytest.mark.parametrize("gap", [None, np.nan], ids=["None", "NaN"])
def test_a_row_without_a_cluster_is_unseen(clf, binary, gap):
    rows = binary.test.assign(cluster=pd.Series([gap] * 200, binary.test.index, dtype=object))
    new = binary.test.assign(cluster="new")
    np.testing.assert_array_equal(predict(clf, rows), predict(clf, new))
    sampled = under(clf, "sample")
    assert np.isfinite(predict(sampled, rows)).all()


def test_rows_without_a_cluster_do_not_share_an_effect(reg, real):
    """The totals of 20 such rows vary by less than those of 20 rows of one new cluster."""
    row = real.test.iloc[[0] * 20].reset_index(drop=True)
    spread = {}
    for name, label in (("none", None), ("one", "new")):
        rows = row.assign(cluster=pd.Series([label] * 20, dtype=object))
        for policy in ("infer", "sample"):
            drawn = under(reg, policy).sample_predictive(rows, draws=400)
            spread[name, policy] = drawn.to_numpy().reshape(400, 20).sum(axis=1).std()
    for policy in ("infer", "sample"):
        assert spread["none", policy] < 0.9 * spread["one", policy]


def test_adapt_refuses_rows_without_a_cluster(clf, binary):
    rows = binary.unseen[:20].assign(cluster=["c4"] * 19 + [None])
    with pytest.raises(ValueError, match=r"missing in 1 of 20 rows.*\[missing-cluster\]"):
        clf.adapt(rows, binary.y_unseen[:20])


@pytest.mark.parametrize("gap", [None, np.nan], ids=["None", "NaN"])
def test_missing_clusters_can_be_refused(binary, classifier, gap):
    estimator = classifier(missing="raise")
    holed = binary.X.assign(cluster=binary.X["cluster"].astype(object).where(binary.y == 1, gap))
    expected = r"Column 'cluster' has \d+ missing values .* fill or drop them"
    with pytest.raises(ValueError, match=expected):
        estimator.fit(holed, binary.y)
    estimator.fit(binary.X, binary.y)
    with pytest.raises(ValueError, match=expected):
        estimator.predict(binary.test.assign(cluster=gap))


def test_without_random_effects_every_cluster_is_as_good(binary, classifier):
    estimator = classifier(random_intercepts=False, unseen="raise").fit(binary.X, binary.y)
    np.testing.assert_array_equal(
        predict(estimator, binary.unseen), predict(estimator, binary.unseen, "fixed")
    )


@pytest.mark.long
def test_above_a_thousand_clusters_infer_predicts_as_sample_does(classifier):
    """The cluster classifier ends there: said at the start of fit, and predict goes on."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"cluster": np.arange(2004) // 2, "x": rng.normal(size=2004)})
    y = (rng.random(2004) < 0.5).astype(int)
    estimator = classifier(sensitive=(), hidden=(), min_steps=20, validation_fraction=0.0)
    with pytest.warns(DataWarning, match=r"up to 1,000 clusters .* has 1,002.*\[many-clusters\]"):
        estimator.fit(X, y)
    new = X[:20].assign(cluster="new")
    found, drawn = (
        under(estimator, policy).predict_interval(new) for policy in ("infer", "sample")
    )
    width = (drawn["high"] - drawn["low"]).mean()
    assert (found["high"] - found["low"]).mean() == pytest.approx(width, rel=0.15)
    assert np.isfinite(estimator.predict_proba(new)).all()


def test_a_model_file_of_before_keeps_the_plain_mixture(clf, binary):
    """Without a likeness effects of known clusters count in full, and nothing is drawn."""
    old = {key: value for key, value in saved_state.to_state(clf).items() if key != "likeness"}
    loaded = saved_state.from_state(clone(clf), old)
    _, query = table_query(loaded, binary.unseen)
    soft = memberships(clf.fit_.membership, clf.fit_.spec.factors, query.batch)[0]
    effects = clf.fit_.draws["cluster_intercept"].mean(axis=(0, 1))[:, 0]
    fixed = mean_link(query, "fixed")[:, 0]
    # a mean link takes 200 of the draws: an error of .02; a shrunken mixture is off by .2
    assert np.abs(soft @ effects).max() > 0.2
    np.testing.assert_allclose(mean_link(query, "mixed")[:, 0] - fixed, soft @ effects, atol=0.05)
