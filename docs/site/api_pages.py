"""Write a page for each public name: its docstring, an example, and the pages that use it."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from pathlib import Path
from typing import Any

from public_names import ROOT, PublicName, Use, modules, names_of, public_names, same, uses

PAGES = ROOT / "docs" / "reference"


def headed(title: str, text: str, line: str = "=") -> str:
    """Return a text below its title."""
    return f"{title}\n{line * len(title)}\n\n{text}\n"


def own_members(kind: type) -> list[str]:
    """List the public methods and properties of a class that pyfairme documents."""
    found = []
    for name, value in inspect.getmembers(kind):
        value = value.fget if isinstance(value, property) else value
        if name.startswith("_") or not inspect.isroutine(value) or not inspect.getdoc(value):
            continue
        if getattr(value, "__module__", "").startswith("pyfairme"):
            found.append(name)
    return found


def description(one: PublicName) -> str:
    """Return the directive that documents a name."""
    if one.kind == "data":
        text = textwrap.indent(one.docstring or "", "   ")
        return f".. py:data:: {one.path}\n\n{text}\n"
    lines = [f".. auto{one.kind}:: {one.path}"]
    if one.kind == "class" and (members := own_members(one.value)):
        lines += [f"   :members: {', '.join(members)}", "   :member-order: groupwise"]
    return "\n".join(lines) + "\n"


def place(page: str) -> str:
    """Return how a page in docs/reference links to another one; the README is not on the site."""
    return "/" + page.rpartition(".")[0]


def shown_uses(one: PublicName, used: list[Use]) -> str:
    """Return an example from a page where the docstring has none, and links to the pages."""
    on_site = [use for use in used if use.page != "README.md"]
    parts = []
    if used and not one.has_example:
        use = min(on_site or used, key=lambda use: len(use.code))
        where = f", from :doc:`{place(use.page)}`" if use in on_site else ""
        code = textwrap.indent(use.code.strip("\n"), "   ")
        parts.append(f".. rubric:: Example{where}\n\n.. code-block:: python\n\n{code}\n")
    if pages := sorted({place(use.page) for use in on_site}):
        links = "\n".join(f"* :doc:`{page}`" for page in pages)
        parts.append(f".. rubric:: Used in\n\n{links}\n")
    return "\n".join(parts)


def module_page(module: str, known: list[PublicName]) -> str:
    """Return the page of a module: what it is for, and a table of its names."""
    here = names_of(module)
    first = [next(other for other in known if same(one, other)) for one in here]
    listed = "\n".join(f"   ~{one.path}" for one in first if one.kind != "data")
    data = "\n".join(
        f"* `{one.path}`: {' '.join(one.docstring.split('. ')[0].split())}"
        for one in first
        if one.kind == "data"
    )
    entries = "\n".join(f"   {one.path}" for one in first if one.module == module)
    return headed(
        module,
        f".. py:module:: {module}\n\n.. automodule:: {module}\n   :no-index:\n\n"
        f".. currentmodule:: None\n\n.. autosummary::\n   :nosignatures:\n\n{listed}\n\n{data}\n\n"
        f".. toctree::\n   :hidden:\n\n{entries}\n",
    )


def write(path: Path, text: str) -> None:
    """Write a page, unless it is there already as it should be: Sphinx reads what is newer."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_pages(*_: Any) -> None:
    """Write all pages into docs/reference, and take away those of names that are no more."""
    PAGES.mkdir(exist_ok=True)
    known, used = public_names(), uses()
    pages = {module: module_page(module, known) for module in modules()}
    for one in known:
        parts = [description(one), shown_uses(one, used[one.path])]
        module = f".. currentmodule:: {one.module}\n\n"
        pages[one.path] = headed(one.name.replace("__", r"\_\_"), module + "\n".join(parts))
    for name, text in pages.items():
        write(PAGES / f"{name}.rst", text)
    for path in PAGES.iterdir():
        if path.stem not in pages:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def module_toctree(app: Any, docname: str, source: list[str]) -> None:
    """Add the modules' pages to the contents of docs/api.md, and link its table to them."""
    if docname != "docs/api":
        return
    entries = "\n".join(f"reference/{module}" for module in modules())
    for module in modules():
        file = f"../{module.replace('.', '/')}/__init__.py"
        source[0] = source[0].replace(f"]({file})", f"](reference/{module}.rst)")
    source[0] += f"\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", write_pages)
    app.connect("source-read", module_toctree)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
