"""Odd inputs of the metrics: outcomes, predictions, weights and groups that cannot be meant."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from pyfairme import metrics as M
from tests.bad_inputs import table

AREA = "metrics"
N = 200
RNG = np.random.default_rng(0)
T = RNG.integers(0, 2, N)
D = RNG.integers(0, 2, N)
P = RNG.random(N)
S = RNG.choice(["a", "b", "c"], N)
DATES = pd.date_range("2020-01-01", periods=N).to_numpy("datetime64[ns]")
SCORED = {"auroc": P, "ece": P}  # of the others y_pred are decisions


def metric(name):
    function = getattr(M, name)
    return partial(function, sensitive_features=S) if name == "tpr_sd" else function


def with_gap(values):
    values = values.astype(float)
    values[3] = np.nan
    return values


def wrong_for(name):
    """What may be wrong with outcome and prediction of a metric of two vectors."""
    p = SCORED.get(name, D)
    call = metric(name)
    hidden = np.ma.array(p, mask=np.arange(N) < 20)
    holes = pd.Series(p).astype("Float64").mask(np.arange(N) == 3)
    found = {
        "t longer": lambda: call(np.append(T, 1), p),
        "p NaN": lambda: call(T, with_gap(p)),
        "p inf": lambda: call(T, np.where(np.arange(N) == 3, np.inf, p)),
        "t text": lambda: call(np.full(N, "a"), p),
        "t 2-D": lambda: call(np.column_stack([T, T]), p),
        "empty": lambda: call([], []),
        "None": lambda: call(None, None),
        "p complex": lambda: call(T, p + 1j),
        "t 2s": lambda: call(T + 1, p),
        "masked": lambda: call(T, hidden),
        "Int64 NA": lambda: call(T, holes),
        "datetime": lambda: call(T, DATES),
        "scalar": lambda: call(1, 1),
        "dict": lambda: call({1: 2}, {1: 2}),
        "p text numbers": lambda: (call(T, p.astype(str)), call(T, p.astype(str).astype(float))),
    }
    if name == "mse":
        del found["t 2s"]  # any real outcome is right
    return {f"{name}: {what}": program for what, program in found.items()}


def wrong_weights(name):
    call = partial(metric(name), T, SCORED.get(name, D))
    given = {
        "negative": -np.ones(N),
        "NaN": np.full(N, np.nan),
        "zero": np.zeros(N),
        "short": np.ones(3),
        "text": ["a"] * N,
        "complex": np.ones(N) + 1j,
    }
    return {
        f"{name}: weight {what}": partial(call, sample_weight=weight)
        for what, weight in given.items()
    }


def frame(**changes):
    given = {"sensitive": {"a": S}, "rng": np.random.default_rng(0), "n_boot": 5}
    return M.classification_report_frame(T, P, D, **{**given, **changes})


def groups_of(labels):
    """Rows of each group in the report, by its name."""
    found = frame(sensitive={"a": labels}, n_boot=0)
    rates = found.loc[(found["attribute"] == "a") & (found["metric"] == "selection_rate")]
    return dict(zip(rates["group"], rates["n"].astype(int), strict=True))


def one_and_text_one():
    labels = pd.Series([1, "1"] * (N // 2), dtype=object)
    return groups_of(labels), {"1": N // 2, '"1"': N // 2}


def labels_that_join_alike():
    first, second = np.repeat(["p & q", "p"], N // 2), np.repeat(["r", "q & r"], N // 2)
    pairs = pd.DataFrame({"x": first, "y": second})
    return groups_of(pairs), {'"p & q" & r': N // 2, 'p & "q & r"': N // 2}


def lists_as_labels():
    """A list of two labels a row is the intersection of two columns."""
    pairs = [[a, b] for a, b in zip(S, np.where(D, "x", "y"), strict=True)]
    joined = [" & ".join(pair) for pair in pairs]
    call = M.tpr_sd
    return call(T, D, sensitive_features=pairs), call(T, D, sensitive_features=joined)


def seeded():
    return frame(rng=3), frame(rng=np.random.default_rng(3))


def null_of_a_seed():
    call = partial(M.null_value, "tpr_sd", T, D, sensitive_features=S, draws=20)
    return tuple(call(rng=3)), tuple(call(rng=np.random.default_rng(3)))


def null(name="tpr_sd", **changes):
    return M.null_value(name, T, D, **{"sensitive_features": S, "rng": RNG, **changes})


DRAWS = RNG.normal(size=(50, N))
PROGRAMS = {}
for _name in ("auroc", "balanced_accuracy", "tpr_sd", "ece", "mse"):
    PROGRAMS |= wrong_for(_name)
    if _name != "ece":
        PROGRAMS |= wrong_weights(_name)
PROGRAMS |= {
    "auroc one class": lambda: M.auroc(np.ones(N), P),
    "auroc p>1": lambda: (M.auroc(T, 5 * P), float(roc_auc_score(T, P))),  # ranks alone count
    "log_loss p>1": lambda: M.log_loss(T, 5 * P),
    "log_loss p=0 at y=1": lambda: (
        M.log_loss([1, 0], [0.0, 0.5]),
        float(log_loss([1, 0], [0.0, 0.5])),
    ),
    "ece bins 0": lambda: M.ece(T, P, bins=0),
    "ece bins 1.5": lambda: M.ece(T, P, bins=1.5),
    "ece strategy x": lambda: M.ece(T, P, strategy="x"),
    "r2 constant": lambda: M.r2(np.ones(N), P),
    "r2 one row": lambda: M.r2([1.0], [1.0]),
    "tpr_sd groups None": lambda: M.tpr_sd(T, D, sensitive_features=None),
    "tpr_sd groups short": lambda: M.tpr_sd(T, D, sensitive_features=["a", "b", "c"]),
    "tpr_sd groups NaN": lambda: M.tpr_sd(
        T, D, sensitive_features=pd.Series(S).mask(np.arange(N) < 60)
    ),
    "tpr_sd groups 3-D": lambda: M.tpr_sd(T, D, sensitive_features=np.zeros((N, 1, 1))),
    "tpr_sd groups empty frame": lambda: M.tpr_sd(T, D, sensitive_features=pd.DataFrame()),
    "tpr_sd groups scalar": lambda: M.tpr_sd(T, D, sensitive_features=1),
    "tpr_sd groups dict": lambda: M.tpr_sd(T, D, sensitive_features={1: 2}),
    "tpr_sd groups lists": lists_as_labels,
    "tpr_sd one group": lambda: (str(M.tpr_sd(T, D, sensitive_features=["a"] * N)), "nan"),
    "counterfactual_gap flipped 1-D": lambda: M.counterfactual_gap(P, P),
    "counterfactual_gap NaN": lambda: M.counterfactual_gap(P, np.full((N, 1), np.nan)),
    "null_value metric x": lambda: null("x"),
    "null_value rng int": null_of_a_seed,
    "null_value draws 0": lambda: null(draws=0),
    "null_value task x": lambda: null(task="x"),
    "pit_values shape": lambda: M.pit_values(P, DRAWS[:, :5]),
    "pit_values NaN": lambda: M.pit_values(P, np.full((50, N), np.nan)),
    "pit_values draws 1-D": lambda: M.pit_values(P, P),
    "coverage_table level 2": lambda: M.coverage_table(P, DRAWS, [2]),
    "coverage_table no levels": lambda: M.coverage_table(P, DRAWS, []),
    "coverage_table text": lambda: M.coverage_table(["a"] * N, DRAWS),
    "hypervolume lengths": lambda: M.hypervolume([0.1, 0.2], [0.1], (0, 1)),
    "hypervolume NaN": lambda: (str(M.hypervolume([np.nan], [0.1], (0, 1))), "nan"),
    "hypervolume reference 1": lambda: M.hypervolume([0.8], [0.1], 0),
    "hypervolume empty": lambda: (M.hypervolume([], [], (0, 1)), 0.0),
    "non_dominated empty": lambda: (M.non_dominated([], []).tolist(), []),
    "reliability_table level 5": lambda: M.reliability_table(T, P, level=5),
    "report frame: groups 1 and '1'": one_and_text_one,
    "report frame n_boot -1": lambda: frame(n_boot=-1),
    "report frame n_boot 1.5": lambda: frame(n_boot=1.5),
    "report frame cluster short": lambda: frame(cluster=[1, 2, 3]),
    "report frame rng int": seeded,
    "report frame rng None": lambda: frame(rng=None),
    "report frame level 3": lambda: frame(level=3),
    "report frame level text": lambda: frame(level="x"),
    "report frame gap short": lambda: frame(gap={"a": [0.1, 0.2, 0.3]}),
    "report frame gap NaN": lambda: frame(gap={"a": np.full(N, np.nan)}),
    "report frame: intersection labels that join alike": labels_that_join_alike,
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_metrics(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
