"""Ranges: what Optuna draws and what the estimator gets."""

import optuna
import pytest

import pyfairme as pf
from pyfairme.estimators.fairness_weight import update_strengths
from pyfairme.model.penalties import AttributeCodes
from pyfairme.study.tuning.search_space import (
    Choice,
    Real,
    Whole,
    check_space,
    default_space,
    distributions,
    keywords_of,
    start_of,
)  # fmt: skip


def model(**keywords):
    return pf.FairMixedEffectsClassifier("job", ["sex", "race"], **keywords)


def test_zero_is_a_share_of_the_range():
    entry = Real(0.01, 1.0, log=True, zero=0.25)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [entry.decode(study.ask({"x": entry.distribution()}).params["x"]) for _ in range(400)]
    assert sum(value == 0 for value in drawn) / 400 == pytest.approx(0.25, abs=0.06)
    assert all(value == 0 or 0.01 <= value <= 1 for value in drawn)
    assert entry.decode(entry.encode(0)) == 0
    linear = Real(1.0, 2.0, zero=0.5)
    assert linear.decode(linear.encode(0)) == 0
    assert linear.encode(3) is None


@pytest.mark.parametrize("bounds", [(1, 1), (2, 1), (-1, 1)])
def test_what_is_no_range_is_refused(bounds):
    with pytest.raises(ValueError, match="is no range"):
        Real(*bounds, log=True)


def test_choices_may_be_anything():
    entry = Choice((64, 32), None, "balanced")
    for value in entry.values:
        assert entry.decode(entry.encode(value)) == value
    assert entry.encode((1,)) is None
    assert Whole(1, 8).encode(9) is None


def test_brackets_reach_into_dictionaries():
    space = {"fairness_weight[sex]": Real(0, 3), "fairness_on[fixed]": Real(0, 3)}
    drawn = {"fairness_weight[sex]": 1.5, "fairness_on[fixed]": 0.5}
    found = keywords_of(space, drawn, model(fairness_weight=0.2))
    assert found["fairness_weight"] == {"sex": 1.5, "race": 0.2}
    assert found["fairness_on"] == {"fixed": 0.5, "mixed": 1.0}
    kept = keywords_of(space, drawn, model(fairness_weight={"race": 0.7}))
    assert kept["fairness_weight"] == {"sex": 1.5, "race": 0.7}


def test_penalties_are_reached_too():
    base = model(fairness=("adversarial", "moment"), fairness_weight=0.2)
    space = {"fairness_weight[moment][sex]": Real(0, 3), "fairness_weight[adversarial]": Real(0, 3)}
    drawn = {"fairness_weight[moment][sex]": 1.0, "fairness_weight[adversarial]": 2.0}
    assert keywords_of(space, drawn, base)["fairness_weight"] == {
        "moment": {"sex": 1.0, "race": 0.2}, "adversarial": 2.0,
    }  # fmt: skip
    by_penalty = model(fairness_weight={"adversarial": 0.3})
    with pytest.raises(ValueError, match="give a number there, or the same kind of keys"):
        keywords_of({"fairness_weight[sex]": Real(0, 3)}, {"fairness_weight[sex]": 1.0}, by_penalty)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        (0.3, {p: {"sex": 0.3, "race": 0.3} for p in ("adversarial", "moment")}),
        ({"sex": 0.3}, {p: {"sex": 0.3, "race": 0} for p in ("adversarial", "moment")}),
        ({"moment": 0.3}, {"adversarial": {"sex": 0, "race": 0},
                           "moment": {"sex": 0.3, "race": 0.3}}),
        ({"moment": {"race": 0.3}, "adversarial": 0.1},
         {"adversarial": {"sex": 0.1, "race": 0.1}, "moment": {"sex": 0, "race": 0.3}}),
    ],
)  # fmt: skip
def test_a_search_by_penalty_and_attribute_starts_at_the_estimator(given, full):
    base = model(fairness=("adversarial", "moment"), fairness_weight=given)
    space = default_space(base)
    by_both = {name for name in space if name.startswith("fairness_weight")}
    assert by_both == {
        f"fairness_weight[{p}][{a}]" for p in ("adversarial", "moment") for a in ("sex", "race")
    }
    assert keywords_of(space, start_of(space, base), base)["fairness_weight"] == full
    some = {"fairness_weight[moment][sex]": Real(0, 3)}
    found = keywords_of(some, start_of(some, base), base)["fairness_weight"]
    spec = tuple(AttributeCodes(name, 0) for name in ("sex", "race"))
    for penalty, expected in full.items():
        assert update_strengths(found.get(penalty, 0), spec).tolist() == list(expected.values())


def test_what_is_not_named_is_zero_and_is_started_at():
    base = model(fairness_weight={"sex": 0.3})
    space = {"fairness_weight[race]": Real(0.01, 3, log=True, zero=0.1)}
    found = keywords_of(space, start_of(space, base), base)
    assert found["fairness_weight"] == {"sex": 0.3, "race": 0}


def test_one_penalty_by_name_is_searched_by_name():
    base = model(fairness="moment", fairness_weight={"moment": 0.3})
    space = default_space(base)
    assert {"fairness_weight[moment][sex]", "fairness_weight[moment][race]"} <= set(space)
    start = keywords_of(space, start_of(space, base), base)
    assert start["fairness_weight"] == {"moment": {"sex": 0.3, "race": 0.3}}


def test_the_default_has_what_the_model_has_and_starts_at_it():
    base = model(fairness_weight={"sex": 0.3})
    space = default_space(base)
    assert set(space) == {
        "fairness_weight[sex]", "fairness_weight[race]", "fairness_on[fixed]", "cluster_weight",
        "fixed_weight", "learning_rate", "hidden", "batch_size",
    }  # fmt: skip
    check_space(space, base)
    start = start_of(space, base)
    found = keywords_of(space, start, base)
    assert found["hidden"] == (64, 32)
    assert found["fairness_weight"]["sex"] == 0.3
    assert found["learning_rate"] == 1e-3
    assert set(distributions(space)) == set(space)
    plain = pf.FairMixedEffectsClassifier(fairness=None, hidden=())
    assert set(default_space(plain)) == {"learning_rate", "batch_size"}
