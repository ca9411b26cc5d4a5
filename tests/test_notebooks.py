"""Stored notebooks agree with their sources, are small, and show no warning; nbmake runs them."""

import base64
import io
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from tests.notebook_outputs import complaints, outputs, read_source, sizes, with_palette

SOURCES = sorted((Path(__file__).parent.parent / "notebooks").glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_stored_notebook_is_that_of_its_source(source):
    stored = nbformat.read(source.with_suffix(".ipynb"), 4)
    written = read_source(source)
    for one in (stored, written):
        nbformat.validate(one)
    kinds = ("cell_type", "id", "source", "metadata")
    cells = [
        [{kind: cell[kind] for kind in kinds} for cell in one.cells] for one in (stored, written)
    ]
    assert cells[0] == cells[1], "make notebooks"
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert complaints(stored) == []
    assert any("image/png" in output.get("data", {}) for output in outputs(stored))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_tests_run_a_smaller_version(source):
    found = [pair for cell in read_source(source).cells for pair in sizes(cell).values()]
    assert found, 'a cell "# %% nbmake={"mock": {"rows": 500}}" that sets rows'
    assert all(small < full for full, small in found if isinstance(full, int | float))


def cell(source: str, **mock: int):
    metadata = {"nbmake": {"mock": mock}} if mock else {}
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def test_sizes_are_those_that_a_cell_writes_out():
    assert sizes(cell("rows = 8000\nfolds = 5", rows=10)) == {"rows": (8000, 10)}
    assert sizes(cell("print(1)")) == {}
    with pytest.raises(ValueError, match=r"mocks of names that the cell does not set: \['row'\]"):
        sizes(cell("rows = 8000", row=10))
    with pytest.raises(ValueError, match="assigns and does nothing else"):
        sizes(cell("rows = 8000\nprint(rows)", rows=10))


def test_warnings_errors_and_large_outputs_are_complaints():
    output = nbformat.v4.new_output
    shown = cell("1")
    shown.outputs = [
        output("stream", name="stdout", text="fine"),
        output("stream", name="stderr", text="DataWarning"),
        output("error", ename="ValueError", evalue="wrong", traceback=[]),
    ]
    notebook = nbformat.v4.new_notebook(cells=[shown])
    assert complaints(notebook) == ["on the standard error: DataWarning", "error: wrong"]
    shown.outputs = [output("stream", name="stdout", text="x" * 250_000)]
    assert "more than 250000" in complaints(notebook)[0]


def test_pictures_keep_their_size_and_their_main_colours():
    picture, file = Image.new("RGB", (60, 40), "#0072B2"), io.BytesIO()
    picture.save(file, "png")
    again = with_palette(base64.b64encode(file.getvalue()).decode())
    read = Image.open(io.BytesIO(base64.b64decode(again)))
    assert read.size == (60, 40)
    assert read.convert("RGB").getpixel((30, 20)) == (0, 0x72, 0xB2)
