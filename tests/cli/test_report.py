"""``pyfairme report``: tables, pictures and what is said on the screen."""

import json

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.file_names import free_name


@pytest.fixture(scope="module")
def reported(call, model, later, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new"
    result = call(
        "report", model, later, "--target", "repaid", "--out", folder, "--by-cluster",
        "--n-boot", "20",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return result.output, folder


@pytest.mark.long
def test_it_writes_tables_and_pictures(reported):
    output, folder = reported
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "fairness_report.csv", "fairness_by_cluster.csv", "cluster_effects.csv",
        "group_rates_seen.png", "group_rates_unseen.png", "cluster_effects.png", "training.png",
    }  # fmt: skip
    assert all(name in output for name in written)
    assert str(folder.resolve()) in output
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_file_is_the_estimators_report(reported, model, later):
    frame = pd.read_csv(later)
    expected = pf.load(model).fairness_report(frame, frame["repaid"], n_boot=20)
    found = pd.read_csv(reported[1] / "fairness_report.csv", keep_default_na=True)
    assert len(found) == len(expected)
    pd.testing.assert_series_equal(found["value"], expected["value"], check_exact=False)
    clusters = pd.read_csv(reported[1] / "fairness_by_cluster.csv")
    assert set(clusters["clusters"]) == {"b0", "b1", "b2", "b3", "b4", "b9"}


def test_the_screen_says_rows_clusters_and_what_chance_explains(reported):
    output, folder = reported
    rows = "90 rows, 60 of clusters that training saw and 30 of new clusters"
    assert rows in " ".join(output.split())
    assert "SEEN CLUSTERS, mixed effects: 60 rows" in output
    assert "UNSEEN CLUSTERS, mixed effects: 30 rows" in output
    report = pd.read_csv(folder / "fairness_report.csv")
    shown = report.query(
        "effects == 'mixed' and clusters == 'seen' and group == 'all' and "
        "metric in ['tpr_sd', 'fpr_sd', 'demographic_parity', 'counterfactual_gap']"
    )
    unclear = int((shown["value"] <= shown["null_high"]).sum())
    known = int(shown["null_high"].notna().sum())
    seen = output[output.index("SEEN CLUSTERS") : output.index("UNSEEN CLUSTERS")]
    assert seen.count(" ~\n") == unclear > 0
    assert f"Not resolvable (~): {unclear} of the {known} values" in seen
    assert ": fewer than 30 rows behind a rate: " in " ".join(seen.split())


def test_clusters_are_listed(reported):
    listing = reported[0][reported[0].index("\ncluster  ") :].splitlines()
    assert [line.split()[0] for line in listing[2:8]] == ["b0", "b1", "b2", "b3", "b4", "b9"]
    assert listing[7].split()[1] == "30"


@pytest.mark.long
def test_beside_small_groups_left_out_no_total_is_written(call, model, later, tmp_path):
    """All rows minus the reported clusters would be the one that is left out."""
    counts = pd.crosstab(pd.read_csv(later)["branch"], pd.read_csv(later)["repaid"]).min(axis=1)
    least = int(counts.min()) + 1
    (tmp_path / "fairness_report.csv").touch()
    result = call(
        "report", model, later, "--target", "repaid", "--out", tmp_path, "--n-boot", "0",
        "--by-cluster", "--min-group-size", str(least), "--attribute", "sex",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "fairness_report.csv is from an earlier run: remove it. [clusters-alone]" in said
    assert "left out of the report. [small-blocks-left-out]" in said
    assert "positive class: yes" in said
    assert {path.name for path in tmp_path.iterdir()} - {"fairness_report.csv"} == {
        "fairness_by_cluster.csv", "cluster_effects.csv", "cluster_effects.png", "training.png",
    }  # fmt: skip
    found = set(pd.read_csv(tmp_path / "fairness_by_cluster.csv")["clusters"])
    assert found == set(counts.index[counts >= least])


def test_a_card_is_written_beside_the_report(call, refused, model, later, tmp_path):
    page = tmp_path / "cards" / "card.json"
    command = ["report", model, later, "--target", "repaid", "--out", tmp_path, "--n-boot", "0"]
    result = call(*command, "--html", page)
    assert result.exit_code == 0, result.output
    assert f"Fairness card: {page.resolve()}" in result.output.replace("\n", "")
    told = json.loads(page.read_text("utf-8"))["tables"]["fairness_report"]
    found = pd.read_csv(tmp_path / "fairness_report.csv")
    assert [line["metric"] for line in told] == found["metric"].tolist()
    np.testing.assert_allclose([line["value"] or 0 for line in told], found["value"].fillna(0))
    assert "[card-suffix]" in refused(*command, "--html", tmp_path / "card.pdf")
    alone = ("--by-cluster", "--min-group-size", "5")
    assert "[card-shows-all]" in refused(*command, "--html", page, *alone)


def test_levels_are_left_out_and_put_together(call, refused, model, later, tmp_path):
    page = tmp_path / "card.md"
    command = ["report", model, later, "--target", "repaid", "--out", tmp_path, "--n-boot", "0"]
    command += ["--attribute", "region"]
    result = call(*command, "--merge", "region:far=2, 3", "--html", page)
    assert result.exit_code == 0, result.output
    report = pd.read_csv(tmp_path / "fairness_report.csv")
    assert set(report.query("attribute == 'region'")["group"]) == {"all", "1", "far"}
    for text in (result.output, page.read_text("utf-8")):
        assert "put together as far: 2, 3" in " ".join(text.split())
    for options, said in (
        (("--exclude", "sex=f"), "names no sensitive attribute; these are region. [unknown-attr"),
        (("--exclude", "region"), "expected the form race=Unknown, got 'region'. [chosen-levels]"),
        (("--merge", "region:2,3"), "expected the form race:other=Aleut,Inuit"),
        (("--exclude", "region=1,"), "[empty-item]"),
        (("--exclude", "region="), "[empty-item]"),
        (("--exclude", "region=9"), "No row has the level '9' of 'region'"),
    ):
        assert said in refused(*command, *options)


@pytest.mark.long
def test_attributes_of_the_report_alone(call, refused, model, later, tmp_path):
    arguments = ("report", model, later, "--target", "repaid", "--out", tmp_path, "--n-boot", "0")
    result = call(*arguments, "--attribute", "sex*region", "--effects", "fixed")
    assert result.exit_code == 0, result.output
    assert "sex x region" in result.output
    assert "SEEN CLUSTERS, fixed effects" in result.output
    report = pd.read_csv(tmp_path / "fairness_report.csv")
    assert set(report["attribute"]) == {"all", "sex x region"}
    text = refused(*arguments, "--attribute", "sexx")
    assert "--attribute: there is no column 'sexx'. Did you mean 'sex'?" in text
    assert "--effects is mixed, fixed or random" in refused(*arguments, "--effects", "all")


@pytest.mark.long
def test_problems_with_the_target(call, refused, model, later, tmp_path):
    out = ("--out", tmp_path / "report", "--n-boot", "0")
    text = refused("report", model, later, "--target", "repayed", *out)
    assert "--target: there is no column 'repayed'. Did you mean 'repaid'?" in text
    frame = pd.read_csv(later)
    path = tmp_path / "gaps.csv"
    frame.assign(repaid=frame["repaid"].where(frame.index > 4)).to_csv(path, index=False)
    text = refused("report", model, path, "--target", "repaid", *out)
    assert "the target 'repaid' is missing in 5 of 90 rows" in text
    result = call("report", model, path, "--target", "repaid", "--drop-missing-target", *out)
    assert result.exit_code == 0, result.output
    assert "5 without a target are left out" in " ".join(result.output.split())
    frame.assign(repaid=frame["repaid"].replace("yes", "y")).to_csv(path, index=False)
    text = refused("report", model, path, "--target", "repaid", *out)
    assert "y has the label 'y', unknown in training" in text


def test_a_sensitive_column_is_needed(refused, model, later, tmp_path):
    path = tmp_path / "plain.csv"
    pd.read_csv(later).drop(columns="sex").to_csv(path, index=False)
    text = refused("report", model, path, "--target", "repaid", "--out", tmp_path / "r")
    assert "plain.csv lacks a column that the model was fitted on: 'sex'" in text


def test_no_picture_replaces_another():
    taken = []
    for name in ("rates_a_b.png", "rates_a_b.png", "rates_A_b.png", "rates_a_b_2.png"):
        taken.append(free_name(name, taken))
    assert len({name.casefold() for name in taken}) == 4
    assert taken[:2] == ["rates_a_b.png", "rates_a_b_2.png"]
