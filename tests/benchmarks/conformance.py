"""The page of conformance: our numbers beside numbers that others computed and published.

    PYFAIRME_DATA=<data> python tests/benchmarks/conformance.py [--only PART ...] [--again]

Each part is stored in ``--out`` as it ends, and a later call goes on with those that are not there;
``--again`` runs the named ones anew. The table of ``--page`` is written from ``--out``. The part
"blackjax" needs ``pip install blackjax`` and is left out without it.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from pyfairme.atomic import write_text
from tests.benchmarks.conformance_blackjax import blackjax_lines
from tests.benchmarks.conformance_lines import Line
from tests.benchmarks.conformance_lme4 import lme4_lines, nuts_lines, wages_lines
from tests.benchmarks.conformance_stan import radon_lines, schools_lines

DOCS = Path(__file__).resolve().parents[2] / "docs"
PARTS: Mapping[str, Callable[[Path], list[Line]]] = {
    "schools": schools_lines,
    "radon": radon_lines,
    "lme4": lme4_lines,
    "nuts": nuts_lines,
    "blackjax": blackjax_lines,
    "wages": wages_lines,
}
START, END = "<!-- table -->\n", "<!-- end of table -->"
HEAD = (
    "data, model", "reference by, and where", "ours by", "of how many numbers", "the worst",
    "reference", "ours", "difference", "limit", "",
)  # fmt: skip


def stored(path: Path) -> pd.DataFrame:
    """Return the lines of parts that have ended."""
    return pd.read_csv(path, keep_default_na=False) if path.exists() else pd.DataFrame({"part": []})


def with_part(table: pd.DataFrame, part: str, lines: list[Line]) -> pd.DataFrame:
    """Return the table with the lines of a part, parts in their order."""
    new = pd.DataFrame([{"part": part, **line.row()} for line in lines])
    every = pd.concat([table[table["part"] != part], new] if len(table) else [new])
    order = {name: place for place, name in enumerate(PARTS)}
    return every.sort_values("part", key=lambda parts: parts.map(order), kind="stable")


def markdown(table: pd.DataFrame) -> str:
    """Return the lines as a table of the page: what is as above is left out."""
    rows, before = [HEAD, ("---",) * len(HEAD)], None
    for line in table.itertuples():
        source = (f"{line.data}: {line.model}", line.reference_by, line.ours_by)
        source = tuple(text.replace("|", r"\|") for text in source)
        percent = "%" if line.unit == "%" else f" {line.unit}"
        rows.append((
            *(source if source != before else ("", "", "")),
            f"{line.quantity} ({line.numbers:,})",
            line.worst,
            f"{line.reference:.4g}",
            f"{line.ours:.4g}",
            f"{line.difference:+.2f}{percent}" if percent != "%" else f"{line.difference:+.1f}%",
            f"{line.limit:g}{percent}",
            line.result if line.result == "met" else f"**{line.result}**",
        ))  # fmt: skip
        before = source
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def replaced(page: str, table: pd.DataFrame) -> str:
    """Return the page with the table between its marks."""
    before, rest = page.split(START)
    return f"{before}{START}\n{markdown(table)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Our numbers beside published ones.")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--again", action="store_true", help="run parts that are stored too")
    parser.add_argument("--data", type=Path, default=os.environ.get("PYFAIRME_DATA", "data"))
    parser.add_argument("--out", type=Path, default=DOCS / "results" / "conformance.csv")
    parser.add_argument("--page", type=Path, default=DOCS / "conformance.md")
    options = parser.parse_args()
    table = stored(options.out)
    for part in options.only:
        if part in set(table["part"]) and not options.again:
            continue
        if part == "blackjax" and find_spec("blackjax") is None:
            print("blackjax is left out: pip install blackjax")
            continue
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of diagnostics: the table says what came of them
            table = with_part(table, part, PARTS[part](Path(options.data)))
        write_text(options.out, table.to_csv(index=False, float_format="%.5g"))
        print(f"{part}: {time.perf_counter() - begin:.0f} s", flush=True)
        table = stored(options.out)
    print(table.drop(columns=["model", "reference_by"], errors="ignore").to_string(index=False))
    if options.page.exists():
        write_text(options.page, replaced(options.page.read_text(encoding="utf-8"), table))


if __name__ == "__main__":
    main()
