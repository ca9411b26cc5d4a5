"""What `save` leaves of a file that is there already."""

import os
import stat
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

import pyfairme as pf
from tests.bad_inputs import table, tiny

AREA = "file"


def folder():
    return Path(mkdtemp(prefix="bad-inputs-"))


def mode_is_kept():
    path = folder() / "private"
    path.touch(mode=0o600)
    tiny.clean().save(path)
    return oct(stat.S_IMODE(os.stat(path).st_mode)), oct(0o600)


def link_is_followed():
    path, link = folder() / "model", folder() / "link"
    path.write_text("an older model")
    link.symlink_to(path)
    tiny.clean().save(link)
    assert link.is_symlink()
    assert list(path.parent.iterdir()) == [path]  # no temporary file is left
    return tiny.chances(pf.load(path)), tiny.chances(tiny.clean())


PROGRAMS: dict[str, Any] = {
    "save keeps the file mode": mode_is_kept,
    "save onto a symlink": link_is_followed,
}


@pytest.mark.parametrize("line", table.cases(AREA))
def test_file(line):
    table.check(line, PROGRAMS)


def test_every_input_of_the_list_is_in_the_table(needs_data):
    assert table.missing_lines(AREA, needs_data("bad_inputs/bad_inputs.csv")) == []
