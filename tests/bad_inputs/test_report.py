"""Odd inputs of the fairness report of a fitted model."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from tests.bad_inputs import table, tiny

AREA = "report"
SLOW = ["by_cluster='x'", "by_cluster=None", "n_boot=1"]  # whole reports of what others show
LEVELS = np.arange(tiny.ROWS) % 2 == 0  # of a made-up attribute, whatever else is in the row


def report(X=None, y=None, model=None, **options):
    """The report of the tiny fit, on its training rows unless others are given."""
    X = tiny.rows() if X is None else X
    y = tiny.target() if y is None else y
    return (model or tiny.clean()).fairness_report(X, y, **{"n_boot": 0, **options})


def groups(found, attribute):
    """Rows of each group by its name, those with mixed effects."""
    lines = found[(found["effects"] == "mixed") & (found["attribute"] == attribute)]
    rates = lines[lines["metric"] == "selection_rate"]
    return dict(zip(rates["group"], rates["n"].astype(int), strict=True))


def counts(labels):
    return pd.Series(labels).value_counts().to_dict()


def names_that_join_alike():
    first = np.where(LEVELS, "p & q", "p")
    second = np.where(np.arange(tiny.ROWS) % 3 == 0, "r", "q & r")
    X = tiny.rows().assign(group1=first, group2=second)
    found = report(X, model=tiny.fit(X, sensitive=[("group1", "group2")]))
    spelled = {"p & q": '"p & q"', "q & r": '"q & r"'}
    pairs = [f"{spelled.get(a, a)} & {spelled.get(b, b)}" for a, b in zip(first, second)]  # noqa: B905
    return groups(found, "group1 x group2"), counts(pairs)


def level_called(name, shown):
    """A level with a name of ours is a group of its own; rows of no known level are another."""

    def program():
        labels = np.where(LEVELS, name, "b")
        X = tiny.rows().assign(group1=labels)
        model = tiny.fit(X)
        later = np.where(np.arange(tiny.ROWS) < 6, "never seen", labels)
        found = groups(report(X.assign(group1=later), model=model), "group1")
        spelled = {name: shown, "never seen": "(new level)"}
        return found, counts([spelled.get(label, label) for label in later])

    return program


def text_missing_beside_gaps():
    labels = np.where(LEVELS, "(missing)", "b").astype(object)
    labels[:9] = None
    X = tiny.rows().assign(group1=labels)
    found = groups(report(X, model=tiny.fit(X)), "group1")
    shown = ["(missing)" if v is None else {"(missing)": '"(missing)"'}.get(v, v) for v in labels]
    return found, counts(shown)


def crossed_clusters_that_join_alike():
    first = np.where(LEVELS, "p / q", "p")
    second = np.where(np.arange(tiny.ROWS) % 3 == 0, "r", "q / r")
    X = tiny.rows().assign(cluster=first, group2=second)
    model = tiny.fit(X, cluster=["cluster", "group2"])
    found = report(X, model=model, by_cluster=True)
    by_cluster = found[(found["metric"] == "log_loss") & (found["effects"] == "mixed")]
    sizes = dict(zip(by_cluster["clusters"], by_cluster["n"].astype(int), strict=True))
    spelled = {"p / q": '"p / q"', "q / r": '"q / r"'}
    pairs = [f"{spelled.get(a, a)} / {spelled.get(b, b)}" for a, b in zip(first, second)]  # noqa: B905
    return sizes, counts(pairs)


def a_level_called_all():
    """It is no line of "all", which compares groups."""
    X = tiny.rows().assign(group1=np.where(LEVELS, "all", "b"))
    return groups(report(X, model=tiny.fit(X)), "group1"), {'"all"': 60, "b": 60}


def one_class():
    """Rates that need the other outcome are empty and say why; the others are what they are."""
    X, y = tiny.rows(), np.ones(tiny.ROWS, int)
    found = report(X, y)
    rates = found[(found["metric"] == "fpr") & (found["effects"] == "mixed")]
    assert rates["value"].isna().all()
    assert rates["note"].str.contains("no negatives").all()
    accepted = found[(found["metric"] == "tpr") & (found["effects"] == "mixed")]
    decisions = pd.Series(tiny.clean().predict(X)).groupby(X["group1"]).mean()
    return dict(zip(accepted["group"], accepted["value"], strict=True)), decisions.to_dict()


def one_row():
    X, y = tiny.rows()[:1], tiny.target()[:1]
    found = report(X, y)
    accuracy = found[(found["metric"] == "accuracy") & (found["effects"] == "mixed")]
    right = float(tiny.clean().predict(X)[0] == y[0])
    return (accuracy["n"].tolist(), float(accuracy["value"].iloc[0])), ([1], right)


def same_as(plain, **options):
    return lambda: (report(**options), report(**plain))


def attribute_groups(entry, name, labels):
    return lambda: (groups(report(attributes=[entry]), name), counts(labels(tiny.rows())))


@cache
def regressor():
    return tiny.regressor().fit(tiny.rows("normal"), tiny.target("normal"))


def judged(y):
    return lambda: regressor().fairness_report(tiny.rows("normal"), y, n_boot=0)


SIX = np.full(tiny.ROWS, 6)
X1 = pf.Binned("x1", edges=(0.0,))
PROGRAMS = {
    "intersection cells whose names join alike are pooled": names_that_join_alike,
    "a level called 'all'": a_level_called_all,
    "a level called '(new level)'": level_called("(new level)", '"(new level)"'),
    "a level called '(missing)', beside gaps": text_missing_beside_gaps,
    "crossed clusters whose names join alike": crossed_clusters_that_join_alike,
    "report y of shape (150,2)": lambda: report(y=tiny.target().reshape(-1, 2)),
    "y None": lambda: tiny.clean().fairness_report(tiny.rows(), None),
    "y wrong length": lambda: report(y=tiny.target()[1:]),
    "y unknown label": lambda: report(y=SIX),
    "y text labels": lambda: report(y=tiny.target().astype(str)),
    "y NaN": lambda: report(y=np.full(tiny.ROWS, np.nan)),
    "y 2-D": lambda: report(y=np.column_stack([tiny.target()] * 2)),
    "y one class": one_class,
    "one row": one_row,
    "empty": lambda: report(tiny.rows()[:0], tiny.target()[:0]),
    "missing column": lambda: report(tiny.rows().drop(columns="group1")),
    "y bools": same_as({}, y=tiny.target().astype(bool)),
    "n_boot=0": lambda: (report()["low"].notna().sum().item(), 0),
    "n_boot=-1": lambda: report(n_boot=-1),
    "n_boot=1.5": lambda: report(n_boot=1.5),
    "n_boot='x'": lambda: report(n_boot="x"),
    "n_boot=1": lambda: (report(n_boot=1)["value"].to_frame(), report()["value"].to_frame()),
    "level=0": lambda: report(level=0),
    "level=1": lambda: report(level=1),
    "level='x'": lambda: report(level="x"),
    "by_cluster='x'": same_as({"by_cluster": True}, by_cluster="x"),
    "by_cluster=None": same_as({"by_cluster": False}, by_cluster=None),
    "attributes='nope'": lambda: report(attributes="nope"),
    "attributes=['nope']": lambda: report(attributes=["nope"]),
    "attributes=5": lambda: report(attributes=5),
    "attributes=['group2']": attribute_groups("group2", "group2", lambda X: X["group2"]),
    "attributes=['x1']": lambda: report(attributes=["x1"]),
    f"attributes=[{X1!r}]": attribute_groups(
        X1, "x1_bin", lambda X: np.where(X["x1"] <= 0, "<=0", ">0")
    ),
    "attributes=['group1', 'group1']": same_as(
        {"attributes": ["group1"]}, attributes=["group1", "group1"]
    ),
    "attributes=['cluster']": attribute_groups("cluster", "cluster", lambda X: X["cluster"]),
    "attributes=[None]": lambda: report(attributes=[None]),
    "report regressor y NaN": judged(np.full(tiny.ROWS, np.nan)),
    "report regressor y text": judged(np.full(tiny.ROWS, "a")),
    "report regressor y inf": judged(np.full(tiny.ROWS, np.inf)),
}


@pytest.mark.parametrize("line", table.cases(AREA, SLOW))
def test_report(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
