"""Reports of several predictions of the same rows: what is drawn once is what each would draw."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import pyfairme.metrics as pm
from pyfairme.metrics.bootstrap import resample, resampling_design
from pyfairme.metrics.group_sums import make_table
from pyfairme.metrics.shared_draws import SharedDraws

N = 400


def reports(task, rng_of):
    """Report three predictions of the same rows, each with a generator of its own."""
    rng = np.random.default_rng(0)
    y, sensitive = rng.normal(size=N), {"a": rng.integers(0, 3, N), "b": rng.integers(0, 2, N)}
    shared = {"sensitive": sensitive, "cluster": rng.integers(0, 5, N), "n_boot": 20}
    for spread in (0.5, 1.0, 2.0):
        score = y + spread * rng.normal(size=N)
        if task == "regression":
            yield pm.regression_report_frame(y, score, rng=rng_of(), **shared)
        else:
            prob = 1 / (1 + np.exp(-score))
            yield pm.classification_report_frame(y > 0, prob, prob > 0.5, rng=rng_of(), **shared)


@pytest.mark.parametrize("room", [0, 20_000, 10**8], ids=["none", "some", "all"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_shared_draws_are_those_that_each_report_would_draw(task, room):
    memory = SharedDraws(room)
    shared = reports(task, lambda: memory.generator(3))
    alone = reports(task, lambda: np.random.default_rng(3))
    for one, other in zip(shared, alone, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_same_draws_are_made_once(monkeypatch):
    """Of real outcomes all draws are the same; the null of decisions depends on their rate."""
    calls = []
    for name in ("bootstrap._draw_rows", "null_value._shuffled"):
        module = import_module(f"pyfairme.metrics.{name.split('.')[0]}")
        plain = getattr(module, name.split(".")[1])

        def counted(*given, plain=plain, name=name):
            calls.append(name)
            return plain(*given)

        monkeypatch.setattr(module, name.split(".")[1], counted)
    for task, rows, shuffles in (("regression", 3, 4), ("classification", 1 + 1 + 3, 0)):
        memory = SharedDraws()
        assert len(list(reports(task, lambda memory=memory: memory.generator(3)))) == 3
        assert (calls.count("bootstrap._draw_rows"), calls.count("null_value._shuffled")) == (
            rows,
            shuffles,
        )
        calls.clear()


def test_what_is_remembered_cannot_be_changed():
    design = resampling_design(np.zeros(10, np.intp))
    table = make_table(np.zeros(10, np.intp), (1,))
    memory = SharedDraws()
    first, second = (memory.generator(1) for _ in range(2))
    one, two = (next(resample([table], design, rng, 3)) for rng in (first, second))
    one[0][:] = 0
    assert two[0].sum() == pytest.approx(30)
    assert first.random() == second.random()
