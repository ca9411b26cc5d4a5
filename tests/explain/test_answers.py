"""Averages, comparisons and slopes: against brute force over draws, closed forms and lme4."""

import copy

import numpy as np
import pytest
from scipy.special import expit, logit

import pyfairme as pf
from pyfairme.explain import (
    avg_comparisons,
    avg_predictions,
    avg_slopes,
    comparisons,
    predictions,
    slopes,
)

DRAWN = np.linspace(0, 999, 500).round().astype(int)  # of the posterior's 1,000
SUMMARY = ["estimate", "sd", "low", "high"]


def intercepts(clf, X):
    """Posterior draws of each row's intercept, (draws, n)."""
    effects = clf.posterior_.posterior["cluster_intercept"].to_numpy()
    labels = list(clf.cluster_effects_["cluster"])
    effects = effects.reshape(-1, len(labels))[DRAWN]
    return effects[:, [labels.index(label) for label in X["cluster"]]]


def by_hand(clf, X):
    """Draws of the probability of every row, (draws, n), from the intercepts' draws."""
    fixed = clf.predict_proba(X, effects="fixed")[:, 1]
    return expit(logit(fixed) + intercepts(clf, X))


def summary(draws):
    """Posterior mean, SD and 90 % interval of draws (draws,)."""
    return [draws.mean(), draws.std(), *np.quantile(draws, [0.05, 0.95])]


def close(lines, expected):
    np.testing.assert_allclose(lines[SUMMARY].to_numpy(float), expected, atol=3e-5)


def test_average_predictions_are_brute_force_over_draws(clf, binary):
    X = binary.test
    drawn = by_hand(clf, X)
    close(avg_predictions(clf, X).frame, [summary(drawn.mean(axis=1))])
    found = avg_predictions(clf, X, by=["group1", "cluster"])
    assert list(found.frame.columns) == ["group1", "cluster", *SUMMARY, "n"]
    assert found.frame["n"].sum() == len(X)
    for line, draws in zip(found.frame.itertuples(), found.draws, strict=True):
        rows = (X["group1"] == line.group1) & (X["cluster"] == line.cluster)
        np.testing.assert_allclose(draws, drawn[:, rows].mean(axis=1), atol=3e-5)
        assert line.n == rows.sum()
    rows = predictions(clf, X)
    assert rows.frame.index.equals(X.index)
    np.testing.assert_allclose(rows.draws, drawn.T, atol=3e-5)


def test_values_are_set_in_every_row(clf, binary):
    X = binary.test
    found = avg_predictions(clf, X, {"x1": [-1, 1], "group1": None}, by="group2").frame
    assert len(found) == 2 * 2 * 3
    for line in found.itertuples():
        rows = X[X["group2"] == line.group2].assign(x1=line.x1, group1=line.group1)
        drawn = by_hand(clf, rows).mean(axis=1)
        np.testing.assert_allclose([line.estimate, line.high], np.array(summary(drawn))[[0, 3]],
                                   atol=3e-5)  # fmt: skip
    clusters = avg_predictions(clf, X, "cluster").frame
    assert list(clusters["cluster"]) == sorted(binary.X["cluster"].unique())
    moved = X.assign(cluster=clusters["cluster"].iloc[1])
    close(clusters.iloc[[1]], [summary(by_hand(clf, moved).mean(axis=1))])


@pytest.mark.parametrize("comparison", ["difference", "ratio"])
def test_comparisons_are_brute_force_over_draws(clf, binary, comparison):
    X = binary.test
    wanted = {"x2": 2, "x1": [-1, 0.5], "group2": "pairwise", "cluster": None}
    found = avg_comparisons(clf, X, wanted, comparison=comparison).frame

    def pair(high, low):
        high, low = (by_hand(clf, X.assign(**one)).mean(axis=1) for one in (high, low))
        return summary(high - low if comparison == "difference" else high / low)

    expected = [pair({"x2": X["x2"] + 2}, {}), pair({"x1": 0.5}, {"x1": -1})]
    for low, high in (("g0", "g1"), ("g0", "g2"), ("g1", "g2")):
        expected.append(pair({"group2": high}, {"group2": low}))
    labels = sorted(binary.X["cluster"].unique())
    each = np.array([by_hand(clf, X.assign(cluster=label)).mean(axis=1) for label in labels])
    middle = each.mean(axis=0)
    expected += [summary(one - middle if comparison == "difference" else one / middle)
                 for one in each]  # fmt: skip
    close(found, expected)
    assert list(found["contrast"][:3]) == ["+2", "0.5 - -1", "g1 - g0"]
    assert list(found["contrast"][5:]) == [f"{label} - mean" for label in labels]


def test_rows_average_to_the_average(clf, binary):
    X = binary.test
    for each, whole in ((comparisons, avg_comparisons), (slopes, avg_slopes)):
        rows = each(clf, X, "x1")
        np.testing.assert_allclose(rows.draws.mean(axis=0), whole(clf, X, "x1").draws[0], atol=1e-6)
        assert rows.frame.index.equals(X.index)


def test_slopes_are_finite_differences_of_predictions(reg, clf, real, binary):
    """By a step twenty times as large; the rest of the third derivative is below the tolerance."""
    for model, case in ((clf, binary), (reg, real)):
        X, step = case.test, 0.1
        tell = (
            (lambda rows, m=model: m.predict_proba(rows)[:, 1]) if model is clf else model.predict
        )
        for name in ("x1", "x2"):
            above, below = (tell(X.assign(**{name: X[name] + s})) for s in (step, -step))
            found = avg_slopes(model, X, name, draws=200).frame["estimate"].item()
            assert found == pytest.approx(((above - below) / (2 * step)).mean(), abs=2e-3)


def test_slopes_of_a_linear_model_are_its_coefficients(linear):
    data, reg = linear
    found = avg_slopes(reg, data.frame, ["x1", "x2"], by="cluster")
    beta = reg.fixed_effects_.set_index("term")["mean"]
    own = reg.posterior_.posterior["cluster_slopes"].to_numpy()[..., 0].reshape(1000, -1)[DRAWN]
    frame = found.frame.reset_index(drop=True)
    at = frame.index[frame["term"] == "x1"]
    np.testing.assert_allclose(found.draws[at], (beta["x1"] + own).T, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(frame["estimate"][frame["term"] == "x2"], beta["x2"], rtol=1e-3)


@pytest.mark.parametrize("which", ["clf", "reg"])
def test_integrated_is_the_mean_over_new_clusters(which, request, binary, real):
    """Draw by draw against 1,000 clusters that ``unseen="sample"`` draws."""
    model, case = request.getfixturevalue(which), binary if which == "clf" else real
    row = case.test[:1]
    found = predictions(model, row.drop(columns="cluster"), effects="integrated").draws[0]
    new = copy.deepcopy(model).set_params(unseen="sample")
    many = row.iloc[[0] * 1000].assign(cluster=[f"new {i}" for i in range(1000)])
    drawn = predictions(new, many).draws
    noise = drawn.std(axis=0) / np.sqrt(1000)
    z = (drawn.mean(axis=0) - found) / noise
    assert abs(z.mean()) < 0.2  # the mean of 500 that are independent
    assert z.std() == pytest.approx(1, abs=0.15)
    assert found.mean() != pytest.approx(model.predict(row, effects="fixed")[0], abs=1e-4)


def test_several_links_are_integrated_together(binary, classifier):
    """Of three classes: probabilities add up, and are those of many sampled clusters."""
    y = np.digitize(binary.data.frame["x1"] + binary.data.target, [0.0, 1.0])[: len(binary.X)]
    clf = classifier(unseen="sample").fit(binary.X, y)
    X = binary.test[:1]
    found = predictions(clf, X, effects="integrated", draws=100)
    assert list(found.frame["class"]) == [0, 1, 2]
    np.testing.assert_allclose(found.draws.sum(axis=0), 1, atol=1e-5)
    many = X.iloc[[0] * 600].assign(cluster=[f"new {i}" for i in range(600)])
    drawn = avg_predictions(clf, many, draws=100).frame["estimate"]
    np.testing.assert_allclose(found.frame["estimate"], drawn, atol=0.01)
    contrast = avg_comparisons(clf, binary.test, "group1")
    np.testing.assert_allclose(contrast.draws.sum(axis=0), 0, atol=1e-6)


@pytest.mark.long
def test_weights_are_repeats_and_brackets_are_flips(binary, classifier):
    """With slopes, an intersection, brackets and two members."""
    bracket, crossed = pf.Binned("x3", (-0.5, 0.5), name="bracket"), ("group1", "group2")
    rich = classifier(
        sensitive=["group1", bracket, crossed], random_slopes=["x1"], ensemble=2, fairness=None,
        cluster_weight=0.0, unseen="population",
    ).fit(binary.X, binary.y)  # fmt: skip
    X = binary.test[:60]
    weight = np.arange(60) % 3
    repeated = X.iloc[np.repeat(np.arange(60), weight)]
    found = avg_comparisons(rich, X, ["bracket", "x1"], by="group1", sample_weight=weight)
    other = avg_comparisons(rich, repeated, ["bracket", "x1"], by="group1")
    np.testing.assert_allclose(found.draws, other.draws, atol=1e-5)
    assert found.draws.shape[1] == 500  # spread over both members
    whole = avg_comparisons(rich, X, bracket)
    flips = [avg_predictions(rich, frame).draws[0]
             for _, frame in rich.design_.flip(X, "bracket")]  # fmt: skip
    np.testing.assert_allclose(whole.draws, np.array(flips[1:]) - flips[0], atol=1e-6)
    cells = avg_predictions(rich, X, by=[crossed]).frame
    assert set(cells["group1 x group2"]) <= set(rich.design_.attributes[2].levels)


def test_a_row_without_a_value_has_no_contrast(clf, binary):
    X = binary.test[:40].copy()
    with_gap = X.assign(x1=X["x1"].where(np.arange(40) > 0))
    with pytest.warns(UserWarning, match="unlike-training"):
        found = avg_comparisons(clf, with_gap, "x1")
    assert found.frame["n"].item() == 39
    np.testing.assert_allclose(found.draws, avg_comparisons(clf, X[1:], "x1").draws, atol=1e-6)
    with pytest.warns(UserWarning, match="unlike-training"):
        rows = slopes(clf, with_gap, "x1").frame
    assert rows["estimate"].isna().to_numpy().nonzero()[0].tolist() == [0]


def test_what_does_not_vary_has_no_interval(clf, binary):
    frame = avg_predictions(clf, binary.test, effects="fixed").frame
    assert frame["estimate"].notna().all()
    assert frame[["sd", "low", "high"]].isna().all(axis=None)
    assert frame.columns.name == "cluster interval"  # the network is a point estimate


def test_columns_named_like_ours_stay_apart(clf, binary):
    X = binary.test.assign(n=1, term="a")
    assert list(avg_predictions(clf, X, by=["n", "term"]).frame.columns[:2]) == ['"n"', '"term"']


def test_a_step_that_no_draw_touches_has_no_interval(reg, real):
    """Draws of intercepts and of x1's slopes cancel in a step of x3: rounding is no posterior."""
    found = avg_comparisons(reg, real.X, "x3").frame.iloc[0]
    assert np.isfinite(found["estimate"])
    assert found[["sd", "low", "high"]].isna().all()
    assert avg_comparisons(reg, real.X, "x1").frame["sd"].iloc[0] > 0
