"""ArviZ's own functions on what `to_arviz` gives: comparison, plots, files."""

from types import SimpleNamespace

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import special, stats

NEW = int(az.__version__.split(".")[0]) >= 1

pytestmark = [
    pytest.mark.arviz,
    # ArviZ 0.23 calls Matplotlib 3.11 and pandas 3.1 in ways that these warn of
    pytest.mark.filterwarnings("ignore:Passing a dict or None as alias_mapping"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.sort_values"),
]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def glmm(linear):
    """A linear mixed model with slopes, 1,000 training rows and their groups."""
    data, reg = linear
    X, y = data.frame[:1000], data.target[:1000].rename("outcome")
    return SimpleNamespace(reg=reg, X=X, y=y, found=reg.to_arviz(X, y, prior_draws=200))


def names(found):
    """Names of the groups, in both ArviZ worlds."""
    return {name.strip("/") for name in (found.children if NEW else found.groups())}


def values(found, group, name):
    return found[group][name].to_numpy()


def elpd(result):
    return result.elpd if hasattr(result, "elpd") else result.elpd_loo


def test_loo_is_importance_sampling_by_hand(glmm):
    log_p = values(glmm.found, "log_likelihood", "outcome").reshape(-1, len(glmm.y))
    by_hand = np.log(len(log_p)) - special.logsumexp(-log_p, axis=0)
    result = az.loo(glmm.found, reff=1.0)
    assert elpd(result) == pytest.approx(by_hand.sum(), abs=0.2)
    p = result.p if hasattr(result, "p") else result.p_loo
    inside = (special.logsumexp(log_p, axis=0) - np.log(len(log_p))).sum()
    assert p == pytest.approx(inside - elpd(result), abs=0.2)
    assert 5 < p < 25  # of 20 effects and a residual


@pytest.mark.long
def test_compare_ranks_the_model_with_the_slopes_first(glmm):
    plain = type(glmm.reg)(**glmm.reg.get_params() | {"random_slopes": None})
    other = plain.fit(glmm.X, glmm.y).to_arviz(glmm.X, glmm.y)
    table = az.compare({"intercepts": other, "slopes": glmm.found})
    assert list(table.index) == ["slopes", "intercepts"]
    difference = elpd(az.loo(glmm.found)) - elpd(az.loo(other))
    assert abs(table.loc["intercepts", "elpd_diff"]) == pytest.approx(difference, rel=0.05)


def test_plot_forest_and_summary(glmm):
    assert az.plot_forest(glmm.found, var_names=["cluster_intercept"]) is not None
    shown = " ".join(text.get_text() for text in plt.gcf().findobj(plt.Text))
    assert "c3" in shown
    table = az.summary(glmm.found, var_names=["residual_sd"])
    assert "residual_sd" in table.index


def test_predictive_checks_of_a_real_target_are_drawn(glmm):
    scales = ["cluster_intercept_sd", "residual_sd"]
    if NEW:
        assert az.plot_ppc_dist(glmm.found) is not None
        assert az.plot_ppc_dist(glmm.found, group="prior_predictive") is not None
        assert az.plot_prior_posterior(glmm.found, var_names=scales) is not None
    else:
        some = {"num_pp_samples": 20, "random_seed": 0}
        assert az.plot_ppc(glmm.found, **some) is not None
        assert az.plot_ppc(glmm.found, group="prior", **some) is not None
        assert az.plot_dist_comparison(glmm.found, var_names=scales) is not None


def test_predictive_checks_of_classes_are_drawn(clf, binary):
    found = clf.to_arviz(binary.X, binary.y, draws=50, prior_draws=50)
    draw = az.plot_ppc_pava if NEW else az.plot_ppc  # 1.x asks for it where a target is binary
    assert draw(found) is not None


def test_loo_pit_of_a_right_model_is_even(glmm):
    if NEW:
        pit = az.loo_pit(glmm.found)["outcome"].to_numpy()
    else:
        pit = az.loo_pit(glmm.found, y="outcome")
    assert stats.kstest(np.ravel(pit), "uniform").pvalue > 1e-3


def test_a_file_gives_the_same_groups(glmm, clf, binary, tmp_path):
    classes = clf.to_arviz(binary.test, binary.y_test, draws=20)
    for number, found in enumerate((glmm.found, classes)):
        path = str(tmp_path / f"{number}.nc")
        found.to_netcdf(path, engine="h5netcdf")
        again = az.from_netcdf(path, engine="h5netcdf")
        assert names(again) == names(found)
        for group in names(found):
            for name, variable in found[group].data_vars.items():
                np.testing.assert_array_equal(again[group][name].to_numpy(), variable.to_numpy())
                assert again[group][name].dims == variable.dims
            assert again[group].attrs["creation_library"] == "pyfairme"
        if number == 0:
            assert elpd(az.loo(again, reff=1.0)) == elpd(az.loo(found, reff=1.0))
        else:
            said = again["observed_data"][binary.y_test.name].attrs["classes"]
            assert list(said) == ["0", "1"]
        again.close()
