"""Names that could be taken for each other, the whole road: fit, tables, report, saved file."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.inference.groups import group
from pyfairme.notices import DataWarning

LEVELS = [1, "1", '"1"', "all", "(missing)", "(new level)", "p & q", "seen"]
CLUSTERS = [1, "1", "all", "seen", "(missing)", "a / b", "x:y", '"seen"']
ROWS = 320


def column(values, every):
    found = np.empty(ROWS, dtype=object)
    found[:] = [values[i // every % len(values)] for i in range(ROWS)]
    return found


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).normal(size=ROWS)
    X = pd.DataFrame({"x": x, "g": column([*LEVELS, None], 1), "town": column(CLUSTERS, 40)})
    return X, (x > 0).astype(int)


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


def test_a_saved_model_knows_them_all(model, data, tmp_path):
    X, _ = data
    model.save(tmp_path / "names.pyfairme")
    again = pf.load(tmp_path / "names.pyfairme")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.design_ == model.design_


def test_variables_and_dims_with_and_without_a_slash_are_two():
    data = {
        "a/b_x": (("draw", "a/b"), np.zeros((2, 3))),
        "a_b_x": (("draw", "a_b"), np.ones((2, 2))),
    }
    found = group(data, {"a/b": list("xyz"), "a_b": list("uv")}, {})
    assert found["a_b_x"].dims == ("draw", "a_b")
    assert found["a_b_x_"].dims == ("draw", "a_b_")
    assert found["a_b_"].values.tolist() == list("xyz")
