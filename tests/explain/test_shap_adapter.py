"""SHAP values, where the package is installed: they add up to the prediction."""

import sys

import numpy as np
import pytest

from pyfairme.explain import shap_values
from tests.bad_inputs import tiny


def test_without_shap_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ImportError, match=r"pip install shap\. \[no-shap\]"):
        shap_values(tiny.clean(), tiny.rows())


@pytest.mark.parametrize("effects", ["mixed", "fixed"])
def test_values_add_up_to_the_prediction(effects):
    pytest.importorskip("shap")
    model, X = tiny.clean(), tiny.rows()
    found = shap_values(model, X[:4], X[:20], effects=effects)
    told = model.predict_proba(X[:4], effects=effects)[:, 1]
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base_values, told, atol=1e-4)
    assert ("cluster" in found.feature_names) == (effects == "mixed")
    np.testing.assert_allclose(
        found.base_values, model.predict_proba(X[:20], effects=effects)[:, 1].mean(), atol=1e-4
    )
    assert found.data[0, found.feature_names.index("group1")] == X["group1"].iloc[0]
