"""``pyfairme reproduce``: the paper's experiments on one data set, our cells beside its own."""

import os
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pyfairme.cli.problems import one_line_errors
from pyfairme.cli.table_files import check_folder

QUICK = "A quick run, to see that everything works: its figures mean nothing."


class Experiment(StrEnum):
    """The paper's data sets; acs is the American Community Survey of 2018 for IPUMS of 2006."""

    adult = "adult"
    acs = "acs"
    heritage = "heritage"


def reproduce(
    experiment: Annotated[Experiment, typer.Argument(help="Which data set.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for results and finished fits; pyfairme-<data set> if not given. Run "
            "again with the same folder, only what is missing is fitted.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds: how often all folds are made anew.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or file of the data; else that of PYFAIRME_DATA. Not for adult."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that fit at the same time; all cores, at most 8."),
    ] = None,
    variants: Annotated[
        str,
        typer.Option(help="Names of variants, separated by commas; those of the plan if empty."),
    ] = "",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="6,000 rows, few steps: shows that it works; its figures mean nothing."
        ),
    ] = False,
) -> None:
    """Run the paper's experiments on one data set, and put our figures beside the paper's.

    Every variant is fitted on eight tenths of the rows of the most frequent clusters, ten times in
    turn, for each seed; the test rows of all folds and the rows of the other clusters are judged.
    Each finished fit is kept: interrupted or killed, the same command goes on where it stopped.
    Written are tidy tables (csv), Markdown tables in the layout of the paper's supplement (S8-S18),
    and figures like its figures 2-7.

    \b
    Examples:
      pyfairme reproduce adult --seeds 3 --jobs 2
      pyfairme reproduce acs --data acs_income/ --out acs-2018
      pyfairme reproduce heritage --quick
    """  # noqa: D301 (\b is click's mark for lines that are not to be wrapped)
    from joblib import cpu_count

    from pyfairme.paper.reproduction import PLANS
    from pyfairme.paper.reproduction import quick as quickly
    from pyfairme.paper.reproduction import reproduce as run
    from pyfairme.paper.reproduction_files import write_reproduction

    start = time.perf_counter()
    if data is not None and experiment is Experiment.adult:
        raise typer.BadParameter(
            "Adult comes with the package. [data-of-adult]", param_hint="--data"
        )
    plan = PLANS[experiment.value]
    if quick:
        plan = quickly(plan)
    if seeds is not None:
        plan = replace(plan, seeds=seeds)
    if variants:
        plan = replace(plan, variants=_chosen(variants))
    suffix = "-quick" if quick else ""
    folder = out if out is not None else Path(f"pyfairme-{experiment.value}{suffix}")
    check_folder(folder)
    with one_line_errors():
        _check_data(experiment, data)
        found = run(
            plan,
            folder / "store",
            path=data,
            n_jobs=jobs or min(cpu_count(), 8),
            progress="auto",
            say=typer.echo,
        )
        files = write_reproduction(found, folder, QUICK if quick else "")
    typer.echo(f"\nIn {folder} ({time.perf_counter() - start:.0f} s):")
    for name, meaning in files.items():
        typer.echo(f"  {name:<34} {meaning}")


def _check_data(experiment: Experiment, data: Path | None) -> None:
    """Say how to name the data, before a loader says where to get them."""
    if experiment is not Experiment.adult and data is None and "PYFAIRME_DATA" not in os.environ:
        typer.echo("Name the file or folder of the data with --data PATH.", err=True)


def _chosen(text: str) -> tuple[str, ...]:
    """Split names of variants; raise BadParameter for one that does not exist."""
    from pyfairme.variants import VARIANTS

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in VARIANTS]:
        raise typer.BadParameter(
            f"{', '.join(unknown)}: expected some of {', '.join(VARIANTS)}. [unknown-choice]",
            param_hint="--variants",
        )
    return names
