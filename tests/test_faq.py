"""Every message ends with a code, and docs/faq.md has a heading for each code and for no other."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "pyfairme").rglob("*.py"))
FAQ = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")

# A code ends its sentence or its text; "[sex]" inside a text, as of a keyword's part, does not.
CODE = re.compile(r"(?:^|\s)\[([a-z][a-z0-9]*(?:-[a-z0-9]+)*)\]$")
HEADING = re.compile(r"^### `([^`]+)`$", re.M)

WITHOUT = {
    # a reason, in the warning of a fit that broke down
    "pyfairme/inference/laplace/laplace_evidence.py": {
        "the mode of the linear model was not found"
    },
    # reasons, which one warning of the store lists
    "pyfairme/study/crossval/checksummed_json.py": {
        "{} is missing",
        "{} is no file",
        "{} cannot be read: {}",
        "{} is damaged",
        "{} has no checksum (of an older version, or altered)",
        "{} is not as it was written",
    },
    "pyfairme/study/crossval/store.py": {
        "{} is the record of a fit",
        "{} is of another fit",
        "{} is of another study",
        "{} is not the table that was written",
        "its rows are not those of the fold",
    },
    "pyfairme/study/tuning/final_evaluation.py": {"{}: {}"},  # hands on a message that has its code
}


def text_of(node: ast.AST) -> str | None:
    """Return a literal text, with {} for values; None for what is computed elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join("{}" if isinstance(p, ast.FormattedValue) else p.value for p in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            both = text_of(left), text_of(right)
            return None if both == (None, None) else "".join(t or "{}" for t in both)
    return None


def called(node: ast.AST) -> str:
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def is_message(node: ast.AST, inside: dict[ast.AST, ast.AST]) -> bool:
    """Tell the calls that make an error or a warning; `return SomeError(...)` is of a helper."""
    name, around = called(node), inside.get(node)
    if name == "StateError":  # part of the message that a file is damaged, which has its code
        return False
    made = isinstance(around, ast.Return) and name.endswith("Error")
    return name == "warn" or isinstance(around, ast.Raise) or made


def without_code(source: str) -> list[str]:
    """List the literal texts of errors and warnings that end without a code."""
    tree = ast.parse(source)
    inside = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    texts = [
        text_of(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and is_message(node, inside)
    ]
    # "{}" alone is a text that was made by a helper, whose own strings are looked at for codes.
    return [text for text in texts if text and text != "{}" and not CODE.search(text)]


def codes_of(source: str) -> Iterator[str]:
    """Yield the codes that end a text anywhere in a source; docstrings are no messages."""
    tree = ast.parse(source)
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
        for part in node.values
    }  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in documented or id(node) in parts:
            continue
        if (text := text_of(node)) and (found := CODE.search(text)):
            yield found[1]


@functools.cache  # not at import, which every worker does
def codes() -> set[str]:
    """Return the codes of all messages."""
    return {code for path in SOURCES for code in codes_of(path.read_text(encoding="utf-8"))}


def test_messages_end_with_a_code():
    found = {
        path.relative_to(ROOT).as_posix(): set(without_code(path.read_text(encoding="utf-8")))
        for path in SOURCES
    }
    assert {name: texts for name, texts in found.items() if texts} == WITHOUT


def test_every_code_has_a_heading_and_every_heading_a_code():
    headings = HEADING.findall(FAQ)
    assert sorted(headings) == sorted(codes())


def test_every_entry_has_what_is_said_its_cause_and_its_cure():
    entries = re.split(r"^##+ .*$", FAQ.partition("\n## Notes in the column")[0], flags=re.M)[1:]
    filled = [entry.strip().splitlines() for entry in entries if entry.strip()]
    marks = [tuple(line.partition(":")[0] for line in lines) for lines in filled]
    assert set(marks) == {("- Says", "- Cause", "- Cure")}
    assert len(marks) == len(codes())


MADE_UP = '''
def f(x, error):
    """No message. [not-one]"""
    if x:
        raise ValueError(f"Expected none, got {x}.")
    if x is None:
        raise TypeError("Expected " "some: give one. [made-up]")
    warn("Odd. " + f"{x} [in-the-middle] of it")
    warn(f"{x[0]}: odd. [b]", DataWarning)
    raise helper(x) from error


def helper(x):
    return OSError("no such place" + x)
'''


def test_a_message_without_a_code_is_found():
    found = ["Expected none, got {}.", "Odd. {} [in-the-middle] of it", "no such place{}"]
    assert sorted(without_code(MADE_UP)) == found
    assert sorted(codes_of(MADE_UP)) == ["b", "made-up"]
