"""``pyfairme demo``, run once, in its quick setting."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import pyfairme
from pyfairme.cli import app
from pyfairme.report.display.short_number import short_number

pytestmark = pytest.mark.long
VARIANTS = ("medl", "medl_adb")
TABLES = {
    "comparison.csv",
    *(f"fairness_report_{name}.csv" for name in VARIANTS),
    *(f"cluster_effects_{name}.csv" for name in VARIANTS),
}
PICTURES = {
    "group_rates_seen.png",
    "group_rates_unseen.png",
    *(f"{kind}_{name}.png" for kind in ("training", "cluster_effects") for name in VARIANTS),
}


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments), prog_name="pyfairme")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Output and folder of one quick demo."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    result = call("demo", "--quick", "--seed", "3", "--out", str(folder))
    assert result.exit_code == 0, result.output
    return result.output, folder


def test_it_writes_tables_pictures_and_configuration(quick):
    output, folder = quick
    written = {path.name for path in folder.iterdir()}
    assert written == TABLES | PICTURES | {"comparison.txt", "configuration.json", "card.html"}
    assert all(name in output for name in written)
    assert str(folder.resolve()) in output
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_printed_table_is_the_written_one(quick):
    output, folder = quick
    text = (folder / "comparison.txt").read_text(encoding="utf-8")
    assert text in output
    assert text.count("CLUSTERS") == 4
    assert max(map(len, text.splitlines())) <= 118


def test_the_comparison_is_complete(quick):
    table = pd.read_csv(quick[1] / "comparison.csv", keep_default_na=True)
    assert list(table.columns) == [
        "clusters", "effects", "attribute", "metric", "before", "before_low", "before_high",
        "after", "after_low", "after_high", "change_percent", "null", "null_low", "null_high",
        "n", "note",
    ]  # fmt: skip
    assert set(table["clusters"]) == {"seen", "unseen"}
    assert set(table["effects"]) == {"fixed", "random", "mixed"}
    attributes = {"sex", "race", "marital_status", "age_bracket"}
    assert set(table["attribute"]) == attributes | {"all"}
    wanted = {"tpr_sd", "fpr_sd", "demographic_parity", "counterfactual_gap", "auroc", "brier"}
    assert wanted <= set(table["metric"])
    assert not table.duplicated(["clusters", "effects", "attribute", "metric"]).any()


def test_the_comparison_is_that_of_the_full_reports(quick):
    folder = quick[1]
    table = pd.read_csv(folder / "comparison.csv")
    keys = ["clusters", "effects", "attribute", "metric"]
    for column, name in zip(("before", "after"), VARIANTS, strict=True):
        report = pd.read_csv(folder / f"fairness_report_{name}.csv")
        whole = report[report["group"] == "all"].set_index(keys)["value"]
        pd.testing.assert_series_equal(table.set_index(keys)[column], whole, check_names=False)


def test_every_unseen_row_is_judged_once_and_test_rows_are_pooled(quick):
    folder = quick[1]
    table = pd.read_csv(folder / "comparison.csv")
    rows = table[table["metric"] == "auroc"].groupby("clusters")["n"].unique()
    configuration = json.loads((folder / "configuration.json").read_text(encoding="utf-8"))
    protocol = configuration["protocol"]
    unseen = int(rows["unseen"][0])
    seen = configuration["rows"] - unseen
    share = protocol["rotations"] / protocol["folds"]
    assert int(rows["seen"][0]) == pytest.approx(seen * share, abs=protocol["rotations"])
    judged = [fit["rows_judged"] for fit in configuration["fits"] if fit["variant"] == "medl"]
    assert sum(judged) == int(rows["seen"][0]) + unseen


def test_brackets_come_in_their_order(quick):
    report = pd.read_csv(quick[1] / "fairness_report_medl.csv")
    groups = report[(report["attribute"] == "age_bracket") & (report["metric"] == "tpr")]["group"]
    assert list(dict.fromkeys(groups)) == ["<=30", "(30, 45]", ">45"]


def test_the_configuration_says_what_was_run(quick):
    found = json.loads((quick[1] / "configuration.json").read_text(encoding="utf-8"))
    assert found["pyfairme"] == pyfairme.__version__
    assert found["protocol"]["seed"] == 3
    assert len(found["seen"]) == 6
    assert {"jax", "numpyro", "python"} <= set(found["versions"])
    fair, plain = found["variants"]["medl_adb"], found["variants"]["medl"]
    weight = pyfairme.VARIANTS["medl_adb"]["fairness_weight"]
    assert fair["lambdas"]["lambda_FE"] == fair["lambdas"]["lambda_ME"] == weight
    assert plain["lambdas"]["lambda_FE"] is None
    assert fair["lambdas"]["lambda_g"] == pyfairme.VARIANTS["medl_adb"]["cluster_weight"]
    assert all(fit["seconds"]["fit"] > 0 for fit in found["fits"])
    # the two models differ in what makes them fair only
    changed = {k for k, v in fair["parameters"].items() if plain["parameters"][k] != v}
    assert changed <= set(pyfairme.VARIANTS["medl_adb"])


def test_it_says_what_to_do_next(quick):
    steps = quick[0].partition("\n\nConclusion (a quick run")[0]
    *_, head, one, two, three = steps.splitlines()
    assert head == "What to try next:"
    assert [line.strip()[0] for line in (one, two, three)] == ["1", "2", "3"]


def test_it_ends_with_a_conclusion_and_a_card(quick):
    output, folder = quick
    table = pd.read_csv(folder / "comparison.csv", keep_default_na=False)
    end = " ".join(output.partition("Conclusion (")[2].split())
    price = table.query("metric == 'balanced_accuracy' and effects == 'mixed'")
    for line in price.to_dict("records"):
        ends = [short_number(float(line[name])) for name in ("before", "after")]
        assert f"from {ends[0]} to {ends[1]}" in end
    lines = table[table["metric"].isin(["tpr_sd", "fpr_sd"])]
    lines = lines.query("clusters == 'seen' and effects == 'mixed'")
    clear = lines[~lines["note"].str.contains("not resolvable")]
    better = (clear["after"].astype(float) < clear["before"].astype(float)).sum()
    assert f"medl_adb narrows {better} of the {len(clear)} gaps" in end
    assert "Not for decisions about people" in (folder / "card.html").read_text("utf-8")
