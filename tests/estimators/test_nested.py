"""Nested grouping factors: ``cluster=[("school", "class")]`` is lme4's school/class."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.data import Schema
from pyfairme.data.grouping_factors import Factor, factors_of

SCHOOLS, CLASSES, PUPILS = 30, 6, 8


def pupils(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """SDs: 2 between schools, 1 between classes, 1 of the residual; classes numbered anew."""
    r = np.random.default_rng(seed)
    rows = SCHOOLS * CLASSES * PUPILS
    school = np.repeat(np.arange(SCHOOLS), CLASSES * PUPILS)
    number = np.tile(np.repeat(np.arange(CLASSES), PUPILS), SCHOOLS)
    effect = 2 * r.normal(size=SCHOOLS)[school]
    effect += 1 * r.normal(size=(SCHOOLS, CLASSES))[school, number]
    X = pd.DataFrame({"school": school + 1, "class": number + 1, "x": r.normal(size=rows)})
    return X, effect + r.normal(size=rows)


def anova(X: pd.DataFrame, y: np.ndarray) -> dict[str, float]:
    """Return the closed-form estimates (SD) of the balanced nested design."""
    cell = pd.Series(y).groupby([X["school"].to_numpy(), X["class"].to_numpy()]).mean()
    cell = cell.to_numpy().reshape(SCHOOLS, CLASSES)
    cube = y.reshape(SCHOOLS, CLASSES, PUPILS)
    within = ((cube - cell[..., None]) ** 2).sum() / (SCHOOLS * CLASSES * (PUPILS - 1))
    between = PUPILS * ((cell - cell.mean(1, keepdims=True)) ** 2).sum() / SCHOOLS / (CLASSES - 1)
    outer = CLASSES * PUPILS * cell.mean(1).var(ddof=1)
    found = {"school": (outer - between) / CLASSES / PUPILS, "class": (between - within) / PUPILS}
    return {name: np.sqrt(value) for name, value in (found | {"residual": within}).items()}


@pytest.fixture(scope="module")
def table():
    return pupils()


@pytest.fixture(scope="module")
def nested(table):
    model = pf.FairMixedEffectsRegressor(
        [("school", "class")], hidden=(), min_steps=1500, random_state=0, progress=False
    )
    return model.fit(*table)


@pytest.mark.long
def test_scales_are_those_of_the_nested_anova(nested, table):
    exact = anova(*table)
    components = nested.variance_components_.set_index("factor")["mean"]
    # posterior means of scales lie somewhat above: 1 / (2 df) of 29 schools is 2 %, their SD 13 %
    assert components["school"] == pytest.approx(exact["school"], rel=0.1)
    assert components["school:class"] == pytest.approx(exact["class"], rel=0.1)
    assert components["residual"] == pytest.approx(exact["residual"], rel=0.05)


@pytest.mark.long
def test_scales_beside_a_posterior_of_the_fixed_effects_are_those_too(table):
    model = pf.FairMixedEffectsRegressor(
        [("school", "class")], hidden=(), min_steps=1500, network_posterior="laplace",
        random_state=0, progress=False,
    )  # fmt: skip
    test_scales_are_those_of_the_nested_anova(model.fit(*table), table)


def test_each_class_of_each_school_is_a_cluster_of_its_own(nested):
    effects = nested.cluster_effects_
    assert list(effects["factor"].unique()) == ["school", "school:class"]
    inner = effects.loc[effects["factor"] == "school:class", "cluster"]
    assert len(inner) == SCHOOLS * CLASSES
    assert list(inner[:7]) == ["1:1", "1:2", "1:3", "1:4", "1:5", "1:6", "2:1"]
    assert {"school", "school:class"} <= set(nested.posterior_["posterior"].dims)


def test_a_known_class_number_in_a_new_school_is_a_new_cluster(nested):
    rows = pd.DataFrame({"school": [1, 1, 99], "class": [1, 77, 1], "x": 0.0})
    assert nested.design_.encode(rows).cluster.tolist() == [[0, 0], [0, -1], [-1, -1]]
    known, new_class, new_school = nested.set_params(unseen="population").predict(rows)
    effects = nested.cluster_effects_.set_index(["factor", "cluster"])["mean"]
    # a new class of a known school has the school's effect; means over draws err by some .03
    assert new_class - new_school == pytest.approx(effects["school", "1"], abs=0.1)
    assert known - new_class == pytest.approx(effects["school:class", "1:1"], abs=0.1)
    inferred = nested.set_params(unseen="infer").predict(rows)
    # whether all schools among the rows are known does not matter to a new class
    np.testing.assert_allclose(nested.predict(rows[1:2]), inferred[1], rtol=1e-5)
    drawn = nested.set_params(unseen="sample").predict_interval(rows)
    nested.set_params(unseen="infer")
    widths = (drawn["high"] - drawn["low"]).to_numpy()
    assert widths[0] < widths[1] < widths[2]


def test_new_classes_of_known_schools_are_learned_but_no_new_school(nested, table):
    X, y = table
    new = X[:8].assign(**{"class": 50})
    adapted = nested.adapt(new, y[:8] + 3)
    assert "1:50" in adapted.design_.clusters["school:class"]
    with pytest.raises(ValueError, match=r"one factor at a time.*\[adapt-nested\]"):
        nested.adapt(X[:8].assign(school=99), y[:8])


def test_save_and_load(nested, table, tmp_path):
    X, _ = table
    nested.save(tmp_path / "m.pyfairme")
    again = pf.load(tmp_path / "m.pyfairme")
    assert again.cluster == [("school", "class")]
    assert again.design_ == nested.design_
    np.testing.assert_array_equal(again.predict(X[:50]), nested.predict(X[:50]))


@pytest.mark.long
def test_report_by_cluster_names_the_classes():
    X, y = pupils()
    few = X["school"].to_numpy() <= 3
    X, y = X[few].assign(s=np.where(np.arange(few.sum()) % 2, "f", "m")), y[few]
    model = pf.FairMixedEffectsRegressor(
        [("school", "class")], ["s"], hidden=(), min_steps=50, epochs=1, fairness=None,
        random_slopes={("school", "class"): ["x"]}, guide="mean_field", unseen="population",
        random_state=0, progress=False,
    ).fit(X, y)  # fmt: skip
    blocks = model.fairness_report(X, y, by_cluster=True, n_boot=0)["clusters"]
    assert set(blocks) == {f"{school}:{number}" for school in (1, 2, 3) for number in range(1, 7)}
    terms = model.variance_components_.groupby("factor", sort=False)["term"].apply(list)
    assert terms["school"] == ["Intercept"]
    assert terms["school:class"] == ["Intercept", "x"]


def test_a_colon_within_a_label_joins_nothing():
    frame = pd.DataFrame({"a": ["1:2", "1", "1:2"], "b": ["3", "2:3", "3"]})
    factor = Factor.fit(frame, ("a", "b"))
    assert sorted(factor.levels) == [r"1:2\:3", r"1\:2:3"]
    codes = factor.encode(frame)
    assert codes[0] == codes[2] != codes[1]


def test_a_path_without_one_of_its_steps_is_missing():
    frame = pd.DataFrame({"a": ["x", None, "x", "y"], "b": [1, 1, None, 1]})
    assert (Factor.fit(frame, ("a", "b")).read(frame).codes < 0).tolist() == [
        False, True, True, False,
    ]  # fmt: skip


def test_paths_share_their_beginning_and_come_back_unchanged():
    found = factors_of([("d", "school", "class"), ("d", "hospital"), "rater"])
    assert found == ("d", ("d", "school"), ("d", "school", "class"), ("d", "hospital"), "rater")
    assert factors_of(found) == found
    assert factors_of(("school", "class")) == ("school", "class")  # a bare tuple is crossed


def test_the_same_column_twice_in_a_path_is_refused():
    frame = pd.DataFrame({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(ValueError, match="given twice"):
        Schema.infer(frame, cluster=[("a", "a")])


def test_dates_are_labels_of_clusters_and_no_covariates():
    day = pd.to_datetime(["2024-05-01", "2024-05-02", None])
    frame = pd.DataFrame({"day": day, "x": [1.0, 2.0, 3.0]})
    levels = ("2024-05-01", "2024-05-02")
    assert Factor.fit(frame, "day").levels == levels
    exact = frame.assign(day=[*day[:1], pd.Timestamp("2024-05-02 10:00"), pd.NaT])
    assert Factor.fit(exact, "day").levels[0] == levels[0]  # whatever the other rows hold
    with pytest.raises(ValueError, match=r"meaning as a covariate.*\[dates\]"):
        Schema.infer(frame)
    with pytest.raises(ValueError, match=r"meaning as a sensitive attribute.*\[dates\]"):
        Schema.infer(frame, sensitive=["day"])
