"""Frontiers: on predictions without a fit, where everything is known, and on a small study."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.inference.cluster_buckets import filled_spec
from pyfairme.inference.compiled_steps import _engine, engine
from pyfairme.metrics import balanced_accuracy, fpr_sd, hypervolume, non_dominated, tpr_sd
from pyfairme.study import Frontier, frontier
from pyfairme.study.crossval.cross_validate import CrossValidation
from tests.study.conftest import base, judge, pooled
from tests.study.small_study import LIGHT, small_data

MODELS = {
    "0": {"bias": 1.2, "noise": 0.7},
    "0.1": {"bias": 0.7, "noise": 1.1},
    "0.3": {"bias": 0.3, "noise": 1.3},
    "1": {"noise": 2.5},
}
OWN = LIGHT | {"hidden": (9,)}  # a structure of no other test: its programs are counted
FAIR = pf.FairMixedEffectsClassifier(**OWN, fairness="moment", threshold=0.4, unseen="population")


def made(runs, choosing=(0,), n_boot=20, unfair="0"):
    """A frontier of judged rows."""
    study = CrossValidation("made", 5, (), runs, (), turns=5, n_boot=n_boot)
    weights = {name: float(name) for name in dict.fromkeys(name for name, _ in runs)}
    model = pf.FairMixedEffectsClassifier("cluster", ("sex", "race"))
    return Frontier(model, weights, unfair, study, choosing)


def by_hand(run, clusters="seen", attributes=("sex", "race")):
    """Accuracy and worst spread of one run."""
    judged = run.judged
    rows = judged.seen == (clusters == "seen")
    y, decision = judged.y[rows], judged.decision["mixed"][rows]
    spreads = [
        metric(y, decision, sensitive_features=judged.sensitive[name][rows])
        for metric in (tpr_sd, fpr_sd)
        for name in attributes
    ]
    return balanced_accuracy(y, decision), spreads


@pytest.fixture(scope="module")
def several():
    data = base(2000, np.random.default_rng(7))
    return made(
        {
            (name, seed): pooled(judge(data, np.random.default_rng([seed, k]), seed, **how), seed)
            for k, (name, how) in enumerate(MODELS.items())
            for seed in (0, 1, 2)
        }
    )


def of(points, clusters="seen"):
    lines = points[(points["effects"] == "mixed") & (points["clusters"] == clusters)]
    return lines.set_index("variant")


def test_points_are_means_over_the_reported_seeds(several):
    assert several.reported_seeds == (1, 2)
    for clusters in ("seen", "unseen"):
        lines = of(several.points, clusters)
        assert list(lines.index) == list(MODELS)
        for name, line in lines.iterrows():
            found = [by_hand(several.study.runs[name, seed], clusters) for seed in (1, 2)]
            assert line["balanced_accuracy"] == pytest.approx(np.mean([f[0] for f in found]))
            spreads = np.mean([f[1] for f in found], axis=0)
            assert line["worst_sd"] == pytest.approx(spreads.max())
            names = ["tpr_sd_sex", "tpr_sd_race", "fpr_sd_sex", "fpr_sd_race"]
            assert line[names].tolist() == pytest.approx(spreads.tolist())
            assert "_".join(line["worst_sd_of"].split()) == names[int(spreads.argmax())]
        cost = lines.loc["0", "balanced_accuracy"] - lines["balanced_accuracy"]
        assert lines["cost"].tolist() == pytest.approx(cost.tolist())
        marked = non_dominated(lines["balanced_accuracy"], lines["worst_sd"])
        assert lines["non_dominated"].tolist() == marked.tolist()
        assert (lines["worst_sd_low"] <= lines["worst_sd"]).all()
        assert (lines["tpr_sd_race_null_high"] > lines["tpr_sd_race_null_low"]).all()
        assert (lines["worst_sd_corrected"] <= lines["worst_sd"]).all()
        assert lines["unfair"].tolist() == [True, False, False, False]


def test_the_cost_is_drawn_in_pairs(several):
    lines = of(several.points)
    assert lines.loc["0", ["cost", "cost_low", "cost_high"]].tolist() == [0, 0, 0]
    assert (lines["cost_low"] < lines["cost"])[1:].all()


def test_the_frame_has_every_metric_with_weight_and_mark(several):
    frame = several.frame
    keys = ["variant", "effects", "clusters"]
    columns = [*keys, "weight", "attribute", "metric", "value", "low", "high", "null", "null_low",
               "null_high", "seeds", "non_dominated"]  # fmt: skip
    assert set(columns) <= set(frame)
    assert {"auroc", "tpr_sd", "tpr", "counterfactual_gap"} <= set(frame["metric"])
    assert (frame["seeds"] == 2).all()
    assert (frame["weight"] == frame["variant"].astype(float)).all()
    marks = frame[[*keys, "non_dominated"]].drop_duplicates()
    expected = several.points.frame[[*keys, "non_dominated"]]
    pd.testing.assert_frame_equal(
        marks.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True)
    )


def test_the_choice_looks_at_the_choosing_seed_only(several):
    found = {name: by_hand(several.study.runs[name, 0]) for name in MODELS}
    unfair = found["0"][0]
    for max_cost in (0.05, 0.12, 1.0):
        choice = several.choose(max_cost)
        within = [name for name, (accuracy, _) in found.items() if unfair - accuracy <= max_cost]
        expected = min(within, key=lambda name: max(found[name][1]))
        assert choice.variant == expected
        assert choice.cost == pytest.approx(unfair - found[expected][0])
        assert choice.estimator.fairness_weight == choice.weight == float(expected)
        assert not hasattr(choice.estimator, "classes_")
        line = of(several.points).loc[expected]
        assert choice.point["worst_sd"] == pytest.approx(line["worst_sd"])
        assert choice.point["cost"] == pytest.approx(line["cost"])
        assert choice.unfair["variant"] == "0"
        assert str(choice).startswith(f"fairness_weight {expected}: worst SD ")
    assert several.choose(1.0).variant != several.choose(0.05).variant


def test_a_choice_by_one_attribute(several):
    choice = several.choose(0.12, attributes=["sex"])
    found = {name: by_hand(several.study.runs[name, 0], attributes=["sex"]) for name in MODELS}
    within = [name for name, (accuracy, _) in found.items() if found["0"][0] - accuracy <= 0.12]
    assert choice.variant == min(within, key=lambda name: max(found[name][1]))
    assert "sex" in choice.point["worst_sd_of"]
    with pytest.raises(ValueError, match="some of the protected ones, sex, race; got height"):
        several.choose(0.1, attributes="height")


def test_a_cost_that_grows_on_other_seeds_is_said(make_runs):
    runs = make_runs({"0": {"noise": 0.9}, "0.1": {"noise": 0.9}}, n=1000, seeds=(0, 1))
    worse = make_runs({"0": {}, "0.1": {"noise": 2.5}}, n=1000, seeds=(0, 1))
    choice = made(runs | {("0.1", 1): worse["0.1", 1]}, n_boot=5).choose(0.05, effects="mixed")
    if choice.variant == "0":
        pytest.fail("the fair point was to be chosen")
    assert "on the reported seeds it costs" in choice.note
    assert choice.point["cost"] > 0.05


def test_one_seed_serves_for_both_and_says_so(make_runs):
    found = made(make_runs(MODELS, n=800), n_boot=5)
    assert found.reported_seeds == (0,)
    assert "same fits (seed 0)" in found.choose(1.0).note


def test_an_unfair_point_may_be_the_best(make_runs):
    found = made(make_runs({"0": {}, "0.1": {"bias": 2.0}}, n=800, seeds=(0, 1)), n_boot=5)
    choice = found.choose(1.0)
    assert choice.variant == "0"
    assert "this is the unfair one" in choice.note


def test_the_area_is_that_of_the_points_and_its_interval_holds_it(several):
    lines = of(several.points)
    for convex in (True, False):
        found = several.hypervolume(convex=convex)
        expected = hypervolume(
            lines["balanced_accuracy"], lines["worst_sd"], (0.7, 0.25), convex=convex
        )
        assert found.value == pytest.approx(expected)
        assert found.low < found.value < found.high
    wider = several.hypervolume((0.5, 0.5), clusters="unseen")
    assert wider.value > several.hypervolume(clusters="unseen").value
    assert several.hypervolume(attributes=["sex"]).value > several.hypervolume().value


def test_the_picture_is_of_the_points_with_the_choice_ringed(several):
    choice = several.choose(0.05)
    axes = several.plot(choice=choice).axes[0]
    ring = next(one for one in axes.collections if one.get_label() == "chosen")
    at = choice.point[["worst_sd", "balanced_accuracy"]].tolist()
    assert ring.get_offsets()[0].tolist() == pytest.approx(at)


def test_impossible_questions_are_refused(several):
    for wrong in (-0.01, np.nan, "cheap"):
        with pytest.raises(ValueError, match="max_cost must be a number of at least 0"):
            several.choose(wrong)
    dear = r"; the cheapest is 0.1, which costs 0\.\d+. Add"
    other = r"\(points shows seeds? [\d, ]+\)"
    with pytest.raises(ValueError, match=f"balanced_accuracy on seed 0 {other}{dear}"):
        several.choose(0)
    with pytest.raises(ValueError, match="no fixed predictions on seen clusters; it has mixed on"):
        several.choose(0.1, effects="fixed")
    nothing = made(several.study.runs, choosing=())
    assert nothing.reported_seeds == (0, 1, 2)
    with pytest.raises(ValueError, match=r"choosing_seeds=\(\) keeps all seeds"):
        nothing.choose(0.1)


def test_a_regression_trades_r2_for_the_spread_of_the_mean_residual(make_runs):
    models = {"0": {"bias": 2.0, "noise": 0.5}, "0.1": {"noise": 0.7}}
    found = made(make_runs(models, n=800, classes=(), seeds=(0, 1)), n_boot=10)
    lines = of(found.points)
    assert {"r2", "mse", "residual_sd_race", "mse_sd_race"} <= set(lines)
    spreads = lines[["residual_sd_sex", "residual_sd_race"]].max(axis=1)
    assert lines["worst_sd"].tolist() == pytest.approx(spreads.tolist())
    assert found.choose(1.0).variant == "0.1"
    with pytest.raises(ValueError, match=r"give reference=\(R², SD\)"):
        found.hypervolume()
    assert found.hypervolume((0.0, 1.0)).value > 0


@pytest.mark.long
def test_classes_are_judged_one_against_the_rest(make_runs):
    runs = make_runs({"0": {}, "0.1": {"noise": 1.3}}, n=600, classes=("x", "y", "z"))
    found = made(runs, n_boot=5)
    lines, frame = of(found.points), found.frame
    chosen = frame[(frame["clusters"] == "seen") & (frame["variant"] == "0.1")]
    accuracy = chosen.loc[chosen["metric"] == "balanced_accuracy", "value"]
    spread = chosen.loc[chosen["metric"].isin(["tpr_sd", "fpr_sd"]), "value"]
    assert len(accuracy) == 3
    assert lines.loc["0.1", "balanced_accuracy"] == pytest.approx(accuracy.mean())
    assert lines.loc["0.1", "worst_sd"] == pytest.approx(spread.max())


# --- with fits ----------------------------------------------------------------------------------

WEIGHTS = [0, 0.3, {"group1": 1.0}]
SHARED = {"seen": 4, "folds": 3, "n_boot": 10, "progress": False}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A frontier of three weights, the folder of its fits, and the programs that it compiled."""
    pf.clear_caches()  # else programs of other files are used
    folder = tmp_path_factory.mktemp("frontier") / "store"
    before = _programs()
    found = frontier(FAIR, small_data(), weights=WEIGHTS, seeds=1, store=folder, **SHARED)
    return found, folder, _programs() - before


def _programs() -> int:
    return _engine.cache_info().misses


@pytest.mark.long
def test_weights_folds_and_the_chosen_estimator_share_one_program(fitted):
    found, _, programs = fitted
    assert programs == 1
    data, before = small_data(), _programs()
    rows = data.frame["cluster"].isin(found.study.seen).to_numpy().nonzero()[0][:312]
    with pytest.warns(UserWarning, match=r"decides positive for 100.0% .*\[useless-point\]"):
        model = found.choose(1.0, clusters="unseen").estimator  # of a model that trained 40 steps
    for weight in (model.fairness_weight, 0, 2.5):
        model.set_params(fairness_weight=weight, validation_fraction=0.5)
        model.fit(data.frame.iloc[rows], data.target.iloc[rows])
        spec = model.fit_.spec
        assert engine(filled_spec(spec), "mean_field").run._cache_size() == 1
    assert _programs() == before


def test_a_study_has_a_point_per_weight(fitted):
    found, folder, _ = fitted
    assert list(found.weights) == ["0", "0.3", "group1=1"]
    assert found.unfair == "0"
    points = found.points
    assert len(points) == 3 * 3 * 2  # weights, effects, clusters
    assert np.isnan(points.loc[points["variant"] == "group1=1", "weight"]).all()
    assert sorted(path.name for path in (folder / "fits").iterdir()) == ["0", "0.3", "group1=1"]
    weights = {c["variant"]: c["parameters"]["fairness_weight"]
               for c in found.study.configurations}  # fmt: skip
    assert weights == {"0": 0, "0.3": 0.3, "group1=1": {"group1": 1.0}}


@pytest.mark.long
def test_a_store_goes_on_and_takes_more_weights(fitted):
    found, folder, _ = fitted
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    again = frontier(FAIR, small_data(), weights=WEIGHTS, seeds=1, store=folder, **SHARED)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == before
    pd.testing.assert_frame_equal(again.points, found.points)
    more = frontier(FAIR, small_data(), weights=[0, 0.1], seeds=1, store=folder, **SHARED)
    assert list(more.weights) == ["0", "0.1"]
    new = set(folder.rglob("seed*.json")) - set(before)
    assert {path.parent.name for path in new} == {"0.1"}
    assert len(new) == 3
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "weights is empty: give the strengths to try"),
        ([0.1, 0.3], "weights must have 0 once, the unfair point"),
        ([0, {"group1": 0}], "weights must have 0 once"),
        ([0, 0.1, 0.10], "weights has a value twice"),
        ([0, -0.1], r"Invalid value of fairness_weight\['group1'\]: -0.1. Expected a number at "),
        ([0, {"group1": -1}], r"fairness_weight\['group1'\]: -1"),
        ([0, {"height": 0.1}], r"fairness_weight names \['height'\], which are neither"),
        ([0, {"moment": {"height": 0.1}}], r"fairness_weight names \['height'\]"),
        ([0, {"adversarial": 1}], r"names \['adversarial'\], which are not in fairness=\['moment"),
        ([0, {"moment": 1, "group1": 1}], "names penalties beside attributes"),
        ([0, "much"], "fairness_weight.*'much'"),
    ],
)
def test_weights_that_cannot_be_are_refused_before_anything_is_fitted(weights, message):
    with pytest.raises(ValueError, match=message):
        frontier(FAIR, small_data(), weights=weights, **SHARED)


def test_a_model_without_penalty_has_no_frontier():
    plain = pf.FairMixedEffectsClassifier(**LIGHT, fairness=None)
    with pytest.raises(ValueError, match="fairness=None"):
        frontier(plain, small_data(), **SHARED)
    with pytest.raises(ValueError, match=r"among the seeds \[0, 1\], got \[5\]"):
        frontier(FAIR, small_data(), seeds=2, choosing_seeds=[5], **SHARED)


def test_long_weights_have_short_names():
    from pyfairme.study.frontier.frontier_weights import _label

    one, two = ({f"attribute{i}": 0.1 + i * step for i in range(12)} for step in (0, 1e-3))
    assert len(_label(one)) <= 80
    assert _label(one) != _label(two)
    assert _label({"a/b": 1}) == "a-b=1"
