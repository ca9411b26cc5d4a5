"""``pyfairme fit``: roles, errors, what it prints and saves."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import pyfairme as pf
from tests.cli.loan_arguments import FITTED, QUICK, ROLES


@pytest.fixture
def as_csv(tmp_path):
    def write(frame, name="table.csv"):
        path = tmp_path / name
        frame.to_csv(path, index=False)
        return path

    return write


def test_the_model_has_the_roles_that_were_asked_for(model):
    loaded = pf.load(model)
    assert isinstance(loaded, pf.FairMixedEffectsClassifier)
    schema = loaded.design_.schema
    assert schema.cluster == ("branch",)
    assert schema.sensitive == ("sex", pf.Binned("age", (30, 45), name="bracket"))
    assert schema.numeric == ("age", "income")
    assert schema.categorical == ("sex", "region")
    assert loaded.get_params()["random_state"] == 0


def test_it_says_what_was_read(fitted, loans):
    output = fitted[0]
    assert "loans.csv: 300 rows, 8 columns" in output
    yes = int((loans["repaid"] == "yes").sum())
    assert f"repaid (classes): no {300 - yes}" in output
    assert "the positive class is yes" in " ".join(output.split())
    sizes = loans["branch"].value_counts()
    assert f"branch: 5 clusters of {sizes.min()} to {sizes.max()} rows" in output
    assert f"sensitive    sex: f {(loans['sex'] == 'f').sum()}" in output
    assert f"bracket: <=30 {(loans['age'] <= 30).sum()}" in output
    assert "categorical  sex (2 levels), region (3 levels)" in output
    assert "dropped      loan, visits" in output


def test_it_judges_the_rows_it_held_out_and_writes_them(fitted, loans):
    output, model, held = fitted
    rows = pd.read_csv(held)
    assert list(rows.columns) == list(loans.columns)
    assert len(rows) == 60
    assert rows["loan"].isin(loans["loan"]).all()
    assert "Training on 240 rows, 60 are held out." in output
    assert "SEEN CLUSTERS, mixed effects: 60 rows" in output
    report = pf.load(model).fairness_report(rows, rows["repaid"], n_boot=0)
    line = report.query("effects == 'mixed' and metric == 'auroc'")["value"].item()
    assert f"AUROC {line:.3f}".replace("0.", ".") in output


def test_lines_fit_a_terminal_and_the_next_commands_are_there(fitted):
    output, model, held = fitted
    text, _, commands = output.partition("\nThe model is in")
    assert max(map(len, text.splitlines())) <= 80
    assert f"pyfairme predict {model} NEW_ROWS.csv --out predictions.csv" in commands
    assert f"pyfairme report {model} {held} --target repaid --out report" in commands
    assert "Adversaries' skill" in text
    assert "SD between clusters (90 % interval): branch intercept" in " ".join(text.split())


@pytest.mark.long
def test_what_is_given_goes_before_the_variant(call, table, tmp_path):
    out = tmp_path / "new" / "m.pyfairme"
    result = call(
        "fit", table, *ROLES, "--variant", "medl_adb", "--random-slopes", "income",
        "--fairness", "moment", "--fairness-weight", "0.7", "--threshold", "balanced_accuracy",
        "--drop", "loan", "--hold-out", "0", "--out", out, "--seed", "4", *QUICK,
        "--positive", "no",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "held-out rows:" not in result.output
    assert "the positive class is no" in " ".join(result.output.split())
    assert pf.load(out).classes_.tolist() == ["yes", "no"]
    parameters = pf.load(out).get_params()
    assert parameters["random_slopes"] == ("income",)
    assert parameters["fairness"] == ("moment",)
    assert parameters["fairness_weight"] == 0.7
    assert parameters["threshold"] == "balanced_accuracy"
    assert parameters["cluster_weight"] == pf.VARIANTS["medl_adb"]["cluster_weight"]
    assert parameters["hidden"] == (8,)
    assert parameters["random_state"] == 4


@pytest.mark.long
def test_a_number_without_brackets_is_a_sensitive_attribute(call, table, tmp_path):
    out = tmp_path / "m.pyfairme"
    result = call(
        "fit", table, "--target", "repaid", "--sensitive", "years=age:continuous", "--drop", "loan",
        "--out", out, *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    model = pf.load(out)
    assert model.sensitive == (pf.Continuous("age", name="years"),)
    assert len(model.design_.attributes[0].levels) == 8
    judged = call("report", out, table, "--target", "repaid", "--out", tmp_path / "report")
    assert judged.exit_code == 0, judged.output
    assert "years" in judged.output


@pytest.mark.slow
def test_amounts_make_a_regression(call, table, tmp_path):
    out = tmp_path / "m.pyfairme"
    result = call(
        "fit", table, "--target", "income", "--cluster", "branch", "--sensitive", "sex",
        "--drop", "loan", "--out", out, *QUICK,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert isinstance(pf.load(out), pf.FairMixedEffectsRegressor)
    assert "income (amounts): mean" in result.output
    assert "MSE SD" in result.output


@pytest.mark.long
def test_a_likelihood_is_passed_on(call, table, tmp_path, refused):
    roles = ("--target", "visits", "--drop", "loan", "--out", tmp_path / "m.pyfairme")
    result = call("fit", table, *roles, "--likelihood", "normal", *QUICK)
    assert result.exit_code == 0, result.output
    assert pf.load(tmp_path / "m.pyfairme").likelihood == "normal"
    text = refused("fit", table, *roles, "--likelihood", "gamma", *QUICK)
    assert "Invalid value of likelihood: 'gamma'. Valid values are ['normal'" in text
    text = refused("fit", table, *ROLES, "--likelihood", "normal")
    assert "--likelihood normal is for regression, and the target 'repaid' has classes" in text


@pytest.mark.long
def test_without_roles_it_says_what_is_missing(call, table, tmp_path):
    result = call(
        "fit", table, "--target", "repaid", "--out", tmp_path / "m", "--hold-out", "0", *QUICK
    )
    output = " ".join(result.output.split())
    assert result.exit_code == 0, result.output
    assert "without --cluster there are no random effects" in output
    assert "without --sensitive nothing is made fair" in output
    assert "'loan' differs in every row: if it only numbers them, use --drop 'loan'" in output


def test_missing_targets_are_counted_and_can_be_left_out(call, refused, loans, as_csv, tmp_path):
    frame = loans.assign(repaid=(loans["repaid"] == "yes").astype(float))
    path = as_csv(pd.concat([frame[:7].assign(repaid=np.nan), frame]))
    text = refused("fit", path, *FITTED)
    assert "the target 'repaid' is missing in 7 of 307 rows" in text
    assert "--drop-missing-target" in text
    out = tmp_path / "m.pyfairme"
    result = call("fit", path, *FITTED, "--drop-missing-target", "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    assert "307 rows, 8 columns; 7 rows without a target are left out" in result.output
    assert pf.load(out).classes_.tolist() == [0, 1]
    assert pf.load(out).classes_.dtype.kind == "i"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--target", "repayed"), "--target: there is no column 'repayed'. Did you mean 'repaid'?"),
        (("--target", "repaid", "--cluster", "Branch"), "--cluster: there is no column 'Branch'. "
         "Did you mean 'branch'?"),
        (("--target", "repaid", "--sensitive", "gender"), "--sensitive: there is no column"),
        (("--target", "repaid", "--drop", "loans"), "--drop: there is no column 'loans'. Did you "
         "mean 'loan'?"),
        (("--target", "repaid", "--cluster", "repaid"), "column 'repaid' is given as --target and "
         "as --cluster"),
        (("--target", "repaid", "--cluster", "branch", "--drop", "branch"), "column 'branch' is "
         "given as --drop and as something that is used"),
        (("--target", "repaid", "--cluster", "sex", "--sensitive", "sex"), "column 'sex' is given "
         "as --cluster and as --sensitive"),
        (("--target", "repaid", "--sensitive", "sex:30"), "brackets need numbers, and column 'sex' "
         "is text"),
        (("--target", "repaid", "--sensitive", "age"), "distinct numbers would be a group (at most "
         "20 are taken): give brackets, --sensitive age:30,45."),
        (("--target", "repaid", "--sensitive", "age:30,old"), "expected increasing numbers after "
         "the colon"),
        (("--target", "repaid", "--sensitive", "age:45,30"), "strictly increasing order"),
        (("--target", "repaid", "--sensitive", "sex*age:continuous"), "An intersection takes "
         "columns and Binned"),
        (("--target", "repaid", "--variant", "medl_abd"), "Did you mean 'medl_adb'?"),
        (("--target", "repaid", "--variant", "medl"), "'medl' needs a grouping factor: give "
         "--cluster"),
        (("--target", "repaid", "--random-slopes", "all"), "--random-slopes needs a grouping"),
        (("--target", "repaid", "--hidden", "wide"), "--hidden expected widths such as 64,32"),
        (("--target", "repaid", "--hold-out", "1"), "--hold-out is a share from 0 to below 1"),
        (("--target", "repaid", "--task", "guess"), "--task is auto, classification or regression"),
        (("--target", "repaid", "--task", "regression"), "needs numbers, and the target 'repaid'"),
        (("--target", "loan", "--task", "classification"), "has 300 distinct values, too many for "
         "classes (at most 50): use --task regression"),
        (("--target", "income", "--threshold", "0.4"), "--threshold is for classification"),
        (("--target", "repaid", "--offset", "exposure"), "--offset: there is no column 'exposure'"),
        (("--target", "repaid", "--criterion", "odds"), "Invalid value of criterion: 'odds'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(refused, table, tmp_path, arguments, text):
    assert text in refused("fit", table, *arguments, "--out", tmp_path / "m.pyfairme")
    assert not (tmp_path / "m.pyfairme").exists()


def test_a_constant_target_has_nothing_to_learn(refused, loans, as_csv):
    text = refused("fit", as_csv(loans.assign(repaid="yes")), *ROLES)
    assert "the target 'repaid' has one value only, yes: nothing to learn" in text


def test_a_number_that_was_mistyped_is_named(refused, loans, as_csv):
    income = loans["income"].astype(str)
    income[7] = "12,5"
    text = refused("fit", as_csv(loans.assign(income=income)), "--target", "income")
    assert "correct values such as '12,5'" in text


def test_an_identifier_as_text_is_refused(refused, loans, as_csv):
    path = as_csv(loans.assign(loan=[f"L{i}" for i in range(300)]))
    assert "it looks like an identifier; drop it" in refused("fit", path, *ROLES)


def test_outputs_are_checked_before_the_work(refused, call, table, tmp_path):
    assert "is a file that is read" in refused("fit", table, *ROLES, "--out", table)
    assert "is a folder: give the name" in refused("fit", table, *ROLES, "--out", tmp_path)
    text = refused("fit", table, *ROLES, "--held-out-rows", tmp_path / "rows.xlsx")
    assert "'rows.xlsx' has the suffix '.xlsx'" in text
    (tmp_path / "taken").write_text("")
    result = call("fit", table, *ROLES, "--out", tmp_path / "taken" / "m.pyfairme")
    assert result.exit_code == 2
    assert "cannot write to" in result.output


@pytest.mark.parametrize("width", ["80", "120"])
@pytest.mark.parametrize("command", ["fit", "predict", "report"])
def test_help_shows_examples_and_keeps_the_width(call, command, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"Examples:\n    pyfairme {command} " in result.output
    assert max(map(len, result.output.splitlines())) <= int(width)
    assert "noqa" not in result.output
    assert "\b" not in result.output


@pytest.mark.long
def test_a_column_of_weights_counts_rows_and_is_no_covariate(
    call, refused, loans, as_csv, tmp_path
):
    counted = loans.assign(people=np.where(loans["sex"] == "f", 4.0, 1.0))
    table = as_csv(counted)
    out, kept = tmp_path / "weighted.pyfairme", tmp_path / "kept.csv"
    arguments = ("fit", table, *FITTED, *QUICK, "--weight", "people")
    result = call(*arguments, "--out", out, "--held-out-rows", kept)
    assert result.exit_code == 0, result.output
    women = (loans["sex"] == "f").sum()
    four, one = 4.0 * women + (len(loans) - women), 16.0 * women + (len(loans) - women)
    assert f"people; scaled: the rows count as {four**2 / one:,.0f}" in result.output
    assert "--weight people" in result.output
    assert "people" not in pf.load(out).feature_names_in_
    population = as_csv(counted.assign(people=1000 * counted["people"]))
    again = tmp_path / "population.pyfairme"
    result = call("fit", population, *arguments[2:], "--out", again)
    assert result.exit_code == 0, result.output
    assert "heavy-rows" not in result.output
    assert_allclose(*(pf.load(path).predict_interval(loans)["low"] for path in (out, again)))
    folders = [tmp_path / "with", tmp_path / "without"]
    judge = ("report", out, kept, "--target", "repaid", "--n-boot", "0", "--out")
    assert call(*judge, folders[0], "--weight", "people").exit_code == 0
    assert call(*judge, folders[1]).exit_code == 0
    values = [pd.read_csv(f / "fairness_report.csv").query("metric == 'auroc'") for f in folders]
    assert (values[0]["value"].to_numpy() != values[1]["value"].to_numpy()).all()
    text = refused("fit", table, *ROLES, "--weight", "sex", "--out", out)
    assert "given as --weight" in text
    negative = as_csv(counted.assign(people=-1.0))
    assert "[weight-not-finite]" in refused(*arguments[:1], negative, *arguments[2:], "--out", out)


@pytest.mark.long
def test_rows_that_belong_together_are_held_out_together(call, refused, as_csv, loans, tmp_path):
    people = np.random.default_rng(0).integers(0, 60, len(loans))
    table = as_csv(loans.assign(person=people))
    held = tmp_path / "held.csv"
    options = ("--out", tmp_path / "m.pyfairme", *QUICK)
    result = call(
        "fit", table, *FITTED, "--hold-out-groups", "person", "--held-out-rows", held, *options
    )
    assert result.exit_code == 0, result.output
    assert "dropped      loan, visits, person" in result.output
    rows = pd.read_csv(held)
    assert 50 <= len(rows) <= 60
    assert len(rows) == np.isin(people, rows["person"]).sum()
    model = pf.load(tmp_path / "m.pyfairme")
    assert "person" in model.drop
    assert model._record.groups == 60 - rows["person"].nunique()  # the fit knows them too
    assert 0 < model._record.groups_held_out < 10
    text = refused("fit", table, *FITTED, "--hold-out-groups", "persn", *options)
    assert "Did you mean 'person'?" in text
    text = refused("fit", table, *FITTED, "--hold-out-groups", "sex", *options)
    assert "each of its 2 values has more rows than the share of 0.2" in text
    few = as_csv(loans.assign(person=people // 10))
    share = ("--hold-out-groups", "person", "--hold-out", "0.3")
    result = call("fit", few, *FITTED, *share, "--validation-fraction", "0.1", *options)
    assert result.exit_code == 0, result.output
    assert "[few-groups-held-out]" in result.output


@pytest.mark.long
def test_a_rare_class_is_said_where_a_threshold_of_a_half_is_idle(call, as_csv, loans, tmp_path):
    rare = loans.assign(repaid=np.where(np.arange(len(loans)) % 12, "no", "yes"))
    out = ("--out", tmp_path / "m.pyfairme", *QUICK)
    said = " ".join(call("fit", as_csv(rare), *FITTED, *out).output.split())
    assert "only 8.3% of the rows are of the rarer class" in said
    assert "--threshold balanced_accuracy chooses the threshold on validation rows." in said
