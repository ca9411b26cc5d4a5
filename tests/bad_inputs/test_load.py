"""Odd files, and what is no file, given to `load`."""

import io
import os
import pickle
import zipfile
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

import pyfairme as pf
from tests.bad_inputs import table, tiny

AREA = "load"


@cache
def folder():
    return Path(mkdtemp(prefix="bad-inputs-"))


@cache
def saved():
    path = folder() / "model"
    tiny.clean().save(path)
    return path


@cache
def policy():
    path = folder() / "policy"
    model = pf.GroupThresholds(tiny.clean(), "group1")
    model.fit(tiny.rows(), tiny.target()).save(path)
    return path


def content(make, name="file"):
    """Load a file that holds these bytes."""

    def program():
        path = folder() / name
        path.write_bytes(make() if callable(make) else make)
        pf.load(path)

    return program


def loading(path):
    return lambda: pf.load(path() if callable(path) else path)


def members(*names):
    def make():
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")
        return buffer.getvalue()

    return make


def loop():
    path = folder() / "loop"
    if not path.is_symlink():
        path.symlink_to(path)
    return path


def link():
    path = folder() / "link"
    if not path.is_symlink():
        path.symlink_to(saved())
    return tiny.chances(pf.load(path)), tiny.chances(tiny.clean())


def pipe():
    path = folder() / "pipe"
    if not path.exists():
        os.mkfifo(path)
    return path


PROGRAMS: dict[str, Any] = {
    "missing": loading(lambda: folder() / "missing"),
    "directory": loading(folder),
    "empty": content(b""),
    "random": content(lambda: np.random.default_rng(0).bytes(1000)),
    "text": content(b"hello"),
    "pickle": content(lambda: pickle.dumps({"a": 1})),
    "npz": content(members("a.npy")),
    "empty zip": content(members()),
    "PK only": content(b"PK"),
    "truncated 1/2": content(lambda: saved().read_bytes()[: saved().stat().st_size // 2]),
    "truncated -1": content(lambda: saved().read_bytes()[:-1]),
    "None": loading(None),
    "int 0": loading(0),
    "NUL path": loading("a\0b"),
    "URL": loading("http://127.0.0.1:9/x"),
    "symlink loop": loading(loop),
    "bytes path": loading(b"model"),
    "text mode StringIO": loading(io.StringIO("text")),
    "symlink": link,
    "junk before": content(lambda: b"junk" + saved().read_bytes()),
    "FIFO": loading(pipe),
    "/dev/zero (endless)": loading("/dev/zero"),
    "pf.load of thresholds": loading(policy),
    "GroupThresholds.load of estimator": lambda: pf.GroupThresholds.load(saved()),
    "JointThresholds.load of GroupThresholds": lambda: pf.JointThresholds.load(policy()),
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_load(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
