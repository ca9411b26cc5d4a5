"""Answers of `pyfairme.explain` show what they come to, and every number is one of their frame."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.explain.estimates import Estimates
from pyfairme.plots import plot_estimates
from pyfairme.report.display.facts_html import environment
from tests.report.display.test_facts import HOSTILE, Parsed


def answer(keys, estimates, half=0.05, no_difference=0.0, **more):
    value = np.array(estimates, float)
    frame = pd.DataFrame(keys).assign(estimate=value, sd=0.01, low=value - half, high=value + half)
    frame = frame.assign(n=100, **more)
    frame.columns.name = "mean interval"
    return Estimates(frame, np.empty((len(frame), 0)), "mixed", 0.9, no_difference)


def said(found):
    return {item.subject: item.text for item in found.summary().parts[0].items}


def test_a_comparison_says_what_differs_clearly():
    found = answer({"term": [HOSTILE[0], "age"], "contrast": "+1"}, [0.2, 0.01])
    assert list(said(found).values()) == [
        ".200 (.150 to .250), clearly above 0.", ".010 (-.040 to .060), not told apart from 0."
    ]  # fmt: skip
    page = Parsed(found._repr_html_())
    assert "script" not in page.tags
    for shown, column in (("data-value", ["estimate", "n"]), ("data-low", ["low"]),
                          ("data-high", ["high"])):  # fmt: skip
        numbers = sorted(float(a[shown]) for a in page.attributes if shown in a)
        assert numbers == sorted(found.frame[column].to_numpy(float).ravel())
    many = answer({"term": list("abcdefgh"), "contrast": "+1"}, [0.2, -0.3, *[0.01] * 6])
    assert said(many)[""].startswith("2 of 8 differ clearly from 0")
    assert "from b -.300 (-.350 to -.250) to a .200" in said(many)[""]
    ratio = answer({"term": ["x"], "contrast": ["b - a"]}, [1.02], no_difference=1.0)
    assert said(ratio) == {"x b - a": "1.02 (.970 to 1.07), not told apart from 1."}
    assert ratio.summary().parts[1].columns[2:] == ("ratio", "interval", "rows")


def test_predictions_gaps_and_contrasts_with_the_mean_say_what_they_are():
    found = answer({"sex": ["f", "m"]}, [0.1, 0.3], no_difference=None)
    assert said(found) == {"": "from f .100 (.050 to .150) to m .300 (.250 to .350)."}
    assert found.summary().title == "Average predictions"
    bare = answer({"sex": ["f", "m"]}, [0.1, 0.3], half=math.nan, no_difference=None)
    assert "the model has no draws" in bare.summary().lead
    parts = {"term": "sex", "contrast": "m - f", "component": ["gap", "within clusters"] * 2,
             "cluster": ["all", "all", "x", "y"]}  # fmt: skip
    assert list(said(answer(parts, [0.3, 0.2, 0.1, 0.1]))) == ["gap", "within clusters"]
    against = answer({"term": "branch", "contrast": ["a - mean", "b - mean"]}, [0.1, -0.1])
    assert against.summary().title == "Average comparisons of branch"
    assert "cluster_effects_ answers another question" in against.summary().parts[1].note


def test_answers_are_drawn_line_by_line_and_predictions_of_a_number_as_a_curve():
    found = answer({"term": list("abc"), "contrast": "+1"}, [0.2, 0.01, -0.3])
    axes = found.plot().axes[0]
    points = axes.collections[1]
    assert points.get_offsets()[:, 0].tolist() == [0.2, 0.01, -0.3]
    colours = points.get_facecolors()
    assert (colours[0] == colours[2]).all()
    assert (colours[0] != colours[1]).any()
    assert axes.get_yticklabels()[0].get_text() == "a"  # +1 holds for all
    curve = answer({"age": [20, 30, 40]}, [0.1, 0.2, 0.3], no_difference=None)
    assert curve.plot().axes[0].lines[0].get_xdata().tolist() == [20, 30, 40]
    long = answer({"term": [f"c{i}" for i in range(50)], "contrast": "+1"}, np.arange(50) / 10)
    values = plot_estimates(long).axes[0].collections[1].get_offsets()[:, 0]
    assert len(values) == 40
    assert {values.min(), values.max()} == {0.0, 4.9}
    with pytest.raises(ValueError, match=r"no estimate to draw.*\[nothing-to-draw\]"):
        plot_estimates(answer({"term": []}, []))


def test_the_diagram_of_parameters_follows_a_dark_page():
    html = pf.FairMixedEffectsClassifier("cluster")._repr_html_()
    style = Path(environment().get_template("diagram.css").filename).read_text("utf-8")
    if "sk-global" not in html:
        pytest.skip("the diagram of this scikit-learn has no class for dark pages")
    assert ".pyfairme-diagram .sk-global.dark" in html
    bare = html.replace(style, "")
    for name in set(re.findall(r"\.([a-z][a-z-]+)", style)) - {"dark"}:
        assert re.search(rf'class="[^"]*\b{name}\b', bare), name
    for name in re.findall(r"--sklearn-[a-z0-9-]+", style):
        assert f"var({name})" in bare, name
