"""Odd numbers that only training meets, and what a failed or repeated fit leaves behind."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import pyfairme as pf
from tests.bad_inputs import table, tiny

AREA = "realfit"
N = tiny.ROWS
REAL = tiny.target("normal")
PENALISED = {"fairness": "moment"}


def fitting(**keywords):
    return lambda: tiny.fit(**keywords)


def weighing(weight):
    return lambda: tiny.fit(weight=weight)


def offset(values):
    return lambda: tiny.fit(tiny.rows().assign(o=values), offset="o")


def finite(**keywords):
    """The probabilities of the fit are probabilities."""

    def program():
        p = tiny.chances(tiny.fit(**keywords))
        return bool(((p >= 0) & (p <= 1)).all() and np.allclose(p.sum(axis=1), 1)), True

    return program


def regressing(y, **keywords):
    return lambda: tiny.regressor(**keywords).fit(tiny.rows("normal"), y)


def predicted(y):
    X = tiny.rows("normal")
    return tiny.regressor().fit(X, y).predict(X)


def scaled(factor):
    """The prediction of a target in other units is that of the target in these units."""
    return lambda: (predicted(REAL * factor) / factor, predicted(REAL))


def shifted():
    return np.round(predicted(REAL + 1e8) - 1e8, 2), np.round(predicted(REAL), 2)


def exposed():
    """One exposure for all rows is what the intercept takes off, even where exp(1e3) overflows."""
    usual, large = (
        tiny.regressor(offset="o", likelihood="poisson").fit(X, tiny.target("poisson")).predict(X)
        for X in (tiny.rows("poisson").assign(o=o) for o in (0.0, 1e3))
    )
    return np.round(np.log(large / usual), 2), np.zeros(N)  # single precision: 1e3 +- 1e-4


def constant():
    return bool(np.abs(predicted(np.full(N, 3.0)) - 3).max() < 0.5), True


def saved_classes(labels):
    """A model of such classes decides after `load` as before."""

    def program():
        y = labels()[tiny.target()]
        model = tiny.fit(y=y)
        path = Path(mkdtemp(prefix="bad-inputs-")) / "model"
        model.save(path)
        loaded = pf.load(path)
        assert loaded.classes_.dtype == model.classes_.dtype
        assert set(model.predict(tiny.rows())) <= set(y)
        return loaded.predict(tiny.rows()), model.predict(tiny.rows())

    return program


def failed_refit(**wrong):
    """After a fit that fails there is no half of each model."""

    def program():
        model = tiny.fit().set_params(**wrong)
        with pytest.raises((ValueError, KeyboardInterrupt)):
            model.fit(tiny.rows(), tiny.target())
        with pytest.raises(NotFittedError):
            model.predict(tiny.rows())
        return True, True

    return program


class Stopping(np.random.RandomState):
    """A random state whose first draw is interrupted."""

    def randint(self, *_, **__):
        raise KeyboardInterrupt


def stale_disparity():
    X = tiny.rows()[:40].assign(cluster="new")
    model = tiny.fit().adapt(X, tiny.target()[:40])
    assert hasattr(model, "disparity_")
    return hasattr(model.fit(tiny.rows(), tiny.target()), "disparity_"), False


def trailing_nul():
    y = np.array(["a", "a\0"], dtype=object)[tiny.target()]
    model = tiny.fit(y=y)
    decided = [int(label == "a\0") for label in model.predict(tiny.rows())]  # == of arrays drops \0
    return np.array(decided), tiny.clean().predict(tiny.rows())


ONES = np.ones(N)
PROGRAMS: dict[str, Any] = {
    "prior_scale=1e308": fitting(prior_scale=1e308),
    "prior_scale=1e-308": fitting(prior_scale=1e-308),
    "learning_rate=1e10": fitting(learning_rate=1e10),
    "learning_rate=1e39": fitting(learning_rate=1e39),
    "weight_decay=1e10": fitting(hidden=(8,), weight_decay=1e10, min_steps=20),
    "kl_weight=1e30": finite(kl_weight=1e30),
    "fairness_weight=1e30": finite(fairness="moment", fairness_weight=1e30),
    "fairness_weight=1e39": fitting(fairness="moment", fairness_weight=1e39),
    "weights 1e308": weighing(1e308 * ONES),
    "weights 1e-308": weighing(1e-308 * ONES),
    "one weight 1e39": weighing(np.where(np.arange(N) == 0, 1e39, 1)),
    **{
        f"reg target x {size}": scaled(float(size))
        for size in ("1e160", "1e300", "1e-160", "1e-170", "1e-30", "1000", "1e+30", "1e+150")
    },
    "reg target + 1e8": shifted,
    "offset 1e39": offset(1e39),
    "offset 1e30": offset(1e30),
    "poisson offset 1e3": exposed,
    "reg constant target": constant,
    "reg datetime target": regressing(pd.date_range("2020-01-01", periods=N)),
    "datetime classes: save": saved_classes(
        lambda: np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[ns]")
    ),
    "datetime64[D] classes: save": saved_classes(
        lambda: np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]")
    ),
    "text class trailing NUL (object)": trailing_nul,
    "3 classes, class_weight {0:-1}": lambda: tiny.fit(
        y=np.arange(N) % 3, class_weight={0: -1, 1: 1, 2: 1}
    ),
    "failed refit: model_spec refuses": failed_refit(random_slopes="hidden"),
    "failed refit: bad fairness_weight": failed_refit(fairness="moment", fairness_weight=-1),
    "failed refit: Ctrl-C": failed_refit(random_state=Stopping(0)),
    "stale disparity_ after refit": stale_disparity,
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_realfit(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
