"""A schema, and a data set: which column plays which role, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyfairme.data.brackets import Binned, Continuous
from pyfairme.data.schema import Schema, attribute_name, components
from pyfairme.datasets.dataset import Dataset
from pyfairme.metrics.names import listed
from pyfairme.report.display.facts import Amount, Facts, Fields, Grid, Span, Tally

MOST_CLUSTERS = 20


def schema_facts(schema: Schema) -> Facts:
    """Gather the roles of the columns of a table."""
    return Facts("Roles of columns", f"For {schema.task}.", (Fields("", tuple(_roles(schema))),))


def dataset_facts(dataset: Dataset) -> Facts:
    """Gather what a data set holds: not its rows, but their numbers by level."""
    rows, columns = dataset.frame.shape
    name = dataset.name or "a table"
    lead = f"{rows:,} rows, {columns} columns; {dataset.schema.task}."
    return Facts(
        f"Data set: {name}",
        lead,
        (Fields("Roles", (*_roles(dataset.schema, dataset), *_terms(dataset))), *_levels(dataset)),
    )


def _roles(schema: Schema, dataset: Dataset | None = None) -> Iterator[tuple[str, str]]:
    target = schema.target or (dataset and str(dataset.target.name)) or ""
    if target:
        yield "target", ", ".join(listed([target]))
    yield "cluster", ", ".join(listed(schema.factor_names)) or "none"
    for entry in schema.sensitive:
        cut = [
            f"cut from {', '.join(listed([p.column]))} at {', '.join(f'{e:g}' for e in p.edges)}"
            for p in components(entry)
            if isinstance(p, Binned)
        ]
        if isinstance(entry, Continuous):
            of = "" if entry.label == entry.column else f" from {listed([entry.column])[0]}"
            cut = [f"a number{of}, in {entry.groups} groups of equal size for reports"]
        yield "sensitive", "; ".join([*listed([attribute_name(entry)]), *cut])
    if not schema.sensitive:
        yield "sensitive", "none"
    yield "numeric", ", ".join(listed(schema.numeric)) or "none"
    yield "categorical", ", ".join(listed(schema.categorical)) or "none"


def _terms(dataset: Dataset) -> Iterator[tuple[str, str]]:
    if dataset.unused:
        yield "not used", ", ".join(listed(dataset.unused))
    if dataset.weight is not None:
        yield "weights", "every row has one"
    if dataset.probes:
        yield "probes", ", ".join(listed(dataset.probes))
    if dataset.truth is not None:
        yield "made up", "by a known truth, in .truth"
    if dataset.tuned:
        yield "tuned", ", ".join(listed(dataset.tuned))
    if dataset.licence:
        yield "licence", dataset.licence
    if dataset.attribution:
        yield "credit", dataset.attribution


def _levels(dataset: Dataset) -> Iterator[Grid]:
    """Yield rows per level, the largest clusters only, and the range of every number."""
    table = dataset.describe()
    levels = table.loc[table["mean"].isna() & (table["category"] != "")]
    rows, left = [], 0
    for (role, feature), part in levels.groupby(["role", "feature"], sort=False):
        shown = part.head(MOST_CLUSTERS)
        left += len(part) - len(shown)
        rows += [
            (str(role), str(feature), str(line["category"]),
             Tally(int(line["count"])), Amount(float(line["percent"])))
            for line in shown.to_dict("records")
        ]  # fmt: skip
    note = f"{left:,} smaller levels are in describe()." if left else ""
    yield Grid("Levels", ("role", "column", "level", "rows", "%"), tuple(rows), note)
    numbers = table.loc[np.isfinite(table["mean"].to_numpy(float))]
    yield Grid(
        "Numbers",
        ("role", "column", "known", "mean", "SD", "range"),
        tuple(
            (str(line["role"]), str(line["feature"]), Tally(int(line["count"])),
             Amount(float(line["mean"])), Amount(float(line["sd"])),
             Span(float(line["low"]), float(line["high"])))
            for line in numbers.to_dict("records")
        ),
    )  # fmt: skip
