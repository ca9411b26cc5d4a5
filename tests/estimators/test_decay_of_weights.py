"""How fast weights decay by default, and that small tables are not learned by heart."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

import pyfairme as pf
from pyfairme.estimators.decay_of_weights import decay

NETWORK = {"hidden": (8,), "penalised": False}


def test_the_default_grows_with_columns_per_row():
    assert decay("auto", columns=16, rows=256, **NETWORK) == pytest.approx(12.5)  # 100 / 16^(3/4)
    assert decay("auto", columns=1, rows=81, **NETWORK) == pytest.approx(100 / 27)
    assert decay("auto", columns=10, rows=100_000, **NETWORK) == 3.0


def test_a_number_is_taken_as_it_is():
    assert decay(0.0, columns=16, rows=256, **NETWORK) == 0.0
    assert decay(7, columns=16, rows=10_000, hidden=(8,), penalised=True) == 7.0


def test_a_linear_model_decays_by_default_and_under_penalties_only():
    linear = {"columns": 16, "rows": 256, "hidden": ()}
    assert decay("auto", penalised=True, **linear) == pytest.approx(0.3 * 12.5)
    assert decay("auto", penalised=False, **linear) == 0.0
    assert decay(3.0, penalised=True, **linear) == 0.0


@pytest.fixture(scope="module")
def wide():
    """300 rows of 41 columns, of which one tells the outcome, and 4,000 rows to judge by."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4300, 40))
    group = rng.choice(["a", "b"], 4300)
    p = 1 / (1 + np.exp(-1.5 * x[:, 0] - 0.5 * (group == "a")))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(40)]).assign(group=group)
    return frame, (rng.random(4300) < p).astype(int), p


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("hidden", [(16,), ()])
def test_a_small_table_is_not_learned_by_heart_under_a_penalty(wide, hidden):
    frame, y, p = wide
    loss = {}
    for given in (0.0, "auto"):
        model = pf.FairMixedEffectsClassifier(
            sensitive="group", fairness="moment", fairness_weight=0.1, hidden=hidden,
            weight_decay=given, network_posterior="none", random_state=0, progress=False,
        ).fit(frame[:300], y[:300])  # fmt: skip
        loss[given] = log_loss(y[300:], model.predict_proba(frame[300:])[:, 1])
    least = log_loss(y[300:], p[300:])
    assert loss["auto"] - least < 0.7 * (loss[0.0] - least)
    assert loss["auto"] < 0.65  # a constant has .69
