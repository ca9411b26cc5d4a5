"""The fairness report: a tidy table that shows its verdict rather than its hundreds of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfairme.estimators.report_comparison import ReportComparison
from pyfairme.metrics.report_frame import COLUMNS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FairnessReport(pd.DataFrame):
    """A tidy report, see `FairMixedEffectsClassifier.fairness_report` for its columns.

    It is a DataFrame in all it does: `query`, `to_csv`, pickling. A notebook, or `print`, shows
    what it says, attribute by attribute; what is picked from it is a plain DataFrame and shows its
    lines, as does ``frame``.
    """

    @classmethod
    def of(cls, lines: pd.DataFrame) -> FairnessReport:
        """Return lines of a report as a report, with what is known of it."""
        return cls(lines).__finalize__(lines)

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame  # a part of a report has no verdict of its own

    @property
    def frame(self) -> pd.DataFrame:
        """The same lines as a plain DataFrame, which a notebook shows as lines."""
        return pd.DataFrame(self).__finalize__(self)

    def copy(self, deep: bool = True) -> FairnessReport:
        """Copy the report."""
        return FairnessReport.of(self.frame.copy(deep))

    def only(self, effects: str) -> FairnessReport:
        """Return the lines of one kind of effects as a report."""
        lines: Any = self.frame[self["effects"] == effects]
        return FairnessReport.of(lines.reset_index(drop=True))

    def summary(self, effects: str | None = None) -> Any:
        """Return what the report says, in words and small tables.

        Parameters
        ----------
        effects
            Predictions to show; None: the mixed ones where the report has them.

        Returns
        -------
        Facts
            A verdict per attribute, accuracy, a line per attribute and metric with interval and
            what chance would show, rates per group. Text when printed, HTML in a notebook.
        """
        from pyfairme.report.display.fairness_facts import fairness_facts

        return fairness_facts(self, effects)

    def plot(self, effects: str = "mixed", clusters: str = "seen") -> Figure:  # type: ignore[override]
        """Draw the rates of every group, see `pyfairme.plots.plot_group_points`.

        Of a report by cluster those of all clusters, see `pyfairme.plots.plot_cluster_rates`,
        unless ``clusters`` names one.
        """
        if not set(self["clusters"]) & {"seen", "unseen", clusters}:
            from pyfairme.plots.cluster_rates import plot_cluster_rates

            return plot_cluster_rates(self, effects=effects)
        from pyfairme.plots.group_points import plot_group_points

        return plot_group_points(self, effects=effects, clusters=clusters)

    def compare(  # type: ignore[override]
        self, other: pd.DataFrame, names: tuple[str, str] = ("this", "other")
    ) -> ReportComparison:
        """Put another report of the same rows beside this one.

        Parameters
        ----------
        other
            Another model's report, with the same options.
        names
            What the two are called.

        Raises
        ------
        ValueError
            When no line is in both.
        """
        return ReportComparison.of(self, other, names)

    def __repr__(self) -> str:
        return str(self.summary()) if self._is_whole() else repr(self.frame)

    def _repr_html_(self) -> str:
        shown: Any = self.summary() if self._is_whole() else self.frame
        return shown._repr_html_()

    def _is_whole(self) -> bool:
        """Tell whether the columns are a report's: those of a copy may be renamed or an index."""
        return set(COLUMNS) <= set(self.columns)
