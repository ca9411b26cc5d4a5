"""The card of a fitted model: its numbers are those of the tables, its names are text."""

import json
import math
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.metrics import ece
from pyfairme.report.card.card_markdown import card_markdown
from pyfairme.report.card.cautions import cramers_v
from pyfairme.report.card.section import Section
from pyfairme.report.card.sections import EVERY_LINE
from pyfairme.report.display.facts import Fields, Finding, Findings, Grid
from pyfairme.report.display.short_number import short_number
from tests.report.display.test_facts import HOSTILE, Parsed

SECTIONS = [
    "Summary", "Model details", "Intended use", "Factors", "Metrics", "Evaluation data",
    "Training data",
    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
]  # fmt: skip
QUICK = {"guide": "mean_field", "hidden": (), "min_steps": 100, "epochs": 1, "random_state": 0}
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
GROUPS = [HOSTILE[0], HOSTILE[1], HOSTILE[4]]


def table(rows=360, likelihood="bernoulli"):
    """Rows of clusters and groups with hostile names; groups lie unevenly over clusters."""
    data = pf.datasets.make_clustered(rows=rows, clusters=5, likelihood=likelihood, random_state=0)
    codes = data.frame["cluster"].astype("category").cat.codes.to_numpy()
    noise = np.random.default_rng(0).random(rows) < 0.2
    group = np.where(codes == 0, 0, np.where(noise, 2, 1))
    names = [HOSTILE[0], "two * _stars_ | bar", *"cde"]
    frame = data.frame.assign(
        cluster=[names[code] for code in codes], who=[GROUPS[code] for code in group]
    )
    return frame, data.target


@pytest.fixture(scope="module")
def made():
    X, y = table()
    clf = pf.FairMixedEffectsClassifier("cluster", "who", progress=False, **QUICK).fit(X, y)
    return clf, X, y, clf.card(X, y, n_boot=20, intended_use="To test <b>cards</b>.")


def numbers(frame, *columns):
    values = pd.concat([pd.to_numeric(frame[c]) for c in columns]).dropna()
    return sorted(float(value) for value in values)


def test_every_number_is_one_of_the_tidy_frame(made):
    clf, X, y, card = made
    report = clf.fairness_report(X, y, n_boot=20)
    by_cluster = clf.fairness_report(X, y, by_cluster=True, n_boot=0)
    pd.testing.assert_frame_equal(card.tables["fairness_report"], report.frame)
    lines = card.tables["fairness_by_cluster"]
    assert set(lines["clusters"]) == set(by_cluster["clusters"])
    keys = ["clusters", "attribute", "group", "metric"]
    known = by_cluster.query("effects == 'mixed'").set_index(keys)
    for line in lines.to_dict("records"):
        other = known.loc[tuple(line[key] for key in keys)]
        assert line["n"] == other["n"]
        np.testing.assert_equal(line["value"], other["value"])
    page = card.html
    full = Parsed(re.search(r"<table>(?:(?!<table>).)*?data-filter.*?</table>", page, re.S)[0])
    both = pd.concat([report.frame, lines])
    for shown, columns in (("data-value", ("value", "null", "n")),
                           ("data-low", ("low", "null_low")),
                           ("data-high", ("high", "null_high"))):  # fmt: skip
        found = [float(a[shown]) for a in full.attributes if shown in a]
        assert sorted(v for v in found if not math.isnan(v)) == numbers(both, *columns)
    every = set()
    for frame in card.tables.values():
        kinds = frame.select_dtypes("number")
        every |= {float(v) for v in kinds.to_numpy(float).ravel()}
    counts = {float(n) for a in clf.design_.attributes for n in a.counts}
    for attributes in Parsed(page).attributes:
        for name in ("data-value", "data-low", "data-high"):
            value = float(attributes.get(name, "nan"))
            assert math.isnan(value) or value in every or value in counts or value == 0
    told = json.loads(card.json)
    for name, frame in card.tables.items():
        for line, record in zip(told["tables"][name], frame.to_dict("records"), strict=True):
            for column, value in record.items():
                if isinstance(value, float):
                    assert line[column] == (value if math.isfinite(value) else None)


def test_calibration_is_that_of_the_predictions(made):
    clf, X, y, card = made
    frame = card.tables["calibration"].set_index(["attribute", "group", "bin"]).sort_index()
    p, hit = clf.predict_proba(X)[:, 1], np.asarray(y) == clf.classes_[1]
    for group in GROUPS:
        rows = (X["who"] == group).to_numpy()
        line = frame.loc[("who", group, "all")]
        np.testing.assert_allclose([line["mean_predicted"], line["observed"]],
                                   [p[rows].mean(), hit[rows].mean()], rtol=1e-5)  # fmt: skip
        bins = frame.loc[("who", group)].drop("all")
        assert bins["n"].sum() == line["n"] == rows.sum()
        gap = (bins["n"] * (bins["observed"] - bins["mean_predicted"]).abs()).sum() / rows.sum()
        assert gap == pytest.approx(ece(hit[rows].astype(int), p[rows], bins=5), rel=1e-4)


def test_the_page_stands_alone_and_names_are_text(made, tmp_path):
    *_, card = made
    page = card.save(tmp_path / "card.html").read_text("utf-8")
    parsed = Parsed(page.replace("<!doctype html>", ""))
    assert re.findall(r"<h2>(.*?)</h2>", page) == SECTIONS
    assert parsed.tags.count("script") == 1
    links = [a[name] for a in parsed.attributes for name in ("src", "href") if name in a]
    assert {link[:5] for link in links if link[0] != "#"} == {"data:"}
    assert not re.search(r"(?:https?:)?//\w|@import|url\(", re.sub(r"base64,[^\"]*", "", page))
    text = "".join(parsed.texts)
    assert all(name in text for name in GROUPS)
    assert "To test <b>cards</b>." in text
    framed = Parsed(card._repr_html_())
    assert framed.tags == ["iframe"]
    assert framed.attributes[0]["srcdoc"] == page


def test_cautions_say_what_was_found(made):
    _, X, *_, card = made
    said = {(item.subject, item.tone): item.text
            for part in card.sections[-1].parts if isinstance(part, Findings)
            for item in part.items}  # fmt: skip
    texts = " ".join(said.values())
    assert "clusters and groups go together (Cramer's V" in texts
    share = (X["cluster"] == HOSTILE[0]).mean()
    assert f"{share:.0%} of rows are in clusters of one group" in texts
    assert "not the causal effect" in said["counterfactual gap", "plain"]
    known = said["evaluation data", "warn"]
    assert re.match(r"about (8|9)\d% of the rows are rows that the model was trained on", known)
    assert known.endswith("look better than they are: give rows held out.")
    for finding in said.values():
        assert " ".join(finding.split())[:40] in " ".join(repr(card).split()).replace("\n", " ")
    again = dict(next(p for p in card.sections[-1].parts if p.heading == "Reproducibility").items)
    assert "min_steps=100" in again["keywords"]
    assert again["rows"] == f"{len(X):,} evaluated"
    assert "pyfairme" in again["versions"]
    unequal = np.array([[30, 10], [10, 30]])
    assert cramers_v(unequal) < 0.5 == pytest.approx(np.sqrt(20 / 80))  # less than uncorrected


def test_of_a_model_from_a_file_only_the_number_of_rows_is_known(made, tmp_path):
    clf, X, y, _ = made
    path = tmp_path / "model.pyfairme"
    clf.save(path)
    text = " ".join(str(pf.load(path).card(X, y, n_boot=0)).split())
    assert "as many rows as the fit was given. If they are the same rows: accuracy," in text


def test_the_first_screen_says_what_was_found(made):
    _, X, y, card = made
    assert "Judged on 360 rows by who (3 groups)." in card.lead
    verdict, base, *_ = card.sections[0].parts
    frame = card.tables["fairness_report"].query("effects == 'mixed' and clusters == 'seen'")
    spread = frame.query("group == 'all' and attribute == 'who'").set_index("metric")
    more = any(spread.loc[m, "value"] > spread.loc[m, "null_high"] for m in ("tpr_sd", "fpr_sd"))
    (said,) = [item for item in verdict.items if "error rates" in item.text]
    assert (said.tone == "warn") == more == said.text.startswith("error rates differ by more than")
    rates = frame.query("metric == 'base_rate'").set_index("group")["value"]
    selected = frame.query("metric == 'selection_rate'").set_index("group")["value"]
    for group in GROUPS:
        observed = (y[X["who"] == group] == 1).mean()
        assert rates[group] == pytest.approx(observed)
        assert short_number(observed) in base.items[0].text
        assert f"and {short_number(selected[group])}" in base.items[0].text
    assert "cannot show a biased outcome" in base.items[-1].text
    page = card.html
    assert page.index("<figure>") < page.index("Model details") < page.index("Reproducibility")


def test_probabilities_outside_their_interval_are_cautioned_of(made, monkeypatch):
    clf, X, y, _ = made
    group = GROUPS[1]
    rose = y.where(X["who"] != group, clf.classes_[1])
    monkeypatch.setattr("pyfairme.report.display.training_phrases.FAR_ABOVE", -10.0)
    card = clf.card(X, rose, n_boot=0)
    line = card.tables["calibration"].query("group == @group and bin == 'all'").iloc[0]
    predicted, low = short_number(line["mean_predicted"]), short_number(line["low"])
    text = f"are too low: predicted {predicted}, observed {low} to 1.00"
    said = [item for part in card.sections[0].parts for item in part.items]
    assert any(item.tone == "warn" and text in item.text for item in said)
    assert any(text in item.text for item in card.sections[-1].parts[1].items)
    assert any(item.subject == "training" and "far above" in item.text for item in said)


def test_markdown_shows_names_as_they_are():
    name = "<script> | *a* _b_ [c](d) `e`\n# f"
    parts = (Findings("H", (Finding(name, name, "warn"),)), Fields("", ((name, name),)),
             Grid("G", ("a", "b"), ((name, "x"),)))  # fmt: skip
    text = card_markdown(name, "", [Section("S", parts), Section("None", ())])
    shown = r"&lt;script&gt; | \*a\* \_b\_ \[c\](d) \`e\` \# f"
    assert f"- ⚠ **{shown}**: {shown}" in text
    assert f"| {shown.replace('|', chr(92) + '|')} | x |" in text
    assert "<script" not in text


def test_markdown_and_json_have_every_section(made, tmp_path):
    *_, card = made
    text = card.save(tmp_path / "card.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.M) == SECTIONS
    assert EVERY_LINE in text
    told = json.loads(card.save(tmp_path / "card.json").read_text("utf-8"))
    assert [section["name"] for section in told["sections"]] == SECTIONS
    assert card.facts.parts[0].heading == "Summary: Verdict"
    with pytest.raises(ValueError, match=r"\.html, \.md, \.json; got the name 'card\.pdf'"):
        card.save(tmp_path / "card.pdf")


@pytest.mark.long
@pytest.mark.parametrize("clusters", ["cluster", None])
def test_a_regressor_has_a_card(clusters, tmp_path):
    X, y = table(120, "normal")
    reg = pf.FairMixedEffectsRegressor(clusters, progress=False, fairness=None, **QUICK)
    card = reg.fit(X.drop(columns="who"), y).card(X, y, ("who",), n_boot=5)
    assert ("cluster_effects" in card.tables) == (clusters is not None)
    grid = next(p for s in card.sections for p in s.parts if p.heading == "Calibration by group")
    lines = card.tables["fairness_report"].query("metric == 'mean_residual' and effects == 'mixed'")
    assert [row[4].value for row in grid.rows] == lines["value"].tolist()
    assert "<img" in card.save(tmp_path / "card.html").read_text("utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_reader_chooses_lines(made, tmp_path):
    *_, card = made
    frame = pd.concat([card.tables["fairness_report"], card.tables["fairness_by_cluster"]])
    choose = """<script>
      const first = document.querySelector(".pf-filter output").textContent;
      const pick = (name, text) => {
        const list = document.querySelector(`select[name=${name}]`);
        list.value = [...list.options].find(one => one.text === text).value;
        list.dispatchEvent(new Event("change"));
      };
      pick("cluster", "any"); pick("group", %s);
      const later = document.querySelector(".pf-filter output").textContent;
      const rows = [...document.querySelectorAll(".pf-filtered tbody tr")];
      document.title = [first, later, rows.filter(row => !row.hidden).length].join("; ");
    </script></body>"""
    group = json.dumps(HOSTILE[1])
    page = tmp_path / "chosen.html"
    page.write_text(card.html.replace("</body>", choose % group), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
               f"--user-data-dir={tmp_path}/profile", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    mixed = frame.query("effects == 'mixed'")
    start, chosen = (mixed["clusters"] == "seen").sum(), (mixed["group"] == HOSTILE[1]).sum()
    title = re.search(r"<title>(.*?)</title>", done.stdout)[1]
    assert title == f"{start} of {len(frame)} lines; {chosen} of {len(frame)} lines; {chosen}"


def test_a_card_compares_the_groups_that_are_chosen(made):
    clf, X, y, _ = made
    first, second, third = GROUPS
    asked = {"exclude": {"who": second}, "merge": {"who": {"both": [first, third]}}}
    asked["merge"]["who"]["both"].pop()
    card = clf.card(X, y, n_boot=0, **asked)
    report = clf.fairness_report(X, y, n_boot=0, **asked)
    pd.testing.assert_frame_equal(card.tables["fairness_report"], report.frame)
    for name in ("fairness_report", "calibration", "random_disparity", "fairness_by_cluster"):
        lines = card.tables[name]
        lines = lines[(lines["attribute"] == "who") & (lines["group"] != "all")]
        assert set(lines["group"]) == {"both", third}, name
    kept = X[X["who"] != second]
    parts = clf.random_disparity(X, by_cluster=False, **asked).set_index(["group", "measure"])
    alone = clf.random_disparity(kept, by_cluster=False).set_index(["group", "measure"])
    assert parts.loc[("both", "excess"), "value"] == alone.loc[(first, "excess"), "value"]
    assert parts.loc[("all", "tilt"), "n"] == len(kept)
    assert "left out by choice" in card.markdown


def test_a_card_of_large_groups_tells_no_small_one(made):
    """No number of the page is of fewer rows, and none can be had by subtraction."""
    clf, X, y, _ = made
    card = clf.card(X, y, n_boot=0, min_group_size=90)
    report = clf.fairness_report(X, y, n_boot=0, min_group_size=90)
    pd.testing.assert_frame_equal(card.tables["fairness_report"], report.frame)
    assert set(card.tables) == {"fairness_report", "calibration", "variance_components"}
    calibration = card.tables["calibration"].query("bin == 'all' and attribute == 'who'")
    groups = set(report[(report["attribute"] == "who") & (report["group"] != "all")]["group"])
    assert "(small groups)" in groups == set(calibration["group"])
    assert (calibration["n"] >= 90).all()
    sizes = clf.design_.attributes[0].counts
    data = next(s for s in card.sections if s.name == "Training data").parts[0]
    sensitive = dict(data.items)["sensitive"]
    assert not any(f"{int(n)}" in sensitive for n in sizes)
    assert "groups of fewer than 90 rows are put together" in str(card.facts).replace("\n", " ")
