"""Fitted classifiers, as for the tests of estimators."""

from tests.estimators.conftest import binary, classifier, clf, linear, real, reg, regressor, rich

__all__ = ["binary", "classifier", "clf", "linear", "real", "reg", "regressor", "rich"]
