"""A data set is found without being listed anywhere."""

import sys

import pytest

import pyfairme as pf
import pyfairme.datasets as datasets
from pyfairme.data.schema import attribute_name
from pyfairme.datasets import find_loaders

NEW = '''
"""A new data set."""
__all__ = ["load_new"]


def load_new():
    return "new"
'''


def test_bundled_data_sets_are_listed():
    assert datasets.loaders()["adult"] is datasets.load_adult
    assert datasets.loaders()["clustered"] is datasets.make_clustered


def test_one_new_file_is_enough(tmp_path, monkeypatch):
    (tmp_path / "new.py").write_text(NEW)
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path)])
    find_loaders._functions.cache_clear()
    assert datasets.load_new() == "new"
    assert datasets.loaders()["new"]() == "new"
    monkeypatch.delitem(sys.modules, "pyfairme.datasets.new")
    find_loaders._functions.cache_clear()


def test_unknown_names_are_attribute_errors():
    for name in ("load_nothing", "nothing"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(datasets, name)


def test_tuned_keywords_are_those_of_an_estimator_and_its_attributes():
    check_tuned(datasets.load_adult())


@pytest.mark.parametrize("name", ["acs_income", "heritage"])
def test_tuned_keywords_of_data_that_are_not_shipped(data_dir, name):
    check_tuned(datasets.loaders()[name]())


def check_tuned(data):
    kind = pf.FairMixedEffectsClassifier
    if data.schema.task == "regression":
        kind = pf.FairMixedEffectsRegressor
    assert "medl_adb" in data.tuned
    for variant, keywords in data.tuned.items():
        base = {k: v for k, v in pf.VARIANTS[variant].items() if k in kind().get_params(deep=False)}
        model = kind(**{**base, **keywords})
        if variant == "medl_adb":
            names = {attribute_name(entry) for entry in data.schema.sensitive}
            assert set(model.fairness_weight) == names
