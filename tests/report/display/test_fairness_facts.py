"""A report's verdicts follow from its lines, and every number shown is one of them."""

import math
import pickle
import re

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.estimators.report_comparison import ReportComparison
from pyfairme.estimators.report_table import FairnessReport
from tests.made_reports import line, report
from tests.report.display.test_facts import HOSTILE, Parsed


@pytest.fixture
def found(before):
    table = FairnessReport.of(before)
    table.attrs["positive"] = "paid"
    return table


def verdicts(table):
    return {f.subject: f for f in table.summary().parts[0].items}


def test_a_verdict_says_by_how_much_and_whether_more_than_chance(found):
    said = verdicts(found)["sex"]
    assert said.text == (
        "true positive rates: Female .450 to Male .550, SD .100, more than chance (.050)"
    )
    assert said.tone == "warn"
    assert "1,234 rows of seen clusters, mixed effects; the positive class is paid." in str(found)
    fair = found.assign(value=found["value"].where(found["metric"] != "tpr_sd", 0.05))
    said = verdicts(FairnessReport.of(fair))["sex"]
    ends = "Female .450 to Male .550"
    assert said.text == f"true positive rates: {ends}, SD .050, no more than chance (.050)"
    assert said.tone == "plain"


def test_a_constant_decision_and_small_groups_are_said():
    note = "decides 0 for every row: no sign of fairness"
    small = "small cell (4 positives, fewer than 30)"
    lines = [
        line("auroc", 0.5, attribute="all"),
        line("tpr_sd", 0.0, null=(0, 0, 0.0), note=note),
        line("tpr", 0.0, group="x", n=4, note=small),
        line("tpr", 0.0, group="y", n=400),
    ]
    said = FairnessReport.of(report(lines)).summary().parts[0].items
    assert said[0].text == (
        "AUROC .500 (from .490): these rows do not show that it tells the classes apart, and equal "
        "rates of a model that predicts nothing are no sign of fairness"
    )
    assert said[1].text.startswith("every row is decided 0: equal rates are no sign of fairness")
    assert said[1].text.endswith("Try threshold='balanced_accuracy'.")
    assert said[-1].text.startswith("fewer than 30 rows behind a rate: x 4. Read the interval")
    assert "merge=" in said[-1].text


def test_of_many_classes_no_threshold_is_advised():
    """`threshold=` is refused where y has more than two classes."""
    i = np.arange(300)
    y = pd.Series(np.select([i % 30 == 0, i % 30 == 1], ["hi", "mid"], "lo"))
    X = pd.DataFrame({"x": i % 7.0, "sex": np.where(i % 2 == i % 4, "f", "m")})
    model = pf.FairMixedEffectsClassifier(
        sensitive=["sex"], hidden=(), fairness=None, guide="mean_field", min_steps=100, epochs=1,
        unseen="population", random_state=0, progress=False, validation_fraction=0,
    ).fit(X, y)  # fmt: skip
    with pytest.warns(FairnessWarning, match=r"decided lo.*class_weight='balanced'"):
        said = model.fairness_report(X, y, n_boot=0).summary().parts[0].items
    alike = [one.text for one in said if "every row is decided" in one.text]
    assert len(alike) == 3  # a class each
    assert all(
        text.endswith("class_weight='balanced', or more steps of training.") for text in alike
    )


def test_a_nearly_constant_decision_is_said():
    lines = [
        line("auroc", 0.7, attribute="all"),
        line("tpr_sd", 0.001, null=(0, 0, 0.01)),
        line("selection_rate", 0.002, group="x", n=500),
        line("selection_rate", 0.004, group="y", n=500),
    ]
    said = FairnessReport.of(report(lines)).summary().parts[0].items[0]
    assert said.text.startswith("only 3 of 1,000 rows are selected: rates this near 0 can hardly")
    assert said.text.endswith("Try threshold='balanced_accuracy'.")
    lines += [line("tpr", 0.5, group=g) for g in ("x", "y")]
    said = FairnessReport.of(report(lines)).summary().parts[0].items[1]
    assert said.text.startswith("true positive rates: every group .500, SD .001")
    lines[2]["value"] = lines[3]["value"] = 0.995
    said = FairnessReport.of(report(lines)).summary().parts[0].items[0]
    assert said.text.startswith("only 5 of 1,000 rows are not selected: rates this near 1")
    lines[2]["value"] = 0.5
    assert "only" not in str(FairnessReport.of(report(lines)).summary())


def test_every_number_shown_is_one_of_the_lines(found):
    page = Parsed(found._repr_html_())
    for shown, column in (("data-value", ["value", "null_high", "n"]), ("data-low", ["low"]),
                          ("data-high", ["high"])):  # fmt: skip
        numbers = {float(a[shown]) for a in page.attributes if shown in a}
        known = set(pd.concat([found[c] for c in column]).astype(float))
        assert {n for n in numbers if not math.isnan(n)} <= known
    values = {float(a["data-value"]) for a in page.attributes if "data-value" in a}
    assert set(found["value"]) <= values  # and every value is shown


def test_it_is_a_data_frame_and_its_parts_are_plain(found, tmp_path):
    part = found.query("metric == 'tpr'")
    assert type(part) is type(found.frame) is pd.DataFrame
    assert repr(part) == repr(found.frame.query("metric == 'tpr'"))
    found.to_csv(tmp_path / "r.csv", index=False)
    assert len(pd.read_csv(tmp_path / "r.csv")) == len(found)
    for other in (pickle.loads(pickle.dumps(found)), found.copy()):
        assert type(other) is FairnessReport
        pd.testing.assert_frame_equal(other, found)
        assert repr(other) == repr(found) == str(found.summary())
    for changed in (found.set_index("metric"), found.rename(columns={"value": "spread"})):
        assert repr(changed) == repr(pd.DataFrame(changed))  # no report any more, whatever its type
        assert "<table" in changed._repr_html_()
    with pytest.raises(ValueError, match=r"no effects 'other'.*\[not-in-table\]"):
        found.summary("other")


def test_hostile_names_are_text():
    lines = [line("auroc", 0.9, attribute="all")]
    for name in HOSTILE:
        lines += [line("tpr_sd", 0.2, attribute=name, null=(0, 0, 0.1))]
        lines += [line("tpr", v, attribute=name, group=g) for v, g in ((0.1, name), (0.9, "b"))]
    html = FairnessReport.of(report(lines))._repr_html_()
    page = Parsed(html)
    assert "script" not in page.tags
    assert "".join(page.texts).count("<script>alert(1)</script>") >= 4


def test_names_from_right_to_left_do_not_turn_numbers():
    lines = [line("auroc", 0.9, attribute="all"), line("tpr_sd", 0.2, null=(0, 0, 0.1))]
    hebrew = "\u05e9\u05dc\u05d5\u05dd"
    lines += [line("tpr", v, group=g) for v, g in ((0.1, "a"), (0.9, hebrew))]
    html = FairnessReport.of(report(lines))._repr_html_()
    assert f"a .100 to \u2068{hebrew}\u2069 .900, SD" in " ".join(Parsed(html).texts)


def test_clusters_have_a_line_each(found):
    lines = [
        line(metric, value, clusters=c, attribute=a, null=(0, 0, chance), n=n)
        for c, n in (("a", 10), ("b", 20))
        for metric, value, a, chance in (("balanced_accuracy", 0.7, "all", None),
                                         ("tpr_sd", 0.3, "sex", 0.4), ("tpr_sd", 0.2, "race", 0.1))
    ]  # fmt: skip
    grid = FairnessReport.of(report(lines)).summary().parts[0]
    assert [(row[0], row[1].value, row[3], row[4].value) for row in grid.rows] == [
        ("a", 10, "race", 0.2), ("b", 20, "race", 0.2)
    ]  # fmt: skip


def test_two_reports_side_by_side(found, after):
    both = found.compare(after, names=("plain", "fair"))
    assert isinstance(both, ReportComparison)
    keyed = both.frame.query("group == 'all'").set_index("metric")
    assert keyed.loc["tpr_sd", "change"] == pytest.approx(-0.07)
    assert keyed["better"].to_dict() == {
        "auroc": -1, "balanced_accuracy": -1, "tpr_sd": 1, "demographic_parity": -1,
        "counterfactual_gap": -1, "worst_group_accuracy": 1,
    }  # fmt: skip
    assert both.frame.query("metric == 'tpr'")["better"].isna().all()
    text = str(both)
    assert "+ sex: SD of true positive rates .100 (plain), .030 (fair)" in text
    assert "! accuracy: balanced accuracy .800 (plain), .780 (fair)" in text
    assert Parsed(both._repr_html_()).tags.count("table") == 1
    calm = found.assign(null_high=found["null_high"].where(found["metric"] != "tpr_sd", 0.2))
    text = str(FairnessReport.of(calm).compare(after.assign(null_high=0.2), ("plain", "fair")))
    assert "- sex: SD of true positive rates .100 (plain), .030 (fair); neither more" in text
    assert re.search(r"TPR SD +.100 +.030 +-.070 +neither more than chance", text)
    with pytest.raises(ValueError, match=r"no line in common.*\[reports-differ\]"):
        found.compare(after.assign(attribute="other"))
    for name in ("my_accuracy", "coverage"):  # nobody knows which side is better; nearest is best
        own = found.frame.assign(metric=name)
        both = FairnessReport.of(own).compare(own.assign(value=own["value"] + 1))
        assert both.frame["better"].isna().all()


def test_one_report_is_drawn_with_its_intervals(found):
    figure = found.plot()
    left = figure.axes[0]
    assert left.collections[1].get_offsets()[:, 0].tolist() == [0.55, 0.45]
    assert left.collections[0].get_segments()[0][:, 0].tolist() == pytest.approx([0.54, 0.57])
    assert found.compare(found).plot().axes
    with pytest.raises(ValueError, match=r"no rates of groups.*\[not-in-table\]"):
        found.plot(clusters="unseen")
