"""Fold long tables of results on the site, each with a CSV file to download."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # which tables are long is tested without Sphinx and docutils
    from docutils import nodes

ROWS, LETTERS = 20, 4000  # a table of results with more of either is folded


def cells_of(table: nodes.table) -> list[list[str]]:
    """Return the text of a table, its header first."""
    from docutils import nodes

    rows = table.findall(nodes.row)
    return [[entry.astext().replace("\n", " ") for entry in row.children] for row in rows]


def is_long(cells: list[list[str]]) -> bool:
    """Tell whether a table is long, and of numbers rather than words."""
    texts = [text for row in cells[1:] for text in row]
    numbers = sum(any(sign.isdigit() for sign in text) for text in texts)
    many = len(cells) - 1 > ROWS or sum(map(len, texts)) > LETTERS
    return many and numbers > 0.4 * len(texts)


def write_csv(path: Path, cells: list[list[str]]) -> None:
    """Write a table for a spreadsheet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(cells)


def fold_tables(app: Any, doctree: nodes.document, docname: str) -> None:
    """Put each long table of a page between the tags of a fold."""
    from docutils import nodes

    if app.builder.format != "html" or docname.startswith("docs/reference/"):
        return
    for number, table in enumerate(list(doctree.findall(nodes.table)), start=1):
        cells = cells_of(table)
        if not is_long(cells):
            continue
        file = f"_downloads/tables/{docname.replace('/', '_')}_{number}.csv"
        write_csv(Path(app.outdir) / file, cells)
        to_root = "../" * docname.count("/")
        start = (
            f'<details class="long-table"><summary>Table: {len(cells) - 1} rows, '
            f'{len(cells[0])} columns</summary>\n<p><a href="{to_root}{file}" download>CSV</a></p>'
        )
        parent, place = table.parent, table.parent.index(table)
        parent.insert(place + 1, nodes.raw("", "</details>", format="html"))
        parent.insert(place, nodes.raw("", start, format="html"))


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", fold_tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
