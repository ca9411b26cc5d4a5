"""Reports that leave levels out or put them together equal reports of tables made so by hand."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.metrics import classification_report_frame

KEYS = ["effects", "clusters", "attribute", "group", "metric"]


@pytest.fixture(scope="module")
def rows(binary):
    return binary.test, binary.y_test


def values(report, attribute):
    lines = report[report["attribute"] == attribute]
    return lines.set_index(KEYS)["value"].drop("counterfactual_gap", level="metric")


def test_levels_left_out_do_not_count_for_their_attribute_alone(clf, rows):
    X, y = rows
    asked = {"attributes": ["group1", "group2"], "n_boot": 0}
    plain = clf.fairness_report(X, y, **asked)
    found = clf.fairness_report(X, y, exclude={"group2": ["g2"]}, **asked)
    kept = (X["group2"] != "g2").to_numpy()
    there = clf.fairness_report(X[kept], y[kept], **asked)
    pd.testing.assert_series_equal(values(found, "group2"), values(there, "group2"))
    for attribute in ("all", "group1"):
        own = [r[r["attribute"] == attribute].set_index(KEYS)["value"] for r in (found, plain)]
        pd.testing.assert_series_equal(*own)
    said = f"left out by choice: g2 ({(~kept).sum()} rows)"
    spread = found[(found["attribute"] == "group2") & (found["group"] == "all")]
    assert spread["note"].str.startswith(said).all()
    assert f"- group2: {said}" in str(found).replace("\n    ", " ")


def test_levels_put_together_are_one_group(clf, rows):
    X, y = rows
    found = clf.fairness_report(
        X, y, attributes="group2", merge={"group2": {"rest": ["g1", "g2"]}}, n_boot=0
    )
    lines = found[(found["attribute"] == "group2") & (found["effects"] == "mixed")]
    assert set(lines["group"]) == {"all", "g0", "rest"}
    rest = lines.query("group == 'rest' and metric == 'tpr'")
    positive = (y == 1).to_numpy() & (X["group2"] != "g0").to_numpy()
    assert rest["n"].item() == positive.sum()
    assert rest["value"].item() == pytest.approx(clf.predict(X[positive]).mean())
    assert "put together as rest: g1, g2" in lines.query("metric == 'tpr_sd'")["note"].item()


def test_unknown_names_are_refused(clf, rows):
    for exclude, message in (
        ({"group9": "g0"}, r"'group9', which is not reported.*\[unknown-attribute\]"),
        ({"group1": "g9"}, r"No row has the level 'g9'.*\[unknown-level\]"),
        ({"group1": ["g0", "g0"]}, r"named twice.*\[given-twice\]"),
    ):
        with pytest.raises(ValueError, match=message):
            clf.fairness_report(*rows, exclude=exclude, n_boot=0)


def test_small_groups_stay_merged_when_a_level_is_left_out(clf, rows):
    X, y = rows
    few = X.assign(group2=np.where(np.arange(len(X)) < 3, "g2", "g0"))
    few.loc[few.index[3:100], "group2"] = "g1"
    found = clf.fairness_report(
        few, y, attributes="group2", exclude={"group2": "g2"}, min_group_size=5, n_boot=0
    )
    assert "(small groups)" in set(found["group"])  # its rows are not shown by subtraction


def test_a_tiny_group_does_not_move_a_spread_in_silence():
    y = np.r_[np.ones(200), [1.0, 1.0]]
    decided = np.r_[np.tile([1, 1, 1, 0], 50), [0, 0]]
    group = np.r_[np.repeat(["a", "b"], 100), ["c", "c"]]
    found = classification_report_frame(
        y, decided, decided, sensitive={"s": group}, rng=0, n_boot=0
    ).set_index("metric")
    rates = np.array([0.75, 0.75, 0.0])
    assert found.loc["tpr_sd", "value"] == pytest.approx(rates.std())
    assert "moved by tiny groups: c (2 positives): 0 without" in found.loc["tpr_sd", "note"]
