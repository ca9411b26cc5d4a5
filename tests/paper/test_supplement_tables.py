"""The tables show the study's numbers, and the paper's beside them."""

import pandas as pd
import pytest

from pyfairme.paper.study_lines import change, gather, number, p_value
from pyfairme.paper.supplement_tables import write_tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def written(results, comparisons, importance, timings, folder):
    return write_tables(results, comparisons, folder, importance=importance, timings=timings)


def rows(folder, name):
    """Cells of the lines of all tables of a file, by heading."""
    found, header = [], []
    for line in (folder / name).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|") or line.startswith("|---"):
            continue
        if cells[0] in ("model", "data"):
            header = cells
        else:
            found.append(dict(zip(header, cells, strict=True)))
    return found


def one(frame, **wanted):
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    (line,) = frame.to_dict("records")
    return line


@pytest.mark.long
def test_the_paper_s_tables_of_the_data_set_are_written(written, folder):
    assert set(written) == {path.name for path in folder.iterdir()}
    numbers = {name.split("_")[0] for name in written if name.startswith("S")}
    assert numbers == {"S8", "S9", "S10", "S16", "S17", "S18"}


def test_a_cell_shows_value_interval_change_p_values_and_the_paper(
    written, folder, results, comparisons
):
    key = {"variant": "medl_adb", "effects": "mixed", "clusters": "seen", "attribute": "sex"}
    key["metric"] = "counterfactual_gap"
    line = one(results[results["group"] == "all"], **key)
    test = one(comparisons, baseline="medl", **key)
    ours, against, paper = next(
        row["sex: counterfactual gap"]
        for row in rows(folder, "S9_adult_parity_counterfactual.md")
        if (row["model"], row["effects"]) == ("medl_adb", "mixed")
    ).split("<br>")
    assert ours == f"{number(line['value'])} ({number(line['low'])}, {number(line['high'])})"
    both = ", ".join(p_value(test[f"p_{kind}_holm"]) for kind in ("bootstrap", "nadeau_bengio"))
    assert against == f"{change(test['change_percent'])}; p {both}"
    assert paper == "paper: .050 (-41.2 %)"


def test_every_cell_is_filled(written, folder):
    found = rows(folder, "S8_adult_equalized_odds.md")
    # two models with fixed and mixed effects, three without, on seen and unseen clusters
    assert len(found) == 2 * (2 * 2 + 3)
    assert {len(row) for row in found} == {3 + 2 * 2}
    assert all("paper: " in cell for row in found for cell in list(row.values())[3:])


def test_models_without_random_effects_have_one_row(written, folder):
    found = rows(folder, "S18_adult_ablation.md")
    assert [r["effects"] for r in found if r["model"] == "da_adb"] == ["fixed = mixed"] * 2
    assert {r["against"] for r in found if r["model"] == "medl_adb"} == {"medl", "da_adb"}
    assert {r["against"] for r in found if r["model"] == "medl"} == {"-"}


def test_cells_that_cannot_be_resolved_are_marked(written, folder, comparisons):
    for row in rows(folder, "S8_adult_equalized_odds.md"):
        if row["model"] == "medl_adb" and row["effects"] == "mixed":
            break
    chosen = comparisons[comparisons["metric"] == "tpr_sd"]
    key = {"variant": "medl_adb", "baseline": "medl", "effects": "mixed", "clusters": "seen"}
    flags = {name: one(chosen, attribute=name, **key)["resolvable"] for name in ("sex", "race")}
    assert flags == {"sex": True, "race": False}
    assert "~" not in row["sex: TPR SD"]
    assert " ~;" in row["race: TPR SD"]


def test_all_tables_are_joined(written, folder):
    joined = (folder / "tables.md").read_text("utf-8")
    for name in set(written) - {"tables.md"}:
        title = (folder / name).read_text("utf-8").splitlines()[0].removeprefix("# ")
        assert f"\n## {title}\n" in joined
    assert joined.count("How to read a cell") == 1


def test_cells_improved_are_counted(written, folder, comparisons):
    found = next(
        row
        for row in rows(folder, "cells_improved.md")
        if (row["model"], row["against"], row["effects"]) == ("medl_adb", "medl", "fixed and mixed")
        and row["metrics"] == "TPR SD, FPR SD, demographic parity"
    )
    tests = comparisons[
        (comparisons["variant"] == "medl_adb")
        & (comparisons["baseline"] == "medl")
        & comparisons["effects"].isin(["fixed", "mixed"])
        & comparisons["metric"].isin(["tpr_sd", "fpr_sd", "demographic_parity"])
    ]
    clear = (tests["p_bootstrap_holm"] < 0.05) & (tests["p_nadeau_bengio_holm"] < 0.05)
    assert int(found["cells"]) == len(tests) == 2 * 3 * 2 * 2
    assert int(found["improved"]) == tests["improved"].sum() > 0
    assert int(found["resolvable"]) == tests["resolvable"].sum() < len(tests)
    both = (tests["improved"] & tests["resolvable"]).sum()
    assert int(found["improved and resolvable"]) == both
    assert int(found["significantly better"]) == (tests["improved"] & clear).sum() > 0
    assert int(found["significantly worse"]) == (~tests["improved"] & clear).sum()


def test_the_paper_s_count_stands_beside_ours(written, folder):
    found = next(
        row
        for row in rows(folder, "cells_improved.md")
        if (row["against"], row["effects"], row["metrics"]) == ("da_adb", "mixed", "TPR SD, FPR SD")
    )
    assert found["paper: improved"] == "7 of 8"


def claims(folder, **wanted):
    return [r for r in rows(folder, "claims.md") if all(r[k] == v for k, v in wanted.items())]


def test_claims_are_judged(written, folder, comparisons):
    test = one(comparisons, variant="medl_adb", baseline="medl", effects="mixed", clusters="seen",
               attribute="sex", metric="counterfactual_gap")  # fmt: skip
    (claim,) = claims(folder, attribute="sex", metric="counterfactual gap", claim="change percent")
    assert (claim["paper"], claim["ours"]) == ("-41.2 %", change(test["change_percent"]))
    assert test["change_percent"] < -41.2
    assert claim["holds here"] == "yes"
    (cost,) = claims(folder, model="da_adb", metric="balanced accuracy", claim="difference")
    assert cost["paper"] == "-1.03 points"
    (count,) = claims(folder, metric="cells improved equalized odds", model="medl_adb")
    assert count["paper"] == "7 of 8"
    assert count["ours"].startswith(("0 of 4", "1 of 4", "2 of 4", "3 of 4", "4 of 4"))


def test_a_claim_that_we_do_not_reach_is_said(comparisons, results, tmp_path):
    turned = comparisons.assign(
        change_percent=-comparisons["change_percent"], difference=-comparisons["difference"]
    )
    write_tables(results, turned, tmp_path)
    (claim,) = claims(
        tmp_path, attribute="sex", metric="counterfactual gap", claim="change percent"
    )
    assert claim["holds here"] == "no"
    less = comparisons.assign(change_percent=-5.0)
    write_tables(results, less, tmp_path)
    (claim,) = claims(
        tmp_path, attribute="sex", metric="counterfactual gap", claim="change percent"
    )
    assert claim["holds here"] == "smaller"


def test_probes_have_rank_share_and_the_paper_s(written, folder):
    nnet, fair = (
        next(r for r in rows(folder, "probes.md") if (r["model"], r["effects"]) == (name, "mixed"))
        for name in ("nnet", "medl_adb")
    )
    assert (nnet["in top 5"], nnet["paper"]) == ("2", "2 in the top 5; ranks 3, 5")
    each = nnet["each probe: mean rank (SD over seeds), share (SD)"]
    assert each == "probe_1: 1.0 (0.0), 40.0 (1.0) %<br>probe_2: 3.0 (0.0), 13.3 (1.0) %"
    assert fair["share of all probes"] == "18.0 %"
    (claim,) = claims(folder, model="medl_adb", effects="fixed", metric="probes in top 10")
    assert (claim["paper"], claim["ours"], claim["holds here"]) == ("0", "2", "no")


def test_run_times_are_summed_up(written, folder):
    (found,) = rows(folder, "run_times.md")
    assert found["seconds a fit: median (least, most)"] == "12.0 (10.0, 14.0)"
    assert found["minutes in all"] == "1.1"  # 60 + 7.5 seconds


def test_other_data_sets_have_tables_without_numbers(results, comparisons, tmp_path):
    frames = [frame.assign(dataset="mine") for frame in (results, comparisons)]
    assert list(write_tables(*frames, tmp_path)) == [
        "tables.md", "mine_equalized_odds.md", "mine_parity_counterfactual.md", "mine_accuracy.md",
        "cells_improved.md",
    ]  # fmt: skip


def test_acs_says_whose_numbers_stand_beside(results, comparisons, tmp_path):
    frames = [frame.assign(dataset="acs_income") for frame in (results, comparisons)]
    write_tables(*frames, tmp_path)
    head = (tmp_path / "S11_acs_income_equalized_odds.md").read_text("utf-8").splitlines()[0]
    assert head.startswith("# S11, acs_income (beside the paper's ipums): ")


def test_a_missing_column_is_named(results, comparisons):
    with pytest.raises(ValueError, match=r"The tests have no column 'baseline'; they have dataset"):
        gather(results, comparisons.drop(columns="baseline"))


def test_several_classes_are_refused(results, comparisons):
    twice = pd.concat([results, results.assign(**{"class": 2})])
    with pytest.raises(ValueError, match=r"several lines of one cell.*Choose one class"):
        gather(twice, comparisons)


def test_importance_without_marked_probes_is_refused(results, comparisons, importance, tmp_path):
    with pytest.raises(ValueError, match=r"no column probe; it has .* Mark the probes"):
        write_tables(results, comparisons, tmp_path, importance=importance.drop(columns="probe"))
