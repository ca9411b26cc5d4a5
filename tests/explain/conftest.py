"""Fitted models of the estimators' tests, and lme4's small data sets."""

import pytest

from tests.benchmarks.guides_against_nuts import read
from tests.estimators.conftest import binary, classifier, clf, linear, real, reg, regressor

__all__ = ["binary", "classifier", "clf", "linear", "real", "reg", "regressor"]


@pytest.fixture(scope="session")
def sleepstudy(data_dir):
    case = read("sleepstudy", data_dir / "lme4")
    return case, case.fit(guide="block", network_posterior="last_layer")


@pytest.fixture(scope="session")
def cbpp(data_dir):
    case = read("cbpp", data_dir / "lme4")
    return case, case.fit(guide="block", network_posterior="last_layer")
