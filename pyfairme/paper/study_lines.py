"""Look-up of single lines of a study's results and tests, and the words for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pyfairme.variants import VARIANTS

EFFECTS = ("fixed", "mixed")  # those that the paper reports
BASELINE = "medl"  # the paper's
KEYS = ["dataset", "variant", "effects", "clusters", "attribute", "metric"]


@dataclass(frozen=True)
class Lines:
    """Lines of a study by cell.

    Attributes
    ----------
    results
        Line by dataset, variant, effects, clusters, attribute, metric.
    tests
        For each dataset, variant and baseline: line by effects, clusters, attribute, metric.
    order
        Values of each of these columns as they first appear in the results.
    """

    results: Mapping[tuple[str, ...], Mapping[str, Any]]
    tests: Mapping[tuple[str, ...], Mapping[tuple[str, ...], Mapping[str, Any]]]
    order: Mapping[str, tuple[str, ...]]

    def datasets(self) -> tuple[str, ...]:
        """Return the names of the data sets."""
        return self.order["dataset"]

    def values(self, column: str, dataset: str) -> tuple[str, ...]:
        """Return the values of a key column that a data set has, in the order of the results."""
        place = KEYS.index(column)
        have = {key[place] for key in self.results if key[0] == dataset}
        return tuple(value for value in self.order[column] if value in have)

    def effects_of(self, dataset: str, variant: str) -> tuple[str, ...]:
        """Return fixed and mixed, or one for a model without random effects: they are equal."""
        have = {key[2] for key in self.results if key[:2] == (dataset, variant)}
        found = tuple(effects for effects in EFFECTS if effects in have)
        random = VARIANTS.get(variant, {}).get("random_intercepts", True)
        return found if random else found[-1:]

    def baselines(self, dataset: str, variant: str) -> tuple[str, ...]:
        """Return the models that this one was tested against."""
        return tuple(pair[2] for pair in self.tests if pair[:2] == (dataset, variant))

    def test(self, key: tuple[str, ...], baseline: str) -> Mapping[str, Any] | None:
        """Return the test of a cell against a baseline, if there is one."""
        return self.tests.get((*key[:2], baseline), {}).get(key[2:])


def gather(results: pd.DataFrame, tests: pd.DataFrame) -> Lines:
    """Index the lines about all rows or all groups of an attribute.

    Parameters
    ----------
    results, tests
        Tidy results of a study, and its comparison with baselines.

    Raises
    ------
    ValueError
        When a column is missing, or a cell has several lines, as with several classes.
    """
    overall = results.loc[_column(results, "group", "results") == "all"]
    return Lines(
        _index(overall, KEYS, "results"),
        _by_pair(_index(tests, [*KEYS, "baseline"], "tests")),
        {name: tuple(dict.fromkeys(overall[name])) for name in KEYS},
    )


def _by_pair(
    tests: Mapping[tuple[str, ...], Mapping[str, Any]],
) -> dict[tuple[str, ...], dict[tuple[str, ...], Mapping[str, Any]]]:
    found: dict[tuple[str, ...], dict[tuple[str, ...], Mapping[str, Any]]] = {}
    for key, line in tests.items():
        found.setdefault((*key[:2], key[-1]), {})[key[2:-1]] = line
    return found


def _column(frame: pd.DataFrame, name: str, what: str) -> Any:
    if name not in frame:
        raise ValueError(
            f"The {what} have no column {name!r}; they have {', '.join(map(str, frame.columns))}. "
            "Give the frames of a study as they are. [other-table]"
        )
    return frame[name]


def _index(
    frame: pd.DataFrame, keys: list[str], what: str
) -> dict[tuple[str, ...], Mapping[str, Any]]:
    columns = [_column(frame, name, what) for name in keys]
    records: list[Any] = frame.to_dict("records")
    found = dict(zip(zip(*columns, strict=True), records, strict=True))
    if len(found) < len(frame):
        double = frame.loc[frame.duplicated(keys), keys].iloc[0].to_dict()
        raise ValueError(
            f"The {what} have several lines of one cell, such as {double}: the paper's tables are "
            "of two classes or a real target. Choose one class first. [choose-one]"
        )
    return found


def baseline_of(variant: str, available: Iterable[str]) -> str:
    """Return the model that a fair one is read against: itself without fairness, else medl.

    Examples
    --------
    >>> baseline_of("da_adb", ["medl", "da"]), baseline_of("da", ["medl"])
    ('da', 'medl')
    >>> baseline_of("medl", ["da"])  # what the others are read against
    ''
    """
    available = [name for name in available if name != variant]
    wanted = (variant.split("_")[0], BASELINE, *available)
    found = [name for name in wanted if name in available and variant != BASELINE]
    return found[0] if found else ""


def number(value: float) -> str:
    """Return three decimals, without a leading zero; "-" where there is no value.

    Examples
    --------
    >>> number(0.0974), number(-0.5), number(2.6041), number(123.456), number(float("nan"))
    ('.097', '-.500', '2.604', '123.5', '-')
    """
    if pd.isna(value):
        return "-"
    text = f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def change(percent: float) -> str:
    """Return a change in percent with its sign.

    Examples
    --------
    >>> change(-44.26), change(12345), change(float("nan"))
    ('-44.3 %', '> 999 %', '-')
    """
    if pd.isna(percent):
        return "-"
    return f"{percent:+.1f} %" if percent < 999.5 else "> 999 %"


def p_value(p: float) -> str:
    """Return a p value.

    Examples
    --------
    >>> p_value(0.0004), p_value(0.0123), p_value(1.0), p_value(float("nan"))
    ('<.001', '.012', '1', '-')
    """
    if p < 0.001:
        return "<.001"
    return "1" if p >= 0.9995 else number(p)
