"""Run the Python blocks of pages again and put what they print into the text blocks after them.

    python tests/page_outputs.py README.md docs/start.md

A text block belongs to a Python block if nothing but empty lines is between the two. Blocks of
commands (``sh``) are run too where a text block follows one, in the folder of the page's blocks,
if ``--commands`` is given. Leave XLA_FLAGS alone: other flags round otherwise, and fits with early
stopping end elsewhere (the README's TPR SD .081 becomes .086). Read the difference (git diff)
before you keep it: words around a table may speak of its numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import subprocess
import tempfile
import warnings
from pathlib import Path

FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[ ]*$", re.M | re.S)


def run(info: str, code: str, namespace: dict, commands: bool) -> str | None:
    """Run one block; return what it printed, or None where it is not run."""
    if info == "python":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "page", "exec"), namespace)
        return printed.getvalue()
    if info == "sh" and commands:
        done = subprocess.run(code, shell=True, capture_output=True, text=True, check=True)
        return done.stdout.replace(os.getcwd(), "...")  # pages have no paths of this machine
    return None


def refreshed(text: str, commands: bool) -> str:
    """Return a page with the outputs of its blocks."""
    namespace: dict = {"__name__": "__main__"}
    matches = list(FENCE.finditer(text))
    parts, end = [], 0
    for place, match in enumerate(matches):
        info = match["info"].strip()
        after = matches[place + 1] if place + 1 < len(matches) else None
        shown = (
            after is not None
            and after["info"].strip() == "text"
            and not text[match.end() : after.start()].strip()
        )
        if info not in ("python", "sh") or (info == "sh" and not shown):
            continue
        printed = run(info, match["code"], namespace, commands)
        if shown and printed is not None and after is not None:
            lines = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
            parts += [text[end : after.start("code")], f"{lines}\n"]
            end = after.end("code")
    return "".join([*parts, text[end:]])


def main() -> None:
    """Refresh the pages that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--commands", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("default")
    for page in asked.pages:
        path, home = page.resolve(), Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                text = refreshed(path.read_text(encoding="utf-8"), asked.commands)
            finally:
                os.chdir(home)
        path.write_text(text, encoding="utf-8")
        print(f"{page}: done")


if __name__ == "__main__":
    main()
