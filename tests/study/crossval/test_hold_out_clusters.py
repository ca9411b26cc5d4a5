"""``hold_out="clusters"``: every row is judged by a fit that never saw its cluster."""

import numpy as np
import pytest

import pyfairme as pf
from pyfairme.study import cross_validate, frontier, tune
from pyfairme.study.crossval.kept_together import held_out_together
from pyfairme.study.tuning.trials import pose_problem
from tests.study.small_search import SPACE, light_model
from tests.study.small_study import light_models, small_data


@pytest.fixture(scope="module")
def swept():
    model = light_models()["nnet"].set_params(
        fairness="moment", fairness_on="fixed", sensitive=("group1",),
        threshold="balanced_accuracy", min_steps=200,
    )  # fmt: skip
    return frontier(
        model, small_data(), weights=(0, 1), folds=3, seeds=2, hold_out="clusters", n_boot=20,
        progress=False,
    )  # fmt: skip


@pytest.mark.long
def test_no_fit_has_seen_a_cluster_that_it_is_judged_on(swept):
    data = small_data()
    cluster = data.frame["cluster"].to_numpy()
    for (_, seed), run in swept.study.runs.items():
        assert np.array_equal(np.sort(run.row), np.arange(600)), seed
        assert not run.judged.seen.any()
        folds = {label: set(run.fold[cluster[run.row] == label]) for label in set(cluster)}
        assert all(len(where) == 1 for where in folds.values())
    for fit in swept.study.configurations:
        assert fit["rows_judged"] + fit["rows_trained"] == 600


def test_a_choice_is_of_unseen_clusters_where_nobody_says(swept):
    assert set(swept.points["clusters"]) == {"unseen"}
    choice = swept.choose(1.0)
    assert choice.variant == swept.choose(1.0, clusters="unseen").variant
    line = swept.points.query("effects == 'mixed' and variant == @choice.variant").iloc[0]
    run = swept.study.runs[choice.variant, 1]  # the reported seed
    sd = pf.metrics.tpr_sd(
        run.judged.y,
        run.judged.decision["mixed"],
        sensitive_features=run.judged.sensitive["group1"],
    )
    assert line["tpr_sd_group1"] == pytest.approx(sd)
    assert swept.hypervolume(reference=(0.4, 0.6)).value >= 0
    with pytest.raises(ValueError, match="no mixed predictions on seen clusters"):
        swept.choose(1.0, clusters="seen")


@pytest.mark.long
def test_a_search_judges_clusters_that_its_fits_never_saw():
    data = small_data()
    cluster = data.frame["cluster"].to_numpy()
    problem = pose_problem(data, (), 5, None, 0, held_out_together(data, None, "clusters"))
    aside = set(cluster[problem.held_out])
    for part in problem.parts:
        trained, judged = set(cluster[part.training]), set(cluster[part.judged])
        assert not trained & judged
        assert not (trained | judged) & aside
        assert len(set(part.groups)) == len(trained)
    found = tune(
        light_model(), data, trials=2, storage=None, space=SPACE, folds=5, max_cost=0.5,
        hold_out="clusters", progress=False,
    )  # fmt: skip
    assert set(found.frame["state"]) == {"complete"}
    assert set(cluster[found.held_out]) == aside


def test_rows_without_a_cluster_belong_together_with_none():
    data = small_data()
    frame = data.frame.copy()
    frame.loc[frame.index[:5], "cluster"] = None
    codes = held_out_together(
        pf.datasets.Dataset(frame, data.target, data.schema), None, "clusters"
    )
    assert len(set(codes[:5])) == 5
    assert set(codes[:5]).isdisjoint(codes[5:])
    assert held_out_together(data, None, "rows") is None


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"hold_out": "cluster"}, r"hold_out: 'cluster'.*\[unknown-choice\]"),
        ({"groups": "cluster"}, r"both say which rows are held out.*\[two-roles\]"),
        ({"seen": 4}, r"seen=4 keeps some for training.*\[two-roles\]"),
        ({"folds": 10}, r"6 groups, which leave one of 10 folds empty.*\[few-groups\]"),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_first_fit(keywords, message):
    with pytest.raises(ValueError, match=message):
        cross_validate(light_models(), small_data(), **{"hold_out": "clusters"} | keywords)
