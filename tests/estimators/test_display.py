"""A fitted estimator shows what it is, in text and in a notebook; an unfitted one as ever."""

import copy
import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.utils import estimator_html_repr

import pyfairme as pf
from pyfairme.data.columns import MISSING
from pyfairme.estimators.posterior_table import PosteriorTable


def test_an_unfitted_estimator_shows_scikit_learns_diagram(classifier):
    estimator = classifier()
    html = estimator._repr_html_()
    assert 'class="pyfairme"' not in html  # there are no facts yet
    assert "sk-container" in html
    with pytest.raises(sklearn.exceptions.NotFittedError):
        estimator.summary()


def test_a_fitted_one_says_roles_rows_model_and_diagnostics(clf, binary):
    text = str(clf.summary())
    rows = len(binary.X) - round(0.1 * len(binary.X))
    assert f"{rows} trained on, {len(binary.X) - rows} held out" in text
    sizes = clf.summary().parts[1].items
    assert any(name == "cluster" and "4 clusters of" in said for name, said in sizes)
    assert "moment penalty of weight 0.3 for equalized odds" in text
    assert "mean field; it has no diagnostics" in text
    bundle = clf._repr_mimebundle_()
    assert bundle["text/plain"] == repr(clf)
    assert 'class="pyfairme"' in bundle["text/html"]
    assert estimator_html_repr(clone(clf))[:20] in bundle["text/html"]
    with sklearn.config_context(display="text"):
        assert list(clf._repr_mimebundle_()) == ["text/plain"]


def test_the_sds_shown_are_those_of_the_table(rich):
    grid = rich.summary().parts[-1]
    table = rich.variance_components_
    assert [row[-2].value for row in grid.rows] == table["mean"].tolist()
    assert [tuple(row[-1]) for row in grid.rows] == list(
        zip(table["low"], table["high"], strict=True)
    )


@pytest.mark.long
def test_what_was_dropped_filled_and_warned_of_is_said(binary, classifier):
    X = binary.X.assign(always=1, note=np.where(np.arange(len(binary.X)) % 7, "<b>a</b>", None))
    X.loc[X.index[:5], "x1"] = np.nan
    with pytest.warns(UserWarning, match="constant-column"):
        found = classifier().fit(X, binary.y)
    said = dict(found.summary().parts[1].items)
    assert said["left out"] == "constant in training: always"
    gaps = int(X.iloc[:]["note"].isna().sum())
    assert said["missing"].startswith("median and a marker: x1 ")
    assert "a level of their own: note " in said["missing"]
    counted = dict(found._record.gaps)
    assert 0 < counted["note"] <= gaps
    assert MISSING in next(t.levels for t in found.design_.terms if t.column == "note")
    warnings = found.summary().parts[0].items
    assert warnings[0].subject == "constant-column"
    found.set_params(hidden=(4,))
    assert "changed-after-fit" in found._repr_html_()


def test_the_record_is_saved_but_not_in_private_files(clf, tmp_path):
    clf.save(tmp_path / "m.pyfairme")
    assert str(pf.load(tmp_path / "m.pyfairme").summary()) == str(clf.summary())
    clf.save(tmp_path / "p.pyfairme", private=True)
    private = str(pf.load(tmp_path / "p.pyfairme").summary())
    assert "the file does not say" in private
    assert "clusters of" not in private


def test_a_regressor_shows_its_likelihood_and_slopes(reg):
    text = str(reg.summary())
    assert "a number; likelihood normal" in text
    assert "cluster: intercept and slopes on x1" in text


def test_tables_of_the_posterior_show_their_numbers(rich, tmp_path):
    effects = rich.cluster_effects_
    facts = effects.summary()
    assert "In log-odds." in facts.lead
    said, *grids = facts.parts
    shown = sorted(row[-2].value for grid in grids for row in grid.rows)
    assert shown == sorted(effects["mean"])  # four clusters: all are shown
    clear = [int(item.text.split(" of ")[0]) for item in said.items]
    assert sum(clear) == ((effects["low"] > 0) | (effects["high"] < 0)).sum()
    assert type(effects.query("term == 'Intercept'")) is pd.DataFrame
    assert pickle.loads(pickle.dumps(effects)).unit == "log-odds"
    icc = rich.icc(level=0.8)
    assert "80 % interval" in icc.summary().parts[-1].columns
    for table in (effects, rich.variance_components_, icc, rich.diagnostics_):
        assert 'class="pyfairme"' in table._repr_html_()
        assert str(table) == str(table.frame)


def test_of_many_clusters_the_extremes_are_shown():
    mean = np.arange(100.0) - 50
    lines = pd.DataFrame({"factor": "town", "cluster": [f"t{i}" for i in range(100)],
                          "term": "Intercept", "mean": mean, "sd": 1.0, "low": mean - 2,
                          "high": mean + 2})  # fmt: skip
    said, grid = PosteriorTable.of(lines, "cluster effects").summary().parts
    assert said.items[0].text.startswith("95 of 100 clusters differ clearly")
    assert [row[0] for row in grid.rows[:2]] == ["t99", "t98"]
    assert (len(grid.rows), grid.rows[-1][0]) == (24, "t0")
    slopes = [lines.assign(term=f"x{i}", low=lines["low"] * (i == 7)) for i in range(8)]
    whole, *grids = PosteriorTable.of(pd.concat(slopes), "cluster effects").summary().parts
    assert whole.rows[0][0] == "town, x7"  # where most clusters differ clearly
    assert (len(whole.rows), len(grids)) == (8, 1)


def test_diagnostics_say_what_misses_its_limit():
    lines = pd.DataFrame(
        {"parameter": ["sd", "sd", "sd"], "cluster": "", "member": 0, "value": [1.2, 90.0, 500.0],
         "measure": ["r_hat", "ess_bulk", "ess_bulk"], "limit": [1.01, 400.0, 400.0],
         "ok": [False, False, True]}
    )  # fmt: skip
    said, grid = PosteriorTable.of(lines, "diagnostics").summary().parts
    assert said.items[0].text == "2 of 3 measures miss their limit."
    assert [(row[0], row[3].value, row[5].value) for row in grid.rows] == [
        ("r hat", 1.2, 1), ("ess bulk", 90.0, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("k", "share", "said"),
    [
        (4.13, 0.89, "4.13 (at most .700: missed, made up for by the share of effective proposals"),
        (0.1, 0.2, "at least .250: missed, made up for by Pareto's k)"),
        (-np.inf, 1.0, "Pareto's k exact (at most .700: good)"),
        (4.13, 0.2, "4.13 (at most .700: NOT GOOD); share of effective proposals .200 (at least "),
        (0.1, 0.9, "k .100 (at most .700: good); share of effective proposals .900 (at least "),
    ],
)
def test_of_two_measures_of_proposals_one_may_miss_its_limit(clf, k, share, said):
    """Together they are `psis.trusted`: a k of 4.13 beside "good" said the opposite of itself."""
    model = copy.copy(clf)
    quality = {"pareto_k": np.array([k]), "relative_ess": np.array([share])}
    model.fit_ = dataclasses.replace(clf.fit_, quality=quality)
    assert said in dict(model.summary().parts[2].items)["guide"]
    together = "judged together" in str(model.diagnostics_.summary())
    assert together == ("made up for" in said)
