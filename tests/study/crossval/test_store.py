"""What is written is read back, for every shape of prediction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.study.crossval.store import Key, Store, judged_frame, read_judged


def judged(classes: int) -> EvaluatedRows:
    rng = np.random.default_rng(0)
    n, shape = 7, (7,) if classes <= 2 else (7, classes)
    effects = ("fixed", "random", "mixed")
    return EvaluatedRows(
        y=rng.integers(0, max(classes, 2), n),
        prediction={e: rng.random(shape).astype(np.float32).astype(float) for e in effects},
        decision={e: rng.integers(0, 2, n) for e in effects} if classes else {},
        gap={e: {"sex x age": rng.random(shape).astype(np.float32).astype(float)} for e in effects},
        log_density={},
        sensitive={"sex x age": np.array(list("abababa"), dtype=object)},
        cluster=np.array(list("zzyyxxx"), dtype=object),
        seen=rng.random(n) < 0.5,
        classes=tuple(range(classes)),
        seed=4,
    )


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_rows_are_read_as_they_were_written(tmp_path, classes):
    first = judged(classes)
    store = Store(tmp_path, {"dataset": "x"})
    key = Key("medl", 4, 2)
    store.write(key, judged_frame(first, np.arange(7) * 3, 2), {"parameters": {"a": 1}})
    frame = store.frame(key)
    assert frame["row"].tolist() == [0, 3, 6, 9, 12, 15, 18]
    again = read_judged(frame, first.classes, seed=4)
    for field in ("y", "cluster", "seen"):
        assert np.array_equal(getattr(again, field), getattr(first, field))
    for effects, values in first.prediction.items():
        np.testing.assert_array_equal(again.prediction[effects], values)
        np.testing.assert_array_equal(
            again.gap[effects]["sex x age"], first.gap[effects]["sex x age"]
        )
    assert again.decision.keys() == first.decision.keys()
    assert again.sensitive["sex x age"].tolist() == list("abababa")


def test_what_a_constant_predicts_is_kept_and_not_known_where_an_older_fit_does_not_say():
    rows = replace(judged(2), base=np.full(7, 0.3))
    frame = judged_frame(rows, np.arange(7), 0)
    assert read_judged(frame, (0, 1), seed=4).base.tolist() == [0.3] * 7
    older = judged_frame(judged(2), np.arange(7) + 7, 1)
    assert read_judged(older, (0, 1), seed=4).base is None
    assert read_judged(pd.concat([frame, older]), (0, 1), seed=4).base is None


def test_a_fit_counts_once_its_configuration_is_there(tmp_path):
    store, key = Store(tmp_path, {"dataset": "x"}), Key("medl", 0, 1)
    assert not store.done(key, {"a": 1})
    store.write(key, pd.DataFrame({"row": [1]}), {"parameters": {"a": 1}})
    assert store.done(key, {"a": 1})
    with pytest.raises(ValueError, match="a differ"):
        store.done(key, {"a": 2})
    (tmp_path / "fits" / "medl" / "seed0-fold01.json").unlink()
    assert not store.done(key, {"a": 1})
    with pytest.warns(UserWarning, match=r"medl seed 0 fold 1: seed0-fold01.json is missing"):
        store.warn_of_damage()


def test_an_attribute_with_the_separator_in_its_name_is_refused():
    from dataclasses import replace

    bad = replace(judged(2), sensitive={"a|b": np.array(["x"] * 7, dtype=object)})
    with pytest.raises(ValueError, match=r"'a\|b' has a '\|' in its name.*rename it"):
        judged_frame(bad, np.arange(7), 0)


def test_rows_without_a_cluster_are_remembered_also_by_stores_of_before():
    first = judged(2)
    gap = np.arange(7) == 2
    first = replace(first, cluster=np.where(gap, "(missing)", first.cluster), alone=gap)
    frame = judged_frame(first, np.arange(7), 0)
    for stored in (frame, frame.drop(columns="alone")):
        again = read_judged(stored, first.classes, seed=4)
        np.testing.assert_array_equal(again.alone, gap)
        assert [unit is None for unit in again.units(np.arange(7))] == gap.tolist()
