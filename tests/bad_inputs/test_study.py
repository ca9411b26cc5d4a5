"""Odd inputs of studies: all are refused before the first fit."""

from pathlib import Path

import numpy as np
import pytest

import pyfairme as pf
from pyfairme.data import Schema
from pyfairme.datasets import Dataset, make_clustered
from pyfairme.study import add_probes, compare, cross_validate, frontier, tune
from pyfairme.study.tuning.search_space import Choice, Real, Whole
from tests.bad_inputs import table, tiny

AREA = "study"
DATA = make_clustered(300, clusters=5, random_state=0)


class NeverFits(pf.FairMixedEffectsClassifier):
    """An estimator whose fit says that a study came as far as that."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("a fit was begun")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Stores and databases of default names go to a folder of the test."""
    monkeypatch.chdir(tmp_path)


def never(**keywords):
    return NeverFits(**{"cluster": "cluster", "sensitive": ["group1"], **tiny.QUICK, **keywords})


def validate(estimators=None, dataset=DATA, **options):
    return lambda: cross_validate(
        never() if estimators is None else estimators,
        dataset,
        **{"folds": 3, "seeds": 1, "n_boot": 0, "progress": False, **options},
    )


def sweep(estimator=None, **options):
    model = estimator or never(fairness="moment")
    return lambda: frontier(model, DATA, **{"folds": 3, "seeds": 1, "progress": False, **options})


def search(estimator=None, dataset=DATA, **options):
    model = estimator or never(fairness="moment")
    given = {"trials": 1, "folds": 3, "storage": None, "progress": False, **options}
    return lambda: tune(model, dataset, **given)


def data(frame=None, target=None):
    frame = DATA.frame if frame is None else frame
    target = DATA.target if target is None else target
    return Dataset(frame, target, DATA.schema)


def one_fold(dataset, **options):
    model = tiny.classifier()
    return cross_validate(
        model, dataset, folds=3, seeds=1, turns=1, n_boot=0, progress=False, **options
    )


def other_index():
    """The target goes to its row by position, whatever its index says."""
    backwards = DATA.target.set_axis(np.arange(len(DATA.target))[::-1])
    odd, plain = (
        one_fold(dataset).runs["model", 0].judged for dataset in (data(target=backwards), DATA)
    )
    assert (odd.y == plain.y).all()
    return odd.prediction["mixed"], plain.prediction["mixed"]


STORES = ({"store": "lost"}, {})


def store_without_study():
    one_fold(DATA, store="lost")
    Path("lost/study.json").unlink()
    other = data(target=1 - DATA.target)
    odd, plain = (one_fold(other, **where).runs["model", 0].judged for where in STORES)
    return odd.prediction["mixed"], plain.prediction["mixed"]


def attribute_called(name):
    frame = DATA.frame.rename(columns={"group1": name})
    schema = Schema.infer(frame, cluster="cluster", sensitive=name, task="classification")
    return validate(never(sensitive=[name]), Dataset(frame, DATA.target, schema))


NOWHERE = "sqlite:////nope/x.db"
PROGRAMS = {
    **{
        f"cross_validate {options}": validate(**options)
        for options in (
            *({"folds": folds} for folds in (1, 2, 0, -1, 1000, 2.5, None)),
            *({"seeds": seeds} for seeds in (0, -1, "x", [], [-1], 1.5, [1.5], [0, 0], None)),
            *({"seen": seen} for seen in (0, 99, -1, "x", 1.5)),
            *({"turns": turns} for turns in (0, -1, "x", 4)),
            *({"n_jobs": jobs} for jobs in (0, -1, "x")),
            {"engine": "x"},
            {"n_boot": -1},
            {"n_boot": 1.5},
            {"level": 2},
            {"path": "x"},
            {"store": 5},
            {"progress": "x"},
            {"address": 5},
            *({"groups": groups} for groups in ("x", "group1", [1, 2], 5)),
        )
    },
    "cross_validate estimators None": lambda: cross_validate(None, DATA),
    "cross_validate estimators {}": validate({}),
    "cross_validate estimators class": validate(NeverFits),
    "cross_validate estimators text": validate("x"),
    "cross_validate estimators {5: est}": validate({5: never()}),
    "cross_validate estimators names '' and '.' share a folder": validate(
        {"": never(), ".": never()}
    ),
    "cross_validate estimators name '..'": validate({"..": never()}),
    "cross_validate estimators name '../x' leaves the store": validate({"../x": never()}),
    "cross_validate estimators name of 300 letters": validate({"x" * 300: never()}),
    "cross_validate dataset frame": validate(dataset=DATA.frame),
    "cross_validate dataset None": validate(dataset=None),
    "cross_validate dataset target other index": other_index,
    "cross_validate dataset empty": validate(dataset=data(DATA.frame[:0], DATA.target[:0])),
    "cross_validate dataset with a short target": validate(dataset=data(target=DATA.target[1:])),
    "cross_validate dataset one class": validate(dataset=data(target=0 * DATA.target)),
    "cross_validate dataset attribute named a|b": attribute_called("a|b"),
    "cross_validate dataset attribute named #0": attribute_called("#0"),
    **{
        f"frontier {{'weights': {shown}}}": sweep(weights=weights)
        for shown, weights in (
            ("()", ()),
            ("(0.1,)", (0.1,)),
            ("(0, -1)", (0, -1)),
            ("(0, 0)", (0, 0)),
            ("(0, nan)", (0, np.nan)),
            ("'x'", "x"),
            ("(0, 'x')", (0, "x")),
            ("(0, {'nope': 1})", (0, {"nope": 1})),
        )
    },
    "frontier {'choosing_seeds': (9,)}": sweep(choosing_seeds=(9,)),
    "frontier {'path_epochs': 0}": sweep(path_epochs=0),
    "frontier {'path_epochs': 5}": sweep(path_epochs=5),
    "frontier {'seeds': 0}": sweep(seeds=0),
    "frontier dataset None": lambda: frontier(never(fairness="moment"), None),
    "frontier estimator None": lambda: frontier(None, DATA),
    "frontier estimator without penalty": sweep(never(fairness=None)),
    **{
        f"tune {options}": search(**options)
        for options in (
            *({"trials": trials} for trials in (0, 1.5, "x")),
            *({"folds": folds} for folds in (2, 999)),
            *({"turns": turns} for turns in (0, 99)),
            {"objective": "x"},
            *({"max_cost": cost} for cost in (-1, np.nan, "x")),
            {"space": {}},
            {"space": "x"},
            {"space": {"nope": Real(0, 1)}},
            {"space": {"hidden": 5}},
            {"space": {"learning_rate": (0, 1)}},
            {"baseline": 5},
            {"engine": "x"},
            *({"storage": storage} for storage in ("nope://x", NOWHERE, 5)),
            *({"random_state": seed} for seed in (-1, "x")),
            {"n_jobs": 0},
            {"seen": 99},
        )
    },
    # the name of the row is cut where the list cuts it
    "tune {'baseline': FairMixedEffectsRegressor(cluster='cluster', epochs=1, hidden=(8,),\n    ": (
        search(baseline=tiny.regressor())
    ),
    "tune dataset frame": search(dataset=DATA.frame),
    "space entry ('r', 0, 0)": lambda: Real(0, 0),
    "space entry ('r', 1, 0)": lambda: Real(1, 0),
    "space entry ('r', 'a', 'b')": lambda: Real("a", "b"),
    "space entry ('r', 0, inf)": lambda: Real(0, np.inf),
    "space entry ('w', 3, 3)": lambda: Whole(3, 3),
    "space entry ('w', 0.5, 3)": lambda: Whole(0.5, 3),
    "space entry ('c',)": lambda: Choice(),
    "space entry ('c', ())": lambda: Choice(()),
    "compare None": lambda: compare(None),
    "study.json lost, then other data": store_without_study,
    **{
        f"add_probes {options}": lambda options=options: add_probes(DATA, **options)
        for options in (
            {"number": 0},
            {"number": 1.5},
            {"strength": "x"},
            {"target_part": -1},
            {"random_state": "x"},
        )
    },
    "add_probes dataset frame": lambda: add_probes(DATA.frame),
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_study(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
