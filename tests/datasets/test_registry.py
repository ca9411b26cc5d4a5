"""A data set is found without being listed anywhere."""

import sys

import pytest

import pyfairme as pf
import pyfairme.datasets as datasets
from pyfairme.data.schema import attribute_name
from pyfairme.datasets import registry

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
    registry._functions.cache_clear()
    assert datasets.load_new() == "new"
    assert datasets.loaders()["new"]() == "new"
    monkeypatch.delitem(sys.modules, "pyfairme.datasets.new")
    registry._functions.cache_clear()


def test_unknown_names_are_attribute_errors():
    for name in ("load_nothing", "nothing"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(datasets, name)


def test_tuned_keywords_are_those_of_an_estimator_and_its_attributes():
    adult = datasets.load_adult()
    for variant, keywords in adult.tuned.items():
        model = pf.FairMixedEffectsClassifier(**{**pf.VARIANTS[variant], **keywords})
        weights = model.fairness_weight
        if variant == "medl_adb":
            names = {attribute_name(entry) for entry in adult.schema.sensitive}
            assert set(weights) == names
