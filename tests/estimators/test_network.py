"""How the network sees numbers, and how its weights decay."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import pyfairme as pf

SMALL = {
    "hidden": (16,), "cluster_weight": 0.0, "guide": "mean_field", "unseen": "population",
    "min_steps": 400, "epochs": 1, "validation_fraction": 0.0, "random_state": 0, "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def spikes():
    """Outcomes that only exact values of a number foretell, as capital gains do in Adult."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 12, 3000).astype(float)
    y = (np.isin(x, [2, 5, 9]) ^ (rng.random(3000) < 0.05)).astype(int)
    noise, g = rng.choice(["low", "high"], 3000), rng.choice(list("abc"), 3000)
    frame = pd.DataFrame({"x": x, "noise": noise, "g": g})
    return frame, y


@pytest.fixture(scope="module")
def bent(spikes):
    frame, y = spikes
    return pf.FairMixedEffectsClassifier("g", **SMALL).fit(frame[:2000], y[:2000])


@pytest.mark.long
def test_a_network_bends_at_frequent_values(spikes, bent):
    frame, y = spikes
    straight = pf.FairMixedEffectsClassifier("g", numeric_encoding="standard", **SMALL)
    straight.fit(frame[:2000], y[:2000])
    test = frame[2000:]
    without, with_knots = (
        roc_auc_score(y[2000:], model.predict_proba(test)[:, 1]) for model in (straight, bent)
    )
    assert without < 0.75
    assert with_knots > 0.85  # the flipped labels leave about .94 to be had


def test_importance_is_the_slope_of_the_prediction_in_standard_deviations(spikes, bent):
    frame, _ = spikes
    inside = frame[(frame["x"] < 11)].head(300).assign(x=lambda f: f["x"] + 0.5)
    step = 1e-2
    up, down = (
        bent.predict_proba(inside.assign(x=inside["x"] + shift))[:, 1] for shift in (step, -step)
    )
    expected = np.abs(up - down).mean() / (2 * step) * frame["x"][:2000].std(ddof=0)
    table = bent.feature_importance(inside, method="gradient")
    found = table.set_index("feature").loc["x", "importance"]
    assert found == pytest.approx(expected, rel=0.03)


def test_a_bent_model_survives_its_file(spikes, bent, tmp_path):
    frame, _ = spikes
    bent.save(tmp_path / "m.pyfairme")
    again = pf.load(tmp_path / "m.pyfairme")
    np.testing.assert_array_equal(again.predict_proba(frame[:50]), bent.predict_proba(frame[:50]))
    assert again.feature_importance(frame[:50]).equals(bent.feature_importance(frame[:50]))


@pytest.mark.long
def test_slopes_stay_on_the_numbers_themselves(spikes):
    frame, y = spikes
    model = pf.FairMixedEffectsClassifier("g", random_slopes="all", **SMALL)
    model.fit(frame[:500], y[:500])
    assert set(model.cluster_effects_["term"]) == {"Intercept", "x", "noise[high]", "noise[low]"}


def test_hidden_weights_decay_and_the_output_does_not(spikes):
    frame, y = spikes
    sizes = {}
    for decay in (0.0, 100.0):
        model = pf.FairMixedEffectsClassifier("g", weight_decay=decay, **SMALL)
        network = model.fit(frame[:2000], y[:2000]).fit_.network
        sizes[decay] = [float(np.abs(layer.weight).mean()) for layer in network]
    assert sizes[100.0][0] < 0.3 * sizes[0.0][0]
    assert sizes[100.0][1] > 0.5 * sizes[0.0][1]


def test_a_linear_model_neither_bends_nor_decays(spikes):
    frame, y = spikes
    linear = SMALL | {"hidden": ()}
    models = [
        pf.FairMixedEffectsClassifier("g", weight_decay=decay, **linear).fit(frame[:500], y[:500])
        for decay in (0.0, 3.0, "auto")
    ]
    assert [column.name for column in models[0].design_.columns] == ["x", "noise[low]"]
    one, *others = (model.predict_proba(frame[:50]) for model in models)
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_settings_that_cannot_be(spikes):
    frame, y = spikes
    with pytest.raises(ValueError, match="needs a hidden layer"):
        pf.FairMixedEffectsClassifier("g", hidden=(), numeric_encoding="piecewise").fit(frame, y)
    with pytest.raises(ValueError, match=r"numeric_encoding.*'quantile'.*'piecewise'"):
        pf.FairMixedEffectsClassifier("g", numeric_encoding="quantile").fit(frame, y)
    with pytest.raises(ValueError, match=r"weight_decay: -1.*at least 0"):
        pf.FairMixedEffectsClassifier("g", weight_decay=-1).fit(frame, y)
    with pytest.raises(ValueError, match=r"weight_decay: 'none'.*at least 0, or 'auto'"):
        pf.FairMixedEffectsClassifier("g", weight_decay="none").fit(frame, y)
    both = ("adversarial", "decision_adversarial")
    with pytest.raises(ValueError, match=r"one adversary per attribute is enough"):
        pf.FairMixedEffectsClassifier("g", ("noise",), fairness=both).fit(frame, y)
    with pytest.raises(ValueError, match=r"looks at decisions, which a real or count target"):
        pf.FairMixedEffectsRegressor("g", ("noise",), fairness="decision").fit(frame, y + 0.5)
