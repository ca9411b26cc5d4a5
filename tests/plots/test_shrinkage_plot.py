from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from pyfairme.plots import plot_shrinkage


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "factor": "job",
            "cluster": list("abcd"),
            "n": [4, 100, 20, 2],
            "raw": [1.0, -2.0, 0.5, -np.inf],
            "pooled": [0.2, -1.9, 0.3, -0.4],
        }
    )


def pairs(axes):
    return np.array(axes.collections[0].get_segments())


def test_lines_lead_from_raw_to_pooled(frame):
    left = plot_shrinkage(frame).axes[0]
    found = pairs(left)
    assert found[:, :, 0].tolist() == [[0, 1]] * 4
    assert found[:, 1, 1].tolist() == frame["pooled"].tolist()
    assert found[:3, 0, 1].tolist() == [1.0, -2.0, 0.5]
    assert [text.get_text() for text in left.texts] == ["b", "d", "a", "c"]  # upwards
    assert left.lines[0].get_ydata()[0] == 0  # the common mean


def test_an_infinite_estimate_is_a_triangle_beyond_the_others(frame):
    figure = plot_shrinkage(frame)
    left = figure.axes[0]
    below = left.collections[2]
    edge = below.get_offsets()[:, 1]
    assert edge.tolist() == pytest.approx([-2 - 0.06 * 3])
    assert len(left.collections[1].get_offsets()) == 3
    assert "triangles: 1 without a finite estimate" in figure.get_suptitle()
    above = plot_shrinkage(frame.assign(raw=[1.0, -2.0, 0.5, np.inf])).axes[0].collections[3]
    assert above.get_offsets()[:, 1].tolist() == pytest.approx([1 + 0.06 * 3])


def test_points_grow_with_rows(frame):
    sizes = plot_shrinkage(frame).axes[0].collections[-1].get_sizes()
    assert sizes[1] == sizes.max() == 5 * sizes[2]
    assert (sizes > 0).all()


def test_the_second_panel_is_by_rows(frame):
    right = plot_shrinkage(frame).axes[1]
    assert pairs(right)[:, 0, 0].tolist() == [4, 100, 20, 2]
    assert pairs(right)[0, :, 1].tolist() == [0.2, 1.0]
    assert right.get_xscale() == "log"
    assert len(plot_shrinkage(frame.assign(n=7)).axes) == 1  # rows say nothing


def test_thousands_fit_and_have_no_names():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=3000)
    raw[:100] = np.inf
    frame = pd.DataFrame(
        {
            "factor": "job",
            "cluster": np.arange(3000).astype(str),
            "raw": raw,
            "n": rng.integers(1, 9, 3000),
            "pooled": 0.5 * rng.normal(size=3000),
        }
    )
    left, right = plot_shrinkage(frame).axes
    assert left.texts[:] == []
    assert len(pairs(left)) == 2900  # lines to the edge would hide the others
    assert len(pairs(right)) == 3000


def test_names_do_not_overlap():
    frame = pd.DataFrame(
        {
            "factor": "job",
            "cluster": list("abcdef"),
            "n": 5,
            "raw": [0.0, 0.01, 0.02, 0.03, 5, 9],
            "pooled": [0, 0, 0, 0, 4, 8],
        }
    )
    left = plot_shrinkage(frame).axes[0]
    heights = np.sort([text.xyann[1] for text in left.texts])
    low, high = left.get_ylim()
    assert np.diff(heights).min() > (high - low) / 40
    assert low < heights[0]
    assert heights[-1] < high


def test_several_factors_need_a_choice(frame):
    both = pd.concat([frame, frame.assign(factor="town")])
    with pytest.raises(ValueError, match="choose one with factor="):
        plot_shrinkage(both)
    assert "town" in plot_shrinkage(both, "town").get_suptitle()


def test_numbers_of_rows_do_not_overlap(frame):
    for largest in (100, 7_000, 90_000):
        figure = plot_shrinkage(frame.assign(n=[1, *[9] * (len(frame) - 2), largest]))
        figure.canvas.draw()  # pyright: ignore[reportAttributeAccessIssue]
        axes = figure.axes[1]
        low, high = axes.get_xlim()
        inside = [text for text in axes.get_xticklabels() if low <= text.get_position()[0] <= high]
        boxes = [text.get_window_extent() for text in inside]
        assert len(boxes) >= 3
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
