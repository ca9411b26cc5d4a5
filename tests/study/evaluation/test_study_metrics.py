"""Pooled evaluation of all runs on the same draws, against the report of one estimator."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pyfairme.estimators.fairness_report import report
from pyfairme.study.evaluation.bootstrap_replicates import replicate
from pyfairme.study.evaluation.pooled_predictions import NEW_LEVEL
from pyfairme.study.evaluation.study_metrics import COLUMNS, results_frame

KEYS = ["effects", "clusters", "attribute", "group", "class", "metric"]
EVERY = {"effects": ("fixed", "random", "mixed")}  # as the report of an estimator has them
CLASSES = {"binary": (0, 1), "three classes": ("x", "y", "z"), "real": ()}


def evaluate(runs, n_boot=0, level=0.9):
    return results_frame(replicate(runs, n_boot=n_boot), dataset="made", level=level)


def both(runs, n_boot):
    """Return the lines of a study and those of the estimator's report, by their keys."""
    mine = evaluate(runs, n_boot=n_boot)
    (run,) = runs.values()
    theirs = report(run.judged, by_cluster=False, n_boot=n_boot, level=0.9)
    mine, theirs = (pd.DataFrame(frame.set_index(KEYS)).sort_index() for frame in (mine, theirs))
    return mine, theirs


@pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)
def test_one_seed_is_the_report_of_its_rows(make_runs, classes):
    mine, theirs = both(make_runs({"one": EVERY}, n=300, classes=classes), n_boot=0)
    assert mine.index.equals(theirs.index)
    np.testing.assert_allclose(mine["value"], theirs["value"], rtol=1e-12, atol=1e-15)
    assert (mine["n"] == theirs["n"]).all()
    both_have = mine["null"].notna()
    assert (both_have == theirs["null"].notna()).all()
    spread = theirs["null_high"] - theirs["null_low"]
    assert ((mine["null"] - theirs["null"]).abs() <= 0.2 * spread)[both_have].all()
    # which side of the band a value is on is said alike, up to the noise of the band
    assert (mine["note"] == theirs["note"]).mean() > 0.95


@pytest.mark.parametrize("clusters", [6, 80], ids=["rows are drawn", "clusters are drawn"])
def test_intervals_are_those_of_the_report(make_runs, clusters):
    """The same method on other draws: limits differ by the noise of 500 replicates."""
    mine, theirs = both(make_runs({"one": EVERY}, n=500, clusters=clusters), n_boot=500)
    known = mine["low"].notna()
    assert (known == theirs["low"].notna()).all()
    assert known.sum() > 200
    width = (theirs["high"] - theirs["low"])[known]
    for limit in ("low", "high"):
        off = (mine[limit] - theirs[limit])[known].abs()
        assert (off <= 0.15 * width + 1e-9).mean() > 0.95  # SE of a 5 % point: .04 of the width
    assert (mine["low"] <= mine["value"])[known].all()
    assert (mine["value"] <= mine["high"])[known].all()


def test_columns_and_order(make_runs):
    frame = evaluate(make_runs({"b": EVERY, "a": EVERY}, n=200), n_boot=5)
    assert tuple(frame.columns) == COLUMNS
    assert frame["variant"].unique().tolist() == ["b", "a"]
    assert frame["effects"].unique().tolist() == ["fixed", "random", "mixed"]
    assert frame["clusters"].unique().tolist() == ["seen", "unseen"]
    assert frame["attribute"].unique().tolist() == ["all", "sex", "race"]
    assert (frame["dataset"] == "made").all()
    assert not frame.duplicated(["variant", *KEYS]).any()
    known = frame["low"].notna()
    assert (frame["low"] <= frame["high"])[known].all()


def test_seeds_are_averaged(make_runs):
    runs = make_runs({"one": {}}, n=300, seeds=(4, 7, 9))
    together = evaluate(runs, n_boot=0).set_index(KEYS)
    apart = pd.DataFrame(
        {key: evaluate({key: run}, n_boot=0).set_index(KEYS)["value"] for key, run in runs.items()}
    )
    np.testing.assert_allclose(together["value"], apart.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(together["sd_seeds"], apart.std(axis=1, ddof=1), atol=1e-12)
    assert (together["seeds"] == 3).all()


def test_one_seed_has_no_sd(make_runs):
    frame = evaluate(make_runs({"one": {}}, n=100), n_boot=0)
    assert frame["sd_seeds"].isna().all()
    assert frame[["low", "high"]].isna().all(axis=None)


def test_the_interval_is_of_the_mean_over_seeds(make_runs):
    """Seeds that blur differently average their noise away; seeds that agree do not."""
    blurred = make_runs({"one": {"noise": 2.0}}, n=400, seeds=(0, 1, 2, 3))
    copies = {("one", seed): replace(blurred["one", 0], fold=run.fold)
              for (_, seed), run in blurred.items()}  # fmt: skip
    width = []
    for runs in (copies, blurred):
        frame = evaluate(runs, n_boot=300)
        line = frame.query("metric == 'auroc' and clusters == 'seen' and effects == 'mixed'")
        width.append((line["high"] - line["low"]).item())
    assert 0.4 * width[0] < width[1] < 0.9 * width[0]


def test_the_same_predictions_get_the_same_lines(make_runs):
    runs = make_runs({"one": {}}, n=200)
    twice = runs | {("two", 0): runs["one", 0]}
    frame = evaluate(twice, n_boot=20)
    one, two = (frame[frame["variant"] == name].drop(columns="variant") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_a_level_new_to_one_fit_is_known_from_another(make_runs):
    runs = make_runs({"one": {}}, n=300, seeds=(0, 1))
    run = runs["one", 0]
    labels = run.judged.sensitive["race"].copy()
    labels[:3] = NEW_LEVEL
    gaps = {e: dict(by_name) for e, by_name in run.judged.gap.items()}
    for by_name in gaps.values():
        by_name["race"] = np.where(np.arange(300) < 3, np.nan, by_name["race"])
    sensitive = run.judged.sensitive | {"race": labels}
    blind = replace(run, judged=replace(run.judged, sensitive=sensitive, gap=gaps))
    kept = evaluate(runs, n_boot=0).query("metric != 'counterfactual_gap'")
    frame = evaluate(runs | {("one", 0): blind}, n_boot=0)
    inside = runs["one", 0].judged.seen[:3]
    assert inside.any()
    gap = frame.query("metric == 'counterfactual_gap'")
    assert set(gap["clusters"]) == ({"unseen"} if inside.all() else set())
    pd.testing.assert_series_equal(
        frame.query("metric != 'counterfactual_gap'")["value"].reset_index(drop=True),
        kept["value"].reset_index(drop=True),
    )


def other_rows(run):
    return replace(run, row=run.row + 1)


def other_outcomes(run):
    return replace(run, judged=replace(run.judged, y=1 - run.judged.y))


def other_clusters(run):
    return replace(run, judged=replace(run.judged, cluster=run.judged.cluster[::-1]))


def other_labels(run):
    turned = {"sex": run.judged.sensitive["sex"][::-1], "race": run.judged.sensitive["race"]}
    return replace(run, judged=replace(run.judged, sensitive=turned))


def other_attributes(run):
    fewer = {"sex": run.judged.sensitive["sex"]}
    return replace(run, judged=replace(run.judged, sensitive=fewer))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (other_rows, "the position of the rows"),
        (other_outcomes, "y"),
        (other_clusters, "cluster"),
        (other_labels, "attribute 'sex'"),
        (other_attributes, "the list of attributes"),
    ],
)
def test_runs_of_different_rows_are_refused(make_runs, change, what):
    runs = make_runs({"one": {}, "two": {}}, n=100)
    runs["two", 0] = change(runs["two", 0])
    message = rf"evaluate the same rows, but {what} of 'two' seed 0 is not that of 'one' seed 0"
    with pytest.raises(ValueError, match=message):
        evaluate(runs)


def test_different_folds_of_one_seed_are_refused(make_runs):
    runs = make_runs({"one": {}, "two": {}}, n=100)
    runs["two", 0] = replace(runs["two", 0], fold=runs["two", 0].fold[::-1])
    with pytest.raises(ValueError, match="'two' seed 0 and 'one' seed 0 have different folds"):
        evaluate(runs)


def test_rows_out_of_order_are_refused(make_runs):
    runs = make_runs({"one": {}}, n=100)
    runs["one", 0] = replace(runs["one", 0], row=runs["one", 0].row[::-1])
    with pytest.raises(ValueError, match="sorted by their position in the data set, each once"):
        evaluate(runs)


def test_settings_out_of_range_are_refused(make_runs):
    runs = make_runs({"one": {}}, n=100)
    with pytest.raises(ValueError, match="at least one model and seed, got none"):
        evaluate({})
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1, got 90"):
        evaluate(runs, level=90)
    with pytest.raises(ValueError, match="n_boot must be a whole number of at least 0, got -1"):
        evaluate(runs, n_boot=-1)
