"""How fast weights decay by default, and that small tables are not learned by heart."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

import pyfairme as pf
from pyfairme.estimators.decay_of_weights import decay, decays_to_try
from pyfairme.inference.decay_choice import strongest_of_the_best

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


def test_few_rows_of_the_rarest_class_per_column_leave_a_choice():
    few = {"columns": 60, "rows": 250, "learning_rate": 1e-3}
    assert decays_to_try(5.0, **few) == (5.0, 15.0, 45.0)
    assert decays_to_try(5.0, **few | {"rows": 1200}) == ()
    assert decays_to_try(0.0, **few) == ()  # the maximum of the likelihood
    assert decays_to_try(5.0, **few | {"learning_rate": 0.03}) == (5.0, 15.0)  # no step beyond 0


def test_the_strongest_within_a_quarter_standard_error_is_taken():
    rng = np.random.default_rng(0)
    noise, other = rng.normal(size=(2, 400))
    other = (other - other.mean()) / other.std() * 0.1  # the error of the mean is .005
    losses = np.stack([noise, noise + other + 0.001, noise + 0.5])
    assert strongest_of_the_best(losses, np.ones(400)) == 1
    losses[1] += 0.001
    assert strongest_of_the_best(losses, np.ones(400)) == 0
    losses[1] -= 0.001
    weight = np.ones(400)
    weight[100:] = 0.0  # rows that weigh nothing are no evidence
    losses[2, 100:] = -1000.0
    assert strongest_of_the_best(losses, weight) < 2


@pytest.fixture(scope="module")
def wide():
    """300 rows of 41 columns, of which one tells the outcome, and 4,000 rows to judge by."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4300, 40))
    group = rng.choice(["a", "b"], 4300)
    p = 1 / (1 + np.exp(-1.5 * x[:, 0] - 0.5 * (group == "a")))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(40)]).assign(group=group)
    return frame, (rng.random(4300) < p).astype(int), p


@pytest.mark.long
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


@pytest.fixture(scope="module")
def rare():
    """3,000 rows of 16 columns and 8 % positives, and 10,000 rows to judge by."""
    data = np.random.default_rng(2)
    x = data.normal(size=(13_000, 16))
    group = data.choice(["a", "b"], 13_000)
    link = x[:, :4] @ [0.5, -0.4, 0.3, 0.2] + 0.5 * (group == "a") - 2.95
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(16)]).assign(group=group)
    p = 1 / (1 + np.exp(-link))
    return frame, (data.random(13_000) < p).astype(int), p


@pytest.mark.long
@pytest.mark.usefixtures("optimised")
def test_few_positives_keep_their_skill_under_a_penalty(rare):
    frame, y, p = rare
    test = slice(3000, None)
    constant = log_loss(y[test], np.full(10_000, y[:3000].mean()))
    loss, sd = {}, {}
    for label, keywords in {
        "formula": {"weight_decay": 100 * (17 / 2700) ** 0.75, "fairness_weight": 0.3},
        "chosen": {"fairness_weight": 0.3},
        "chosen, to the end": {"fairness_weight": 0, "early_stopping": False},
    }.items():
        model = pf.FairMixedEffectsClassifier(
            sensitive="group", network_posterior="none", threshold="balanced_accuracy",
            random_state=0, progress=False, **keywords,
        )  # fmt: skip
        if label == "formula":
            with pytest.warns(UserWarning, match=r"by heart.*\[worse-than-null\]"):
                model.fit(frame[:3000], y[:3000])
        else:
            model.fit(frame[:3000], y[:3000])
        q = model.predict_proba(frame[test])[:, 1]
        loss[label] = log_loss(y[test], q) / constant - 1
        rates = [q[(y[test] == 0) & (frame["group"][test] == g)].mean() for g in "ab"]
        sd[label] = np.std(rates) / q.mean()
    least = log_loss(y[test], p[test]) / constant - 1  # -.069
    assert loss["formula"] > 0  # worse than a constant: .010
    assert loss["chosen"] < 0.6 * least  # -.052
    assert loss["chosen, to the end"] < 0.6 * least  # -.057
    assert sd["chosen"] < 0.3 * sd["chosen, to the end"]  # .006 and .137
    assert model.history_["weight_decay"].nunique() == 1
