"""Comparisons with a baseline: they find what is there and little else."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pyfairme.metrics import tpr_sd
from pyfairme.study.comparison.compare import COLUMNS, compare
from pyfairme.study.comparison.paired_tests import holm, nadeau_bengio_p
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.evaluation.bootstrap_replicates import replicate

EVERY = {"effects": ("fixed", "random", "mixed")}


def study(runs, folds=10, **more):
    return CrossValidation("made", folds, (), runs, (), folds, **more)


def lines(runs, baseline="base", folds=10, **options):
    frame = compare(study(runs, folds), baseline, **options).frame
    assert tuple(frame.columns) == COLUMNS
    return frame.set_index(["clusters", "attribute", "metric"])


def test_a_model_does_not_differ_from_its_copy(make_runs):
    runs = make_runs({"base": EVERY}, n=500, seeds=(0, 1))
    runs |= {("copy", seed): run for (_, seed), run in runs.items()}
    frame = compare(study(runs), "base", n_boot=20).frame
    assert len(frame) == 3 * 2 * (4 + 9 + 10)  # effects, clusters, metrics of all, sex, race
    assert (frame[["difference", "low", "high", "effect_size"]] == 0).all(axis=None)
    for name in ("p_bootstrap", "p_nadeau_bengio"):
        assert (frame[[name, f"{name}_holm"]] == 1).all(axis=None)
    assert not frame["improved"].any()
    assert (frame["folds"] == 10).all()


def test_a_lower_spread_is_found_and_called_an_improvement(make_runs):
    models = {"base": {"bias": 1.5, "noise": 0.8}, "fair": {"noise": 0.8}}
    found = lines(make_runs(models, n=3000, seeds=(0, 1)))
    for clusters in ("seen", "unseen"):
        for attribute, metric in (
            ("race", "tpr_sd"),
            ("race", "demographic_parity"),
            ("all", "auroc"),
            ("all", "balanced_accuracy"),
        ):
            line = found.loc[clusters, attribute, metric]
            assert line["improved"], metric
            assert line["p_bootstrap_holm"] < 0.01, metric
            assert line["p_nadeau_bengio_holm"] < 0.05, metric
            assert (line["low"] > 0) == (line["high"] > 0) == (attribute == "all"), metric
            assert abs(line["effect_size"]) > 1, metric
            assert line["resolvable"], metric
        assert not found.loc[clusters, "sex", "tpr_sd"]["resolvable"]
        assert "not resolvable" in found.loc[clusters, "sex", "tpr_sd"]["note"]


def test_the_figures_of_a_line(make_runs):
    runs = make_runs({"base": {"bias": 1.0}, "fair": {}}, n=1000, seeds=(0, 1))
    line = lines(runs, folds=5).loc["seen", "race", "tpr_sd"]

    def spread(run, rows):
        judged = run.judged
        rows = rows & judged.seen
        decision = judged.decision["mixed"][rows]
        return tpr_sd(judged.y[rows], decision, sensitive_features=judged.sensitive["race"][rows])

    every = np.ones(1000, bool)
    value, before = (
        np.mean([spread(runs[name, seed], every) for seed in (0, 1)]) for name in ("fair", "base")
    )
    by_fold = np.array(
        [
            spread(runs["fair", seed], runs["fair", seed].fold == fold)
            - spread(runs["base", seed], runs["base", seed].fold == fold)
            for seed in (0, 1)
            for fold in range(5)
        ]
    )
    assert line["value"] == pytest.approx(value)
    assert line["baseline_value"] == pytest.approx(before)
    assert line["difference"] == pytest.approx(value - before)
    assert line["change_percent"] == pytest.approx(100 * (value - before) / before)
    assert line["effect_size"] == pytest.approx(by_fold.mean() / by_fold.std(ddof=1))
    assert line["p_nadeau_bengio"] == pytest.approx(nadeau_bengio_p(by_fold, 1 / 3))
    assert line["folds"] == 10


def test_pairs_are_narrower_than_independent_draws(make_runs):
    runs = make_runs({"base": {}}, n=1500)
    run = runs["base", 0]
    flipped = run.judged.decision["mixed"].copy()
    flipped[::40] = 1 - flipped[::40]  # the models differ in few rows
    near = replace(run, judged=replace(run.judged, decision={"mixed": flipped}))
    runs["near", 0] = near
    found = replicate(runs, n_boot=400)
    of = {line.variant: line for line in found.lines
          if (line.clusters, line.metric.name) == ("seen", "balanced_accuracy")}  # fmt: skip
    apart = np.hypot(of["base"].draws.std(ddof=1), of["near"].draws.std(ddof=1))
    line = lines(runs, replicates=found).loc["seen", "all", "balanced_accuracy"]
    paired = (line["high"] - line["low"]) / (2 * stats.norm.ppf(0.95))
    assert paired == pytest.approx((of["near"].draws - of["base"].draws).std(ddof=1))
    assert paired < 0.5 * apart


@pytest.mark.long
def test_models_that_are_alike_are_rarely_told_apart(make_runs):
    """100 data sets of 2 independent blocks: rejections at 5 % are 10 of 200, give or take 3.

    The bound of 4 SDs above is 22; the p-values of the bootstrap are also close to uniform.
    """
    options = {"noise": 1.5}
    found = {"p_bootstrap": [], "p_nadeau_bengio": []}
    for start in range(100):
        runs = make_runs({"base": options, "like": options}, n=400, levels={}, start=start)
        table = lines(runs, folds=5, n_boot=100)
        for name, values in found.items():
            values += table.xs("auroc", level="metric")[name].tolist()
    for name, values in found.items():
        assert len(values) == 200
        assert np.sum(np.array(values) < 0.05) <= 22, name
    assert np.sum(np.array(found["p_bootstrap"]) < 0.05) >= 1
    assert stats.kstest(found["p_bootstrap"], "uniform").pvalue > 0.001


def test_families_of_the_correction(make_runs):
    runs = make_runs({"base": EVERY, "one": EVERY, "two": {"noise": 0.9, **EVERY}}, n=200)
    frame = compare(study(runs), "base", n_boot=50).frame
    family = (frame["variant"] == "two") & (frame["effects"] == "mixed")
    for clusters in ("seen", "unseen"):
        for overall, size in ((True, 4), (False, 19)):
            within = family & (frame["clusters"] == clusters)
            some = frame[within & ((frame["attribute"] == "all") == overall)]
            assert len(some) == size
            for name in ("p_bootstrap", "p_nadeau_bengio"):
                np.testing.assert_allclose(some[f"{name}_holm"], holm(some[name]))


def test_real_outcomes_have_directions_of_their_own(make_runs):
    models = {"base": {"noise": 1.0}, "better": {"noise": 0.5}}
    found = lines(make_runs(models, n=600, classes=()), n_boot=50)
    for metric in ("mse", "rmse", "mae", "r2"):
        assert found.loc["seen", "all", metric]["improved"], metric
    assert found.loc["seen", "all", "mse"]["difference"] < 0
    assert found.loc["seen", "all", "r2"]["difference"] > 0


def test_an_rmse_is_no_test_beside_that_of_the_mse(make_runs):
    models = {"base": {"noise": 1.0}, "better": {"noise": 0.9}}
    frame = compare(study(make_runs(models, n=200, classes=())), "base", n_boot=50).frame
    overall = frame[(frame["attribute"] == "all") & (frame["effects"] == "mixed")]
    for _, family in overall.groupby("clusters"):
        lines = family.set_index("metric")
        tested = lines.drop("rmse")
        for name in ("p_bootstrap", "p_nadeau_bengio"):
            np.testing.assert_allclose(tested[f"{name}_holm"], holm(tested[name]))
            assert lines.loc["rmse", f"{name}_holm"] == lines.loc["mse", f"{name}_holm"]


def test_several_baselines_and_classes(make_runs):
    runs = make_runs({"a": {}, "b": {}, "c": {}}, n=200, classes=("x", "y", "z"))
    frame = compare(study(runs), ("a", "b"), n_boot=5).frame
    pairs = frame[["variant", "baseline"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["b", "a"], ["c", "a"], ["a", "b"], ["c", "b"]]
    assert set(frame["class"]) == {"x", "y", "z"}
    assert not frame.duplicated(list(COLUMNS[1:8])).any()


def test_folds_without_a_value_are_counted(make_runs):
    runs = make_runs({"base": {}, "other": {}}, n=200)
    judged = runs["base", 0].judged
    emptied = (runs["base", 0].fold == 2) & judged.seen
    y = np.where(emptied, 0, judged.y)  # no positives in one fold
    runs = {key: replace(run, judged=replace(run.judged, y=y)) for key, run in runs.items()}
    found = lines(runs, n_boot=10)
    assert found.loc["seen", "all", "auroc"]["folds"] == 4
    assert "1 of 5 folds have no value" in found.loc["seen", "all", "auroc"]["note"]
    assert found.loc["unseen", "all", "auroc"]["folds"] == 5


def test_replicates_made_before_are_used(make_runs):
    runs = make_runs({"base": {}, "other": {}}, n=150)
    made = replicate(runs, n_boot=30)
    given = compare(study(runs), "base", replicates=made).frame
    kept = compare(study(runs, n_boot=30), "base").frame
    anew = compare(study(runs), "base", n_boot=30).frame
    assert given.equals(kept)
    assert given.equals(anew)


def test_few_folds_have_no_t_test(make_runs):
    found = lines(make_runs({"base": {}, "other": {}}, n=150), folds=2, n_boot=5)
    assert found["p_nadeau_bengio"].isna().all()
    assert found["p_nadeau_bengio_holm"].isna().all()


def test_wrong_baselines_are_refused(make_runs):
    runs = make_runs({"one": {}, "two": {}}, n=100)
    with pytest.raises(ValueError, match="among the models of the study, one, two; got medl"):
        compare(study(runs), n_boot=0)
    with pytest.raises(ValueError, match="at least one other model"):
        compare(study({("one", 0): runs["one", 0]}), "one", n_boot=0)


def test_missing_seeds_are_refused(make_runs):
    runs = make_runs({"one": {}, "two": {}}, n=100, seeds=(0, 1))
    del runs["two", 1]
    with pytest.raises(ValueError, match=r"two has the seeds \[0\], one has \[0, 1\]"):
        compare(study(runs), "one", n_boot=0)
