"""Odd inputs that somebody tried, one table an area, and what must come of each.

``expected_<area>.csv`` has a line per input: ``area``, ``input`` (a few words, or the Python of
it), ``expected`` ("clear error" or "right"), ``text`` (what the message must hold: what came, as
the user wrote it) and ``code`` (the code in square brackets that ends it). Three codes stand for
messages that are not ours to end: ``python`` (a call that Python itself refuses, before any of our
lines), ``scikit-learn`` (keywords refused by ``set_params``) and ``typer`` (options of a command).

``test_<area>.py`` holds one callable an input. For a "clear error" it has to raise. For "right" it
returns what it found and what is right, two things that `alike` compares: mostly the fit of the
odd input and the fit of the clean one. Inputs that warn are right only if the warning has a code.

`missing_lines` compares a table with the list of odd inputs among the real data.
"""

import csv
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
NOT_OURS = ("python", "scikit-learn", "typer")
REFUSALS = (ValueError, TypeError, OSError, AttributeError, ArithmeticError, LookupError)


class Line(NamedTuple):
    area: str
    input: str
    expected: str
    text: str
    code: str


def lines(area: str) -> list[Line]:
    with (HERE / f"expected_{area}.csv").open(newline="", encoding="utf-8") as file:
        return [Line(**row) for row in csv.DictReader(file)]


def cases(area: str, slow: Iterable[str] = (), later: Mapping[str, str] | None = None) -> list[Any]:
    """Return the lines of a table as parameters; ``later`` says why an input still fails."""
    later = later or {}
    marks = {name: [pytest.mark.slow] for name in slow}
    marks |= {name: [pytest.mark.xfail(reason=why, strict=True)] for name, why in later.items()}
    found = lines(area)
    unknown = set(marks) - {line.input for line in found}
    assert not unknown, f"marked, and not in the table: {sorted(unknown)}"
    return [pytest.param(line, id=line.input, marks=marks.get(line.input, [])) for line in found]


def check(line: Line, programs: Mapping[str, Callable[[], Any]]) -> None:
    """Run the program of a line and hold it against the table."""
    assert line.input in programs, f"no program for {line.input!r}"
    if line.expected == "clear error":
        _check_error(line, programs[line.input])
    else:
        assert line.expected == "right"
        _check_right(programs[line.input])


def _check_error(line: Line, program: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(REFUSALS) as caught:
            program()
    message = str(caught.value)
    assert line.text
    assert line.text in message
    assert len(message) < 2000, "prints the data"
    if line.code not in NOT_OURS:
        assert message.endswith(f"[{line.code}]"), message


def _check_right(program: Callable[[], Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found, right = program()
    alike(found, right)
    odd = [w for w in caught if not issubclass(w.category, UserWarning)]
    assert not odd, [str(w.message) for w in odd]


def alike(found: Any, right: Any) -> None:
    """Assert that two values are the same, numbers to a relative 1e-5."""
    if isinstance(right, pd.DataFrame):
        pd.testing.assert_frame_equal(found, right)
    elif isinstance(right, np.ndarray) and right.dtype.kind in "fc":
        assert found.shape == right.shape
        assert np.isfinite(right).all()
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
    elif isinstance(right, np.ndarray):
        np.testing.assert_array_equal(found, right)
    elif isinstance(right, float):
        assert found == pytest.approx(right)
    else:
        assert found == right


def missing_lines(area: str, source: Path) -> list[str]:
    """Return the inputs of an area in the list among the real data that its table lacks."""
    known = {_bare(line.input) for line in lines(area)}
    with source.open(newline="", encoding="utf-8") as file:
        tried = [row["input"] for row in csv.DictReader(file) if row["area"] == area]
    return [text for text in tried if _bare(text) not in known]


def _bare(text: str) -> str:
    """Return an input without addresses of objects, which differ from run to run."""
    return re.sub(r"0x[0-9A-Fa-f]+", "0x", text)
