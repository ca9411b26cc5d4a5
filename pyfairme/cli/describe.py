"""What was read and what training found, as lines of text."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.cli.problems import WIDTH
from pyfairme.cli.roles import Roles
from pyfairme.cli.saved_models import Model
from pyfairme.cli.text_cells import why_text
from pyfairme.data import Schema
from pyfairme.data.attributes import Attribute
from pyfairme.data.columns import label_of, pick
from pyfairme.data.grouping_factors import Grouping, factor_name, read_clusters
from pyfairme.data.target import ClassTarget, class_order
from pyfairme.inference.posterior_draws import INTERCEPT
from pyfairme.inference.posterior_tables import RESIDUAL
from pyfairme.metrics.names import listed
from pyfairme.report.display.short_number import short_number
from pyfairme.report.display.training_phrases import (
    adversaries_restarted,
    adversaries_skill,
    group_sizes,
    learned_by_heart,
    loss_reached,
)

LABEL = 15
MANY = 12


def describe_table(
    roles: Roles,
    covariates: pd.DataFrame,
    y: pd.Series,
    schema: Schema,
    positive: object = None,
    *,
    counted: float | None = None,
) -> str:
    """Say which column has which role, with the balance of target, clusters and groups.

    Parameters
    ----------
    roles
        Roles of the columns.
    covariates
        Columns that the estimator is given, (n, columns).
    y
        The target, (n,).
    schema
        How the covariates are read.
    positive
        The positive class of two; None: the last one.
    counted
        How many rows all rows count as, by their weights; None without weights.
    """
    lines = [_line("target", _target(y, schema.task, positive))]
    for entry in schema.cluster:
        lines.append(_line("cluster", _sizes(covariates, entry)))
    covariates = covariates.drop(columns=list(roles.dropped))
    for entry in schema.sensitive:
        attribute = Attribute.fit(covariates, entry)
        sizes = group_sizes(attribute, most=len(attribute.levels))
        lines.append(_line("sensitive", f"{attribute.name}: {sizes}"))
    levels = [
        f"{name} ({covariates[c].nunique()} levels)"
        for name, c in zip(listed(schema.categorical), schema.categorical, strict=True)
    ]
    lines.append(_line("numeric", ", ".join(listed(schema.numeric)) or "none"))
    lines.append(_line("categorical", ", ".join(levels) or "none"))
    lines.append(_line("read as", _kinds(roles, [y, *(pick(covariates, c) for c in covariates)])))
    if roles.weight is not None:
        scaled = "" if counted is None else f"; scaled: the rows count as {counted:,.0f}"
        lines.append(_line("weight", f"{roles.weight}{scaled}"))
    if roles.dropped:
        lines.append(_line("dropped", ", ".join(listed(roles.dropped))))
    gaps = {name: int(pick(covariates, name).isna().sum()) for name in covariates}
    gaps = sorted(((name, n) for name, n in gaps.items() if n), key=lambda pair: -pair[1])
    if gaps:
        names = listed(name for name, _ in gaps[:MANY])
        shown = ", ".join(f"{name} {n:,}" for name, (_, n) in zip(names, gaps, strict=False))
        lines.append(
            _line("missing", f"values in {len(gaps)} column{'s' * (len(gaps) > 1)}: {shown}")
        )
    return "\n".join(lines)


def _kinds(roles: Roles, columns: Iterable[pd.Series]) -> str:
    """Say which columns were read as numbers, booleans and text, and why numbers stayed text."""
    found: dict[str, list[str]] = {"numbers": [], "true or false": [], "dates": [], "text": []}
    for column in columns:
        name, kind = str(column.name), _kind(column)
        why = why_text(column) if kind == "text" and name not in roles.as_text() else ""
        (name,) = listed([name])
        found[kind].append(f"{name} ({why})" if why else name)
    return "; ".join(f"{kind}: {_some(names)}" for kind, names in found.items() if names)


def _kind(column: pd.Series) -> str:
    content = pd.api.types.infer_dtype(column, skipna=True)
    if content == "boolean":
        return "true or false"
    if content in ("integer", "floating", "mixed-integer-float", "decimal"):
        return "numbers"
    return "dates" if content.startswith(("date", "time", "period")) else "text"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more


def _line(label: str, text: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=f"  {label:<{LABEL - 2}}", subsequent_indent=" " * LABEL
    )


def _target(y: pd.Series, task: str, positive: object) -> str:
    if task == "regression":
        low, high = y.min(), y.max()
        return (
            f"{y.name} (amounts): mean {y.mean():.4g}, SD {y.std(ddof=0):.4g}, "
            f"from {low:.4g} to {high:.4g}"
        )
    target = ClassTarget.fit(y, class_order(y), positive)
    counts = np.bincount(target.encode(y))
    names = listed(map(label_of, target.classes))
    shown = [
        f"{name} {count:,} ({100 * count / len(y):.1f} %)"
        for name, count in zip(names, counts, strict=True)
    ]
    last = f"; the positive class is {names[-1]}" if len(shown) == 2 else ""
    return f"{y.name} (classes): {', '.join(shown)}{last}"


def _sizes(frame: pd.DataFrame, entry: Grouping) -> str:
    sizes = np.bincount(read_clusters(frame, entry).codes + 1)  # first: missing
    sizes = sizes[sizes > 0]
    return f"{factor_name(entry)}: {len(sizes)} clusters of {sizes.min():,} to {sizes.max():,} rows"


def describe_fit(model: Model, rows: int, seconds: float) -> str:
    """Say how training went and how much clusters vary.

    Parameters
    ----------
    model
        Fitted estimator.
    rows
        Rows it was fitted on, those of its own validation included.
    seconds
        Wall time.
    """
    last = model.history_.iloc[-1]
    reached = loss_reached(last.to_dict())
    text = f"Trained on {rows:,} rows for {last['epoch']:.0f} epochs in {seconds:.0f} s: {reached}."
    lines = [textwrap.fill(text, WIDTH)]
    if said := learned_by_heart(last.to_dict(), "--hidden 16", "--epochs, --min-steps"):
        lines.append(textwrap.fill(f"T{said[1:]}", WIDTH, subsequent_indent="  "))
    lines += [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in _more(model, last)]
    return "\n".join(lines)


def _more(model: Model, last: pd.Series) -> Iterator[str]:
    if skill := adversaries_skill(last.to_dict()):
        yield f"{skill[0].upper()}{skill[1:]}."
    if restarted := adversaries_restarted(model.history_):
        yield f"{restarted[0].upper()}{restarted[1:]}."
    table = model.variance_components_
    between = table.loc[table["factor"] != RESIDUAL]
    if len(between):
        yield f"SD between clusters (90 % interval): {_components(between)}."


def _components(table: pd.DataFrame) -> str:
    """Name intercepts with their intervals, and slopes by their number."""
    intercepts = table.loc[table["term"] == INTERCEPT]
    shown = []
    for _, line in intercepts.iterrows():
        (factor,) = listed([line["factor"]])
        label = f" (class {', '.join(listed([line['class']]))})" if "class" in table else ""
        shown.append(
            f"{factor} intercept{label} {short_number(line['mean'])} "
            f"({short_number(line['low'])} to {short_number(line['high'])})"
        )
    slopes = len(table) - len(intercepts)
    return ", ".join([*shown[:MANY], *([f"and {slopes} slopes"] if slopes else [])])


def shell_words(arguments: Iterable[Any]) -> str:
    """Return a command line that can be pasted into a shell.

    Examples
    --------
    >>> shell_words(["pyfairme", "predict", "my model.pyfairme"])
    "pyfairme predict 'my model.pyfairme'"
    """
    import shlex

    return " ".join(shlex.quote(str(argument)) for argument in arguments)
