"""Everything that a reproduction of the paper found, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from pyfairme.atomic import write_text
from pyfairme.paper.figures import write_figures
from pyfairme.paper.reproduction import Reproduction
from pyfairme.paper.supplement_tables import write_tables
from pyfairme.report.writing import write_csv


def write_reproduction(found: Reproduction, folder: Path, warning: str = "") -> dict[str, str]:
    """Write tidy results, Markdown tables and figures.

    Parameters
    ----------
    found
        What `reproduce` returned.
    folder
        Folder to write into; made if missing, files of the same names are overwritten.
    warning
        First line of every table, if there is anything to warn of.

    Returns
    -------
    dict
        Name of each file, relative to the folder, with what it holds.

    Examples
    --------
    >>> write_reproduction(found, Path("runs/adult/tables"))  # doctest: +SKIP
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames: dict[str, tuple[pd.DataFrame, str]] = {
        "results": (found.results.frame, "every metric of every variant, with intervals and nulls"),
        "tests": (found.tests, "every comparison with a baseline, with corrected p-values"),
        "importance": (found.importance, "importance of every feature, probes among them"),
        "timings": (found.results.timings, "seconds of every fit"),
        "warnings": (found.results.warnings, "what was warned of, and how often"),
        "description": (found.description, "the data set, like the paper's tables 1 and 2"),
    }
    for name, (frame, _) in frames.items():
        write_csv(frame, folder / f"{name}.csv", float_format="%.6g")
    first = {fit["variant"]: fit for fit in reversed(found.results.configurations)}
    settings = {
        "dataset": found.results.dataset,
        "folds": found.results.folds,
        "seen": list(found.results.seen),
        "variants": {
            name: {key: fit[key] for key in ("lambdas", "parameters")}
            for name, fit in first.items()
        },
        "versions": _distinct(found, "versions"),
        "machines": _distinct(found, "machine"),
    }
    written = json.dumps(settings, indent=1, ensure_ascii=False)
    write_text(folder / "configuration.json", written + "\n")
    tables = write_tables(
        found.results.frame,
        found.tests,
        folder / "tables",
        importance=found.importance,
        timings=found.results.timings,
        warning=warning,
    )
    figures = write_figures(found.results.frame, found.importance, folder / "figures")
    return {
        **{f"{name}.csv": meaning for name, (_, meaning) in frames.items()},
        "configuration.json": "settings, every lambda, versions",
        **{f"tables/{name}": meaning for name, meaning in tables.items()},
        **{f"figures/{name}": meaning for name, meaning in figures.items()},
    }


def _distinct(found: Reproduction, name: str) -> list[Any]:
    """Return what the fits were made with, each once: a store may hold fits of several runs."""
    each = [fit[name] for fit in found.results.configurations]
    return [value for place, value in enumerate(each) if value not in each[:place]]
