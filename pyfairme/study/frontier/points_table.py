"""The table of a frontier's points, which shows the columns that one chooses by."""

from __future__ import annotations

from typing import Any

import pandas as pd

KEYS = ("variant", "effects", "clusters")
FIGURES = ("balanced_accuracy", "r2", "auroc", "mse", "cost", "worst_sd", "worst_sd_of")


class PointsTable(pd.DataFrame):
    """`Frontier.points`, or what `report_points` returns: a DataFrame that prints a part of itself.

    It shows accuracy, cost, the worst spread and whose that is; intervals, the spreads of single
    attributes and what chance would show are in the other columns, and ``frame`` prints all.
    """

    @property
    def _constructor(self) -> Any:
        return PointsTable

    @property
    def frame(self) -> pd.DataFrame:
        """The same lines as a plain DataFrame, which prints every column."""
        return pd.DataFrame(self)

    def __repr__(self) -> str:
        found = self._part()
        if not len(found.columns):
            return repr(self.frame)
        return f"{found.to_string(max_rows=60)}{self._rest(found)}"

    def _repr_html_(self) -> str:
        found: Any = self._part()
        if not len(found.columns):
            found = self.frame
        return f"{found._repr_html_()}<p>{self._rest(found).strip()}</p>"

    def _part(self) -> pd.DataFrame:
        if not {*KEYS, "cost", "worst_sd"} <= set(self.columns):
            return pd.DataFrame()
        wanted = (*KEYS, *FIGURES, "needs_sensitive", "non_dominated")
        return self.frame.loc[:, [name for name in wanted if name in self.columns]]

    def _rest(self, found: pd.DataFrame) -> str:
        more = len(self.columns) - len(found.columns)
        return f"\n{more} more columns (intervals, single spreads, chance): .frame" if more else ""
