"""What an answer is: a tidy frame of estimates with posterior intervals, and the draws behind."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

ROUNDING = 1e-6  # of single precision, in draws that are differences of predictions
MOST_ROWS = 60  # of an answer that shows itself
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

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return self.frame.to_string(max_rows=MOST_ROWS, float_format="{:.3g}".format)

    def _repr_html_(self) -> str:
        return self.frame.to_html(max_rows=MOST_ROWS, float_format="{:.3g}".format, notebook=True)


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
