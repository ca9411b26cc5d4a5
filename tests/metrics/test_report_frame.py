import numpy as np
import pandas as pd
import pytest

import pyfairme.metrics as pm
from pyfairme.metrics.report_frame import COLUMNS

N = 900


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    y = (rng.random(N) < 0.4).astype(int)
    prob = np.clip(0.35 + 0.3 * y + 0.2 * rng.normal(size=N), 0, 1)
    group = rng.choice(["big", "mid", "tiny"], size=N, p=[0.6, 0.38, 0.02])
    group[:5] = "void"
    y[:5] = 0
    return pd.DataFrame(
        {
            "y": y,
            "prob": prob,
            "pred": (prob > 0.5).astype(int),
            "group": group,
            "coin": rng.integers(0, 2, N),
            "cluster": rng.integers(0, 6, N),
        }
    )


def report(table, **changes):
    arguments = {
        "sensitive": {"group": table["group"], "coin": table["coin"]},
        "cluster": table["cluster"],
        "flipped": {"coin": table[["prob"]] * 0.5},
        "rng": np.random.default_rng(1),
        "n_boot": 60,
    }
    arguments |= changes
    return pm.classification_report_frame(table["y"], table["prob"], table["pred"], **arguments)


@pytest.fixture(scope="module")
def frame(table):
    return report(table)


def line(frame, attribute, metric, group="all"):
    wanted = (frame.attribute == attribute) & (frame.metric == metric) & (frame.group == group)
    (found,) = frame[wanted].to_dict("records")
    return found


def test_the_columns_and_the_rows_are_those_promised(frame):
    assert tuple(frame.columns) == COLUMNS
    assert not frame.duplicated(["attribute", "group", "metric"]).any()
    overall = frame[frame.attribute == "all"]
    assert set(overall.metric) == {"auroc", "balanced_accuracy", "log_loss", "brier"}
    disparities = {
        "tpr_sd",
        "fpr_sd",
        "tpr_sd_corrected",
        "fpr_sd_corrected",
        "demographic_parity",
        "demographic_parity_difference",
        "equalized_odds_difference",
        "worst_group_accuracy",
        "worst_group_calibration_error",
    }
    of_groups = frame[(frame.attribute == "group") & (frame.group == "all")]
    assert set(of_groups.metric) == disparities
    of_coin = frame[(frame.attribute == "coin") & (frame.group == "all")]
    assert set(of_coin.metric) == {*disparities, "counterfactual_gap"}
    cells = frame[(frame.attribute == "group") & (frame.group != "all")]
    assert set(cells.group) == {"big", "mid", "tiny", "void"}
    rates = {"tpr", "fpr", "selection_rate", "accuracy", "base_rate", "calibration_error"}
    assert set(cells.metric) == rates
    assert len(cells) == 4 * len(rates)


def test_values_are_those_of_the_public_functions(table, frame):
    decisions = ("tpr_sd", "fpr_sd", "tpr_sd_corrected", "fpr_sd_corrected", "demographic_parity")
    decisions += ("equalized_odds_difference", "demographic_parity_difference")
    for attribute in ("group", "coin"):
        for name in (*decisions, "worst_group_accuracy"):
            expected = getattr(pm, name)(
                table["y"], table["pred"], sensitive_features=table[attribute]
            )
            assert line(frame, attribute, name)["value"] == pytest.approx(expected, abs=1e-12), name
    errors = pm.calibration_error_by_group(
        table["y"], table["prob"], sensitive_features=table["group"]
    )
    for group, error in errors.items():
        assert line(frame, "group", "calibration_error", group)["value"] == pytest.approx(error)
    assert line(frame, "all", "auroc")["value"] == pytest.approx(pm.auroc(table.y, table.prob))
    assert line(frame, "all", "balanced_accuracy")["value"] == pytest.approx(
        pm.balanced_accuracy(table.y, table.pred)
    )
    gap = pm.counterfactual_gap(table["prob"], table[["prob"]] * 0.5)
    assert line(frame, "coin", "counterfactual_gap")["value"] == pytest.approx(gap)
    mid = table[(table.group == "mid") & (table.y == 1)]
    assert line(frame, "group", "tpr", "mid")["value"] == pytest.approx(mid.pred.mean())
    happened = line(frame, "group", "base_rate", "big")
    assert happened["value"] == pytest.approx(table[table.group == "big"].y.mean())
    assert happened["low"] < happened["value"] < happened["high"]


def test_n_is_what_the_value_rests_on(table, frame):
    positive = table[table.y == 1]
    assert line(frame, "group", "tpr_sd")["n"] == len(positive)
    assert line(frame, "group", "fpr_sd")["n"] == N - len(positive)
    assert line(frame, "group", "tpr", "mid")["n"] == (positive.group == "mid").sum()
    assert line(frame, "group", "accuracy", "mid")["n"] == (table.group == "mid").sum()
    assert line(frame, "all", "auroc")["n"] == N
    assert line(frame, "coin", "counterfactual_gap")["n"] == N


def test_empty_and_small_cells_are_named(table, frame):
    void = line(frame, "group", "tpr", "void")
    assert np.isnan([void["value"], void["low"], void["high"]]).all()
    assert (void["n"], void["note"]) == (0, "empty cell (no positives)")
    rows = (table.group == "tiny").sum()
    tiny = line(frame, "group", "accuracy", "tiny")
    assert tiny["note"] == f"small cell ({rows} rows, fewer than 30)"
    assert line(frame, "group", "accuracy", "big")["note"] == ""
    assert line(frame, "group", "tpr_sd")["note"].startswith("left out (no positives): void")
    assert "left out" not in line(frame, "group", "fpr_sd")["note"]


def test_only_a_spread_inside_its_null_band_is_not_resolvable(table, frame):
    coin = line(frame, "coin", "tpr_sd")
    assert coin["null_low"] <= coin["value"] <= coin["null_high"]
    assert coin["note"] == "not resolvable: inside the null band"
    assert line(frame, "coin", "demographic_parity")["note"] == ""
    unequal = table.assign(pred=np.where(table.coin == 1, table.pred, 0))
    spread = line(report(unequal), "coin", "tpr_sd")
    assert spread["value"] > spread["null_high"]
    assert spread["note"] == ""


def test_intervals_hold_the_value_where_noise_is_small(frame):
    for name in ("auroc", "balanced_accuracy", "log_loss", "brier"):
        found = line(frame, "all", name)
        assert found["low"] < found["value"] < found["high"]
    big = line(frame, "group", "tpr", "big")
    se = np.sqrt(big["value"] * (1 - big["value"]) / big["n"])
    # 5 and 95 % points of 60 replicates: relative SE of the width about 15 %
    assert big["high"] - big["low"] == pytest.approx(2 * 1.645 * se, rel=0.5)


def test_n_boot_zero_and_the_level(table, frame):
    without = report(table, n_boot=0)
    assert without[["low", "high"]].isna().all(axis=None)
    pd.testing.assert_series_equal(without["value"], frame["value"])
    narrow = line(report(table, level=0.5), "all", "auroc")
    wide = line(frame, "all", "auroc")
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]


def test_the_same_seed_gives_the_same_report(table, frame):
    pd.testing.assert_frame_equal(report(table), frame)


def test_one_outcome_and_one_group_give_nan_with_a_reason(table):
    only = table[table.y == 1].assign(group="one")
    found = pm.classification_report_frame(
        only.y,
        only.prob,
        only.pred,
        sensitive={"group": only.group},
        rng=np.random.default_rng(0),
        n_boot=5,
    )
    assert line(found, "all", "auroc")["note"] == "not defined: y_true has only one outcome"
    assert np.isnan(line(found, "all", "balanced_accuracy")["value"])
    spread = line(found, "group", "fpr_sd")
    assert np.isnan([spread["value"], spread["null"], spread["low"]]).all()
    assert spread["note"] == (
        "left out (no negatives): one; not defined: fewer than two groups have negatives"
    )
    assert line(found, "group", "tpr_sd")["note"] == (
        "not defined: fewer than two groups have positives"
    )


def test_empty_levels_of_a_categorical_are_reported(table):
    labels = pd.Categorical(table.coin.astype(str), categories=["0", "1", "2"])
    found = report(table, sensitive={"coin": labels})
    assert line(found, "coin", "accuracy", "2")["note"] == "empty cell (no rows)"
    assert line(found, "coin", "demographic_parity")["note"] == "left out (no rows): 2"
    assert line(found, "coin", "demographic_parity")["value"] == pytest.approx(
        pm.demographic_parity(table.y, table.pred, sensitive_features=table.coin)
    )


def test_many_clusters_are_drawn_as_wholes(table):
    """Decisions that are constant within clusters make the clusters' interval the wider one."""
    cluster = np.arange(N) // 25
    fixed = table.assign(pred=(cluster % 3 == 0).astype(int))
    whole = line(report(fixed, cluster=cluster, n_boot=300), "group", "selection_rate", "big")
    rows = line(report(fixed, cluster=None, n_boot=300), "group", "selection_rate", "big")
    assert whole["high"] - whole["low"] > 2 * (rows["high"] - rows["low"])


def regression(table, **changes):
    arguments = {
        "sensitive": {"group": table["group"], "coin": table["coin"]},
        "cluster": table["cluster"],
        "rng": np.random.default_rng(1),
        "n_boot": 40,
    }
    arguments |= changes
    return pm.regression_report_frame(10 * table["prob"], 4 + table["y"], **arguments)


def test_the_regression_report(table):
    found = regression(
        table, log_density=-table["prob"], flipped={"coin": 5 + table[["y"]].to_numpy()}
    )
    assert tuple(found.columns) == COLUMNS
    assert set(found[found.attribute == "all"].metric) == {
        "mse", "rmse", "mae", "r2", "log_predictive_density"
    }  # fmt: skip
    names = {"mse_sd", "residual_sd", "demographic_parity", "conditional_demographic_disparity"}
    disparities = found[(found.attribute == "coin") & (found.group == "all")]
    assert set(disparities.metric) == {*names, "counterfactual_gap"}
    assert line(found, "coin", "counterfactual_gap")["value"] == 1.0
    cells = found[(found.attribute == "coin") & (found.group != "all")]
    assert set(cells.metric) == {"mse", "rmse", "mae", "mean_residual", "mean_prediction"}
    y, pred = 10 * table["prob"], 4 + table["y"]
    for name in names:
        expected = getattr(pm, name)(y, pred, sensitive_features=table["group"])
        seen = line(found, "group", name)
        assert seen["value"] == pytest.approx(expected)
        assert seen["null_low"] <= seen["null"] <= seen["null_high"]
    assert line(found, "all", "mse")["value"] == pytest.approx(pm.mse(y, pred))
    assert line(found, "all", "r2")["value"] == pytest.approx(pm.r2(y, pred))
    assert line(found, "all", "rmse")["value"] == pytest.approx(np.sqrt(((y - pred) ** 2).mean()))
    assert line(found, "all", "mae")["value"] == pytest.approx((y - pred).abs().mean())
    there = (table["group"] == "mid").to_numpy()
    own = found[(found.attribute == "group") & (found.group == "mid")].set_index("metric")
    assert own.loc["rmse", "value"] == pytest.approx(pm.rmse(y[there], pred[there]))
    assert own.loc["mae", "value"] == pytest.approx(pm.mae(y[there], pred[there]))
    for some in (own, found[found.attribute == "all"].set_index("metric")):
        for end in ("low", "high"):  # another unit, the same interval
            assert some.loc["rmse", end] ** 2 == pytest.approx(some.loc["mse", end], rel=0.05)
    assert found[found["metric"].isin(["rmse", "mae"])]["null"].isna().all()
    assert line(found, "all", "log_predictive_density")["value"] == pytest.approx(
        -table["prob"].mean()
    )
    residual = (y - pred)[table["group"] == "mid"].mean()
    assert line(found, "group", "mean_residual", "mid")["value"] == pytest.approx(residual)
    assert line(found, "coin", "residual_sd")["note"] == "not resolvable: inside the null band"


def test_a_constant_real_outcome_has_no_r2():
    found = pm.regression_report_frame(
        [0.1] * 6, np.arange(6.0), sensitive={"s": list("aaabbb")}, rng=np.random.default_rng(0)
    )
    assert line(found, "all", "r2")["note"] == "not defined: y_true does not vary"
    assert "log_predictive_density" not in set(found.metric)


def test_gaps_stand_for_the_flips_they_come_from(table):
    """A report of row gaps equals that of the predictions under the flips."""
    flips = np.column_stack([table["prob"] * 0.5, 1 - table["prob"]])
    gap = np.abs(flips - table[["prob"]].to_numpy()).mean(axis=1)
    from_flips = report(table, flipped={"coin": flips})
    from_gaps = report(table, flipped=None, gap={"coin": gap})
    pd.testing.assert_frame_equal(from_flips, from_gaps)
    assert line(from_gaps, "coin", "counterfactual_gap")["value"] == pytest.approx(gap.mean())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_boot": -1}, "n_boot must be a whole number of at least 0, got -1"),
        ({"level": 90}, "level must lie between 0 and 1, got 90; 0.9 means 90 %"),
        ({"flipped": {"sex": [[0.5]]}}, "flipped has attributes that sensitive does not: sex. "),
        ({"gap": {"sex": [0.5]}}, "gap has attributes that sensitive does not: sex. "),
        ({"gap": {"coin": np.zeros(N)}}, "flipped and gap both have coin: give one of the two"),
        ({"flipped": {}, "gap": {"coin": [0.5]}}, r"gap\['coin'\] has 1 rows, expected 900"),
        ({"sensitive": {"coin": [1]}}, r"sensitive\['coin'\] has 1 rows, expected 900"),
        ({"cluster": [1]}, "cluster has 1 rows, expected 900"),
        (
            {"flipped": {"coin": np.full((N, 1), np.nan)}},
            r"flipped\['coin'\] has 900 missing or infinite value\(s\); a level that a row cannot",
        ),
    ],
)
def test_wrong_arguments_are_refused(table, changes, message):
    with pytest.raises(ValueError, match=message):
        report(table, **changes)


def test_decisions_must_be_decisions(table):
    with pytest.raises(ValueError, match="y_pred must be 0 or 1 in every row"):
        pm.classification_report_frame(
            table.y, table.prob, table.prob, sensitive={}, rng=np.random.default_rng(0)
        )
