"""Lines of the table of conformance: what a published number is, and how far ours is from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MEANS, SPREADS, AVERAGE = 0.15, 10.0, 3.0  # limits: SDs of the posterior, percent of an SD (twice)
MANY = 20  # numbers of which the average is told too


class Source(NamedTuple):
    """What a line is about, who computed its reference and where that stands, and what is ours."""

    data: str
    model: str
    reference_by: str
    ours_by: str


class Line(NamedTuple):
    """The worst of ``numbers`` figures beside its reference.

    ``difference`` is ours less the reference, in ``unit``; it meets the ``limit`` in absolute
    value, or below it where ``one_sided``.
    """

    source: Source
    quantity: str
    numbers: int
    worst: str
    reference: float
    ours: float
    difference: float
    unit: str
    limit: float
    one_sided: bool = False

    def row(self) -> dict[str, Any]:
        """Return the line as a row of the table."""
        found = self._asdict()
        off = found["difference"] if found.pop("one_sided") else abs(found["difference"])
        met = "met" if off <= self.limit else "missed"
        return {**found.pop("source")._asdict(), **found, "result": met}


def worst(
    source: Source,
    quantity: str,
    table: pd.DataFrame,
    unit: str,
    limit: float,
) -> Line:
    """Return the line of the largest difference; ``table``: reference, ours, difference by name."""
    if table[["reference", "ours", "difference"]].isna().any(axis=None):
        raise ValueError(f"Expected every number of {source.data} in the fit, got\n{table}")
    name = table["difference"].abs().idxmax()
    one = table.loc[name]
    values = (float(one["reference"]), float(one["ours"]), float(one["difference"]))
    return Line(source, quantity, len(table), str(name), *values, unit, limit)


def means_and_spreads(
    source: Source,
    reference: pd.DataFrame,
    draws: Mapping[str, np.ndarray],
    weight: np.ndarray | None = None,
) -> list[Line]:
    """Compare draws (n,) with a posterior's means and SDs (``mean`` and ``sd`` by name).

    ``weight`` (n,) are importance weights of the draws.
    """
    mean = {name: np.average(each, weights=weight) for name, each in draws.items()}
    spread = {
        name: np.average((each - mean[name]) ** 2, weights=weight) ** 0.5
        for name, each in draws.items()
    }
    ours = pd.DataFrame({"mean": mean, "sd": spread}).reindex(reference.index)
    return posteriors(source, reference, ours)


def posteriors(
    source: Source, reference: pd.DataFrame, ours: pd.DataFrame, of: str = ""
) -> list[Line]:
    """Compare two tables of ``mean`` and ``sd`` by name: the largest difference of either."""
    means = pd.DataFrame({"reference": reference["mean"], "ours": ours["mean"]})
    means["difference"] = (means["ours"] - means["reference"]) / reference["sd"]
    spreads = pd.DataFrame({"reference": reference["sd"], "ours": ours["sd"]})
    spreads["difference"] = 100 * (spreads["ours"] / spreads["reference"] - 1)
    found = [
        worst(source, f"means{of}", means, "SD", MEANS),
        worst(source, f"SDs{of}", spreads, "%", SPREADS),
    ]
    if len(spreads) > MANY:
        found.append(average(source, f"SDs{of}, on average", spreads, "%", AVERAGE))
    return found


def average(source: Source, quantity: str, table: pd.DataFrame, unit: str, limit: float) -> Line:
    """Return the line of the average difference."""
    each = (float(table[name].mean()) for name in ("reference", "ours", "difference"))
    return Line(source, quantity, len(table), "average", *each, unit, limit)
