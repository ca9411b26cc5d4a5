"""Seen clusters and rotated folds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pyfairme.data import Schema
from pyfairme.datasets import Dataset, load_adult
from pyfairme.study import rotations, seen_clusters


def table(clusters: list[str]) -> Dataset:
    frame = pd.DataFrame({"x": np.arange(len(clusters), dtype=float), "school": clusters})
    target = pd.Series(np.arange(len(clusters)) % 2, name="y")
    return Dataset(frame, target, Schema.infer(frame, cluster="school", target="y"))


def test_adults_six_largest_occupations():
    adult = load_adult()
    seen = seen_clusters(adult, 6)
    assert set(seen) == {
        "Prof-specialty", "Craft-repair", "Exec-managerial", "Adm-clerical", "Sales",
        "Other-service",
    }  # fmt: skip
    assert adult.frame["occupation"].isin(seen).sum() == 23_004


def test_equally_large_clusters_come_in_natural_order():
    data = table(["10", "9", "2", "2", "9", "10", "z"])
    assert seen_clusters(data, 3) == ("2", "9", "10")


@pytest.mark.parametrize("number", [0, 2, 5])
def test_some_clusters_must_be_seen_and_some_not(number):
    with pytest.raises(ValueError, match=f"between 1 and 1, .* got {number}"):
        seen_clusters(table(["a", "b", "b"]), number)


def test_exactly_one_cluster_column_is_needed():
    data = table(["a", "b", "b"])
    with pytest.raises(ValueError, match=r"one cluster column to split by, got \[\]"):
        seen_clusters(replace(data, schema=replace(data.schema, cluster=())), 1)


@pytest.fixture
def y():
    return (np.random.default_rng(0).random(1003) < 0.27).astype(int)


def test_every_row_is_tested_once(y):
    tested = np.concatenate([turn.test for turn in rotations(y)])
    assert sorted(tested) == list(range(len(y)))


def test_every_row_validates_once(y):
    validated = np.concatenate([turn.validation for turn in rotations(y)])
    assert sorted(validated) == list(range(len(y)))


def test_the_parts_of_a_rotation_are_disjoint_and_complete(y):
    for turn in rotations(y):
        assert sorted(np.concatenate(turn)) == list(range(len(y)))


def test_eight_train_one_validates_one_tests(y):
    for turn in rotations(y):
        shares = [len(part) / len(y) for part in turn]
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.002)


def test_the_classes_have_the_same_share_in_every_part(y):
    for turn in rotations(y):
        for part in turn:
            assert y[part].mean() == pytest.approx(y.mean(), abs=0.01)


def test_the_seed_decides(y):
    def same(a, b):
        return all(np.array_equal(p.test, q.test) for p, q in zip(a, b, strict=True))

    assert same(rotations(y, seed=1), rotations(y, seed=1))
    assert not same(rotations(y, seed=1), rotations(y, seed=2))


def test_too_few_folds_or_rows_are_refused():
    with pytest.raises(ValueError, match=r"at least 3 .* got 2"):
        rotations([0, 1] * 10, folds=2)
    with pytest.raises(ValueError, match="Class 1 has 2 rows, fewer than the 5 folds"):
        rotations([0] * 20 + [1] * 2, folds=5)


def test_rows_of_a_group_are_in_one_fold_and_classes_stay_alike(y):
    groups = [f"patient {k}" for k in np.random.default_rng(1).integers(0, 300, len(y))]
    turns = rotations(y, 5, groups=groups)
    labels = np.asarray(groups)
    assert sorted(np.concatenate([turn.test for turn in turns])) == list(range(len(y)))
    for turn in turns:
        parts = [set(labels[part]) for part in turn]
        assert not parts[0] & parts[1]
        assert not (parts[0] | parts[1]) & parts[2]
        assert y[turn.test].mean() == pytest.approx(y.mean(), abs=0.02)
    assert not np.array_equal(rotations(y, 5, 1, groups)[0].test, turns[0].test)


@pytest.mark.parametrize("groups", [["a", "b"] * 30, ["a"] * 50 + ["b"] * 5 + ["c"] * 5])
def test_fewer_groups_than_folds_are_refused(groups):
    with pytest.raises(ValueError, match=r"leave one of 4 folds empty.*\[few-groups\]"):
        rotations([0, 1] * 30, 4, groups=groups)


def test_groups_without_a_label_are_refused():
    with pytest.raises(ValueError, match=r"groups has 1 missing label.*\[missing-label\]"):
        rotations([0, 1] * 3, 3, groups=["a", "b", "c", "d", "e", None])
