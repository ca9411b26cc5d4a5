import numpy as np
import pytest
from scipy import stats

from pyfairme.plots import plot_predictive_check

RNG = np.random.default_rng(0)
REAL, REAL_DRAWS = RNG.normal(3, 2, 800), RNG.normal(3, 2, (200, 800))
COUNTS, COUNT_DRAWS = RNG.poisson(2, 800), RNG.poisson(2, (200, 800))


def lines(axes):
    """Median of the draws, and the observed curve."""
    middle, observed = axes.lines
    return middle.get_xydata(), observed.get_xydata()


def test_the_density_is_the_kernel_density():
    middle, observed = lines(plot_predictive_check(REAL, REAL_DRAWS).axes[0])
    x = observed[:, 0]
    spread = min(REAL.std(), np.diff(np.quantile(REAL, [0.25, 0.75])).item() / 1.349)
    kernel = stats.gaussian_kde(REAL, 0.9 * spread * 800**-0.2 / REAL.std(ddof=1))
    assert observed[:, 1] == pytest.approx(kernel(x), abs=0.003)
    assert np.abs(middle[:, 1] - stats.norm.pdf(x, 3, 2)).max() < 0.012
    assert np.trapezoid(observed[:, 1], x) == pytest.approx(1, abs=0.02)


def test_the_ecdf_is_the_share_of_rows():
    middle, observed = lines(plot_predictive_check(REAL, REAL_DRAWS, "ecdf").axes[0])
    assert observed[:, 1] == pytest.approx([(x >= REAL).mean() for x in observed[:, 0]])
    assert middle[:, 1] == pytest.approx(stats.norm.cdf(middle[:, 0], 3, 2), abs=0.02)


def test_the_band_holds_most_draws():
    draws = np.tile(np.linspace(-1, 1, 201)[:, None], (1, 50)) + np.linspace(0, 1e-6, 50)
    axes = plot_predictive_check(np.linspace(-1, 1, 50), draws, "ecdf").axes[0]
    outline = axes.collections[0].get_paths()[0].vertices
    upper = outline[outline[:, 1] > 0.5, 0].min()  # the first x that 5 % of the draws lie below
    lower = outline[outline[:, 1] < 0.5, 0].max()
    assert upper == pytest.approx(-0.9, abs=0.03)
    assert lower == pytest.approx(0.9, abs=0.03)


def test_counts_are_bars():
    axes = plot_predictive_check(COUNTS, COUNT_DRAWS).axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert heights[:6] == pytest.approx([(k == COUNTS).mean() for k in range(6)])
    ends = np.array(axes.collections[0].get_segments())[:6, :, 1]
    shares = np.array([[(draw == k).mean() for k in range(6)] for draw in COUNT_DRAWS])
    assert ends == pytest.approx(np.quantile(shares, [0.05, 0.95], axis=0).T)
    middle = np.asarray(axes.collections[1].get_offsets())[:6, 1]
    assert middle == pytest.approx(np.median(shares, axis=0))


def test_a_long_tail_is_one_bar():
    y = np.concatenate([RNG.poisson(2, 990), np.full(10, 500)])
    axes = plot_predictive_check(y, np.tile(y, (20, 1))).axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert len(heights) == 41
    assert heights[-1] == 0.01
    assert sum(heights) == pytest.approx(1)
    assert axes.get_xticklabels()[-1].get_text() == "≥40"


def test_large_counts_are_an_ecdf_on_whole_numbers():
    y = RNG.negative_binomial(1, 0.002, 500)
    axes = plot_predictive_check(y, RNG.negative_binomial(1, 0.002, (50, 500))).axes[0]
    _, observed = lines(axes)
    assert (observed[:, 0] == observed[:, 0].round()).all()
    assert observed[-1].tolist() == [y.max(), 1]
    assert observed[:, 1] == pytest.approx([(x >= y).mean() for x in observed[:, 0]])
    assert axes.get_xscale() == "symlog"


def test_classes_have_their_names():
    draws = RNG.integers(0, 2, (50, 4))
    axes = plot_predictive_check(["no", "yes", "yes", "yes"], draws, labels=["no", "yes"]).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.25, 0.75]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["no", "yes"]


def test_groups_have_panels_of_their_own_rows():
    groups = np.repeat(["b", "a"], [500, 300])
    figure = plot_predictive_check(COUNTS, COUNT_DRAWS, groups=groups)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["a (n = 300)", "b (n = 500)"]
    for axes, rows in zip(figure.axes, (groups == "a", groups == "b"), strict=True):
        assert axes.patches[1].get_height() == pytest.approx((COUNTS[rows] == 1).mean())


def test_of_many_groups_the_largest_are_shown():
    groups = np.repeat(np.arange(20), np.arange(20) + 1)
    figure = plot_predictive_check(COUNTS[:210], COUNT_DRAWS[:, :210], groups=groups)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{code} (n = {code + 1})" for code in range(8, 20)]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="kind must be one of density, ecdf, bars; got 'hist'"):
        plot_predictive_check(REAL, REAL_DRAWS, "hist")
    with pytest.raises(ValueError, match="kind='bars' is for counts and classes"):
        plot_predictive_check(REAL, REAL_DRAWS, "bars")
    with pytest.raises(ValueError, match=r"or \(chain, draw, 3\)"):
        plot_predictive_check([1.0, 2.0, 3.0], REAL_DRAWS)
    with pytest.raises(ValueError, match="observed has 'maybe', which is none of the labels"):
        plot_predictive_check(["maybe"], [[0]], labels=["no", "yes"])
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 90"):
        plot_predictive_check(REAL, REAL_DRAWS, level=90)
