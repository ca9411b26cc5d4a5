"""Held-out rows are a random sample of the rows, stratified by class."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.cli.roles import Roles
from pyfairme.cli.training_table import read_learning
from pyfairme.estimators.validation_rows import held_out


def test_rare_levels_are_held_out_like_all_others():
    """Rows with a postcode of their own are more often positive: not all go to training."""
    rng = np.random.default_rng(0)
    rare = np.arange(2000) < 800
    table = pd.DataFrame(
        {
            "branch": rng.choice(list("ABCDEF"), 2000),
            "sex": rng.choice(["f", "m"], 2000),
            "zip": np.where(rare, [f"p{i}" for i in range(2000)], "main"),
            "repaid": rng.random(2000) < np.where(rare, 0.8, 0.1),
        }
    )
    roles = Roles(
        target="repaid", cluster=("branch",), sensitive=("sex",), dropped=(), categorical=()
    )
    learning = read_learning(table, roles, "auto", None, drop_missing=False)
    split = learning.split(0.2, seed=0)
    assert len(split.held) == 400
    y = table["repaid"].to_numpy()
    assert y[split.held].mean() == pytest.approx(y.mean(), abs=1 / 400)  # stratified: exact
    # 160 expected, hypergeometric SD 8.8
    assert rare[split.held].sum() == pytest.approx(160, abs=4 * 8.8)
    assert sorted([*split.training, *split.held]) == list(range(2000))


@pytest.mark.parametrize("counts", [(50, 49, 1), (96, 3, 1), (98, 1, 1), (60, 38, 2)])
def test_every_class_has_a_training_row(counts):
    classes = np.repeat(np.arange(3), counts)
    for seed in range(30):
        training, held = held_out([], classes, 100, 0.5, seed)
        assert set(classes[training]) == {0, 1, 2}
        assert len(held) >= 49
        assert not set(training) & set(held)


def test_many_classes_and_few_rows_held_out():
    """Stratifying needs a held-out row per class; else the draw is random, but for lone classes."""
    classes = np.repeat(np.arange(20), 2)
    for seed in range(30):
        training, held = held_out([], classes, 40, 0.3, seed)
        assert set(classes[training]) == set(range(20))
        assert 8 <= len(held) <= 12


def test_what_varies_varies_in_training():
    """Else a column would be constant, or a factor or attribute have one level only."""
    key = (np.arange(40) == 7).astype(int)
    found = [held_out([key], None, 40, 0.5, seed) for seed in range(30)]
    assert all(7 in training for training, _ in found)
    assert {len(held) for _, held in found} == {19, 20}
