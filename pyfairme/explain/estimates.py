"""What an answer is: a tidy frame of estimates with posterior intervals, and the draws behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import label_of
from pyfairme.metrics.names import listed_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDING = 1e-6  # of single precision, in draws that are differences of predictions
MOST_ROWS = 60  # of an answer that shows itself
MEASURES = ("estimate", "sd", "low", "high", "n")
OWN_COLUMNS = ("term", "contrast", "component", "class", "estimate", "sd", "low", "high", "n")


@dataclass(frozen=True, eq=False, repr=False)
class Estimates:
    """Estimates with posterior intervals; functions of `pyfairme.explain` return it.

    Attributes
    ----------
    frame
        Tidy: what each line is of (columns by which rows were grouped, term, contrast, class), then
        estimate (posterior mean), sd, low, high (equal-tailed interval of level ``level``) and n,
        the rows behind it. The columns' common name says what the interval is of, see
        ``predict_interval``: "mean interval", or "cluster interval" where the network is a point
        estimate; sd, low and high are NaN where the model has no draws of anything that matters.
    draws
        (lines, draws), in the order of the frame's lines. Draws of different lines, and of
        different calls for one model, belong together: their differences are draws of the
        difference.
    effects
        The kind of effects that was asked for.
    level
        Coverage of the intervals.
    no_difference
        The estimate that means no difference: 0, of a ratio 1; None for predictions.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=600, clusters=6, random_state=0)
    >>> clf = pf.FairMixedEffectsClassifier(
    ...     "cluster",
    ...     "group1",
    ...     network_posterior="none",
    ...     guide="mean_field",
    ...     min_steps=100,
    ...     random_state=0,
    ... ).fit(data.frame, data.target)
    >>> found = pf.explain.avg_predictions(clf, data.frame, by="group1", draws=200)
    >>> found.frame.shape, found.draws.shape
    ((2, 6), (2, 200))
    """

    frame: pd.DataFrame
    draws: np.ndarray = field(repr=False)
    effects: str
    level: float
    no_difference: float | None = None

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def title(self) -> str:
        """What the estimates are, and of what where all are of one thing."""
        columns = set(self.frame.columns)
        own = [name for name in ("term", "contrast") if name in columns]
        one = [listed_name(str(self.frame[name].iloc[0])) for name in own
               if len(set(self.frame[name])) == 1]  # fmt: skip
        average = "Average " * ("n" in columns)
        if "component" in columns:
            of = f" ({' '.join(one)})" if len(one) == 2 else ""
            name = f"gap{of}, within and between clusters"
        elif "contrast" in columns:
            name = "comparisons" if self.no_difference == 0 else "comparisons (ratios)"
        else:
            name = "slopes" if "term" in columns else "predictions"
        of = f" of {one[0]}" if own and len(set(self.frame["term"])) == 1 else ""
        text = name if "component" in columns else f"{average}{name}{of}"
        return text[0].upper() + text[1:]

    @property
    def what(self) -> str:
        """What one estimate is."""
        if self.no_difference is None:
            return "prediction"
        if self.no_difference == 1:
            return "ratio"
        return "difference" if "contrast" in self.frame else "slope"

    def summary(self) -> Any:
        """Return what the answer comes to: text when printed, HTML in a notebook."""
        from pyfairme.report.display.estimate_facts import estimate_facts

        return estimate_facts(self)

    def plot(self) -> Figure:
        """Draw estimates with their intervals, see `pyfairme.plots.plot_estimates`."""
        from pyfairme.plots.estimate_forest import plot_estimates

        return plot_estimates(self)

    def __repr__(self) -> str:
        return self.frame.to_string(max_rows=MOST_ROWS, float_format="{:.3g}".format)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def line_names(frame: pd.DataFrame) -> list[str]:
    """Name the lines of an answer by what they differ in, or by the index where nothing says it.

    Examples
    --------
    >>> lines = {"sex": ["f", "m"], "term": "age", "contrast": ["+1", "+9"], "estimate": 0.1}
    >>> line_names(pd.DataFrame(lines)), line_names(pd.DataFrame(lines).head(1))
    (['f, +1', 'm, +9'], ['f, age +1'])
    """
    every = [name for name in frame.columns if name not in MEASURES]
    told = [name for name in every if len(set(frame[name])) > 1] or every
    keys = [name for name in told if name not in ("term", "contrast")]
    own = [name for name in ("term", "contrast") if name in told]
    names = []
    for at, line in zip(frame.index, frame.to_dict("records"), strict=True):
        parts = [listed_name(label_of(line[key])) for key in keys]
        change = " ".join(listed_name(str(line[key])) for key in own)
        names.append(", ".join([*parts, *([change] if change else [])]) or f"row {at}")
    return names


def summarised(draws: np.ndarray, level: float, *, spread: bool) -> dict[str, np.ndarray]:
    """Return estimate, sd, low and high of draws (lines, draws); NaN but for the first without.

    So are those of a line whose draws are all the same but for rounding: what the model has draws
    of does not matter there, as cluster intercepts do not for a step of a covariate.
    """
    found = {"estimate": draws.mean(axis=1)}
    if not spread:
        return found | dict.fromkeys(("sd", "low", "high"), np.full(len(draws), np.nan))
    sd = draws.std(axis=1)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=1)
    still = sd <= ROUNDING * np.abs(draws).max(initial=0.0, where=np.isfinite(draws))
    each = {"sd": sd, "low": low, "high": high}
    return found | {name: np.where(still, np.nan, value) for name, value in each.items()}
