"""Names that never merge, with labels chosen to be taken for each other."""

import csv
from unicodedata import normalize

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyfairme.metrics as pm
from pyfairme.metrics.array_inputs import as_groups
from pyfairme.metrics.names import apart, distinct_names, join_names, listed, short_names

JOINERS = (" & ", " / ")
WORDS = ("all", "(missing)", "(new level)")
PIECES = [" ", "&", " & ", "/", " / ", '"', '""', ":", "\\", "a", "1", "nan", "None", *WORDS]
# text out of the very pieces by which names are joined, quoted and reserved
TEXT = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
LONG = st.tuples(st.sampled_from(["a", "_", "\n"]), st.integers(0, 45), st.sampled_from("ab12"))
LONG = LONG.map(lambda part: part[0] * part[1] + part[2])
LABEL = st.one_of(TEXT, st.integers(0, 2), st.sampled_from([0.5, 2.5, "2.5", "0.5", "True"]))
QUICK = settings(max_examples=150, deadline=None, derandomize=True)


def test_emoji_stay_whole_and_other_joiners_are_seen():
    family, flag, farmer = "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "👩🏽\u200d🌾"
    assert listed([family, flag, farmer]) == [family, flag, farmer]
    assert listed(["a\u200db", "\u200d👧", "👧\u200d"]) == ["a\\u200db", "\\u200d👧", "👧\\u200d"]


@QUICK
@given(st.lists(TEXT, unique=True), st.sampled_from([WORDS, ("all",)]))
def test_no_name_reads_as_a_word_of_ours(names, words):
    found = [apart(name, words) for name in names]
    assert len({*found, *words}) == len(names) + len(words)


@QUICK
@given(st.lists(LABEL, unique=True))
def test_as_many_names_as_labels(labels):
    assert len(set(distinct_names(labels))) == len(labels)


@QUICK
@given(st.sets(st.tuples(TEXT, TEXT, TEXT)), st.sampled_from(JOINERS))
def test_as_many_joined_names_as_combinations(cells, joiner):
    assert len({join_names(cell, joiner) for cell in cells}) == len(cells)


@QUICK
@given(st.sets(st.one_of(LONG, st.text(max_size=12))), st.integers(8, 40), st.booleans())
def test_as_many_short_names_as_names(names, most, blanks):
    """What people read is one line, short, and differs also where signs look alike."""
    found = short_names(names, most, blanks=blanks)
    assert list(found) == list(names)
    assert len({normalize("NFC", text).strip() for text in found.values()}) == len(names)
    assert all(len(text) <= most and (text.isprintable() or not text) for text in found.values())


@QUICK
@given(st.lists(st.text("a, \n", max_size=4), max_size=4))
def test_a_list_that_people_read_has_as_many_items_as_names(names):
    found = next(csv.reader([", ".join(listed(names))], skipinitialspace=True), [])
    assert len(found) == len(names)


@QUICK
@given(st.lists(st.tuples(LABEL, LABEL), min_size=2, max_size=12))
def test_as_many_groups_as_combinations_of_labels(rows):
    frame = pd.DataFrame(rows, columns=["a", "b"], dtype=object)
    groups = as_groups(frame)
    assert len(set(groups.levels)) == len(groups.levels) == len(set(rows))
    same = {(code, row) for code, row in zip(groups.codes.tolist(), rows, strict=True)}
    assert len(same) == len(set(rows))


@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.lists(LABEL, unique=True, min_size=2, max_size=5), st.permutations([1, "1", "all"]))
def test_a_report_has_a_line_for_each_group(labels, keys):
    """Groups in are groups out, and none is taken for all of them."""
    group = pd.Series(labels * 4, dtype=object)
    coin = np.arange(len(group)) % 2
    sensitive = dict.fromkeys(keys, group)
    found = pm.classification_report_frame(
        coin, np.full(len(coin), 0.5), coin, sensitive=sensitive, rng=0, n_boot=0
    )
    attributes = set(found["attribute"]) - {"all"}
    assert attributes == {"1", '"1"', '"all"'}
    for _, lines in found[found["metric"] == "selection_rate"].groupby("attribute"):
        cells = lines[lines["group"] != "all"]
        assert len(cells) == cells["group"].nunique() == len(labels)
        assert (cells["n"] == 4).all()


@pytest.mark.parametrize("clusters", [12, 40])
def test_rows_without_a_cluster_are_drawn_one_by_one(clusters):
    """From 30 clusters up each is a cluster of its own; below, they are drawn from each other."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, clusters, 900).astype(object)
    gap = np.arange(900) % 3 == 0
    y, group = rng.integers(0, 2, 900), rng.integers(0, 2, 900)

    def report(labels):
        return pm.classification_report_frame(
            y, np.full(900, 0.5), y, sensitive={"g": group}, cluster=labels, rng=0, n_boot=50
        )

    found = report(np.where(gap, None, cluster))
    own = 1000 + np.arange(900) if clusters >= 30 else 1000
    expected = report(np.where(gap, own, cluster))
    if clusters < 30:  # strata in another order: the same up to the draws
        columns = ["attribute", "group", "metric", "value", "n"]
        found, expected = found[columns], expected[columns]
    pd.testing.assert_frame_equal(found, expected)
