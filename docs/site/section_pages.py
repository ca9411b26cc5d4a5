"""Turn the lists of pages in Markdown into contents and cards.

A page with the comment ``<!-- contents -->`` is the parent of the pages that the lines of its lists
and tables name first, by headings; with ``<!-- cards -->`` the lists become cards besides, those of
notebooks with a picture of theirs: that of the cell with the tag "thumbnail", else the last. On a
code host comments are not seen, and lists are lists.
"""

from __future__ import annotations

import base64
import io
import json
import posixpath
import re
from pathlib import Path
from typing import Any

CONTENTS, CARDS = "<!-- contents -->", "<!-- cards -->"
ENTRY = re.compile(r"^(?:\||- ).*?\[(?P<title>[^\]]+)\]\((?P<target>[^)#\s]+)\.(?:md|ipynb)\)")
ITEM = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<target>[^)\s]+)\)(?:: (?P<text>.*))?$")

CARD = (600, 360)  # pixels of a card's picture

FIRST_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={start}">
<title>pyfairme</title>
</head>
<body><a href="{start}">pyfairme</a></body>
</html>
"""


def sections(text: str) -> list[tuple[str, list[str]]]:
    r"""Return the pages that a text names, as Sphinx's contents do, by the heading above them.

    Examples
    --------
    >>> sections("# All\\n- [A](a.md): first\\n## More\\n| [B](b.md) | [c](c.md) |\\n")
    [('', ['A <a>']), ('More', ['B <b>'])]
    """
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if line.startswith("## "):
            found.append((line.removeprefix("## "), []))
        elif match := ENTRY.match(line):
            found[-1][1].append(f"{match['title']} <{match['target']}>")
    return [(title, pages) for title, pages in found if pages]


def toctrees(text: str) -> str:
    """Return the hidden contents of a page."""
    blocks = []
    for title, pages in sections(text):
        caption = f":caption: {title}\n" if title else ""
        blocks.append("\n".join(["```{toctree}", f":hidden:\n{caption}", *pages, "```"]))
    return "\n\n".join(blocks) + "\n"


def picture(notebook: Path) -> bytes | None:
    """Return a notebook's picture for its card: of the cell tagged "thumbnail", else the last."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "thumbnail" in cell["metadata"].get("tags", [])]
    for cell in [*tagged, *reversed(cells)]:
        for output in reversed(cell.get("outputs", [])):
            if image := output.get("data", {}).get("image/png"):
                return base64.b64decode("".join(image))
    return None


def fitted(image: bytes) -> bytes:
    """Return a picture within `CARD` pixels, on white, so that cards are of one height."""
    from PIL import Image, ImageOps

    shown = ImageOps.pad(Image.open(io.BytesIO(image)).convert("RGB"), CARD, color="white")
    file = io.BytesIO()
    shown.save(file, "png")
    return file.getvalue()


def thumbnail(page: Path, target: str) -> str:
    """Write the picture of a notebook for its card, and return the option that shows it."""
    if not target.endswith(".ipynb") or (image := picture(page.parent / target)) is None:
        return ""
    path = page.parent / "_build" / "thumbnails" / f"{Path(target).stem}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fitted(image))
    return f":img-top: {posixpath.relpath(path, page.parent)}\n"


def cards(text: str, page: Path) -> str:
    """Return a text with its lists of pages as grids of cards."""
    lines: list[str] = []
    inside = False
    for line in [*text.splitlines(), ""]:
        match = ITEM.match(line)
        if match and not inside:
            lines += ["::::{grid} 1 2 3 3", ":gutter: 3", ""]
        if inside and not match:
            lines += ["::::", ""]
        inside = match is not None
        if match is None:
            lines.append(line)
            continue
        target = match["target"].rpartition(".")[0]
        lines += [f":::{{grid-item-card}} {match['title']}", f":link: {target}", ":link-type: doc"]
        lines += [f"{thumbnail(page, match['target'])}", match["text"] or "", ":::"]
    return "\n".join(lines) + "\n"


def add_contents(app: Any, docname: str, source: list[str]) -> None:
    """Replace the comments of a page."""
    text = source[0]
    if CONTENTS in text or CARDS in text:
        page = Path(app.srcdir) / f"{docname}.md"
        shown = cards(text, page) if CARDS in text else text
        source[0] = f"{shown}\n{toctrees(text)}"


def first_page(app: Any, exception: Exception | None) -> None:
    """Let the site's index.html lead to its first page, docs/README.html."""
    if exception is None:
        text = FIRST_PAGE.format(start=f"{app.config.root_doc}.html")
        (Path(app.outdir) / "index.html").write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", first_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
