"""What draws are worth, as a table."""

import numpy as np

from pyfairme.inference.diagnostics import COLUMNS, FEWEST_EFFECTIVE, WORST_RHAT, diagnostics
from pyfairme.inference.laplace.psis import ENOUGH, RELIABLE
from pyfairme.inference.posterior_draws import AxisLabels
from pyfairme.inference.predictions import Fit
from tests.inference import one_way

CLUSTERS = tuple("abcdefgh")
NOTHING = np.zeros(0)
LABELS = AxisLabels(
    {"g": CLUSTERS}, {"g": ()}, {"g": NOTHING}, {"g": NOTHING}, {"g": NOTHING}, ("x",),
    np.zeros(1), np.ones(1),
)  # fmt: skip


def table(quality):
    fit = Fit(one_way.SPEC, one_way.NETWORK, {}, np.zeros((2, 1)), (), quality)
    return diagnostics(fit, LABELS)


def test_pareto_k_has_a_line_per_member_and_cluster():
    cluster_k = np.full((2, 8), -np.inf)
    cluster_k[1, 2] = 0.9
    found = table({"pareto_k": np.array([0.2, 0.8]), "pareto_k/g": cluster_k})
    assert list(found.columns) == COLUMNS
    whole = found[found["parameter"] == "hyper-parameters"]
    assert list(whole["member"]) == [0, 1]
    assert list(whole["value"]) == [0.2, 0.8]
    assert list(whole["ok"]) == [True, False]
    each = found[found["parameter"] == "g"]
    assert list(each["cluster"]) == [*CLUSTERS, *CLUSTERS]
    bad = each[~each["ok"]]
    assert bad[["member", "cluster", "value"]].to_numpy().tolist() == [[1, "c", 0.9]]
    assert (found["limit"] == RELIABLE).all()


def test_pareto_k_and_effective_draws_are_judged_together():
    quality = {"pareto_k": np.array([0.2, 0.8, 0.8]), "relative_ess": np.array([0.1, 0.6, 0.1])}
    found = table(quality | {"pareto_k/g": np.full((3, 8), 0.9)})
    whole = found[found["parameter"] == "hyper-parameters"].set_index(["measure", "member"])
    for measure, limit in (("pareto_k", RELIABLE), ("relative_ess", ENOUGH)):
        assert list(whole.loc[measure, "value"]) == list(quality[measure])
        assert (whole.loc[measure, "limit"] == limit).all()
        assert list(whole.loc[measure, "ok"]) == [True, True, False]
    assert not found.loc[found["parameter"] == "g", "ok"].any()  # clusters by their k alone


def test_chains_are_judged_by_r_hat_effective_size_and_divergences():
    found = table({
        "divergences": np.array([0, 3]),
        "rhat/residual_sd": np.array([1.001, 1.2]),
        "ess/residual_sd": np.array([399.0, 401.0]),
        "ess_tail/residual_sd": np.array([401.0, np.nan]),
        "rhat/stuck": np.array([np.nan, 1.0]),
    })  # fmt: skip
    by_measure = found.set_index(["measure", "parameter", "member"]).sort_index()
    assert list(by_measure.loc["divergences", "ok"]) == [True, False]
    assert (by_measure.loc["divergences", "limit"] == 0).all()
    assert list(by_measure.loc[("r_hat", "residual_sd"), "ok"]) == [True, False]
    assert (by_measure.loc["r_hat", "limit"] == WORST_RHAT).all()
    assert list(by_measure.loc[("ess_bulk", "residual_sd"), "ok"]) == [False, True]
    assert (by_measure.loc["ess_bulk", "limit"] == FEWEST_EFFECTIVE).all()
    assert list(by_measure.loc[("ess_tail", "residual_sd"), "ok"]) == [True, False]
    assert (by_measure.loc["ess_tail", "limit"] == FEWEST_EFFECTIVE).all()
    assert list(by_measure.loc[("r_hat", "stuck"), "ok"]) == [False, True]  # NaN is not ok


def test_clusters_that_were_not_judged_have_no_line():
    k = np.array([[0.1, np.nan, 0.9, np.nan, np.nan, 0.2, np.nan, np.nan]])
    found = table({"pareto_k": np.array([0.2]), "pareto_k/g": k})
    each = found[found["parameter"] == "g"]
    assert list(zip(each["cluster"], each["value"], strict=True)) == [
        ("a", 0.1), ("c", 0.9), ("f", 0.2),
    ]  # fmt: skip
    assert list(each["ok"]) == [True, False, True]


def test_without_diagnostics_one_line_says_so():
    found = table({})
    assert list(found["measure"]) == ["none"]
    assert list(found.columns) == [*COLUMNS, "note"]
