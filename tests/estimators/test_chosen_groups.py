"""Reports that leave levels out or put them together equal reports of tables made so by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import pyfairme as pf
from pyfairme.data.chosen_levels import read_choice
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
    assert spread["note"].str.contains(said, regex=False).all()
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


def test_a_new_name_may_be_longer_than_the_labels():
    chosen = read_choice({"s": "c"}, {"s": {"all others": ["b", "d"], "a": "e"}})["s"]
    new = chosen.relabelled(np.array(list("abcd")))
    assert new.tolist() == ["a", "all others", "c", "all others"]
    assert chosen.groups(list("abcde")) == (("a", "all others"), (0, 1, -1, 1, 0))


def test_a_report_passes_over_columns_that_the_model_does_not_use(clf, rows):
    X, y = rows
    more = X.assign(day=pd.Timestamp("2024-05-01"), group3=np.where(X["x1"] > 0, "h", "l"))
    asked = {"n_boot": 0, "attributes": ["group1", "group3"]}
    found = clf.fairness_report(more, y, **asked)
    plain = clf.fairness_report(more.drop(columns="day"), y, **asked)
    pd.testing.assert_frame_equal(found.frame, plain.frame)


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
    many = np.r_[np.repeat(["a", "b"], 96), [f"p{i:02}" for i in range(10)]]
    found = classification_report_frame(
        y, decided, decided, sensitive={"s": many}, rng=0, n_boot=0
    ).set_index("metric")
    said = found.loc["tpr_sd", "note"]
    assert "p07 (1 positives) and 2 more: " in said
    assert "p08" not in said


@pytest.fixture(scope="module")
def merged(classifier, binary):
    """An estimator whose penalty and report put two groups together."""
    merge = {"group2": {"rest": pd.Index(["g1", "g2"])}}
    clf = classifier(sensitive="group2", merge=merge, drop_sensitive=True)
    return clf.fit(binary.X, binary.y)


def test_a_penalty_on_levels_put_together_is_that_of_a_table_made_so_by_hand(
    merged, classifier, binary
):
    def by_hand(X):
        return X.assign(group2=X["group2"].replace({"g1": "rest", "g2": "rest"}))

    clf = classifier(sensitive="group2", drop_sensitive=True).fit(by_hand(binary.X), binary.y)
    np.testing.assert_array_equal(
        merged.predict_proba(binary.test), clf.predict_proba(by_hand(binary.test))
    )
    ours = merged.fairness_report(binary.test, binary.y_test, n_boot=0)
    theirs = clf.fairness_report(by_hand(binary.test), binary.y_test, n_boot=0)
    pd.testing.assert_series_equal(values(ours, "group2"), values(theirs, "group2"))
    assert "put together as rest: g1, g2" in str(ours)
    assert "2 groups (group2)" in str(merged.summary())
    assert "put together as rest: g1, g2" in str(merged.summary())


def test_the_choice_is_kept_by_clones_and_files(merged, binary, tmp_path):
    merged.save(tmp_path / "m.pyfairme")
    loaded = pf.load(tmp_path / "m.pyfairme")
    assert loaded.merge == {"group2": {"rest": ["g1", "g2"]}}
    assert loaded.design_ == merged.design_
    assert clone(merged).get_params()["merge"]["group2"]["rest"].tolist() == ["g1", "g2"]
    asked = {"X": binary.test, "y": binary.y_test, "n_boot": 0}
    every = loaded.fairness_report(**asked, exclude={})
    assert set(every[every["attribute"] == "group2"]["group"]) == {"all", "g0", "g1", "g2"}
    few = asked | {"X": binary.test.assign(group2="g0"), "attributes": ["group1"]}
    assert set(loaded.fairness_report(**few)["attribute"]) == {"all", "group1"}  # not reported
    with pytest.raises(ValueError, match=r"merge .*\[changed-after-fit\]"):
        loaded.set_params(merge=None).save(tmp_path / "n.pyfairme")


@pytest.mark.long
def test_a_penalty_on_a_few_people_is_warned_of(binary, classifier):
    few = binary.X.assign(group1=binary.X["group1"].to_numpy(copy=True))
    few.iloc[:3, few.columns.get_loc("group1")] = "unknown"
    said = r"fewer than 5 training rows \(group1: unknown [1-3]\).*\[tiny-groups\]"
    with pytest.warns(pf.DataWarning, match=said):
        classifier(epochs=1, min_steps=1).fit(few, binary.y)
    classifier(epochs=1, min_steps=1, exclude={"group1": "unknown"}).fit(few, binary.y)
    classifier(epochs=1, min_steps=1, fairness_weight=0).fit(few, binary.y)


@pytest.mark.parametrize("level", [None, np.nan, pd.NA, "(missing)"])
def test_rows_without_a_level_are_named_by_none(level):
    assert read_choice({"race": ["Unknown", level]}, None)["race"].out == ("Unknown", "(missing)")
    merged = read_choice(None, {"race": {"other": [level, "B"]}})["race"].together
    assert merged == (("other", ("(missing)", "B")),)
    with pytest.raises(ValueError, match=r"Invalid value of exclude: \{'race': None\}|chosen-lev"):
        read_choice({"race": None}, None)
