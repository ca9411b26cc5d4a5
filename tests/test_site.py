"""Every page is on the site, every public name has an example; the site itself is `make docs`."""

import ast
import base64
import importlib.util
import io
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def part(name: str):
    """Import a file of docs/site."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


public_names, section_pages = part("public_names"), part("section_pages")


def listed(page: Path) -> set[Path]:
    """Return the pages that are on the site because this one lists them, and so on."""
    text, found = page.read_text(encoding="utf-8"), {page.resolve()}
    if section_pages.CONTENTS not in text and section_pages.CARDS not in text:
        return found
    entries = [one for _, pages in section_pages.sections(text) for one in pages]
    for target in (one.partition("<")[2].rstrip(">") for one in entries):
        path = (page.parent / target).resolve()
        if path.with_suffix(".ipynb").exists():
            found.add(path.with_suffix(".ipynb"))
        else:
            found |= listed(path.with_suffix(".md"))
    return found


def test_every_page_and_notebook_is_on_the_site():
    pages = {*DOCS.glob("*.md"), *DOCS.glob("results/*.md"), *ROOT.glob("notebooks/*.ipynb")}
    missing = sorted(path.name for path in pages - listed(DOCS / "README.md"))
    assert missing == [], "list it in docs/user_guide.md, concepts.md, evidence.md or gallery.md"


def test_every_public_name_has_a_docstring_and_an_example():
    names = public_names.public_names()
    assert [one.path for one in names if not one.docstring] == []
    assert public_names.without_example() == [], "show it in the docstring, or on a page"


def test_a_name_without_example_is_found(monkeypatch):
    monkeypatch.setattr(public_names, "uses", lambda: {one.path: [] for one in known})
    known = public_names.public_names()
    missing = set(public_names.without_example())
    assert {"pyfairme.load", "pyfairme.VARIANTS", "pyfairme.study.Frontier"} <= missing
    assert not missing & {"pyfairme.Binned", "pyfairme.model.priors.PRIORS"}


def test_what_pages_import_from_packages_is_public():
    modules = set(public_names.modules())
    known = {f"{one.module}.{one.name}" for m in modules for one in public_names.names_of(m)}
    used: set[str] = set()
    for _, blocks in public_names.sources():
        imported: dict[str, str] = {}
        for code in blocks:
            used |= public_names.used_in(code, imported)
    of_packages = {name for name in used if name.rpartition(".")[0] in modules}
    assert {name for name in of_packages - known if name not in modules} == set()
    assert len(of_packages & known) > 40  # the pages were found


def test_a_section_page_becomes_contents_by_heading():
    text = "# All\n- [A](a.md): see [x](x.md)\n## More\n| `f` | [B](b.md) | [c](c.md) |\n"
    assert section_pages.sections(text) == [("", ["A <a>"]), ("More", ["B <b>"])]
    assert ":caption: More\n\nB <b>\n```" in section_pages.toctrees(text)


def test_lists_become_cards_and_other_text_stays(tmp_path):
    shown = section_pages.cards("before\n\n- [A](a.md): first\n- [B](b.md)\n\nafter\n", tmp_path)
    assert shown.count("{grid-item-card}") == 2
    assert ":link: a\n:link-type: doc\n\nfirst\n:::" in shown
    assert shown.startswith("before\n")
    assert shown.endswith("::::\n\n\nafter\n\n")


def test_a_card_has_the_picture_of_the_tagged_cell(tmp_path):
    def cell(colour: str, *tags: str):
        file = io.BytesIO()
        Image.new("RGB", (30, 30), colour).save(file, "png")
        data = {"image/png": base64.b64encode(file.getvalue()).decode()}
        return {"metadata": {"tags": [*tags]}, "outputs": [{"data": data}]}

    for name, cells in {
        "last": [cell("red"), cell("blue")],
        "tagged": [cell("red", "thumbnail"), cell("blue")],
    }.items():
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
        assert section_pages.thumbnail(tmp_path / "gallery.md", f"{name}.ipynb").endswith(
            f"_build/thumbnails/{name}.png\n"
        )
    colours = []
    for name in ("last", "tagged"):
        shown = Image.open(tmp_path / "_build" / "thumbnails" / f"{name}.png")
        assert shown.size == section_pages.CARD
        assert shown.getpixel((0, 0)) == (255, 255, 255)
        colours.append(shown.getpixel((300, 180)))
    assert colours == [(0, 0, 255), (255, 0, 0)]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import pyfairme as pf\npf.datasets.load_adult()", "pyfairme.datasets.load_adult"),
        ("from pyfairme.metrics import ece as error\nerror(1)", "pyfairme.metrics.ece"),
    ],
)
def test_uses_are_found_by_what_was_imported(code, name):
    assert name in public_names.used_in(code, {})
    assert public_names.used_in(ast.unparse(ast.parse(code).body[1]), {}) == set()


def test_data_have_the_text_below_them():
    assert "by variant" in public_names.data_docstrings()["VARIANTS"]


@pytest.mark.parametrize(
    ("row", "times", "folded"),
    [(["a", ".5"], 21, True), (["a", ".5"], 20, False), (["many", "words"], 999, False)],
)
def test_long_tables_of_numbers_are_folded(row, times, folded):
    assert part("long_tables").is_long([["name", "value"], *[row] * times]) is folded
