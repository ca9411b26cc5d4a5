"""Tables of the posterior: DataFrames that say in a notebook what is in them."""

from __future__ import annotations

from typing import Any

import pandas as pd


class PosteriorTable(pd.DataFrame):
    """A tidy table of the posterior, such as `FairMixedEffectsClassifier.cluster_effects_`.

    It is a DataFrame in all it does, and prints as one. A notebook shows its extremes, with
    intervals and the unit, above which stands what to read them for; what is picked from it is a
    plain DataFrame, as is ``frame``.
    """

    _metadata = ["what", "unit", "level"]  # noqa: RUF012 (pandas takes a list)
    what: str
    unit: str
    level: float

    @classmethod
    def of(
        cls, lines: pd.DataFrame, what: str, unit: str = "", level: float = 0.9
    ) -> PosteriorTable:
        """Return lines as a table.

        Parameters
        ----------
        lines
            Tidy lines.
        what
            "cluster effects", "variance components", "fixed effects", "intraclass correlation" or
            "diagnostics".
        unit
            That of the numbers.
        level
            Coverage of the intervals.
        """
        found = cls(lines)
        found.what, found.unit, found.level = what, unit, level
        return found

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """The same lines as a plain DataFrame, which a notebook shows as lines."""
        return pd.DataFrame(self)

    def summary(self) -> Any:
        """Return what the table says: text when printed, HTML in a notebook."""
        from pyfairme.report.display.posterior_facts import posterior_facts

        return posterior_facts(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
