"""Objects of a user's own in studies: a penalty and a metric, from the fits to the frontier."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.metrics import Metric
from pyfairme.metrics.aggregate import ratio
from pyfairme.metrics.confusion import confusion, selection_rate
from pyfairme.model.penalties import members, plain_factor
from pyfairme.report import comparison_text
from pyfairme.study import before_after, compare, cross_validate, frontier, tune
from pyfairme.study.tuning.search_space import Choice

LIGHT = {
    "hidden": (), "epochs": 1, "min_steps": 30, "guide": "mean_field", "unseen": "population",
    "random_intercepts": False, "fairness_on": ("fixed",), "progress": False,
}  # fmt: skip
SHARED = {"folds": 3, "seeds": 1, "n_boot": 5}


@dataclass(frozen=True)
class MeanGap:
    """Squared distance of each group's mean prediction from everybody's."""

    power: int = 2

    def __call__(self, name, view, attributes, criterion):
        values = view.prediction[:, 0]
        for index, attribute in enumerate(attributes):
            groups = members(view, index, attribute)
            means = groups.T @ values / jnp.maximum(groups.sum(0), 1.0)
            plain_factor(name, view, index, attribute, jnp.mean((means - values.mean()) ** 2))


class Nameless(MeanGap):
    """Says nothing of itself but its address."""

    __repr__ = object.__repr__


RATIO = Metric(
    "selection_rate_ratio",
    task="classification",
    scope="attribute",
    tabulate=confusion,
    reduce=lambda sums: ratio(selection_rate(sums).min(-1), selection_rate(sums).max(-1)),
    kind="rate",
    higher_is_better=True,
    label="Four fifths",
)


@pytest.fixture(scope="module")
def data():
    found = pf.datasets.make_clustered(rows=200, clusters=4, covariates=2, random_state=0)
    return replace(found, schema=replace(found.schema, sensitive=("group1",)))


@pytest.fixture(scope="module")
def swept(data, tmp_path_factory):
    """A frontier of the user's penalty with the user's metric, and the store of its fits."""
    store = tmp_path_factory.mktemp("own") / "store"
    clf = pf.FairMixedEffectsClassifier(**LIGHT, fairness=MeanGap())
    weights = [0, {"mean_gap": {"group1": 5.0}}]
    keywords = {**SHARED, "weights": weights, "choosing_seeds": (), "store": store}
    return clf, keywords, frontier(clf, data, **keywords, metrics=[RATIO])


@pytest.mark.long
def test_a_frontier_of_a_penalty_and_with_a_metric_of_ones_own(data, swept):
    clf, keywords, found = swept
    mine = found.frame.query("metric == 'selection_rate_ratio' and attribute == 'group1'")
    assert set(mine["variant"]) == {"0", "mean_gap(group1=5)"}
    known = found.frame.query("metric == 'tpr_sd'")
    assert len(known) >= 2  # those of the package stay
    with pytest.raises(ValueError, match=r"needs the metrics .*tpr_sd.*\[frontier-metrics\]"):
        frontier(clf, data, **keywords, metrics=["auroc", RATIO])


def test_fits_with_an_object_are_found_again_and_compared_by_its_direction(data, swept):
    clf, keywords, found = swept
    before = {path: path.stat().st_mtime_ns for path in keywords["store"].rglob("seed*")}
    model = clf.set_params(fairness_weight=0, early_stopping=False)
    again = cross_validate({"0": model}, data, **SHARED, store=keywords["store"], metrics=RATIO)
    assert {path: path.stat().st_mtime_ns for path in keywords["store"].rglob("seed*")} == before
    key = ["effects", "clusters", "attribute", "metric"]
    whole = found.frame[found.frame["variant"] == "0"].set_index(key)["value"]
    own = again.frame.query("metric == 'selection_rate_ratio'").set_index(key)["value"]
    np.testing.assert_allclose(own, whole.loc[own.index])
    table = compare(found.study, "0").frame
    line = table[table["metric"] == "selection_rate_ratio"]
    assert len(line)
    assert (line["improved"] == (line["difference"] > 0)).all()
    only = compare(found.study, "0", metrics=["auroc", RATIO], n_boot=5).frame
    assert set(only["metric"]) == {"auroc", "selection_rate_ratio"}


def test_an_object_without_a_text_is_refused_before_the_first_fit(data):
    clf = pf.FairMixedEffectsClassifier(**LIGHT, fairness=Nameless())
    with pytest.raises(ValueError, match=r"frozen dataclass.*\[not-a-value\]"):
        cross_validate(clf, data, **SHARED)
    space = {"fairness": Choice(MeanGap(), Nameless())}
    with pytest.raises(ValueError, match=r"frozen dataclass.*\[not-a-value\]"):
        tune(clf.set_params(fairness=MeanGap()), data, space=space, storage=None)


def test_a_comparison_knows_label_and_direction_of_a_metric(swept):
    _, _, found = swept
    frame = found.study.frame.query("metric == 'selection_rate_ratio' and clusters == 'seen'")
    report = frame[frame["variant"] == "0"].assign(value=0.5, note="")
    table = before_after(report, report.assign(value=0.6))
    text = comparison_text(table, metrics=[RATIO])
    assert "Four fifths" in text
    count = int(pd.Series(report["effects"].isin(["mixed"])).sum())
    assert f"{count} of {count} resolvable fairness values improved" in text
    unknown = comparison_text(table)
    assert "selection rate ratio"[:21] in unknown
    assert "0 of 0 resolvable fairness values improved" in unknown  # no direction is known
