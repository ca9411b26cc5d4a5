"""``pyfairme predict``: a model and a table to predictions."""

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from tests import mutants


@pytest.fixture
def out(tmp_path):
    return tmp_path / "made" / "predictions.csv"


def test_predictions_are_the_estimators_own(call, model, later, out):
    result = call("predict", model, later, "--out", out, "--keep", "loan", "--level", "0.8")
    assert result.exit_code == 0, result.output
    found, rows, loaded = pd.read_csv(out), pd.read_csv(later), pf.load(model)
    assert list(found.columns) == [
        "row", "loan", "prediction", "probability", "low", "high", "cluster_seen"
    ]  # fmt: skip
    assert found["row"].tolist() == list(range(1, 91))
    assert found["loan"].tolist() == rows["loan"].tolist()
    assert found["prediction"].tolist() == loaded.predict(rows).tolist()
    np.testing.assert_allclose(found["probability"], loaded.predict_proba(rows)[:, 1])
    interval = loaded.predict_interval(rows, level=0.8)
    np.testing.assert_allclose(found[["low", "high"]], interval[["low", "high"]])


def test_new_clusters_are_counted_and_named(call, model, later, out):
    result = call("predict", model, later, "--out", out)
    found = pd.read_csv(out)
    assert (~found["cluster_seen"]).tolist() == (pd.read_csv(later)["branch"] == "b9").tolist()
    output = " ".join(result.output.split())
    assert "Note. 30 rows are of unseen clusters (branch: b9): their effects are guessed" in output
    assert "probability: of the class yes" in output


def test_policies_for_new_clusters(call, refused, model, later, out):
    result = call("predict", model, later, "--out", out, "--unseen", "population")
    assert "they are treated as average clusters" in " ".join(result.output.split())
    found = pd.read_csv(out)
    new = found.loc[~found["cluster_seen"]]
    call("predict", model, later, "--out", out, "--unseen", "sample")
    drawn = pd.read_csv(out).loc[new.index]
    widths = [(rows["high"] - rows["low"]).mean() for rows in (new, drawn)]
    assert widths[0] < widths[1]  # of the network alone, and of the cluster besides
    text = refused("predict", model, later, "--out", out, "--unseen", "raise")
    assert "clusters that were not in the training rows, 1 in all: 'b9'" in text
    text = refused("predict", model, later, "--out", out, "--unseen", "guess")
    assert "Invalid value of unseen: 'guess'. Valid values are" in text


def test_the_target_may_be_absent_and_numbers_of_text_columns_are_text(call, model, later, out):
    whole = pd.read_csv(later)
    call("predict", model, later, "--out", out)
    expected = pd.read_csv(out)
    bare = whole[["income", "sex", "branch", "age", "region"]].astype({"region": float})
    path = out.parent / "bare.parquet"
    bare.to_parquet(path)
    result = call("predict", model, path, "--out", out.with_suffix(".parquet"))
    assert result.exit_code == 0, result.output
    pd.testing.assert_frame_equal(
        pd.read_parquet(out.with_suffix(".parquet")), expected, check_dtype=False
    )


def test_all_absent_columns_are_named(refused, model, later, out, tmp_path):
    path = tmp_path / "renamed.csv"
    pd.read_csv(later).rename(columns={"income": "incomes", "sex": "q"}).to_csv(path, index=False)
    text = refused("predict", model, path, "--out", out)
    assert "renamed.csv lacks columns that the model was fitted on: " in text
    assert "'income' (is it 'incomes'?)" in text
    assert "'sex'" in text


def test_kinds_and_effects(call, refused, model, later, out):
    result = call("predict", model, later, "--out", out, "--kind", "observation")
    assert result.exit_code == 0, result.output
    assert set(np.unique(pd.read_csv(out)[["low", "high"]])) <= {0, 1}
    result = call("predict", model, later, "--out", out, "--effects", "fixed")
    assert "fixed effects do not use the cluster" in " ".join(result.output.split())
    assert "Invalid value of effects" in refused("predict", model, later, "--effects", "all")
    text = refused("predict", model, later, "--level", "90", "--out", out)
    assert "level must lie between 0 and 1, got 90.0" in text


def test_names_that_are_taken(refused, model, later, out):
    assert "--keep: there is no column 'loans'" in refused(
        "predict", model, later, "--keep", "loans", "--out", out
    )
    path = out.parent  # made by the first command
    frame = pd.read_csv(later).rename(columns={"loan": "row"})
    frame.to_csv(path / "rows.csv", index=False)
    text = refused("predict", model, path / "rows.csv", "--keep", "row", "--out", out)
    assert "--keep row: a column of the predictions has this name" in text
    assert "is a file that is read" in refused("predict", model, later, "--out", later)


def test_files_that_are_no_model(refused, model, later, tmp_path):
    assert "there is no file" in refused("predict", tmp_path / "none", later)
    assert "which is no zip archive: check the path" in refused("predict", later, model)
    damaged = tmp_path / "damaged.pyfairme"
    damaged.write_bytes(model.read_bytes()[:-200])
    assert "is truncated or altered" in refused("predict", damaged, later)


def test_a_model_of_a_newer_format_says_to_upgrade(refused, model, later, tmp_path):
    newer = tmp_path / "newer.pyfairme"
    config, tensors = mutants.parts(model)
    newer.write_bytes(mutants.sealed({**config, "format_version": 99}, tensors))
    text = refused("predict", newer, later)
    assert "got format 99" in text
    assert "upgrade pyfairme" in text


@pytest.mark.slow
def test_a_regression_has_no_probability(call, table, tmp_path):
    model, out = tmp_path / "m.pyfairme", tmp_path / "p.tsv"
    call(
        "fit", table, "--target", "income", "--cluster", "branch", "--drop", "loan", "--out", model,
        "--epochs", "1", "--min-steps", "5", "--hidden", "none", "--hold-out", "0",
    )  # fmt: skip
    result = call("predict", model, table, "--out", out)
    assert result.exit_code == 0, result.output
    found = pd.read_csv(out, sep="\t")
    assert list(found.columns) == ["row", "prediction", "low", "high", "cluster_seen"]
    assert (found["low"] <= found["high"]).all()
    assert f"mean {found['prediction'].mean():.4g}" in result.output


@pytest.mark.slow
def test_three_classes_have_a_probability_each(call, table, loans, tmp_path):
    path = tmp_path / "three.csv"
    grade = pd.cut(loans["income"], [-99, 26, 34, 99], labels=["low", "mid", "top"])
    loans.assign(grade=grade).drop(columns=["loan", "repaid"]).to_csv(path, index=False)
    model, out = tmp_path / "m.pyfairme", tmp_path / "p.csv"
    result = call(
        "fit", path, "--target", "grade", "--cluster", "branch", "--sensitive", "sex",
        "--out", model, "--epochs", "1", "--min-steps", "5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "class top against the rest" in result.output
    result = call("predict", model, path, "--out", out)
    assert result.exit_code == 0, result.output
    found = pd.read_csv(out)
    each = found[[f"probability_{name}" for name in ("low", "mid", "top")]]
    np.testing.assert_allclose(each.sum(axis=1), 1, rtol=1e-5)
    likeliest = each.idxmax(axis=1).str.removeprefix("probability_")
    assert found["prediction"].tolist() == likeliest.tolist()
    for name in ("low", "mid", "top"):
        assert (found[f"low_{name}"] <= found[f"high_{name}"]).all()
        inside = found[f"probability_{name}"].between(
            found[f"low_{name}"] - 0.02, found[f"high_{name}"] + 0.02
        )
        assert inside.mean() > 0.95
    folder = tmp_path / "report"
    result = call("report", model, path, "--target", "grade", "--out", folder, "--n-boot", "0")
    assert result.exit_code == 0, result.output
    assert {f"group_rates_seen_{name}.png" for name in ("low", "mid", "top")} <= {
        file.name for file in folder.iterdir()
    }


KEY = "a key of the bank's own"
FIT = ("--target", "repaid", "--cluster", "branch", "--drop", "loan", "--hidden", "none")


def test_a_key_in_the_environment_is_checked(
    call, refused, model, table, later, tmp_path, monkeypatch
):
    signed, out = tmp_path / "signed.pyfairme", tmp_path / "p.csv"
    pf.load(model).save(signed, key=KEY)
    monkeypatch.setenv("PYFAIRME_KEY", KEY)
    assert call("predict", signed, later, "--out", out).exit_code == 0
    assert "[not-signed]" in refused("predict", model, later)
    monkeypatch.setenv("PYFAIRME_KEY", "a key of somebody else")
    assert "[wrong-key]" in refused("predict", signed, later)
    monkeypatch.setenv("PYFAIRME_KEY", "")  # a job whose secret is missing checks nothing else
    assert "at least 16 bytes, got 0" in refused("predict", model, later)
    monkeypatch.setenv("PYFAIRME_KEY", "short")
    assert "at least 16 bytes, got 5" in refused("fit", table, *FIT, "--out", tmp_path / "never")


@pytest.mark.slow
def test_a_key_in_the_environment_signs(call, table, tmp_path, monkeypatch):
    monkeypatch.setenv("PYFAIRME_KEY", KEY)
    model = tmp_path / "signed.pyfairme"
    done = call(
        "fit", table, *FIT, "--out", model, "--min-steps", "5", "--epochs", "1", "--private"
    )
    assert done.exit_code == 0, done.output
    [factor] = pf.load(model, key=KEY).design_.factors
    assert all(name.startswith("#") for name in factor.levels)
    assert (factor.encode(pd.read_csv(table)) >= 0).all()
