"""Tables of other countries and codes from fit to report: what was read stays what it was."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.cli.plain_numbers import PlainNumbers
from pyfairme.cli.roles import Roles
from pyfairme.cli.text_cells import Cells, Numbers
from pyfairme.estimators import saved_state

QUICK = ("--variant", "nnet", "--epochs", "1", "--min-steps", "5", "--hidden", "none",
         "--fairness", "none", "--unseen", "population", "--hold-out", "0")  # fmt: skip
ROLES = ("--target", "repaid", "--cluster", "branch", "--sensitive", "sex")


def make(rows=120):
    """Branches 01 and 1, a sex that is sometimes None and sometimes NA, amounts with decimals."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "branch": np.array(["01", "1", "7"])[np.arange(rows) % 3],
            "sex": np.array(["f", "None", "NA", "1"])[np.arange(rows) % 4],
            "income": rng.normal(1500, 300, rows).round(2),
            "kind": np.array(["None", "car"])[np.arange(rows) // 2 % 2],
            "age": rng.integers(20, 70, rows),
            "repaid": rng.integers(0, 2, rows),
        }
    )


@pytest.fixture(scope="module")
def german(call, tmp_path_factory):
    """A fit of a table with semicolons, decimal commas and Windows' letters."""
    folder = tmp_path_factory.mktemp("german")
    frame = make().rename(columns={"age": "Größe"})
    text = frame.to_csv(index=False, sep=";", decimal=",")
    (folder / "t.csv").write_bytes(text.encode("cp1252"))
    own = ("--missing", "NA", "--out", folder / "m", "--held-out-rows", folder / "kept.csv")
    result = call("fit", folder / "t.csv", *ROLES, *own, *QUICK)
    assert result.exit_code == 0, result.output
    return folder, frame, " ".join(result.output.split())


def test_the_fit_says_how_the_table_was_read(german):
    said = german[2]
    assert "t.csv: read as Windows-1252 (such as 'Größe'; --encoding names another), " in said
    assert "separated by ';', with decimal commas. [read-as]" in said
    assert "'None' in 'sex', 'kind', read as a name." in said
    assert "read as numbers: repaid, income, Größe; text: branch, sex, kind" in said
    assert "--out report --decimal ." in said  # the rows that are kept are plain CSV


def test_the_model_has_the_texts_of_the_table(german):
    folder, frame, _ = german
    design = pf.load(folder / "m").design_
    assert sorted(design.clusters["branch"]) == ["01", "1", "7"]
    assert set(design.attributes[0].levels) == {"f", "None", "1", "(missing)"}
    assert design.terms[0].column == "income"
    assert {design.terms[0].low, design.terms[0].high} <= set(frame["income"])


def test_later_tables_are_read_alike(german, call):
    """Gaps are spelled as in training, and a lone 1,234 has the decimal comma of training."""
    folder, frame, _ = german
    later = frame.iloc[:3].assign(income=[1.234, 5.678, 2.345], branch=["01", "1", "01"])
    later.loc[:, "sex"] = "NA"
    outs = []
    for name, decimal, separator in (("comma.csv", ",", ";"), ("point.tsv", ".", "\t")):
        text = later.astype({"income": str}).to_csv(index=False, sep=separator)
        (folder / name).write_bytes(text.replace(".", decimal).encode())
        given = ("--decimal", decimal) if decimal == "." else ()
        out = folder / f"{name}.csv"
        result = call(
            "predict", folder / "m", folder / name, "--keep", "branch", "--out", out, *given
        )
        assert result.exit_code == 0, result.output
        assert "unseen clusters" not in result.output
        assert "levels unknown" not in result.output
        outs.append(pd.read_csv(out, dtype={"branch": str}))
    assert outs[0]["branch"].tolist() == ["01", "1", "01"]
    assert outs[0]["cluster_seen"].all()
    pd.testing.assert_frame_equal(*outs)
    model = pf.load(folder / "m")
    right = model.predict_proba(later.assign(sex=None))[:, 1]
    np.testing.assert_allclose(outs[0]["probability"], right, rtol=1e-6)
    text = "branch;sex;income;kind;Größe;repaid\n01;f;1.234;car;30;1\n"
    (folder / "doubt.csv").write_text(text, encoding="utf-8")
    result = call("predict", folder / "m", folder / "doubt.csv")
    assert "say --decimal . or --decimal , [decimal-mark]" in " ".join(result.stderr.split())


def test_a_model_of_a_plain_table_remembers_nothing(german):
    folder = german[0]
    model = pf.load(folder / "m")
    assert saved_state.to_state(model)["reading"] == {"missing": ["NA"], "decimal": ","}
    model._reading = {}
    assert "reading" not in saved_state.to_state(model)


def test_the_report_reads_the_target_as_the_fit_did(call, tmp_path):
    """Classes 01 and 02 are text, also where a later table has other digits beside them."""
    frame = make().assign(repaid=lambda f: np.where(f["repaid"], "1", "01"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame[frame["repaid"] == "1"].to_csv(tmp_path / "ones.csv", index=False)
    assert call("fit", tmp_path / "t.csv", *ROLES, *QUICK, "--out", tmp_path / "m").exit_code == 0
    result = call("predict", tmp_path / "m", tmp_path / "ones.csv", "--out", tmp_path / "p.csv")
    assert result.exit_code == 0, result.output
    found = pd.read_csv(tmp_path / "p.csv", dtype=str)["prediction"]
    assert set(found) <= {"01", "1"}
    assert pf.load(tmp_path / "m").classes_.tolist() == ["01", "1"]


def test_texts_that_are_labels_of_numbers_are_levels_of_numbers():
    """A model of the command line takes the integers that pandas reads from the same file."""
    roles = Roles("y", (), ("s", "t"), (), ("c", "d"))
    frame = pd.DataFrame(
        {"y": [0, 1, 0], "s": ["1", "2", None], "t": ["1", "02", "3"], "c": ["7", "2.5", "-1"],
         "d": ["nan", "inf", "1"]}
    )  # fmt: skip
    found = roles.covariates(frame)
    assert found["s"].cat.categories.tolist() == [1, 2]
    assert found["t"].tolist() == ["1", "02", "3"]
    assert found["c"].cat.categories.tolist() == [-1, 2.5, 7]
    assert found["d"].tolist() == ["nan", "inf", "1"]


def test_tune_takes_nested_clusters_and_says_what_is_absent(refused, table, tmp_path):
    command = ("tune", table, "--target", "repaid", "--out", tmp_path, "--cluster")
    text = refused(*command, "region/brunch")
    assert "--cluster: there is no column 'brunch'. Did you mean 'branch'?" in text


@pytest.mark.parametrize("command", ["fit", "predict", "report", "tune"])
def test_every_command_with_a_table_has_the_options(call, command):
    said = call(command, "--help").output
    assert all(f"--{name} " in said for name in ("encoding", "separator", "decimal", "missing"))


PIECES = ["1", "-2", "+3", "0.5", ".5", "7.", "1e5", "1.5E-3", " 4 ", "", "  ", "1.234", "-0"]
ODD = ["01", "1,5", "NA", "1 234", "x", "inf", "1_0", "9007199254740993", "True", "1.2.3", "\u0664"]


def test_columns_read_at_once_are_read_as_cell_by_cell():
    """A column of plain numbers is read by Arrow, and no other is; values agree to the last bit."""
    rng = np.random.default_rng(0)
    at_once = 0
    for turn in range(200):
        pieces = list(rng.choice(PIECES, rng.integers(1, 6)))
        pieces += [str(v) for v in rng.normal(size=20)] if turn % 2 else []
        pieces += [rng.choice(ODD)] if turn % 4 == 0 else []
        column = pd.Series(rng.permutation(pieces * 3), name="x", dtype=str)
        missing = frozenset(["-2"] if turn % 3 == 0 else [])
        cells, found = Cells.of(column, missing), PlainNumbers.of(column, missing)
        if found is None:
            continue
        at_once += 1
        assert not set(pieces) & set(ODD)
        shape = Numbers.of(cells.values)
        assert (found.shape.fits, found.shape.loses) == (shape.fits, shape.loses)
        assert bool(found.shape.only["."]) == bool(shape.only["."])
        pd.testing.assert_series_equal(found.column, cells.as_numbers("."), check_exact=True)
    assert at_once > 100
