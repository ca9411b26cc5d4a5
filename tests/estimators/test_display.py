"""A fitted estimator shows what it is, in text and in a notebook; an unfitted one as ever."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.utils import estimator_html_repr

import pyfairme as pf
from pyfairme.data.columns import MISSING


def test_an_unfitted_estimator_shows_scikit_learns_diagram(classifier):
    estimator = classifier()
    assert "pyfairme" not in estimator._repr_html_().replace("pyfairme.", "")
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
