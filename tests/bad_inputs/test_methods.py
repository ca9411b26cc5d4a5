"""Odd arguments of the other methods of a fitted estimator, and odd places to save it in."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

import pyfairme as pf
from tests.bad_inputs import table, tiny

AREA = "methods"


def call(method, *arguments, model=tiny.clean, **keywords):
    def program():
        given = [a() if callable(a) else a for a in arguments]
        return getattr(model(), method)(*given, **keywords)

    return program


def without_clusters():
    return tiny.fit(cluster=None)


def network():
    return tiny.fit(hidden=(8,))


def changed():
    return tiny.fit().set_params(hidden=(8,))


def read(name, model):
    return lambda: getattr(model(), name)


def folder():
    return Path(mkdtemp(prefix="bad-inputs-"))


def long_name():
    path = folder() / ("b" * 250)
    tiny.clean().save(path)
    return tiny.chances(pf.load(path)), tiny.chances(tiny.clean())


def many_rows():
    return tiny.rows().sample(600_000, replace=True, random_state=0)


PROGRAMS: dict[str, Any] = {
    "icc level 2": call("icc", level=2),
    "icc level None": call("icc", level=None),
    "feature_importance effects x": call("feature_importance", tiny.rows, effects="x"),
    "feature_importance empty": call("feature_importance", lambda: tiny.rows()[:0]),
    "random_disparity attributes nope": call("random_disparity", tiny.rows, attributes=["nope"]),
    "random_disparity level 5": call("random_disparity", tiny.rows, level=5),
    "random_disparity no cluster": call("random_disparity", tiny.rows, model=without_clusters),
    "to_arviz y without X": call("to_arviz", y=[1, 0]),
    "to_arviz draws 0": call("to_arviz", tiny.rows, draws=0),
    "to_arviz draws 1.5": call("to_arviz", tiny.rows, draws=1.5),
    "to_arviz prior -1": call("to_arviz", tiny.rows, prior_draws=-1),
    "to_arviz y wrong length": call("to_arviz", tiny.rows, lambda: tiny.target()[:-1]),
    "to_arviz too large": call("to_arviz", many_rows, draws=1000),
    "posterior_ without latents": read("posterior_", without_clusters),
    "fixed_effects_ with hidden": read("fixed_effects_", network),
    "save to folder": call("save", folder),
    "save no folder": call("save", lambda: folder() / "none" / "x"),
    "save None": call("save", None),
    "save int": call("save", 3),
    "save NUL": call("save", "a\0b"),
    "save name 300 chars": call("save", lambda: folder() / ("a" * 300)),
    "save changed keywords": call("save", lambda: folder() / "x", model=changed),
    "save to /dev/full": call("save", "/dev/full"),
    "save to /proc": call("save", "/proc/x"),
    "score y wrong": call("score", tiny.rows, lambda: tiny.target()[:-1]),
    "save bytes path": call("save", b"x"),
    "save name 250 chars": long_name,
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_methods(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
