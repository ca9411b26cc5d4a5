"""Options of ``pyfairme fit`` to keywords of an estimator."""

import csv
import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from pyfairme.cli.roles import Roles
from pyfairme.cli.table_files import check_columns
from pyfairme.estimators import FairMixedEffectsClassifier, FairMixedEffectsRegressor
from pyfairme.variants import VARIANTS


def default_of(keyword: str) -> str:
    """Say what an option is when it is not given: the default in the estimators' signatures.

    Examples
    --------
    >>> default_of("criterion"), default_of("hidden")
    ('equalized_odds', '64,32')
    """
    defaults = [
        _written(inspect.signature(estimator).parameters[keyword].default)
        for estimator in (FairMixedEffectsClassifier, FairMixedEffectsRegressor)
        if keyword in inspect.signature(estimator).parameters
    ]
    first, last = defaults[0], defaults[-1]
    return first if first == last else f"{first}; for a regression {last}"


def _written(value: object) -> str:
    if value is None or value == ():
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def estimator_keywords(
    roles: Roles, frame: pd.DataFrame, variant: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keywords: a variant's, and over them what was asked for.

    Parameters
    ----------
    roles
        Roles of the columns.
    frame
        The covariates, for the names of slopes and of the offset.
    variant
        A key of `VARIANTS`, or None for the estimator's defaults.
    options
        Keywords by name; None where an option was not given.

    Raises
    ------
    ValueError
        For an unknown variant, slopes without a cluster, and columns that are not there.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "fairness" in given:
        given["fairness"] = parse_penalties(given["fairness"])
    if "random_slopes" in given:
        given["random_slopes"] = parse_slopes(given["random_slopes"], frame)
    if "hidden" in given:
        given["hidden"] = parse_widths(given["hidden"])
    if "threshold" in given:
        given["threshold"] = _number_or_text(given["threshold"])
    if "offset" in given:
        check_columns([given["offset"]], frame, "--offset")
    keywords = {**_variant(variant), **given}
    if keywords.get("random_slopes") and not roles.cluster:
        source = "--random-slopes needs" if "random_slopes" in given else f"{variant!r} needs"
        raise ValueError(
            f"{source} a grouping factor: give --cluster COLUMN. [slopes-without-cluster]"
        )
    columns = {"categorical": roles.categorical, "drop": roles.dropped}
    return {"cluster": roles.cluster or None, "sensitive": roles.sensitive, **columns, **keywords}


def _variant(name: str | None) -> Mapping[str, Any]:
    if name is None:
        return {}
    if name not in VARIANTS:
        near = get_close_matches(name, VARIANTS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"--variant {name!r} is none of {', '.join(VARIANTS)}.{hint} [unknown-choice]"
        )
    return VARIANTS[name]


def parse_penalties(text: str) -> tuple[str, ...] | None:
    """Read penalties.

    Examples
    --------
    >>> parse_penalties("adversarial,moment"), parse_penalties("none")
    (('adversarial', 'moment'), None)
    """
    return None if text == "none" else tuple(_items(text, "--fairness"))


def parse_slopes(text: str, frame: pd.DataFrame) -> str | tuple[str, ...] | None:
    """Read random slopes: "all", "hidden", "none" or columns; raise ValueError for others.

    Examples
    --------
    >>> parse_slopes('"a, b",c', pd.DataFrame(columns=["a, b", "c"]))
    ('a, b', 'c')
    """
    if text == "none":
        return None
    if text in ("all", "hidden"):
        return text
    names = (text,) if text in frame.columns else tuple(_items(text, "--random-slopes"))
    check_columns(names, frame, "--random-slopes")
    return names


def parse_widths(text: str) -> tuple[int, ...]:
    """Read the widths of hidden layers; raise ValueError for what is no whole number.

    Examples
    --------
    >>> parse_widths("64,32"), parse_widths("none")
    ((64, 32), ())
    """
    if text == "none":
        return ()
    try:
        return tuple(int(item) for item in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"--hidden expected widths such as 64,32, or none; got {text!r}. [hidden-widths]"
        ) from error


def _items(text: str, option: str) -> Sequence[str]:
    # a name with a comma is put in quotation marks, as in a CSV file
    items = [item.strip() for item in next(csv.reader([text], skipinitialspace=True), [""])]
    if not all(items):
        raise ValueError(
            f"{option} has nothing before, after or between its commas: {text!r}. [empty-item]"
        )
    return items


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
