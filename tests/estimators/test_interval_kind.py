"""What an interval covers, what network_posterior="auto" becomes, and refits that leave it out."""

import numpy as np
import pytest

import pyfairme as pf
from pyfairme.datasets import make_clustered
from pyfairme.estimators import estimator_keywords, table_fit
from pyfairme.estimators.interval_kind import interval_kind
from pyfairme.inference.laplace import tangent_posterior
from pyfairme.inference.laplace.second_stage import PosteriorWarning
from pyfairme.model.likelihoods import Bernoulli, Categorical

QUICK = {"hidden": (16, 8), "min_steps": 300, "epochs": 1, "random_state": 0, "progress": False}


@pytest.fixture(scope="module")
def table():
    return make_clustered(600, 5, random_state=3)


@pytest.fixture(scope="module")
def small(table):
    return pf.FairMixedEffectsClassifier("cluster", **QUICK).fit(table.frame, table.target)


def test_auto_is_a_posterior_for_small_tables_whose_guide_is_not_named():
    binary = Bernoulli()

    def chosen(rows, likelihood=binary, **params):
        given = {"network_posterior": "auto", "guide": "auto", "kl_weight": 1.0, "hidden": (8,)}
        given |= params
        return estimator_keywords.network_posteriors(given, likelihood, rows)

    assert chosen(10_000) == ("laplace", "none")
    assert chosen(10_001) == ("none",)
    assert chosen(5000, Categorical(3)) == ("none",)
    assert chosen(100, guide="block") == ("none",)
    assert chosen(100, kl_weight=0) == ("none",)
    assert chosen(100, hidden=()) == ("none",)
    assert chosen(50_000, network_posterior="laplace") == ("laplace",)


@pytest.mark.long
def test_auto_gives_way_where_the_linear_model_is_too_large(small, table, monkeypatch):
    monkeypatch.setattr(table_fit, "too_large", lambda spec, rows: "1 of something; at most 0")
    other = pf.FairMixedEffectsClassifier("cluster", **QUICK).fit(table.frame, table.target)
    assert other.network_posterior_ == "none"
    assert other.guide_ == "block"
    knots = [len(model.design_.terms[0].knots) for model in (small, other)]
    assert knots[0] > knots[1]  # those of the other are for a network that is not shrunk


def test_default_intervals_are_of_the_mean(small, table):
    assert small.network_posterior_ == "laplace"
    found = small.predict_interval(table.frame)
    assert list(found) == ["mean", "low", "high"]
    assert found.columns.name == "mean interval"
    assert found.equals(small.predict_interval(table.frame, kind="mean"))
    assert small.posterior_.posterior.attrs["kind"] == "Laplace posterior"
    assert small.posterior_.posterior.attrs["guide"] == "laplace"


def test_a_network_without_posterior_says_what_its_intervals_cover(clf, binary):
    found = clf.predict_interval(binary.test)
    assert list(found) == ["mean", "low", "high"]
    assert found.columns.name == "cluster interval"
    assert "cluster interval" in str(found)
    assert found.equals(clf.predict_interval(binary.test, kind="cluster"))
    outcomes = clf.predict_interval(binary.test, kind="observation")
    assert outcomes.columns.name == "observation (0 or 1) interval"
    with pytest.raises(ValueError, match=r"has no posterior of its network.*network-not-covered"):
        clf.predict_interval(binary.test, kind="mean")
    with pytest.raises(ValueError, match="kind"):
        interval_kind("median", clf.fit_.spec)


@pytest.mark.long
def test_classes_say_it_too():
    data = make_clustered(300, 5, likelihood="categorical", random_state=0)
    model = pf.FairMixedEffectsClassifier("cluster", guide="mean_field", **QUICK)
    found = model.fit(data.frame, data.target).predict_interval(data.frame[:3])
    assert list(found) == ["class", "mean", "low", "high"]
    assert found.columns.name == "cluster interval"


@pytest.mark.long
def test_refine_samples_the_effects_given_the_trained_network(small, table, tmp_path):
    refined = small.refine(draws=800, chains=1, warmup=400)
    assert (small.network_posterior_, refined.network_posterior_) == ("laplace", "none")
    assert refined.predict_interval(table.frame).columns.name == "cluster interval"
    one, two = (m.predict_proba(table.frame)[:, 1] for m in (small, refined))
    assert np.corrcoef(one, two)[0, 1] > 0.8
    refined.save(tmp_path / "refined.pyfairme")
    loaded = pf.load(tmp_path / "refined.pyfairme")
    np.testing.assert_array_equal(loaded.predict_proba(table.frame)[:, 1], two)
    again = pf.FairMixedEffectsClassifier("cluster", **QUICK, network_posterior="laplace")
    with pytest.raises(ValueError, match="refine-network"):
        again.fit(table.frame, table.target).refine()


@pytest.mark.long
def test_a_fit_of_rare_classes_without_hidden_layer(table):
    """The mode's search starts where every logit is 0 and half the classes would be positive."""
    rare = (table.target == 1) & (np.arange(600) % 8 == 0)
    settings = QUICK | {"hidden": (), "network_posterior": "laplace", "threshold": 0.1}
    model = pf.FairMixedEffectsClassifier("cluster", **settings)
    model.fit(table.frame, rare.astype(int))
    assert model.predict_proba(table.frame)[:, 1].mean() == pytest.approx(rare.mean(), abs=0.02)
    assert model.diagnostics_.query("measure != 'prior_sensitivity'")["ok"].all()


@pytest.mark.long
@pytest.mark.parametrize("hidden", [(16, 8), ()])
def test_a_linear_model_that_breaks_down_leaves_the_trained_network(table, monkeypatch, hidden):
    def broken(*arguments):
        raise FloatingPointError("singular")

    settings = QUICK | {"hidden": hidden, "network_posterior": "laplace"}
    monkeypatch.setattr(tangent_posterior, "draw_tangent", broken)
    model = pf.FairMixedEffectsClassifier("cluster", **settings)
    with pytest.warns(PosteriorWarning, match=r"broke down \(singular\).*laplace-broke-down"):
        model.fit(table.frame, table.target)
    assert not model.diagnostics_.query("measure != 'prior_sensitivity'")["ok"].any()
    true = 1 / (1 + np.exp(-table.truth.mixed))
    assert np.corrcoef(model.predict_proba(table.frame)[:, 1], true)[0, 1] > 0.6
