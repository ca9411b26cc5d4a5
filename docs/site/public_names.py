"""The public names of pyfairme: those of the modules in docs/api.md, and what shows their use."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)\s*?$", re.M | re.S)
EXAMPLES = "Examples\n--------\n"
MODULE = re.compile(r"^\| \[`(pyfairme[a-z_.]*)`\]", re.M)


class PublicName(NamedTuple):
    """A name, the module that users import it from, and what it is."""

    module: str
    name: str
    value: Any

    @property
    def path(self) -> str:
        """The name with its module's."""
        return f"{self.module}.{self.name}"

    @property
    def kind(self) -> str:
        """What Sphinx calls it: exception, class, function or data."""
        if inspect.isclass(self.value):
            return "exception" if issubclass(self.value, BaseException) else "class"
        return "function" if inspect.isroutine(self.value) else "data"

    @property
    def docstring(self) -> str:
        """Its docstring; that of data is the text below the assignment."""
        if self.kind != "data":
            return inspect.getdoc(self.value) or ""
        return data_docstrings().get(self.name, "")

    @property
    def has_example(self) -> bool:
        """Whether its docstring has an example; data may have theirs in that of the module."""
        if self.kind != "data":
            return EXAMPLES in self.docstring
        _, _, shown = (importlib.import_module(self.module).__doc__ or "").partition(EXAMPLES)
        return self.name in shown


class Use(NamedTuple):
    """A page, and one of its blocks that uses a name."""

    page: str
    code: str


def modules() -> list[str]:
    """List the public modules, as docs/api.md does."""
    return MODULE.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))


def names_of(module: str) -> list[PublicName]:
    """List the public names of a module; loaders of data sets are found when they are asked for."""
    loaded = importlib.import_module(module)
    names = [*loaded.__all__, *(getattr(loaded, "loader_names", list)())]
    found = [PublicName(module, name, getattr(loaded, name)) for name in dict.fromkeys(names)]
    return [one for one in found if not isinstance(one.value, ModuleType)]


def same(one: PublicName, other: PublicName) -> bool:
    """Tell whether two names are one object, imported from two modules."""
    return one.name == other.name and one.value is other.value


def public_names() -> list[PublicName]:
    """List every public name once, under the first module that has it."""
    found: list[PublicName] = []
    for module in modules():
        found += [one for one in names_of(module) if not any(same(one, other) for other in found)]
    return found


@cache
def data_docstrings() -> dict[str, str]:
    """Return the text below each assignment at the top of a module, by the name it is of."""
    found = {}
    for path in sorted((ROOT / "pyfairme").rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for assignment, below in itertools.pairwise(body):
            if not isinstance(assignment, ast.Assign | ast.AnnAssign):
                continue
            target = getattr(assignment, "target", None) or assignment.targets[0]  # type: ignore
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[ast.unparse(target)] = inspect.cleandoc(str(below.value.value))
    return found


def sources() -> Iterator[tuple[str, list[str]]]:
    """Yield the pages and notebooks, each with its blocks of Python that tests run."""
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]):
        matches = FENCE.finditer(path.read_text(encoding="utf-8"))
        blocks = [match["code"] for match in matches if match["info"].split() == ["python"]]
        yield path.relative_to(ROOT).as_posix(), blocks
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        kept = ["\n".join(x for x in one.splitlines() if not x.startswith("%")) for one in code]
        yield path.relative_to(ROOT).as_posix(), kept


def dotted(node: ast.AST, imported: dict[str, str]) -> str:
    """Return the full name of `a.b.c`, by what was imported; empty where it is something else."""
    if isinstance(node, ast.Name):
        return imported.get(node.id, "")
    if isinstance(node, ast.Attribute) and (before := dotted(node.value, imported)):
        return f"{before}.{node.attr}"
    return ""


def used_in(code: str, imported: dict[str, str]) -> set[str]:
    """Return the full names that a block uses; its imports are added to those of earlier blocks."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {a.asname or a.name: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return {name for node in ast.walk(tree) if (name := dotted(node, imported))}


def resolved(path: str) -> Any:
    """Return the object of a full name of pyfairme, or None."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None


def returned(value: Any) -> str:
    """Return the name of what a function returns: who calls it has one."""
    notes = getattr(value, "__annotations__", {}) if inspect.isfunction(value) else {}
    kind = notes.get("return", "")
    return getattr(kind, "__name__", str(kind))


def uses() -> dict[str, list[Use]]:
    """Return, by the full name of each public name, the blocks of pages that use it."""
    known = public_names()
    found: dict[str, list[Use]] = {one.path: [] for one in known}
    for page, blocks in sources():
        imported: dict[str, str] = {}
        for code in blocks:
            for path in sorted(used_in(code, imported)):
                if not path.startswith("pyfairme."):
                    continue
                last, value = path.rpartition(".")[2], resolved(path)
                for one in known:
                    if (one.name == last and one.value is value) or one.name == returned(value):
                        found[one.path].append(Use(page, code))
    return found


def without_example() -> list[str]:
    """List the public names that neither a docstring nor a page shows in use."""
    used = uses()
    return [one.path for one in public_names() if not one.has_example and not used[one.path]]
