"""Execute notebooks at full size and store what they show (`make notebooks`).

    python tests/notebook_outputs.py notebooks/quickstart.py

The source is the Python file; its pair, the ``.ipynb``, is written anew from it. `make test-long`
runs the same cells with the smaller numbers that a cell's metadata name (nbmake's mocks), which are
not read here. What is stored is the same for the same outputs: no times, no random ids of cells.
Pictures get a palette, which makes a file a third as large. Nothing is written when a cell fails,
writes to the standard error (a warning), or the notebook grows beyond `LIMIT`.
"""

from __future__ import annotations

import argparse
import ast
import base64
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat

LIMIT = 250_000  # bytes of a notebook with its outputs
COLOURS = 128  # of a stored picture


def read_source(source: Path) -> Any:
    """Read a Python file of cells as a notebook without outputs."""
    notebook = jupytext.read(source)
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    return notebook


def with_palette(image: str) -> str:
    """Return a picture (PNG, base64) with few colours."""
    from PIL import Image

    file = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def execute(notebook: Any, folder: Path) -> None:
    """Run the cells of a notebook in a folder, and put their outputs into it."""
    from nbclient import NotebookClient

    os.environ["TQDM_DISABLE"] = "1"  # bars are of use while one waits
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=1200, record_timing=False, resources=resources).execute()
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    for output in outputs(notebook):
        data = output.get("data", {})
        if "image/png" in data:
            data["image/png"] = with_palette(data["image/png"])


def outputs(notebook: Any) -> Iterator[Any]:
    """Go through the outputs of a notebook."""
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def sizes(cell: Any) -> dict[str, tuple[Any, Any]]:
    """Return what a cell of sizes sets, by name: at full size, and in the tests.

    Raises
    ------
    ValueError
        When the tests set what the cell does not set to a value that is written out: mocks come
        after a cell, so nothing else may hang on them there.
    """
    small = cell.metadata.get("nbmake", {}).get("mock", {})
    full: dict[str, Any] = {}
    for statement in ast.parse(cell.source).body if small else []:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            raise ValueError(f"a cell with mocks assigns and does nothing else: {cell.source}")
        full[statement.targets[0].id] = ast.literal_eval(statement.value)
    if unknown := small.keys() - full.keys():
        raise ValueError(f"mocks of names that the cell does not set: {sorted(unknown)}")
    return {name: (full[name], small[name]) for name in small}


def complaints(notebook: Any) -> list[str]:
    """List what must not be in a stored notebook."""
    found = []
    for output in outputs(notebook):
        if output.output_type == "error":
            found.append(f"error: {output.evalue}")
        if output.get("name") == "stderr":
            found.append(f"on the standard error: {output.text}")
    size = len(nbformat.writes(notebook).encode())
    if size > LIMIT:
        found.append(f"{size} bytes, more than {LIMIT}")
    return found


def main() -> None:
    """Execute the notebooks that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", type=Path, nargs="+", help="the Python files")
    for source in parser.parse_args().notebooks:
        begin = time.perf_counter()
        notebook = read_source(source)
        execute(notebook, source.resolve().parent)
        if found := complaints(notebook):
            raise SystemExit("\n".join([f"{source} is not stored:", *found]))
        text = nbformat.writes(notebook) + "\n"
        source.with_suffix(".ipynb").write_text(text, encoding="utf-8")
        seconds = time.perf_counter() - begin
        print(f"{source}: {seconds:.0f} s, {len(text.encode()) / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
