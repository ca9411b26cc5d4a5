"""Every odd table of `nasty_tables` is read as the frame that was written down, or refused."""

import numpy as np
import pandas as pd
import pytest

from pyfairme.cli.reading import Reading
from pyfairme.cli.table_files import read_table
from tests.cli.nasty_tables import CASES, ROLES


def plain(value):
    """Return a cell as Python has it, None for a gap."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def cells(frame):
    """Return the columns as lists of values with their types: 1, 1.0, True and "1" differ."""
    return {
        name: [(type(v).__name__, v) for v in map(plain, frame[name])] for name in frame.columns
    }


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_nasty_table(case, tmp_path, capsys):
    path = tmp_path / case.file
    path.write_bytes(case.data())

    def read():
        reading = Reading.of(**case.options)
        return read_table(path, ROLES, numbers=case.numbers, reading=reading)

    if isinstance(case.expected, str):
        with pytest.raises(ValueError, match=rf"\[{case.expected}\]$"):
            read()
        return
    found = read()
    right = {n: [(type(v).__name__, v) for v in values] for n, values in case.expected.items()}
    assert list(found.columns) == list(right)
    assert cells(found) == right
    assert found.index.equals(pd.RangeIndex(len(found)))
    said = " ".join(capsys.readouterr().out.split())
    assert case.said in said
    assert bool(said) == bool(case.said), said


def test_there_are_enough_and_their_names_differ():
    assert len({case.name for case in CASES}) == len(CASES) >= 60
