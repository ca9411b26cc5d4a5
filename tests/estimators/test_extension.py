"""A likelihood, a penalty, a metric and a guide of a user's own: those of docs/extending.md."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro import handlers
from scipy.stats import wasserstein_distance
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor
from sklearn.model_selection import GridSearchCV

import pyfairme as pf
from pyfairme.estimators.custom_objects import check_objects, plain_object
from pyfairme.metrics import Metric
from pyfairme.metrics.confusion import confusion, selection_rate
from pyfairme.model.penalties import Adversarial, AttributeCodes, Moment, View, plain_factor
from tests.test_docs import blocks

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
QUICK = {
    "hidden": (), "epochs": 1, "min_steps": 30, "random_state": 0, "progress": False,
    "guide": "mean_field", "unseen": "population", "validation_fraction": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def own():
    """What the page defines: its blocks that make classes, without those that fit."""
    namespace = {"__name__": "extending"}
    for _, code in blocks(PAGE.read_text(encoding="utf-8")):
        if "@dataclass" in code:
            exec(code, namespace)
    return namespace


@dataclass(frozen=True)
class MeanAbsolute:
    """A penalty with a field: the mean absolute prediction, to a power."""

    power: float = 1.0

    def __call__(self, name, view, attributes, criterion):
        for index, attribute in enumerate(attributes):
            value = (jnp.abs(view.prediction) ** self.power).mean()
            plain_factor(name, view, index, attribute, value)


@dataclass
class Unhashable:
    def __call__(self, name, view, attributes, criterion): ...


class Decision:
    """The name of one that comes with the package."""

    def __call__(self, name, view, attributes, criterion): ...

    def __eq__(self, other):
        return type(other) is Decision

    def __hash__(self):
        return 0


@pytest.fixture(scope="module")
def data():
    return pf.datasets.make_clustered(rows=200, clusters=4, random_state=0)


@pytest.fixture(scope="module")
def fitted(data):
    clf = pf.FairMixedEffectsClassifier(
        "cluster", ["group1"], fairness=("moment", MeanAbsolute(2.0)),
        fairness_weight={"mean_absolute": {"group1": 0.2}}, **QUICK,
    )  # fmt: skip
    return clf.fit(data.frame, data.target)


# Oracles ----------------------------------------------------------------------------------------


def test_a_gamma_likelihood_without_effects_is_the_generalised_linear_model(own):
    """Both maximise the same mean; Adam ends within 0.5 % of the optimum that Newton finds."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(3.0, 10.0, size=200)})
    y = rng.gamma(4.0, np.exp(6 + 0.5 * X["a"] - 0.05 * X["b"]) / 4)
    given = {**QUICK, "min_steps": 1200, "learning_rate": 5e-3}
    reg = pf.FairMixedEffectsRegressor(likelihood=own["Gamma"](), fairness=None, **given).fit(X, y)
    glm = GammaRegressor(alpha=0, tol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(reg.predict(X), glm.predict(X), rtol=5e-3)
    found = reg.fixed_effects_.set_index("term")["mean"]
    np.testing.assert_allclose(
        found[["Intercept", "a", "b"]], [glm.intercept_, *glm.coef_], atol=5e-3
    )
    # in dollars and in thousands of them alike: a density is per unit of y
    drawn = reg.sample_predictive(X, draws=200).to_numpy()
    assert drawn.min() > 0
    assert drawn.mean() == pytest.approx(y.mean(), rel=0.05)


@pytest.mark.long
def test_rows_that_fill_up_a_table_do_not_spoil_a_positive_target(own):
    """181 rows are padded to 184: a padded amount of 0 has no density, whatever its weight."""
    y = np.random.default_rng(2).gamma(4.0, 25.0, size=181)
    X = pd.DataFrame({"a": np.linspace(-1, 1, 181), "g": np.arange(181) % 5})
    reg = pf.FairMixedEffectsRegressor(
        "g", likelihood=own["Gamma"](), fairness=None, **{**QUICK, "validation_fraction": 0.1}
    ).fit(X, y)
    assert np.isfinite(reg.history_).all(axis=None)


def test_the_wasserstein_penalty_is_the_distance(own):
    rng = np.random.default_rng(1)
    values, codes, weight = rng.normal(size=40), rng.integers(0, 2, 40), rng.uniform(1, 2, 40)
    view = View(
        "mixed", jnp.asarray(values[:, None]), jnp.zeros((40, 1)), None,
        jnp.asarray(codes[:, None]), jnp.asarray(weight), (jnp.ones(2),), jnp.ones(1),
    )  # fmt: skip
    with handlers.trace() as trace:
        own["Wasserstein"]()("w", view, (AttributeCodes("s", 2),), "demographic_parity")
    expected = [
        wasserstein_distance(values[codes == s], values, weight[codes == s], weight) for s in (0, 1)
    ]
    found = -float(trace["w/mixed/s"]["fn"].log_factor)
    assert found == pytest.approx(np.mean(expected), rel=1e-5)


# Fits -------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_guide_of_ones_own_finds_the_posterior_of_mean_field(own):
    """Means agree within one posterior SD of an effect; SDs within half of it."""
    data = pf.datasets.make_clustered(
        rows=200, clusters=4, likelihood="normal", nonlinear=False, slopes=0, random_state=0
    )
    given = {**QUICK, "min_steps": 1000, "learning_rate": 3e-3, "fairness": None}
    fits = [
        pf.FairMixedEffectsRegressor("cluster", **{**given, "guide": guide}).fit(
            data.frame, data.target
        )
        for guide in ("mean_field", own["LaplaceGuide"]())
    ]
    both = [fit.cluster_effects_ for fit in fits]
    sd = both[0]["sd"].to_numpy()
    assert (np.abs(both[1]["mean"] - both[0]["mean"]) < sd).all()
    assert ((both[1]["sd"] / sd).between(0.5, 2.0)).all()
    program = fits[1].program_  # its own guide, not one that is matched to the draws
    with (
        handlers.seed(rng_seed=0),
        handlers.trace() as trace,
        handlers.substitute(data=program.params),
    ):
        program.guide(*program.inputs(data.frame, data.target))
    assert "Laplace" in repr(trace["cluster_intercept"]["fn"].base_dist.base_dist)


def test_a_penalty_of_ones_own_has_its_name_in_weights_and_history(fitted):
    terms = set(fitted.history_)
    assert {"moment/mixed/group1", "mean_absolute/mixed/group1"} <= terms


def test_scikit_learn_copies_objects_and_searches_over_them(fitted, data):
    same = ("moment", MeanAbsolute(2.0))
    assert clone(fitted).get_params()["fairness"] == same
    rows = np.arange(200)  # one fold of all rows: nothing new is compiled
    grid = {"fairness": [same], "fairness_weight": [0.0, 0.1]}
    search = GridSearchCV(clone(fitted), grid, cv=[(rows, rows)], refit=False, error_score="raise")
    assert search.fit(data.frame, data.target).best_params_["fairness"] == same


def test_metrics_are_chosen_by_name_and_added_as_objects(fitted, data):
    highest = Metric(
        "highest_rate", "classification", "attribute", confusion,
        lambda sums: selection_rate(sums).max(axis=-1), kind="rate",
    )  # fmt: skip
    rows = data.frame, data.target
    every = fitted.fairness_report(*rows, metrics=highest, n_boot=0)
    assert set(every["metric"]) == {
        *fitted.fairness_report(*rows, n_boot=0)["metric"],
        "highest_rate",
    }
    few = fitted.fairness_report(*rows, metrics=["selection_rate", highest], n_boot=5)
    assert set(few["metric"]) == {"selection_rate", "highest_rate"}
    mixed = few[(few["effects"] == "mixed") & (few["attribute"] == "group1")].set_index("metric")
    assert mixed.loc["highest_rate", "value"] == mixed.loc["selection_rate", "value"].max()


# Files ------------------------------------------------------------------------------------------


def test_a_file_names_its_objects_and_takes_them_back(fitted, data, tmp_path):
    path = tmp_path / "model.pyfairme"
    fitted.save(path)
    assert b"MeanAbsolute" not in path.read_bytes()
    again = pf.load(path, objects={"mean_absolute": MeanAbsolute(2.0)})
    assert again.fairness == ("moment", MeanAbsolute(2.0))
    np.testing.assert_array_equal(again.predict_proba(data.frame), fitted.predict_proba(data.frame))
    fitted.save(path, private=True)
    pf.load(path, objects={"mean_absolute": MeanAbsolute(2.0)})


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (None, r"fairness=mean_absolute\(power=2\.0\), and a file holds no code.*missing\]"),
        ({"other": MeanAbsolute(2.0)}, r"objects=\{'mean_absolute': \.\.\.\}"),
        ({"mean_absolute": MeanAbsolute()}, r"has mean_absolute\(power=1\.0\).*object-differs\]"),
        ({"mean_absolute": MeanAbsolute}, r"is a class: give an object of it.*class-for-object\]"),
    ],
)
def test_a_file_without_its_objects_is_refused(fitted, tmp_path, objects, message):
    path = tmp_path / "model.pyfairme"
    fitted.save(path)
    with pytest.raises(ValueError, match=message):
        pf.load(path, objects=objects)


@dataclass(frozen=True, eq=False)
class OfAnArray:
    """Equal by value, by methods of its own; arrays compare by element."""

    weights: np.ndarray = field(default_factory=lambda: np.array([1.0, 2.0]))

    def __eq__(self, other):
        return isinstance(other, OfAnArray) and repr(self) == repr(other)

    def __hash__(self):
        return hash(repr(self))

    def __call__(self, name, view, attributes, criterion):
        for index, attribute in enumerate(attributes):
            weights = jnp.asarray(self.weights)
            value = (view.prediction[:, 0, None] * weights).mean()
            plain_factor(name, view, index, attribute, value)


@dataclass(frozen=True)
class Waving(Adversarial):
    """An adversary under a name of its own, with a field that its class has not always had."""


@dataclass(frozen=True)
class OfArrayByField:
    weights: np.ndarray

    def __call__(self, name, view, attributes, criterion): ...


def without(state, field_name):
    """What a file would hold that was written before objects had this field."""
    if isinstance(state, dict):
        return {k: without(v, field_name) for k, v in state.items() if k != field_name}
    return [without(one, field_name) for one in state] if isinstance(state, list | tuple) else state


def test_an_object_with_an_array_is_saved_and_taken_back(data, tmp_path):
    path, given = tmp_path / "model.pyfairme", OfAnArray()
    model = pf.FairMixedEffectsClassifier("cluster", ["group1"], fairness=given, **QUICK)
    model.fit(data.frame, data.target).save(path)
    again = pf.load(path, objects={"of_an_array": OfAnArray()})
    np.testing.assert_array_equal(again.predict(data.frame), model.predict(data.frame))
    with pytest.raises(ValueError, match=r"object-differs\]"):
        pf.load(path, objects={"of_an_array": OfAnArray(np.ones(2))})


def test_a_field_that_a_class_did_not_have_then_is_at_its_default():
    saved = {"fairness": plain_object("fairness", Waving())}
    array = {"fairness": plain_object("fairness", OfAnArray())}
    check_objects("a", {"params": without(saved, "waves")}, {"waving": Waving()})
    check_objects("a", {"params": without(array, "weights")}, {"of_an_array": OfAnArray()})
    for state, given in (
        (without(saved, "waves"), {"waving": Waving(waves=5)}),
        (saved, {"waving": Waving(waves=5)}),
        (without(saved, "waves"), {"waving": Waving(width=8)}),
        (without(array, "weights"), {"of_an_array": OfAnArray(np.ones(2))}),
    ):
        with pytest.raises(ValueError, match=r"configure it as it was then.*object-differs\]"):
            check_objects("a", {"params": state}, given)


@pytest.mark.parametrize(
    ("keyword", "value", "least"),
    [
        ("waves", -1, 0), ("waves", 2.5, 0), ("waves", True, 0), ("waves", "5", 0),
        ("width", 0, 1), ("width", 16.0, 1),
    ],
)  # fmt: skip
def test_an_adversary_of_no_size_is_refused(keyword, value, least):
    message = f"a whole number of {least} or more, got {keyword}={value!r}.*\\[adversary-size\\]"
    with pytest.raises(ValueError, match=message):
        Waving(**{keyword: value})


# Errors before the fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"fairness": MeanAbsolute}, r"fairness=MeanAbsolute is a class.*\[class-for-object\]"),
        ({"fairness": OfArrayByField(np.ones(2))}, r"does not equal its own.*\[not-a-value\]"),
        ({"fairness": Unhashable()}, r"cannot be hashed.*frozen=True.*\[not-a-value\]"),
        ({"fairness": Decision()}, r"has the name 'decision', which is taken.*\[object-name\]"),
        ({"fairness": lambda *_: None}, r"is no name of a variable.*\[object-name\]"),
        ({"fairness": (Moment(), "moment")}, r"names one of them twice.*\[given-twice\]"),
        ({"fairness": 3}, r"Invalid value of fairness: 3\..*\[unknown-choice\]"),
        ({"guide": MeanAbsolute()}, r"it has no sample, median\..*\[missing-members\]"),
        (
            {"fairness": MeanAbsolute(), "fairness_weight": {"mean_absolut": 1.0}},
            r"nor penalties \[.*'mean_absolute'\].*\[weight-of-nothing\]",
        ),
    ],
)
def test_bad_objects_are_refused_before_the_fit(data, keywords, message):
    clf = pf.FairMixedEffectsClassifier("cluster", ["group1"], **{**QUICK, **keywords})
    with pytest.raises(ValueError, match=message):
        clf.fit(data.frame, data.target)


def test_a_penalty_may_not_have_the_name_of_an_attribute(data):
    frame = data.frame.rename(columns={"group1": "mean_absolute"})
    clf = pf.FairMixedEffectsClassifier(
        "cluster", ["mean_absolute"], fairness=MeanAbsolute(), **QUICK
    )
    with pytest.raises(ValueError, match=r"'mean_absolute', which is taken.*\[object-name\]"):
        clf.fit(frame, data.target)


def test_bad_likelihoods_are_refused_before_the_fit(data, own):
    gamma = own["Gamma"]()
    for given, message in [
        (MeanAbsolute(), r"it has no outputs, effect_scale, .*\[missing-members\]"),
        (replace(gamma, target="class"), r"'real', 'count', 'positive'\]\. \[likelihood-target\]"),
        (replace(gamma, outputs=2), r"outputs=2.*\[likelihood-target\]"),
        ("gamma", r"Valid values are \['normal'.*\[unknown-choice\]"),
    ]:
        reg = pf.FairMixedEffectsRegressor(likelihood=given, **QUICK)
        with pytest.raises(ValueError, match=message):
            reg.fit(data.frame, data.target)
    reg = pf.FairMixedEffectsRegressor(likelihood=gamma, **QUICK)
    with pytest.raises(ValueError, match=r"positive numbers in y, got 0 .*\[not-a-positive-target"):
        reg.fit(data.frame, np.arange(200.0))


def test_bad_metrics_are_refused(fitted, data):
    accuracy = Metric("accuracy", "classification", "group", confusion, selection_rate)
    for given, error, message in [
        ("tpr_sdd", ValueError, r"Unknown metric 'tpr_sdd'.*\[unknown-metric\]"),
        ([len], TypeError, r"objects of pyfairme\.metrics\.Metric.*\[not-a-metric\]"),
        (accuracy, ValueError, r"\[metric-declared-twice\]"),
    ]:
        with pytest.raises(error, match=message):
            fitted.fairness_report(data.frame, data.target, metrics=given)
