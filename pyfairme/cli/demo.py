"""``pyfairme demo``: the paper's model without and with fairness, on bundled data."""

import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import pyfairme
from pyfairme.cli.table_files import check_folder
from pyfairme.paper.demo_comparison import AFTER, BEFORE, QUICK, Protocol, compare_variants
from pyfairme.paper.demo_files import write_demo
from pyfairme.report.comparison_conclusion import comparison_conclusion
from pyfairme.report.comparison_text import comparison_text

NAMES = (f"{BEFORE} (no fairness)", f"{AFTER} (fair)")
WIDTH = 118  # of the table as well
FAIRER = '**pf.VARIANTS["medl_adb"] | {"fairness_weight": 0.5}'
NEXT = (
    "What to try next:",
    "  1. Open group_rates_seen.png and card.html; trust no percentage of a cell marked ~.",
    f"  2. Weigh fairness differently: pf.FairMixedEffectsClassifier(..., {FAIRER})",
    "  3. Take your own table: pyfairme fit TABLE --target ... --cluster ... --sensitive ...",
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for tables and pictures; made if missing.")] = (
        Path("pyfairme-demo")
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seeds folds, networks and the bootstrap.")] = 0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Fewer rows and steps: shows that it works; its figures mean nothing."
        ),
    ] = False,
) -> None:
    """Fit the paper's model without and with fairness on Adult, and compare them.

    Adult is census data that come with the package; the target is an income above 50,000 dollars,
    the clusters are occupations. Both models train on the six most frequent occupations and are
    judged on rows they never saw: of these six, and of the nine other occupations. About a minute.
    """
    start = time.perf_counter()
    check_folder(out)
    protocol = replace(QUICK if quick else Protocol(), seed=seed)
    typer.echo(f"Adult: {BEFORE} and {AFTER}, {protocol.rotations} of {protocol.folds} rotations.")
    found = compare_variants(pyfairme.datasets.load_adult(), protocol, typer.echo)
    text = comparison_text(found.table, NAMES)
    found = replace(
        found,
        configuration={
            "pyfairme": pyfairme.__version__,
            **found.configuration,
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    files = write_demo(found, text, out)
    typer.echo(f"\n{text}\n")
    for note in found.notes:
        typer.echo(textwrap.fill(f"Note. {note}", WIDTH, subsequent_indent="  "))
    typer.echo(f"\nIn {out.resolve()} ({time.perf_counter() - start:.0f} s):")
    for name, meaning in files.items():
        typer.echo(f"  {name:<30} {meaning}")
    typer.echo("\n".join(("", *NEXT, "")))
    typer.echo("Conclusion (a quick run: its figures mean nothing):" if quick else "Conclusion:")
    for said in comparison_conclusion(found.table, (BEFORE, AFTER)):
        typer.echo(textwrap.fill(said, WIDTH))
