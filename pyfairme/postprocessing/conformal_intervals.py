"""Intervals of new outcomes that held-out rows calibrate: marginal, by cluster and by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.input_types import Attributes, Table
from pyfairme.estimators.cluster_label_warnings import expecting_new_clusters
from pyfairme.estimators.regressor import FairMixedEffectsRegressor
from pyfairme.estimators.table_predictions import table_quantiles
from pyfairme.metrics.array_inputs import Floats
from pyfairme.notices import errors_alone
from pyfairme.postprocessing.conformal_groups import By
from pyfairme.postprocessing.conformal_predictor import ConformalPredictor
from pyfairme.postprocessing.nested_intervals import PROBABILITIES, NestedIntervals


class ConformalIntervals(ConformalPredictor):
    r"""Intervals that hold a new outcome as often as they say, in every group that is named.

    On top of a fitted regressor, which stays as it is. Held-out rows show how large the regressor's
    own predictive interval has to be: the score of a row is the least size t at which it holds the
    outcome, and new rows get the interval of size

        t(level) = the ceil((n + 1) level)-th smallest of the n scores of the row's group,

    so that an interval holds a new outcome of the group with probability ``level`` or more,
    whatever the model's errors, if the group's new and held-out rows are exchangeable (split
    conformal prediction). By groups that is "equalized coverage" (Romano, Barber, Sabatti & Candes
    2020). A quantile of .93 at level .9 says that the model's intervals are too narrow: it has to
    be asked for 93 % to hold 90 %. Of counts, bounds are whole and coverage is at least ``level``,
    since scores are tied; nothing is randomised.

    The guarantee is an average over the rows of a group and over held-out tables; it holds for no
    single person. **By a sensitive attribute, S of every row is read**: two people who differ in S
    alone get intervals of different width. Rows of known clusters are exchangeable with held-out
    rows of the same clusters in the same shares; by cluster, in any shares. Rows of a cluster that
    training never saw are calibrated on held-out rows of such clusters, each cluster counting as
    one (Lee, Barber & Willett 2023), if fit has enough of them; else on the other rows, without a
    guarantee, with a warning.

    Parameters
    ----------
    estimator
        A fitted `FairMixedEffectsRegressor`.
    by
        Groups that are calibrated on their own rows: a column (a sensitive attribute, or the
        cluster's), a `Binned`, or a tuple of these for an intersection. A list of such: the groups
        of each are covered at the level, without rows of every combination (quantile regression of
        the scores on the groups: Gibbs, Cherian & Candes 2025). None: all rows together.
    effects
        Predictions whose intervals these are: "fixed", "random" or "mixed".

    Attributes
    ----------
    n_rows_
        Rows that were calibrated on.

    See Also
    --------
    ConformalSets : the same for classes.
    FairMixedEffectsRegressor.predict_interval : with ``kind="observation"`` the model's own.

    References
    ----------
    Romano, Patterson & Candes, "Conformalized quantile regression", NeurIPS 2019.
    Romano, Barber, Sabatti & Candes, "With malice toward none: assessing uncertainty via equalized
    coverage", Harvard Data Science Review 2 (2), 2020.
    Gupta, Kuchibhotla & Ramdas, "Nested conformal prediction", Pattern Recognition 127, 2022.
    Lee, Barber & Willett, "Distribution-free inference with hierarchical data", 2023.
    Gibbs, Cherian & Candes, "Conformal prediction with conditional guarantees", Journal of the
    Royal Statistical Society B 87, 2025.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(900, clusters=6, likelihood="normal", random_state=0)
    >>> X, y = data.frame, data.target
    >>> reg = pf.FairMixedEffectsRegressor(
    ...     "cluster", guide="mean_field", min_steps=100, random_state=0
    ... ).fit(X[:400], y[:400])
    >>> intervals = ConformalIntervals(reg, by="group1").fit(X[400:700], y[400:700])
    >>> found = intervals.predict_interval(X[700:], level=0.9)
    >>> list(found.columns)
    ['mean', 'low', 'high', 'calibrated_on']
    """

    _wanted = FairMixedEffectsRegressor
    _others = "classes have ConformalSets."

    def __init__(
        self, estimator: FairMixedEffectsRegressor, by: By = None, *, effects: str = "mixed"
    ) -> None:
        self.estimator = estimator
        self.by = by
        self.effects = effects

    @errors_alone
    def fit(self, X: Table, y: ArrayLike) -> ConformalIntervals:
        """Keep the scores of held-out rows; the regressor stays as it is.

        Parameters
        ----------
        X, y
            Rows (n, columns) that the regressor was not trained on, and their target (n,), like the
            rows to come; on training rows intervals seem to need less than they do. Level .9 takes
            9 of every group, .95 takes 19; with 100 the coverage of a group still varies by 5
            points from table to table, with 1,000 by 1.6 (`calibration` has both).

        Returns
        -------
        ConformalIntervals
            The object itself.

        Raises
        ------
        TypeError
            When ``estimator`` is no `FairMixedEffectsRegressor`, or ``by`` no attribute.
        ValueError
            For bad keywords, an absent column, an attribute of one group, or bad rows.
        """
        return self._calibrate(X, y)

    def _scored(
        self, X: Table, y: ArrayLike, frame: pd.DataFrame, encoded: np.ndarray
    ) -> tuple[Floats, Sequence[np.ndarray | slice]]:
        outcome = np.asarray(self.estimator.target_.observed(y), np.float64)
        _, nested = self._predicted(X, frame)
        return nested.score(outcome), [slice(None)]

    def _predicted(self, X: Table, frame: pd.DataFrame) -> tuple[np.ndarray, NestedIntervals]:
        """Return the means and the model's own intervals of every size."""
        with expecting_new_clusters():
            _, mean, found = table_quantiles(
                self.estimator, X, PROBABILITIES, "observation", self.effects
            )
        target = self.estimator.target_
        return target.decode(mean), NestedIntervals.of(target.decode(found), whole=target.whole)

    @errors_alone
    def predict_interval(self, X: Table, level: float = 0.9) -> pd.DataFrame:
        """Predict an interval for the outcome of each row of X.

        Parameters
        ----------
        X
            Rows, with the columns of ``by``.
        level
            Probability with which an interval holds the outcome.

        Returns
        -------
        DataFrame
            mean, low, high in the target's units (whole for counts), and calibrated_on, the
            calibration rows whose quantile it is: "all", "sex=Female", or either with "(unseen
            clusters)"; indexed like X.

        Raises
        ------
        ValueError
            When the calibration rows are fewer than the level takes, a column of ``by`` is absent,
            or the regressor was fitted again since.

        Warns
        -----
        DataWarning
            When rows get the quantile of all rows because their group has too few, or that of rows
            of known clusters because there are too few clusters like theirs.
        """
        frame, (mean, nested), (rows,) = self._row_quantiles(X, level)
        low, high = nested.at(rows.value)
        if self.estimator.target_.log_link:
            low = np.maximum(low, 0.0)
        found = {"mean": mean, "low": low, "high": high, "calibrated_on": rows.calibrated_on}
        return pd.DataFrame(found, index=frame.index)

    def calibration(self, level: float = 0.9) -> pd.DataFrame:
        """Return what the calibration rows of each group allow.

        Parameters
        ----------
        level
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            clusters ("seen" by training or "unseen"), attribute, group, n (rows), units (rows, of
            unseen clusters the clusters), needed (units that the level takes), calibrated_on ("own
            rows", or "all" where these are too few), quantile (size of the model's interval: the
            level to ask the model for; above .99 beyond its draws), coverage (the least
            probability, over tables like this one), low and high (where the coverage lies, given
            this table, with probability .9: Beta's quantiles; NaN where clusters are the units).
        """
        (table,) = self._tables(level)
        return table

    @errors_alone
    def fairness_report(
        self,
        X: Table,
        y: ArrayLike,
        by_cluster: bool = False,
        attributes: Attributes | None = None,
        *,
        interval_level: float = 0.9,
        **options: Any,
    ) -> pd.DataFrame:
        """Report accuracy and fairness with the coverage and width of these intervals by group.

        Parameters
        ----------
        X, y, by_cluster
            As of `FairMixedEffectsRegressor.fairness_report`.
        attributes
            As there; by default the regressor's and those of ``by``.
        interval_level
            Level of the conformal intervals; ``level`` is that of the report's own limits.
        **options
            Further keywords of `FairMixedEffectsRegressor.fairness_report`.

        Returns
        -------
        DataFrame
            Of the same form, with the lines of these ``effects`` only.
        """
        found = self.predict_interval(X, interval_level)
        return self._report(X, y, by_cluster, attributes, found, options)
