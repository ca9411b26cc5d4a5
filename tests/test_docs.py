"""Every Python block of the README and of docs/ runs, top to bottom; every link leads somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("optimised")  # fits as users make them, of thousands of rows
ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
EXECUTED = [path for path in PAGES if path.parent.name == "docs" or path.name == "README.md"]

FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)\s*?$", re.M | re.S)
# Run by `make test`: what people read first, and pages that take a moment. The others are `long`.
AT_EACH_COMMIT = {
    "README.md",
    "docs/start.md",
    "docs/data.md",
    "docs/command_line.md",
    "docs/intervals.md",
}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def blocks(text: str) -> list[tuple[int, str]]:
    """List the Python blocks of a page that are to be run: first line number, code."""
    found = []
    for match in FENCE.finditer(text):
        if match["info"].split() == ["python"]:
            found.append((text.count("\n", 0, match.start("code")) + 1, match["code"]))
    return found


def run_page(path: Path, text: str) -> None:
    """Run the blocks of one page in one namespace; tracebacks show the page's line numbers."""
    namespace = {"__name__": "__main__"}
    for line, code in blocks(text):
        exec(compile("\n" * (line - 1) + code, str(path), "exec"), namespace)


def broken_links(path: Path, text: str) -> list[str]:
    """List the relative links of a page that lead to no file; web addresses are not visited."""
    targets = [match["target"].partition("#")[0] for match in LINK.finditer(FENCE.sub("", text))]
    local = [target for target in targets if target and "://" not in target]
    return [target for target in local if not (path.parent / target).exists()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def with_part(path: Path) -> Any:
    """Mark a page as `long` if it has blocks to run, unless it is run at each commit."""
    name = name_of(path)
    short = name in AT_EACH_COMMIT or not blocks(path.read_text(encoding="utf-8"))
    return pytest.param(path, id=name, marks=() if short else pytest.mark.long)


@pytest.mark.parametrize("path", [with_part(path) for path in EXECUTED])
def test_the_blocks_of_a_page_run(path, tmp_path, monkeypatch):
    text = path.read_text(encoding="utf-8")
    if not blocks(text):
        pytest.skip("no Python block to run on this page")
    monkeypatch.chdir(tmp_path)
    run_page(path, text)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(path):
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


PAGE = """# Title

```python
seen = [1]
```

```python no-run
raise RuntimeError
```

````text
```python
raise RuntimeError
```
````

```sh
rm nothing
```

```python
seen.append(undefined_name)
```

A [link](there.md#part), another [one](not-there.md), the [web](https://example.org/x.md).
"""


def test_blocks_share_a_namespace_and_no_run_is_left_out():
    assert blocks(PAGE) == [(4, "seen = [1]\n"), (22, "seen.append(undefined_name)\n")]


def test_a_block_that_fails_names_its_line():
    with pytest.raises(NameError, match="undefined_name") as caught:
        run_page(Path("page.md"), PAGE)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == ("page.md", 22)


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "there.md").touch()
    assert broken_links(tmp_path / "page.md", PAGE) == ["not-there.md"]
