"""Names that could be taken for each other, the whole road: fit, tables, report, saved file."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.cli.predict import prediction_table
from pyfairme.inference.arviz_groups import group
from pyfairme.notices import DataWarning
from pyfairme.postprocessing import policy_inputs

LEVELS = [1, "1", '"1"', "all", "(missing)", "(new level)", "p & q", "seen"]
CLUSTERS = [1, "1", "all", "seen", "(missing)", "a / b", "x:y", '"seen"']
ROWS = 320
SLOPES = ["Intercept", "cor(Intercept, b)", "b"]


def column(values, every):
    found = np.empty(ROWS, dtype=object)
    found[:] = [values[i // every % len(values)] for i in range(ROWS)]
    return found


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=ROWS)
    X = pd.DataFrame({"x": x, "g": column([*LEVELS, None], 1), "town": column(CLUSTERS, 40)})
    return X, ((x > 0) ^ (np.arange(ROWS) % 10 == 0)).astype(int)  # x alone is no copy of it


@pytest.fixture(scope="module")
def model(data):
    model = pf.FairMixedEffectsClassifier(
        "town", "g", hidden=(), fairness=None, guide="mean_field", min_steps=5, epochs=1,
        validation_fraction=0, random_state=0, progress=False,
    )  # fmt: skip
    with pytest.warns(DataWarning, match="levels-alike"):
        return model.fit(*data)


def test_groups_in_are_groups_out(model, data):
    found = model.fairness_report(*data, n_boot=0)
    lines = found[(found["effects"] == "mixed") & (found["metric"] == "selection_rate")]
    names = dict(zip(lines["group"], lines["n"], strict=True))
    sizes = data[0]["g"].map(repr).value_counts()
    assert len(names) == len(LEVELS) + 1
    shown = {"'1'": '"1"', "1": "1", "'all'": '"all"', "None": "(missing)", "'p & q'": "p & q"}
    assert {name: names[name] for name in shown.values()} == {
        name: sizes[value] for value, name in shown.items()
    }


def test_clusters_in_are_clusters_out(model, data):
    X, y = data
    assert model.cluster_effects_["cluster"].nunique() == len(CLUSTERS)
    assert len(set(model.posterior_["posterior"]["town"].values)) == len(CLUSTERS)
    found = model.fairness_report(X, y, by_cluster=True, n_boot=0)
    assert found["clusters"].nunique() == len(CLUSTERS)
    assert not {"seen", "unseen"} & set(found["clusters"])


def test_groups_of_a_policy_stay_apart_where_small_ones_are_put_together(model, data):
    X, y = data
    rule = pf.JointThresholds(model, {"g": 0.4}).fit(X)
    sizes = X.assign(y=y, g=X["g"].map(repr)).groupby(["g", "y"]).size().unstack().min(axis=1)
    least = int(sizes.min()) + 1  # one group at least is small
    found = rule.fairness_report(X, y, n_boot=0, min_group_size=least)
    lines = found[(found["effects"] == "mixed") & (found["metric"] == "selection_rate")]
    assert not lines["group"].duplicated().any()
    assert lines["n"].sum() == ROWS
    assert "(small groups)" in set(lines["group"])
    large = lines[lines["group"] != "(small groups)"]
    assert 1 <= len(large) <= (sizes >= least).sum()


def test_a_coin_is_of_the_row_and_tells_1_from_its_text(model, data):
    """In whatever company: beside no number, "1" is the same group as before."""
    X = data[0].assign(town="all")
    groups = model.design_.attributes

    def tossed(frame):
        share = np.full(len(frame), 0.5)

        def contents(at):
            return policy_inputs.read_contents(model, frame[at], groups)

        return policy_inputs.decide(contents, share, 0)

    whole = tossed(X)
    texts = X["g"].map(lambda level: isinstance(level, str)).to_numpy()
    np.testing.assert_array_equal(tossed(X[texts]), whole[texts])
    number, text = (
        tossed(X.assign(g=pd.Series([level] * ROWS, dtype=object))) for level in (1, "1")
    )
    assert 0.3 < (number != text).mean() < 0.7  # coins of their own


@pytest.mark.long
def test_the_predicted_clusters_are_seen_as_the_model_reads_them(data):
    """Trained on 7 alone, a model takes "7" for it, also where both are among the rows."""
    X, y = data
    town = np.array([7 if name == "all" else "b" for name in X["town"]], dtype=object)
    reg = pf.FairMixedEffectsRegressor(
        "residual", hidden=(), guide="mean_field", min_steps=5, epochs=1, validation_fraction=0,
        unseen="population", random_state=0, progress=False,
    ).fit(pd.DataFrame({"x": X["x"], "residual": town}), y)  # fmt: skip
    rows = pd.DataFrame({"x": [0.0] * 4, "residual": pd.Series([7, "7", "b", "8"], dtype=object)})
    found = prediction_table(reg, rows, "mixed", 0.9, "auto")
    assert found["cluster_seen"].tolist() == [True, True, True, False]
    assert found["prediction"][0] == found["prediction"][1]
    assert reg.variance_components_["factor"].tolist() == ["residual", '"residual"']


def test_a_saved_model_knows_them_all(model, data, tmp_path):
    X, _ = data
    model.save(tmp_path / "names.pyfairme")
    again = pf.load(tmp_path / "names.pyfairme")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.design_ == model.design_


FACTORS = ["class", "class_term"]


@pytest.fixture(scope="module")
def named_as_ours():
    """A model whose clusters and columns are called as dims, variables and terms of ours."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.integers(0, 3 + i, 160) for i, name in enumerate(FACTORS)})
    X = X.astype(str).assign(**{name: rng.normal(size=160) for name in SLOPES})
    return pf.FairMixedEffectsClassifier(
        FACTORS, random_slopes=SLOPES, correlated=True, network_posterior="last_layer", hidden=(),
        guide="mean_field", min_steps=5, epochs=1, validation_fraction=0, unseen="sample",
        random_state=0, progress=False,
    ).fit(X, rng.integers(0, 3, 160))  # fmt: skip


@pytest.mark.long
def test_terms_in_are_terms_out(named_as_ours):
    model = named_as_ours
    for table, keys, lines in (
        (model.cluster_effects_, ["factor", "cluster", "term"], (3 + 4) * 4),
        (model.variance_components_, ["factor", "term"], len(FACTORS) * (4 + 6)),
        (model.fixed_effects_, ["term"], 4),
    ):
        assert not table.duplicated([*keys, "class"]).any()
        assert len(table) == 3 * lines
    terms = {"Intercept", '"Intercept"', "b", '"cor(Intercept, b)"'}
    assert set(model.fixed_effects_["term"]) == set(model.cluster_effects_["term"]) == terms


@pytest.mark.long
def test_each_dim_of_the_posterior_has_its_own_labels(named_as_ours):
    posterior = named_as_ours.posterior_["posterior"]
    assert posterior.sizes["class"] == 3
    for name in FACTORS:
        dim = posterior[f"{name}_intercept"].dims[2]
        assert dim.rstrip("_") == name
        assert tuple(posterior[dim].values) == named_as_ours.design_.clusters[name]
        assert posterior[f"{name}_slopes"].sizes[posterior[f"{name}_slopes"].dims[3]] == 3
    assert posterior.sizes[posterior["fixed_effects"].dims[2]] == 4


def test_variables_and_dims_with_and_without_a_slash_are_two():
    data = {
        "a/b_x": (("draw", "a/b"), np.zeros((2, 3))),
        "a_b_x": (("draw", "a_b"), np.ones((2, 2))),
    }
    found = group(data, {"a/b": list("xyz"), "a_b": list("uv")}, {})
    assert found["a_b_x"].dims == ("draw", "a_b")
    assert found["a_b_x_"].dims == ("draw", "a_b_")
    assert found["a_b_"].values.tolist() == list("xyz")
