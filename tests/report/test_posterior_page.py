"""The page of a fitted model."""

import re

import numpy as np
import pytest

import pyfairme as pf
from pyfairme.model.likelihoods import LIKELIHOODS
from pyfairme.report import posterior_report
from pyfairme.report.posterior_page import RESIDUAL_VARIANCE

QUICK = {
    "guide": "mean_field",
    "hidden": (),
    "fairness": None,
    "min_steps": 300,
    "random_state": 0,
    "progress": False,
}


def write(estimator, likelihood, folder, clusters=6, **more):
    data = pf.datasets.make_clustered(
        rows=400, clusters=clusters, likelihood=likelihood, nonlinear=False, slopes=0,
        random_state=0, **more,
    )  # fmt: skip
    estimator.fit(data.frame, data.target)
    page = posterior_report(estimator, data.frame, data.target, folder / "page", draws=200)
    text = page.read_text(encoding="utf-8")
    assert page.name == "posterior.md"
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert {path.name for path in page.parent.iterdir()} == {"posterior.md", *pictures}
    assert all((page.parent / name).stat().st_size > 5000 for name in pictures)
    return text, re.findall(r"^## (.*)$", text, re.M), pictures


def test_counts(tmp_path):
    reg = pf.FairMixedEffectsRegressor("cluster", likelihood="poisson", **QUICK)
    text, headings, pictures = write(reg, "poisson", tmp_path)
    assert headings == [
        "Variance components", "Intraclass correlation", "Cluster effects", "Shrinkage",
        "Probability integral transform", "Coverage", "Posterior predictive check",
    ]  # fmt: skip
    assert "the residual variance is ln(1 + 1/m)" in text
    assert "Randomised, as outcomes are counts." in text
    assert f"| {reg.icc()['mean'].item():.4g} |" in text
    assert f"| {reg.variance_components_['mean'].item():.4g} |" in text
    assert pictures == ["caterpillar_1.png", "shrinkage_1.png", "pit.png", "coverage.png",
                        "predictive_check.png"]  # fmt: skip


@pytest.mark.long
def test_classes(tmp_path):
    clf = pf.FairMixedEffectsClassifier("cluster", **QUICK)
    text, headings, pictures = write(clf, "categorical", tmp_path)
    assert "Reliability" in headings
    assert "Coverage" not in headings
    assert pictures.count("reliability.png") == 1
    assert sum(name.startswith("caterpillar") for name in pictures) == 3
    assert re.search(r"by class: 0 0\.\d{4}, 1 0\.\d{4}, 2 0\.\d{4} ", text)


@pytest.mark.long
def test_without_random_effects(tmp_path):
    reg = pf.FairMixedEffectsRegressor("cluster", random_intercepts=False, **QUICK)
    text, headings, _ = write(reg, "normal", tmp_path)
    assert headings == ["Probability integral transform", "Coverage", "Posterior predictive check"]
    assert "Uniform if predictions are right." in text


def test_every_likelihood_states_its_residual_variance():
    names = {likelihood.__name__ for likelihood in LIKELIHOODS.values()}
    assert names | {"Bernoulli", "Categorical"} == set(RESIDUAL_VARIANCE)


def test_lengths_are_checked(tmp_path):
    data = pf.datasets.make_clustered(rows=100, clusters=3, likelihood="normal", random_state=0)
    reg = pf.FairMixedEffectsRegressor("cluster", **QUICK).fit(data.frame, data.target)
    with pytest.raises(ValueError, match="X has 100 rows, y has 2"):
        posterior_report(reg, data.frame, np.zeros(2), tmp_path)
