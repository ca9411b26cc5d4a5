"""Whatever happens to the files of a store is noticed, named and mended, and nothing is lost."""

import json
import os
import resource
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pyfairme.file_names import file_name
from pyfairme.study.crossval.store import Key, Store

STUDY = {"dataset": "x", "fingerprint": "ab12", "folds": 2}
KEYS = [Key("medl", 0, 0), Key("medl", 0, 1), Key("nnet", 0, 0)]
ROWS = np.array([3, 5, 8])
STEM = "fits/medl/seed0-fold00"


def frame(key: Key) -> pd.DataFrame:
    value = KEYS.index(key) + 0.5 if key in KEYS else 9.0
    return pd.DataFrame({"row": ROWS, "prediction": value})


def filled(folder: Path, study=STUDY) -> Store:
    store = Store(folder, study)
    for key in KEYS:
        store.write(key, frame(key), {"parameters": {"a": 1}, "warnings": ["λ"]})
    return store


def missing(folder: Path, study=STUDY) -> tuple[list[Key], list[str]]:
    """Open a store and return what has to be fitted, and what is warned of."""
    with pytest.MonkeyPatch.context() as patch:
        told: list[str] = []
        patch.setattr("pyfairme.study.crossval.store.warn", told.append)
        store = Store(folder, study)
        found = [key for key in KEYS if not store.done(key, {"a": 1}, ROWS)]
        store.warn_of_damage()
    return found, told


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "store"
    filled(folder)
    return folder


@pytest.fixture
def store(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "store")
    return tmp_path / "store"


def damaged(name):
    """Return what does something to the files of the first fit."""

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)

    def half_the_rows(path: Path) -> None:
        pd.read_parquet(path).iloc[::2].to_parquet(path, index=False)

    def swap_tables(path: Path) -> None:
        shutil.copy(path.with_name("seed0-fold01.parquet"), path)

    def swap_fits(path: Path) -> None:
        for suffix in (".json", ".parquet"):
            shutil.copy(path.with_name(f"seed0-fold01{suffix}"), path.with_suffix(suffix))

    def other_study(path: Path) -> None:
        filled(path.parents[3] / "other", {**STUDY, "fingerprint": "cd34"})
        for suffix in (".json", ".parquet"):
            stem = path.parents[3] / "other" / STEM
            shutil.copy(stem.with_suffix(suffix), path.with_suffix(suffix))

    def folder_instead(path: Path) -> None:
        path.unlink()
        path.mkdir()

    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    def without_checksums(path: Path) -> None:
        record = json.loads(path.read_text())
        path.write_text(json.dumps({"parameters": record["parameters"]}))

    return {
        "flip of the table": (flip, ".parquet", "is not the table that was written"),
        "half of the rows": (half_the_rows, ".parquet", "is not the table that was written"),
        "empty table": (lambda path: path.write_bytes(b""), ".parquet", "is not the table"),
        "table of another fit": (swap_tables, ".parquet", "is not the table that was written"),
        "no table": (Path.unlink, ".parquet", "seed0-fold00.parquet is missing"),
        "no record": (Path.unlink, ".json", "seed0-fold00.json is missing"),
        "flip of the record": (flip, ".json", "seed0-fold00.json is"),
        "empty record": (lambda path: path.write_bytes(b""), ".json", "is damaged"),
        "{}": (lambda path: path.write_text("{}"), ".json", "has no checksum"),
        "list": (lambda path: path.write_text("[1, 2]"), ".json", "has no checksum"),
        "deep": (lambda path: path.write_text("[" * 99_999), ".json", "is damaged"),
        "a space more": (
            lambda path: path.write_text(path.read_text() + " "), ".json", "is not as it was"
        ),
        "older version": (without_checksums, ".json", "has no checksum"),
        "another fit": (swap_fits, ".json", "is of another fit"),
        "another study": (other_study, ".json", "is of another study"),
        "folder": (folder_instead, ".json", "is no file"),
        "pipe": (pipe, ".parquet", "is no file"),
    }[name]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        *("flip of the table", "half of the rows", "empty table", "table of another fit"),
        *("no table", "no record", "flip of the record", "empty record", "{}", "list", "deep"),
        *("a space more", "older version", "another fit", "another study", "folder", "pipe"),
    ],
)
def test_a_fit_that_cannot_be_trusted_is_named_and_made_anew(store, name):
    harm, suffix, reason = damaged(name)
    path = (store / STEM).with_suffix(suffix)
    harm(path)
    harmed = path.read_bytes() if path.is_file() else None
    found, (text,) = missing(store)
    assert found == KEYS[:1]
    assert f"medl seed 0 fold 0: {reason}" in text or reason in text.split("fold 0: ")[1]
    assert text.endswith("[store-damaged]")
    if harmed is not None:
        assert path.with_name(path.name + ".aside").read_bytes() == harmed
    assert missing(store) == (KEYS[:1], [])  # said once
    again = filled(store)
    assert missing(store) == ([], [])
    pd.testing.assert_frame_equal(again.frame(KEYS[0]), frame(KEYS[0]))


def test_rows_of_another_fold_are_not_taken(store):
    opened = Store(store, STUDY)
    assert opened.done(KEYS[0], {"a": 1}, ROWS)
    assert not opened.done(KEYS[0], {"a": 1}, ROWS[:2])
    with pytest.warns(UserWarning, match="its rows are not those of the fold"):
        opened.warn_of_damage()


def test_damage_while_a_study_is_read_is_an_error(store):
    opened = Store(store, STUDY)
    assert opened.done(KEYS[0], {"a": 1})
    (store / f"{STEM}.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"medl seed 0 fold 0.*repeat the call.*\[store-damaged\]"):
        opened.frame(KEYS[0])


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"dataset": "x"}'])
def test_a_lost_study_file_is_written_anew_and_fits_stay(store, content):
    path = store / "study.json"
    right = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    found, (text,) = missing(store)
    assert found == []
    assert "study.json" in text
    assert path.read_bytes() == right
    assert (store / "study.json.aside").exists() == (content is not None)


def test_the_record_of_a_fit_in_place_of_the_study_file_is_told(store):
    path = store / "study.json"
    right = path.read_bytes()
    shutil.copy((store / STEM).with_suffix(".json"), path)
    found, (text,) = missing(store)
    assert found == []
    assert "study.json is the record of a fit" in text
    assert path.read_bytes() == right


def test_without_a_study_file_fits_of_other_data_are_not_taken(store):
    (store / "study.json").unlink()
    found, (text,) = missing(store, {**STUDY, "fingerprint": "cd34"})
    assert found == KEYS
    assert text.count("is of another study") == 3
    assert len(list(store.rglob("*.aside"))) == 6


def test_a_store_of_an_older_version_keeps_its_settings_and_makes_its_fits_anew(store):
    (store / "study.json").write_text(json.dumps(STUDY))
    with pytest.raises(ValueError, match="folds differ"):
        missing(store, {**STUDY, "folds": 3})
    found, (text,) = missing(store)
    assert found == []  # only its study.json is old
    assert "study.json has no checksum (of an older version" in text
    assert json.loads((store / "study.json").read_text()).keys() > STUDY.keys()


@pytest.mark.parametrize(
    "name", ["../../x", "/x", "A", "a", "é", "e\u0301", "a~0", "con", "x" * 300]
)
def test_no_name_leaves_the_store_or_shares_a_folder(tmp_path, name):
    folder = tmp_path / "in" / "store"
    store = Store(folder, STUDY)
    names = [name, "x", "a", "A", file_name(name)]
    for number, one in enumerate(dict.fromkeys(names)):
        store.write(Key(one, 0, 0), pd.DataFrame({"row": [number]}), {"parameters": {}})
    for number, one in enumerate(dict.fromkeys(names)):
        assert store.frame(Key(one, 0, 0))["row"].tolist() == [number]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["store"]
    folders = [path.name for path in (folder / "fits").iterdir()]
    assert len({name.lower() for name in folders}) == len(set(names))


def test_threads_write_one_store(tmp_path):
    failed: list[BaseException] = []

    def fill() -> None:
        try:
            filled(tmp_path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=fill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert missing(tmp_path) == ([], [])
    assert len(bytes_of(tmp_path)) == 7  # and no temporary file


def test_of_two_writers_the_first_stays(store):
    before = bytes_of(store)
    Store(store, STUDY).write(KEYS[0], frame(KEYS[1]), {"parameters": {"a": 1}})
    assert bytes_of(store) == before


def test_a_store_that_cannot_be_written_is_refused_before_any_fit(tmp_path):
    """A folder without space for names: as root, permissions would not refuse."""
    store = Store(tmp_path, STUDY)
    (tmp_path / "fits").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"cannot write to the store .*\[cannot-write\]$"):
        store.prepare(KEYS)
    with pytest.raises(OSError, match=r"cannot write to the store .*\[cannot-write\]$"):
        Store(tmp_path / "fits" / "store", STUDY)


def test_a_full_disk_leaves_no_table_without_its_record(store):
    opened, limits = Store(store, STUDY), resource.getrlimit(resource.RLIMIT_FSIZE)
    before, key = bytes_of(store), Key("medl", 1, 0)
    small, much = pd.DataFrame({"row": [1]}), {"parameters": {}, "warnings": ["λ" * 3000]}
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(OSError, match=r"\[cannot-write\]$"):
            opened.write(key, small, much)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bytes_of(store) == before


def test_a_full_disk_loses_no_fit(store):
    before, limits = bytes_of(store), resource.getrlimit(resource.RLIMIT_FSIZE)
    opened, large = Store(store, STUDY), pd.DataFrame({"row": range(9999)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with pytest.raises(OSError, match=r"file too large \[cannot-write\]$"):
            opened.write(Key("medl", 1, 0), large, {"parameters": {"a": 1}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bytes_of(store) == before
