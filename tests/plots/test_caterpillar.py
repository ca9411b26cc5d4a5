import numpy as np
import pandas as pd
import pytest

from pyfairme.plots import plot_caterpillar


def effects(number, factor="job"):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=number)
    lines = [
        pd.DataFrame({"factor": factor, "cluster": [f"c{i}" for i in range(number)], "term": term,
                      "mean": mean * unit, "low": mean * unit - 0.5, "high": mean * unit + 0.7})
        for term, unit in (("Intercept", 1), ("age", -2))
    ]  # fmt: skip
    return pd.concat(lines, ignore_index=True)


def drawn(figure):
    """Means in the order of the axis, ends of intervals, and labels."""
    axes = figure.axes[0]
    lines, points = axes.collections
    offsets = np.asarray(points.get_offsets())
    ends = np.array(lines.get_segments())
    return offsets, ends, [label.get_text() for label in axes.get_yticklabels()]


def test_clusters_are_sorted_by_the_effect():
    frame = effects(8)
    offsets, ends, labels = drawn(plot_caterpillar(frame))
    expected = frame[frame["term"] == "Intercept"].sort_values("mean")
    assert offsets[:, 0].tolist() == expected["mean"].tolist()
    assert offsets[:, 1].tolist() == list(range(1, 9))
    assert ends[:, :, 0] == pytest.approx(expected[["low", "high"]].to_numpy())
    assert labels == expected["cluster"].tolist()


def test_another_term_has_its_own_order_and_name():
    figure = plot_caterpillar(effects(8), "age", unit="points per year")
    offsets, _, labels = drawn(figure)
    _, _, intercepts = drawn(plot_caterpillar(effects(8)))
    assert labels == intercepts[::-1]
    assert (np.diff(offsets[:, 0]) > 0).all()
    assert figure.axes[0].get_xlabel() == "slope of age (points per year)"


def test_intervals_without_zero_are_coloured():
    frame = effects(30)
    offsets, ends, _ = drawn(plot_caterpillar(frame))
    colours = plot_caterpillar(frame).axes[0].collections[1].get_facecolors()
    clear = (ends[:, 0, 0] > 0) | (ends[:, 1, 0] < 0)
    assert 0 < clear.sum() < len(offsets)
    blue = {tuple(c) for c in colours[clear]}
    grey = {tuple(c) for c in colours[~clear]}
    assert len(blue) == len(grey) == 1
    assert blue != grey


def test_the_extremes_of_thousands():
    frame = effects(3000)
    figure = plot_caterpillar(frame, top=5)
    offsets, _, labels = drawn(figure)
    means = np.sort(frame.loc[frame["term"] == "Intercept", "mean"])
    assert offsets[:, 0] == pytest.approx(np.concatenate([means[:5], means[-5:]]))
    assert len(labels) == 10
    assert "10 of 3,000 clusters" in figure.get_suptitle()
    assert figure.axes[0].lines[-1].get_ydata()[0] == 5.5  # the gap between both ends


def test_thousands_are_ranks_on_a_page_of_fixed_height():
    figure = plot_caterpillar(effects(3000))
    offsets, ends, _ = drawn(figure)
    assert offsets[[0, -1], 1].tolist() == [1, 3000]
    assert len(ends) == 3000
    assert figure.axes[0].get_ylabel() == "rank of the cluster"
    assert figure.get_size_inches()[1] < 7


def test_what_to_draw_must_be_clear():
    frame = effects(3)
    both = pd.concat([frame, effects(4, "town")])
    with pytest.raises(ValueError, match=r"several factors, \['job', 'town'\]: choose one"):
        plot_caterpillar(both)
    assert len(drawn(plot_caterpillar(both, factor="town"))[0]) == 4
    with pytest.raises(ValueError, match="no factor 'city'; it has"):
        plot_caterpillar(frame, factor="city")
    with pytest.raises(ValueError, match="no term 'x'; it has 'Intercept', 'age'"):
        plot_caterpillar(frame, "x")
    with pytest.raises(ValueError, match="no cluster effects: the model has no random effects"):
        plot_caterpillar(frame.iloc[:0])
    with pytest.raises(ValueError, match="top must be at least 1, got 0"):
        plot_caterpillar(frame, top=0)
    classes = pd.concat([frame.assign(**{"class": label}) for label in ("no", "yes")])
    with pytest.raises(ValueError, match=r"an effect for each class, \['no', 'yes'\]"):
        plot_caterpillar(classes)


def test_of_many_clusters_the_extremes_and_the_picked_are_named():
    frame = effects(75)
    axes = plot_caterpillar(frame, pick=["c3"]).axes[0]
    order = frame[frame["term"] == "Intercept"].sort_values("mean")["cluster"].tolist()
    expected = [*order[:5], *order[-5:]]
    expected += ["c3"] * ("c3" not in expected)
    assert sorted(text.get_text() for text in axes.texts) == sorted(expected)
    heights = [text.xyann[1] for text in axes.texts]
    assert np.diff(heights).min() > 2
    rank = order.index("c3")
    colours = axes.collections[0].get_colors()
    assert (colours != colours[rank]).any(axis=1).sum() == 74  # it alone is orange
    few = plot_caterpillar(frame, top=2, pick=["c3"]).axes[0]
    assert {"c3", order[0], order[-1]} <= {label.get_text() for label in few.get_yticklabels()}
    with pytest.raises(ValueError, match=r"pick names 'c99'.*\[not-in-table\]"):
        plot_caterpillar(frame, pick=["c99"])
