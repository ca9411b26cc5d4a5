"""``pyfairme tune``: what is found is written, and the same command goes on."""

import json

import pandas as pd
import pytest

SEARCH = (
    "--target", "repaid", "--cluster", "branch", "--sensitive", "sex", "--drop", "loan",
    "--drop", "visits", "--variant", "nnet_adb", "--quick", "--folds", "4", "--turns", "2",
    "--search", "fairness_weight,learning_rate", "--max-cost", "0.1",
)  # fmt: skip


@pytest.fixture(scope="module")
def tuned(call, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    (folder / "own.json").write_text('{"weight_decay": 0.5, "fairness_on": ["fixed"]}')
    own = ("--settings", folder / "own.json")
    result = call("tune", table, *SEARCH, *own, "--trials", "2", "--out", folder)
    assert result.exit_code == 0, result.output
    return result.output, folder


@pytest.mark.long
def test_it_writes_trials_and_the_best(tuned):
    output, folder = tuned
    trials = pd.read_csv(folder / "trials.csv")
    assert len(trials) == 2
    best = json.loads((folder / "best.json").read_text())
    line = trials[trials["best"]].iloc[0]
    assert best["trial"] == line["number"]
    assert best["metrics"]["accuracy"] == pytest.approx(line["accuracy"])
    assert set(best["tuned"]) == {"fairness_weight", "learning_rate"}
    assert best["keywords"]["hidden"] == [8]
    assert (best["keywords"]["weight_decay"], best["keywords"]["fairness_on"]) == (0.5, ["fixed"])
    assert best["keywords"]["fairness_weight"]["sex"] == pytest.approx(line["fairness_weight[sex]"])
    assert "2 trials" in output
    assert f"baseline {best['baseline']['accuracy']:.4f}" in output
    assert (folder / "tune.db").exists()


def test_the_same_command_goes_on_and_a_best_is_a_baseline(call, table, tuned):
    _, folder = tuned
    before = pd.read_csv(folder / "trials.csv")
    own = ("--settings", folder / "own.json")
    result = call("tune", table, *SEARCH, *own, "--trials", "3", "--out", folder)
    assert result.exit_code == 0, result.output
    after = pd.read_csv(folder / "trials.csv")
    assert after["value"].tolist()[:2] == before["value"].tolist()
    assert len(after) == 3
    best = json.loads((folder / "best.json").read_text())
    given = ("--baseline", folder / "best.json", "--trials", "1", "--out", folder)
    result = call("tune", table, *SEARCH, *given)
    assert result.exit_code == 0, result.output
    again = json.loads((folder / "best.json").read_text())
    assert again["baseline"] == pytest.approx(best["metrics"])
    assert again["study"] != best["study"]


def test_problems_are_one_line(refused, table, tmp_path):
    out = ("--out", tmp_path)
    assert "is none of adult, acs, heritage" in refused("tune", "loans", *out)
    text = refused("tune", table, "--target", "repaid", "--variant", "nnet", "--search", "depth",
                   *out)  # fmt: skip
    assert "--search depth: expected some of" in text
    (tmp_path / "own.json").write_text('{"depth": 3}')
    text = refused("tune", table, *SEARCH, "--settings", tmp_path / "own.json", *out)
    assert "expected keywords of FairMixedEffectsClassifier by name" in text
    assert "got depth" in text
    (tmp_path / "best.json").write_text("[]")
    text = refused("tune", table, *SEARCH, "--baseline", tmp_path / "best.json", *out)
    assert "is not a best.json that this command wrote" in text
    (tmp_path / "best.json").write_text('{"keywords": {"likelihood": "poisson"}}')
    text = refused("tune", table, *SEARCH, "--baseline", tmp_path / "best.json", *out)
    assert "is not of this data: a FairMixedEffectsClassifier has no likelihood" in text


def test_settings_are_those_of_the_estimator_of_the_task(refused, call, table, tmp_path):
    roles = ("--target", "visits", "--cluster", "branch", "--sensitive", "sex", "--drop", "loan",
             "--variant", "nnet", "--quick", "--trials", "1", "--folds", "3", "--turns", "1",
             "--search", "learning_rate", "--out", tmp_path)  # fmt: skip
    (tmp_path / "own.json").write_text('{"threshold": 0.4}')
    text = refused("tune", table, *roles, "--settings", tmp_path / "own.json")
    assert "expected keywords of FairMixedEffectsRegressor by name" in text
    assert "got threshold" in text
    (tmp_path / "own.json").write_text('{"likelihood": "student_t"}')
    result = call("tune", table, *roles, "--settings", tmp_path / "own.json")
    assert result.exit_code == 0, result.output
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["keywords"]["likelihood"] == "student_t"
