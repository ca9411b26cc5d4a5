"""Reliability, PIT and coverage as they are drawn."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyfairme.metrics import coverage_table, ece, pit_values, reliability_table
from pyfairme.plots import plot_coverage, plot_pit, plot_reliability


@pytest.fixture(scope="module")
def classes():
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 2, 2000)
    return (rng.random(2000) < probability**1.3).astype(int), probability


def test_the_reliability_diagram_shows_the_table(classes):
    table = reliability_table(*classes)
    above, below = plot_reliability(table).axes
    diagonal, curve = above.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert curve.get_xydata() == pytest.approx(table[["mean_predicted", "observed"]].to_numpy())
    ends = np.array(above.collections[0].get_segments())
    assert ends[:, :, 1] == pytest.approx(table[["low", "high"]].to_numpy())
    heights = np.array(below.collections[0].get_segments())[:, 1, 1]
    assert heights.tolist() == table["n"].tolist()
    text = above.get_legend().get_texts()[0].get_text()
    assert text == f"ECE {ece(*classes):.3f}"


def test_models_stand_side_by_side(classes):
    y, probability = classes
    tables = {"plain": reliability_table(y, probability),
              "fair": reliability_table(y, probability**1.3, strategy="uniform")}  # fmt: skip
    above = plot_reliability(tables).axes[0]
    texts = [text.get_text() for text in above.get_legend().get_texts()]
    assert texts[0].startswith("plain: ECE ")
    assert texts[1] == f"fair: ECE {ece(y, probability**1.3, strategy='uniform'):.3f}"
    assert above.lines[1].get_color() != above.lines[2].get_color()


def test_pit_bars_are_relative_to_uniform_and_the_band_is_binomial():
    values = np.random.default_rng(1).beta(2, 2, 1000)
    axes = plot_pit(values, bins=10).axes[0]
    band, *bars = sorted(axes.patches, key=lambda patch: -patch.get_width())
    counts = np.histogram(values, 10, (0, 1))[0]
    heights = [bar.get_height() for bar in sorted(bars, key=lambda bar: bar.get_x())]
    assert heights == pytest.approx(counts / 100)
    low, high = stats.binom.ppf([0.05, 0.95], 1000, 0.1) / 100
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((low, high))
    outside = ((counts / 100 < low) | (counts / 100 > high)).sum()
    assert axes.texts[0].get_text() == f"{outside} of 10 bars outside"
    assert outside > 5


def test_uniform_pit_stays_in_the_band():
    rng = np.random.default_rng(2)
    pit = pit_values(rng.normal(size=2000), rng.normal(size=(400, 2000)))
    text = plot_pit(pit).axes[0].texts[0].get_text()
    assert int(text.split()[0]) <= 5  # of 20, 2 are expected


def test_coverage_is_drawn_beside_what_is_attainable():
    rng = np.random.default_rng(3)
    table = coverage_table(rng.poisson(1, 500), rng.poisson(1, (500, 500)))
    axes = plot_coverage(table).axes[0]
    lines, covered, attainable = axes.collections
    assert np.asarray(covered.get_offsets()) == pytest.approx(
        table[["level", "covered"]].to_numpy()
    )
    assert np.asarray(attainable.get_offsets()) == pytest.approx(
        table[["level", "attainable"]].to_numpy()
    )
    ends = np.array(lines.get_segments())[:, :, 1]
    assert ends == pytest.approx(table[["low", "high"]].to_numpy())
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "50 %",
        "80 %",
        "90 %",
        "95 %",
    ]
    low, high = axes.get_ylim()
    assert low < table["low"].min()
    assert high >= 1


def test_two_models_coverages_stand_apart():
    rng = np.random.default_rng(4)
    y = rng.normal(size=300)
    tables = {name: coverage_table(y, rng.normal(0, sd, (300, 300)))
              for name, sd in (("right", 1), ("narrow", 0.5))}  # fmt: skip
    axes = plot_coverage(tables).axes[0]
    first, second = (axes.collections[i].get_offsets()[0] for i in (1, 4))
    assert first[0] < 0.5 < second[0]
    assert first[1] > second[1]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts[::2] == ["right: covered", "narrow: covered"]


@pytest.mark.parametrize(
    ("plot", "value", "message"),
    [
        (plot_reliability, {}, "tables is empty"),
        (plot_coverage, {}, "tables is empty"),
        (plot_reliability, pd.DataFrame({"n": [1]}), "mean_predicted, observed, low, high missing"),
        (plot_coverage, pd.DataFrame({"level": [0.5]}), "attainable, covered, low, high missing"),
        (plot_pit, [0.5, 1.5], "numbers from 0 to 1"),
        (plot_pit, [], "numbers from 0 to 1"),
    ],
)
def test_other_things_are_refused(plot, value, message):
    with pytest.raises(ValueError, match=message):
        plot(value)


def test_one_bin_is_refused():
    with pytest.raises(ValueError, match="bins must be at least 2, got 1"):
        plot_pit([0.5], bins=1)
