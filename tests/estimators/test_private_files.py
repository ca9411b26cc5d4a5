"""A private file holds no cell of a number and no name, and predicts nearly as the model did."""

import copy
import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load as load_tensors

import pyfairme as pf
from pyfairme.data.attributes import Component
from pyfairme.data.encoders import NumericTerm
from pyfairme.data.hidden_names import derived, hashed
from pyfairme.data.private import KNOT, private_brackets, private_design, private_number
from pyfairme.inference.cluster_classifier import memberships

KEY = "a key of sixteen and more"
NUMBERS = ["income", "age"]
WARDS = [f"ward of saint {name}" for name in ("Ann", "Bede", "Clare", "Denis", "Eve", "Fay")]


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    n = 1200
    frame = pd.DataFrame(
        {
            "ward": random.choice(WARDS, n),
            "income": random.lognormal(10, 1, n),
            "age": random.uniform(18, 90, n),
            "one": np.where(np.arange(n) % 3, 0.123456789, np.nan),
            "sex": random.choice(["f", "m"], n),
        }
    )
    ward = frame["ward"].map(dict(zip(WARDS, (-2, -1, 0, 0, 1, 2), strict=True)))
    logit = ward + np.sin(frame["age"] / 8) + np.log(frame["income"]) - 10
    return frame, (random.random(n) < 1 / (1 + np.exp(-logit))).astype(int)


@pytest.fixture(scope="module")
def model(rows):
    bracket = pf.Binned("age", (30, 60), name="bracket")
    return pf.FairMixedEffectsClassifier(
        "ward", ["sex", bracket], guide="mean_field", random_slopes=["age"], fairness="moment",
        hidden=(), missing="category", unseen="population", epochs=1, min_steps=150,
        progress=False, random_state=0,
    ).fit(*rows)  # fmt: skip


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    model.save(folder / "open")
    model.save(folder / "private", private=True)
    model.save(folder / "hashed", private=True, key=KEY)
    return folder


def numbers_of(path):
    """Every number that a file holds, in its text and in its arrays."""
    with zipfile.ZipFile(path) as archive:
        text, arrays = archive.read("config.json"), load_tensors(archive.read("arrays.safetensors"))
    found = []

    def walk(node):
        if isinstance(node, dict | list):
            for item in node.values() if isinstance(node, dict) else node:
                walk(item)
        elif isinstance(node, int | float):
            found.append(float(node))

    walk(json.loads(text))
    parts = [np.asarray(array, np.float64).ravel() for array in arrays.values()]
    return np.concatenate([np.array(found), *parts])


def cells_in(path, frame):
    """How many numbers of a file are cells of the table, as they are or in single precision."""
    cells = frame[[*NUMBERS, "one"]].to_numpy().ravel()
    both = np.concatenate([cells, cells.astype(np.float32).astype(np.float64)])
    return int(np.isin(numbers_of(path), both).sum())


@pytest.mark.long
def test_no_cell_and_no_name_of_a_cluster_is_in_the_file(folder, rows):
    frame, _ = rows
    assert cells_in(folder / "open", frame) >= 9  # knots, medians, ranges: the search finds them
    assert WARDS[0].encode() in (folder / "open").read_bytes()
    for name in ("private", "hashed"):
        assert cells_in(folder / name, frame) == 0
        content = (folder / name).read_bytes()
        assert not [ward for ward in WARDS if ward.encode() in content]


def test_who_has_the_key_gets_the_effects_of_known_clusters(folder, model):
    found = pf.load(folder / "hashed", key=KEY)
    secret = derived(KEY.encode(), found.design_.factors[0].salt)
    before = model.cluster_effects_.assign(cluster=lambda t: hashed(t["cluster"], secret))
    by = ["cluster", "term"]
    before, after = (t.set_index(by).sort_index() for t in (before, found.cluster_effects_))
    pd.testing.assert_frame_equal(before, after)


def test_predictions_move_little(folder, model, rows):
    frame, _ = rows
    known, new = model.predict_proba(frame), model.predict_proba(frame.assign(ward="a new one"))
    by_key, without = pf.load(folder / "hashed", key=KEY), pf.load(folder / "private")
    assert np.abs(by_key.predict_proba(frame) - known).max() < 0.05
    assert np.abs(by_key.predict_proba(frame) - known).mean() < 0.01
    assert np.abs(known - new).max() > 0.1  # what clusters tell is far more
    for wards in (frame, frame.assign(ward="a new one")):  # every cluster is new
        assert np.abs(without.predict_proba(wards) - new).max() < 0.05


def test_clusters_that_rows_resemble_have_the_same_new_order(clf, binary, tmp_path):
    clf.save(tmp_path / "hashed", private=True, key=KEY)
    found = pf.load(tmp_path / "hashed", key=KEY)
    [factor] = found.design_.factors
    names = hashed(clf.design_.factors[0].levels, derived(KEY.encode(), factor.salt))
    place = [factor.levels.index(name) for name in names]
    new = clf.design_.encode(binary.X.assign(cluster="elsewhere"))
    soft, moved = (
        memberships(m.fit_.membership, m.fit_.spec.factors, new)[0] for m in (clf, found)
    )
    np.testing.assert_allclose(moved[:, place], soft, atol=1e-6)


def test_without_a_key_nobody_finds_a_cluster(folder, rows):
    frame, _ = rows
    private, hidden = pf.load(folder / "private"), pf.load(folder / "hashed")
    for found in (private, hidden):
        assert (found.design_.factors[0].encode(frame) == -1).all()
    with pytest.raises(ValueError, match=r"\[not-signed\]"):
        pf.load(folder / "private", key=KEY)


def test_each_file_has_other_hashes_and_another_order(folder, model, tmp_path):
    orders = []
    for number in range(3):
        model.save(tmp_path / "again", private=True, key=KEY)
        levels = pf.load(tmp_path / "again", key=KEY).design_.clusters["ward"]
        assert not set(levels) & set(pf.load(folder / "hashed").design_.clusters["ward"]), number
        codes = (
            pf.load(tmp_path / "again", key=KEY)
            .design_.factors[0]
            .encode(pd.DataFrame({"ward": WARDS}))
        )
        orders.append(tuple(codes))
    assert len(set(orders)) > 1  # of 720; three alike by chance once in 500,000


def test_another_key_cannot_take_the_names(folder, tmp_path, rows):
    for loaded in (pf.load(folder / "hashed", key=KEY), pf.load(folder / "hashed")):
        with pytest.raises(ValueError, match=r"'ward' are hashed .*\[other-names-key\]"):
            loaded.save(tmp_path / "again", key="another key, just as long")
    loaded = pf.load(folder / "hashed", key=KEY)
    loaded.save(tmp_path / "again", key=KEY)
    loaded.save(tmp_path / "twice", key=KEY, private=True)
    for name in ("again", "twice"):
        found = pf.load(tmp_path / name, key=KEY)
        assert (found.design_.factors[0].encode(rows[0]) >= 0).all()
        assert cells_in(tmp_path / name, rows[0]) == 0


def test_labels_of_two_types_are_not_hashed(model, tmp_path):
    odd = copy.copy(model)
    [factor] = model.design_.factors
    odd.design_ = replace(model.design_, factors=(replace(factor, doubled=(("1",),)),))
    with pytest.raises(ValueError, match=r"both as text.*\[private-labels\]"):
        odd.save(tmp_path / "odd", private=True, key=KEY)
    odd.save(tmp_path / "odd", private=True)
    assert pf.load(tmp_path / "odd").design_.factors[0].doubled == ()


def test_noise_keeps_the_order_of_knots_and_medians_in_their_brackets(model):
    design = model.design_
    bracket = next(a for a in design.attributes if a.name == "bracket").components[0]
    for seed in range(200):
        found = private_design(design, None, np.random.default_rng(seed))
        for before, after in zip(design.terms, found.terms, strict=True):
            if not getattr(before, "knots", ()):
                continue
            old, new = np.array(before.knots), np.array(after.knots)
            gaps = np.diff(old)
            room = np.minimum(np.append(gaps[0], gaps), np.append(gaps, gaps[-1]))
            assert (np.diff(new) > 0).all()
            assert (np.abs(new - old) <= KNOT * room * (1 + 1e-9)).all()  # cells have 16 digits
        moved = next(a for a in found.attributes if a.name == "bracket").components[0].values
        assert np.array_equal(
            bracket.binned.codes(np.array(moved)), bracket.binned.codes(np.array(bracket.values))
        )
        assert all(n % 10 == 0 and n > 0 for a in found.attributes for n in a.counts)


def test_rounding_does_not_give_whole_numbers_back():
    """Noise passes half a unit: rounding gives two of three back, and a few by sorting."""
    ages = pd.Series(np.random.default_rng(0).integers(18, 65, 4000))
    for unit, values in ((1, ages), (5, 5 * ages), (0.1, ages / 10), (1000, 1000 * ages)):
        term = NumericTerm.fit(values, 100)
        assert len(term.knots) == 47  # one for each age
        old, back, median = np.array(term.knots), [], []
        for seed in range(100):
            found = private_number(term, np.random.default_rng(seed))
            new = np.array(found.knots)
            assert (np.diff(new) > 0.09 * unit).all()  # a number that jumps between two says much
            assert np.abs(new - old).max() < 2 * unit
            back.append(np.isclose(np.round(new / unit) * unit, old).mean())
            median.append(np.isclose(np.round(found.median / unit) * unit, term.median))
        assert np.mean(back) < 0.78  # 1 before
        assert np.mean(median) < 0.81  # of 100: .67, SE .047


@pytest.mark.parametrize("unit", [0.001, 1, 1000])
def test_the_median_of_a_lone_bracket_moves_in_its_columns_unit(unit):
    ages = pd.DataFrame({"age": unit * np.random.default_rng(0).integers(18, 65, 999)})
    for binned in (pf.Binned("age", (70 * unit,)), pf.Binned("age", (10 * unit, 200 * unit))):
        part = Component.fit(ages, binned)
        [old] = part.values
        moved = [
            private_brackets(part, np.random.default_rng(seed)).values[0] - old
            for seed in range(50)
        ]
        assert unit / 2 < np.max(np.abs(moved)) < 20 * unit
