"""Schemas, data sets, studies, frontiers and choices show what they hold."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.report.display.study_facts import tuning_facts
from pyfairme.study.comparison.compare import Comparisons
from pyfairme.study.crossval.cross_validate import CrossValidation
from pyfairme.study.frontier.frontier_result import Frontier
from tests.report.display.test_facts import HOSTILE, Parsed


def fields(facts, heading=""):
    return dict(next(p for p in facts.parts if p.heading == heading).items)


def test_a_schema_says_roles():
    frame = pd.DataFrame({"age": [20, 50], HOSTILE[0]: ["a", "b"], "branch": ["x", "y"]})
    bracket = pf.Binned("age", (30,), name="bracket")
    schema = pf.Schema.infer(frame, cluster="branch", sensitive=[HOSTILE[0], bracket])
    page = Parsed(schema._repr_html_())
    assert "script" not in page.tags
    assert HOSTILE[0] in page.texts
    said = fields(schema.summary())
    assert said["cluster"] == "branch"
    assert said["sensitive"] == "bracket; cut from age at 30"


def test_a_data_set_says_levels_not_rows():
    data = pf.datasets.make_clustered(rows=300, clusters=30, random_state=0)
    facts = data.summary()
    assert repr(data) == str(facts)
    assert f"300 rows, {data.frame.shape[1]} columns" in str(facts)
    levels, numbers = facts.parts[1:]
    told = data.describe()
    shown = {(r[0], r[1], r[2]): r[3].value for r in levels.rows}
    for line in told.loc[told["role"] == "sensitive"].to_dict("records"):
        assert shown[line["role"], line["feature"], line["category"]] == line["count"]
    assert sum(row[0] == "cluster" for row in levels.rows) == 20
    assert levels.note == "10 smaller levels are in describe()."
    assert {row[1]: row[3].value for row in numbers.rows} == (
        told.dropna(subset="mean").set_index("feature")["mean"].to_dict()
    )
    assert Parsed(data._repr_html_()).tags.count("table") == 2


@pytest.fixture
def study(runs):
    return CrossValidation("adult", 5, (), runs, (), 5, n_boot=5)


@pytest.mark.long
def test_a_study_shows_metrics_when_they_are_computed(study):
    assert "Metrics are computed when they are asked for" in repr(study)
    assert "replicates" not in vars(study)
    grid = next(p for p in study.summary().parts if p.heading.startswith("Means over seeds, seen"))
    known = study.frame.query("clusters == 'seen' and group == 'all'")
    at = grid.columns.index("TPR SD sex")
    for row in grid.rows:
        chosen = known.query("variant == @row[0] and effects == @row[1] and attribute == 'sex'")
        assert row[at].value == chosen.set_index("metric").loc["tpr_sd", "value"]
    assert repr(study) == str(study.summary())
    assert Parsed(study._repr_html_()).open == []


def test_comparisons_show_every_difference_of_mixed_effects(comparisons):
    found = Comparisons(comparisons)
    verdict, grid = found.summary().parts
    mixed = comparisons.query("effects == 'mixed'")
    at = grid.columns.index("difference")
    np.testing.assert_array_equal([row[at].value for row in grid.rows], mixed["difference"])
    clear = mixed[mixed["p_bootstrap_holm"] < 0.05]
    for word, lines in (("better", clear[clear["improved"].astype(bool)]),
                        ("worse", clear[~clear["improved"].astype(bool)])):  # fmt: skip
        said = [item for item in verdict.items if f"{word}: " in item.text]
        assert len(said) == len(lines.groupby(["variant", "baseline", "clusters"]))
    assert len(clear)
    assert repr(found) == str(found.summary())
    assert Parsed(found._repr_html_()).open == []


def test_a_frontier_and_its_choice(runs):
    names = {"medl": 0, "medl_adb": 0.3}
    part = {key: run for key, run in runs.items() if key[0] in names}
    study = CrossValidation("adult", 5, (), part, (), 5, n_boot=5)
    estimator = pf.FairMixedEffectsClassifier("cluster", ["sex", "race"])
    frontier = Frontier(estimator, names, "medl", study, choosing_seeds=(0,))
    assert "Metrics are computed" in repr(frontier)
    facts = frontier.summary()
    grid = next(p for p in facts.parts if p.heading == "mixed effects, seen clusters")
    points = frontier.points.query("effects == 'mixed' and clusters == 'seen'")
    assert [row[4].value for row in grid.rows] == points["worst_sd"].tolist()
    assert facts.parts[1].heading.startswith("mixed effects")  # before what is folded
    assert {row[6] for row in grid.rows} <= {
        f"{m} SD {a}" for m in ("TPR", "FPR") for a in ("sex", "race")
    }
    assert repr(frontier) == str(facts)
    choice = frontier.choose(max_cost=0.5)
    assert f"fairness_weight {choice.variant}, at a cost of" in choice.summary().lead
    assert [row[2].value for row in choice.summary().parts[1].rows] == [
        choice.unfair["worst_sd"], choice.point["worst_sd"]
    ]  # fmt: skip
    assert Parsed(choice._repr_html_()).open == []


def test_a_search_shows_its_best_trials_first():
    frame = pd.DataFrame(
        {
            "number": [0, 1, 2], "state": ["complete", "fail", "complete"],
            "accuracy": [0.8, np.nan, 0.79], "worst_sd": [0.1, np.nan, 0.05],
            "on_frontier": [True, False, True], "best": [False, False, True],
        }
    )  # fmt: skip
    found = SimpleNamespace(frame=frame, best={"hidden": (8,)}, baseline={"accuracy": 0.81})
    facts = tuning_facts(found)
    assert facts.lead == "2 complete, 1 fail trials."
    assert [row[0] for row in facts.parts[2].rows] == ["2", "0"]
    assert facts.parts[2].rows[0][1].value == 0.79
    assert fields(facts, "Best keywords") == {"hidden": "(8,)"}
