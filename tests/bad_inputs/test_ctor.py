"""Odd keywords of the estimators."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme import Binned
from pyfairme.data import Design, Schema
from tests.bad_inputs import table, tiny

AREA = "ctor"
NAMES = {"np": np, "array": np.array, "nan": np.nan, "inf": np.inf, "Binned": Binned}
PENALISED = {"fairness": "decision_adversarial"}  # refused before anything is trained
SLOW = [  # programs of their own to compile
    "hidden=[8]",
    "hidden=array([8])",
    "fairness_weight={}",
    "validation_fraction=0.999",
    "correlated=True, random_slopes='all', hidden=()",
]


def written(text):
    """Fit with the keywords, or the one sensitive attribute, that the table spells out."""

    def program():
        if text.startswith("Binned("):
            tiny.fit(sensitive=[eval(text, dict(NAMES))])
        else:
            tiny.fit(**{**PENALISED, **eval(f"dict({text})", dict(NAMES))})

    return program


def given(**keywords):
    return lambda: tiny.fit(**keywords)


def regression(**keywords):
    return lambda: tiny.regressor(**{**PENALISED, **keywords}).fit(
        tiny.rows("normal"), tiny.target("normal")
    )


def same(odd, plain):
    """The fit with odd keywords is that with plain ones."""
    return lambda: (tiny.chances(tiny.fit(**odd)), tiny.chances(tiny.fit(**plain)))


def groups(entry, labels):
    """The rows of each group of a sensitive attribute are those counted by pandas."""

    def program():
        (attribute,) = tiny.fit(sensitive=[entry]).design_.attributes
        found = dict(zip(attribute.levels, attribute.counts, strict=True))
        return found, labels(tiny.rows()).value_counts().astype(float).to_dict()

    return program


def bracket(frame):
    return pd.Series(np.where(frame["x1"] <= 0, "<=0", ">0"))


def slopes_named_twice():
    schema = Schema.infer(tiny.rows(), cluster="cluster")
    twice, once = (
        Design.fit(tiny.rows(), schema, slopes={"cluster": names})
        for names in (("x1", "x1"), ["x1"])
    )
    return twice.slopes, once.slopes


def threshold_of_zero():
    return tiny.fit(threshold=0).predict(tiny.rows()), np.ones(tiny.ROWS, int)


def offset_moves_the_link():
    model = tiny.fit(offset="x1")
    moved = tiny.rows().assign(x1=tiny.rows()["x1"] + 1)
    before, after = (
        np.log(p[:, 1] / p[:, 0])
        for p in (model.predict_proba(X, effects="fixed") for X in (tiny.rows(), moved))
    )
    return np.round(after - before, 4), np.ones(tiny.ROWS)


def correlations_of_all_slopes():
    found = tiny.fit(correlated=True, random_slopes="all").variance_components_
    between = found[found["term"].str.contains("x1") & (found["term"].str.contains("Intercept"))]
    return bool(len(between) and between["mean"].abs().le(1).all()), True


def nearly_all_held_out():
    model = tiny.fit(validation_fraction=0.97, min_steps=1)
    p = tiny.chances(model)
    return bool(np.isfinite(p).all() and p.min() > 0 and p.max() < 1), True


PROGRAMS: dict[str, Any] = {
    line.input: written(line.input) for line in table.lines(AREA) if line.expected != "right"
}
PROGRAMS |= {
    "sensitive=numeric column with 300 values": given(sensitive=["x1"]),
    "two Binned of one column same name": given(sensitive=[Binned("x1", (0,)), Binned("x1", (1,))]),
    "Binned name equals column name": given(
        sensitive=["group2", Binned("x1", (0,), name="group2")]
    ),
    "random_state=Generator(PCG64) at 0x7F05E2F42B20": given(random_state=np.random.default_rng(0)),
    "offset=text column": given(offset="group2"),
    "unknown keyword": given(clusters="cluster"),
    "3 positional arguments": lambda: pf.FairMixedEffectsClassifier("cluster", ["group1"], True),
    "set_params unknown": lambda: tiny.classifier().set_params(nope=1),
    "reg likelihood='x'": regression(likelihood="x"),
    "reg likelihood=None": regression(likelihood=None),
    "reg likelihood='bernoulli'": regression(likelihood="bernoulli"),
    "reg criterion='equal_opportunity'": regression(
        fairness="adversarial", criterion="equal_opportunity"
    ),
    "reg fairness='decision_adversarial'": regression(),
    "random_slopes='hidden', hidden=()": given(random_slopes="hidden"),
}
PROGRAMS |= {
    "sensitive={'group1': 1}": same({"sensitive": {"group1": 1}}, {}),
    "sensitive=[Binned(column='x1', edges=(0.0,), name=None)]": groups(
        Binned("x1", (0.0,)), bracket
    ),
    "sensitive=[('group1', 'group2')]": groups(
        ("group1", "group2"), lambda X: X["group1"] + " & " + X["group2"]
    ),
    "random_slopes=('x1', 'x1')": slopes_named_twice,
    "random_slopes=[]": same({"random_slopes": []}, {}),
    "prior={}": same({"prior": {}}, {}),
    "prior_scale=np.float32(2.0)": same({"prior_scale": np.float32(2)}, {"prior_scale": 2}),
    "hidden=[8]": same({"hidden": [8]}, {"hidden": (8,)}),
    "hidden=array([8])": same({"hidden": np.array([8])}, {"hidden": (8,)}),
    "hidden=()": same({"hidden": ()}, {"hidden": []}),
    "fairness_weight={}": same(
        {"fairness": "moment", "fairness_weight": {}}, {"fairness": "moment", "fairness_weight": 0}
    ),
    "fairness_on=()": same({"fairness": "moment", "fairness_on": ()}, {}),
    "fairness_on=None": same({"fairness": "moment", "fairness_on": None}, {}),
    "batch_size=1000000000000": same({"batch_size": 10**12}, {"batch_size": tiny.ROWS}),
    "validation_fraction=0.999": nearly_all_held_out,
    "random_state=RandomState": same(
        {"random_state": np.random.RandomState(3)}, {"random_state": 3}
    ),
    "random_state=np.int64(3)": same({"random_state": np.int64(3)}, {"random_state": 3}),
    "threshold=0": threshold_of_zero,
    "class_weight={0: 1}": same({"class_weight": {0: 1}}, {}),
    "offset='x1'": offset_moves_the_link,
    "correlated=True, random_slopes='all', hidden=()": correlations_of_all_slopes,
}


@pytest.mark.parametrize("line", table.cases(AREA, SLOW))
def test_ctor(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
