"""Two fairness reports of the same rows side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.metrics.metric import registered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEYS = ["effects", "clusters", "attribute", "group", "class", "metric"]
NUMBERS = ["value", "low", "high", "null_high"]
NEAREST = ("coverage", "worst_group_coverage")  # best at the level that was asked for, not at 1


@dataclass(frozen=True, eq=False)
class ReportComparison:
    """What changes from one report to another.

    Parameters
    ----------
    frame
        Lines that both have: effects, clusters, attribute, group, class, metric, value, low, high,
        null_high of the first, the same with "_other" of the second, change (second minus first),
        better (1: the second is better, -1: worse, 0: equal, NaN: rates of a group, metrics of
        one's own, and the coverage of intervals, which is best at the level that was asked for,
        have no side that is known to be better).
    names
        What the two are called.
    first, second
        The reports.
    """

    frame: pd.DataFrame = field(repr=False)
    names: tuple[str, str]
    first: pd.DataFrame = field(repr=False)
    second: pd.DataFrame = field(repr=False)

    @classmethod
    def of(
        cls, first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]
    ) -> ReportComparison:
        """Compare two reports.

        Raises
        ------
        ValueError
            When no line is in both.
        """
        one, two = (pd.DataFrame(r)[[*KEYS, *NUMBERS]] for r in (first, second))
        joined = one.merge(two, on=KEYS, suffixes=("", "_other"))
        if joined.empty:
            raise ValueError(
                "The two reports have no line in common: make them of the same rows, with the same "
                "attributes and by_cluster. [reports-differ]"
            )
        change = joined["value_other"] - joined["value"]
        sides = {m.name: 1.0 if m.higher_is_better else -1.0 for m in registered()}
        sides |= dict.fromkeys(NEAREST, np.nan)
        sided = joined["group"] == "all"  # a group's own rate has no better side
        sign = np.array([sides.get(name, np.nan) for name in joined["metric"]])  # NaN: not known
        better = np.where(sided, np.sign(change) * sign, np.nan)
        return cls(joined.assign(change=change, better=better), names, first, second)

    def summary(self) -> Any:
        """Return what changes, in words and a table: text when printed, HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def plot(self, effects: str = "mixed", clusters: str = "seen") -> Figure:
        """Draw both models' rates by group, see `pyfairme.plots.plot_group_rates`."""
        from pyfairme.plots.group_rates import plot_group_rates

        return plot_group_rates(
            self.first, self.second, names=self.names, effects=effects, clusters=clusters
        )

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
