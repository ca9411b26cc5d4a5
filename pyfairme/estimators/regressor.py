"""The regressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from pyfairme.data import TARGETS
from pyfairme.data.chosen_levels import Exclude, Merge
from pyfairme.data.input_types import Attributes, Clusters, Rows, Seed, Slopes, Strength, Table
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.custom_objects import check_likelihood
from pyfairme.estimators.fit_lock import one_at_a_time
from pyfairme.estimators.prediction_intervals import value_intervals
from pyfairme.estimators.prior_keyword import Prior
from pyfairme.estimators.progress_display import progress_display
from pyfairme.estimators.table_fit import fit_table
from pyfairme.estimators.table_inputs import check_length
from pyfairme.estimators.table_predictions import table_means, table_outcomes
from pyfairme.estimators.training_record import with_warnings
from pyfairme.inference.guides import GuideChoice
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.model.likelihoods import LIKELIHOODS, Likelihood, likelihood_of
from pyfairme.model.penalties import Fairness


class FairMixedEffectsRegressor(RegressorMixin, FairMixedEffects):
    """Fair mixed-effects deep learning for a real target or for counts.

    The model is ``y_i ~ Normal(eta_i, residual_sd)``, ``eta_i = f(x_i) + intercept_z(i) +
    r_i . slope_z(i)``, with a neural network f and hierarchical Normal priors on the effects of
    every cluster z, fitted on the standardised target; everything reported is in the target's own
    units. Counts have a log link: effects multiply the mean, and the log of an exposure is an
    ``offset``.

    Parameters
    ----------
    cluster
        Column(s) of X that name the cluster of a row: grouping factor(s). Never an input of the
        network. Several are crossed; a tuple inside the list is a path of nested ones, as lme4's
        school/class: ``[("school", "class")]`` has the factors "school" and "school:class", whose
        clusters are called "7:2". None: no random effects.
    sensitive
        Sensitive attributes: column names, `Binned` brackets of a numeric column, `Continuous` for
        a number without brackets, or tuples of columns and brackets for intersections.
    likelihood
        "normal"; "student_t", real with heavy tails, which outliers move less; "poisson", counts;
        "negative_binomial", counts with variance mean + mean^2 / concentration. The formulas and
        priors stand in `pyfairme.model.likelihoods`. `KnownErrors`, for estimates with known
        standard errors. Or an object of your own, for positive amounts too (docs/extending.md).
    categorical
        Name or names of columns of numbers that are codes of levels, not amounts: postcodes,
        regions 1 to 9. Text is categorical without a word.
    drop
        Name or names of columns of X that are not used: row numbers, names, what is known only
        after the outcome.
    random_intercepts
        Give every cluster an intercept. False with ``random_slopes=None``: no random effects; the
        cluster still feeds the cluster adversary, the splits and the reports.
    random_slopes
        None; "all" encoded columns; "hidden", the last hidden layer; a list of columns; or a
        dictionary of these by factor. A slope starts at 0, or at the column's mean where all its
        training values lie on one side of 0 (and there are random intercepts).
    correlated
        Let a cluster's intercept and slopes correlate, with an LKJ(2) prior on their correlations.
    prior_scale
        Multiplies the scales of the priors of the random effects' standard deviations, of those
        that ``prior`` does not name.
    prior
        Priors in place of the model's own, by what they are of: ``{"sd": ("half_cauchy", 1.0)}``
        for the standard deviations of all random effects, "intercept_sd" or "slopes_sd" for these,
        "<cluster>_intercept_sd" for those of one factor (the closest name counts), "correlation",
        "last_layer", "network_sd", "linear_sd", and the likelihood's own parameters. A real target
        is standardised, and so are the numbers. All names, families and units: docs/priors.md.
    hidden
        Widths of the fixed-effects network; () makes the fixed part linear, the model a GLMM.
    numeric_encoding
        How the network sees numbers. "standard": standardised. "piecewise": beside that, hat
        functions over knots at their quantiles and most frequent values, which let it bend there.
        "auto": "piecewise" with hidden layers, "standard" without.
    network_posterior
        "auto": "laplace" for networks of up to 10,000 rows (times outputs), unless a guide is
        named; else "none", as without hidden layers.
        "none": the network is a point estimate, cluster effects are conditional on it.
        "last_layer": the output layer's weights are latent, Normal(0, 2.5) on the standardised
        scale.
        "laplace": predictions are those of the network linearised at its trained weights, a linear
        model whose weights are drawn together with the cluster effects; for tables of up to 50,000
        rows (docs/network_uncertainty.md).
    ensemble
        Number of networks, trained from different seeds; they are the chains of ``posterior_``.
    fairness
        None; "adversarial", networks that predict the group; "moment", gaps of the groups' mean
        predictions or residuals; "correlation"; "kernel", any dependence (HSIC); an object of your
        own (docs/extending.md); or a tuple of these.
    fairness_weight
        Strength of the penalties (λ_FE, λ_ME): a number, {attribute: number}, or
        {penalty: number or {attribute: number}}. 0 is legal; changing it compiles nothing.
    fairness_on
        Predictions that the penalties act on: a subset of ("fixed", "random", "mixed"), or a
        dictionary of multipliers. Without random effects only "fixed" exists.
    criterion
        "equalized_odds", "demographic_parity" or "equal_opportunity".
    exclude
        Levels that are no group of people, by attribute: ``{"race": ["Unknown"]}``. Penalties, and
        `fairness_report` unless it is told otherwise, compare the other groups; the rows count for
        all else. Studies and searches judge every level.
    merge
        Levels that both put together, by attribute and new name:
        ``{"race": {"other": ["Amer-Indian-Eskimo", "Other"]}}``.
    drop_sensitive
        Hide sensitive columns (and the source of a `Binned`) from the network; adversaries and
        metrics still see them.
    cluster_weight
        Strength λ_g of the cluster adversary.
    fixed_weight
        Weight λ_F of the fixed prediction's own loss.
    kl_weight
        Weight of the KL term; 1 is the ELBO itself (n λ_K in the paper's notation).
    guide
        How the posterior is approximated. "mean_field": every effect on its own, as in the paper.
        "block": full-rank scales and, given them, each cluster's effects, corrected by importance
        sampling. "low_rank", "full_rank": one Normal. "auto": "block" where clusters have fewer
        than 100 rows per effect (of two classes 100 / (p (1 - p))) and for a
        latent last layer (unless the table is large), else "mean_field". Or an object of your own
        (docs/extending.md).
    unseen
        Clusters that training never saw, and rows without one: "infer" takes from the known
        clusters that a row resembles what these were found to tell, and draws the rest from the
        fitted prior; "sample" draws all of it; "population" sets the random part to 0; "raise"
        refuses.
    missing
        "category": a missing level is a level, a missing number the training median, marked by a
        column of its own; rows without a cluster are left out of the fit and predicted as of a
        new cluster each. "raise": an error.
    offset
        Numeric column added on the link scale: in the units of a real target; of counts, the log of
        the exposure.
    learning_rate
        Of Adam, decayed by a cosine; adversaries move 5 times, latents 10 times as fast. "auto":
        .001, and for 256 to 2,048 rows per step .001 sqrt(rows per step / 256).
    weight_decay
        Shrinks the weights of hidden layers in every step by this times the learning rate. "auto":
        100 (encoded columns / training rows)^0.75, at least 3, so that small tables are not learned
        by heart (docs/small_tables.md); with ``hidden=()`` and a penalty 0.3 of that formula. With
        fewer than 20 rows per column and no early stopping, as under a penalty, held-out rows
        choose between 1, 3 and 9 times that; `history_` has the choice.
    batch_size
        Rows per step; tables with fewer rows use all of them in each step. "auto": 256, and for
        large tables the largest power of two with 75 steps in each epoch, at most 2,048.
    epochs
        Passes over the training rows.
    min_steps
        Steps that are taken even when the epochs hold fewer; early stopping may end them.
    validation_fraction
        Part of the rows held out for the history and early stopping.
    early_stopping
        Keep the best epoch by the validation score: L_M + λ_F L_F plus weighted disparities, after
        the warm-up. "auto": only when no penalty acts (``fairness_weight`` of 0 is none).
    random_state
        Seeds initial values, the order of rows, the split and all draws.
    progress
        "auto" shows the stage of a fit, and in training the time left, in terminals and notebooks;
        elsewhere at level INFO of the log "pyfairme.progress". True: there on stderr. False.
    warm_start
        Begin `fit` where the estimator's last fit ended, if it had the same structure: columns,
        clusters, groups and classes, network, penalties, guide. Otherwise a warning says what
        differs, and the fit starts afresh. Adam starts anew, λ needs no warm-up. `save` keeps what
        is needed. Give ``random_state`` a number, or other rows are held out each time.
    devices
        Over how many devices the rows of a training step are dealt out, "all" for all that JAX
        sees; each holds the whole table. Results differ by rounding only. It pays for large
        batches on accelerators.

    Attributes
    ----------
    posterior_
        Posterior draws (ArviZ object of the installed ArviZ).
    cluster_effects_, variance_components_, fixed_effects_
        Tidy summaries of the posterior, in the data's units.
    history_
        One row per epoch (at least 100 steps): every named loss term, their validation values and
        the adversaries' skill, 1 - cross-entropy / chance.
    diagnostics_
        What the posterior draws are worth: Pareto's k, or R-hat and effective sample size; and
        whether the prior matters.
    guide_
        The guide that was fitted.
    network_posterior_
        What became of ``network_posterior="auto"``.
    design_
        The learned encoding of columns.
    n_iter_
        Rows of the history up to the kept state.
    n_features_in_, feature_names_in_
        Number and names of the columns of X.

    References
    ----------
    Nguyen, Wang & Montillo, "Fairness-enhancing mixed effects deep learning improves fairness on
    in- and out-of-distribution clustered (non-iid) data", arXiv 2310.03146.

    Examples
    --------
    >>> import pyfairme as pf
    >>> data = pf.datasets.make_clustered(rows=900, clusters=6, likelihood="normal", random_state=0)
    >>> reg = pf.FairMixedEffectsRegressor("cluster", random_state=0)
    >>> reg = reg.fit(data.frame, data.target)
    >>> list(reg.predict_interval(data.frame).columns)
    ['mean', 'low', 'high']

    Counts, with the log of the time at risk as offset:

    >>> import numpy as np
    >>> data = pf.datasets.make_clustered(600, clusters=4, likelihood="poisson", random_state=0)
    >>> counted = data.frame.assign(log_time=np.log(np.tile([1.0, 2.0], 300)))
    >>> reg = pf.FairMixedEffectsRegressor(
    ...     "cluster", likelihood="poisson", offset="log_time", random_state=0
    ... ).fit(counted, data.target)
    >>> longer = counted.assign(log_time=counted["log_time"] + np.log(3))
    >>> float((reg.predict(longer) / reg.predict(counted)).mean().round(4))
    3.0
    """

    def __init__(
        self,
        cluster: Clusters | None = None,
        sensitive: Attributes = (),
        *,
        categorical: str | Sequence[str] = (),
        drop: str | Sequence[str] = (),
        likelihood: str | Likelihood = "normal",
        random_intercepts: bool = True,
        random_slopes: Slopes | None = None,
        correlated: bool = False,
        prior_scale: float = 1.0,
        prior: Prior = None,
        hidden: tuple[int, ...] = (64, 32),
        numeric_encoding: str = "auto",
        network_posterior: str = "auto",
        ensemble: int = 1,
        fairness: Fairness = "adversarial",
        fairness_weight: Strength = 0.3,
        fairness_on: str | Sequence[str] | Mapping[str, float] = ("fixed", "mixed"),
        criterion: str = "equalized_odds",
        exclude: Exclude = None,
        merge: Merge = None,
        drop_sensitive: bool = False,
        cluster_weight: float = 0.1,
        fixed_weight: float = 0.5,
        kl_weight: float = 1.0,
        guide: GuideChoice = "auto",
        unseen: str = "infer",
        missing: str = "category",
        offset: str | None = None,
        learning_rate: float | str = "auto",
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        epochs: int = 30,
        min_steps: int = 2000,
        validation_fraction: float = 0.1,
        early_stopping: bool | str = "auto",
        random_state: Seed | None = None,
        progress: bool | str = "auto",
        warm_start: bool = False,
        devices: int | str = 1,
    ) -> None:
        super().__init__(
            cluster,
            sensitive,
            categorical=categorical,
            drop=drop,
            random_intercepts=random_intercepts,
            random_slopes=random_slopes,
            correlated=correlated,
            prior_scale=prior_scale,
            prior=prior,
            hidden=hidden,
            numeric_encoding=numeric_encoding,
            network_posterior=network_posterior,
            ensemble=ensemble,
            fairness=fairness,
            fairness_weight=fairness_weight,
            fairness_on=fairness_on,
            criterion=criterion,
            exclude=exclude,
            merge=merge,
            drop_sensitive=drop_sensitive,
            cluster_weight=cluster_weight,
            fixed_weight=fixed_weight,
            kl_weight=kl_weight,
            guide=guide,
            unseen=unseen,
            missing=missing,
            offset=offset,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            epochs=epochs,
            min_steps=min_steps,
            validation_fraction=validation_fraction,
            early_stopping=early_stopping,
            random_state=random_state,
            progress=progress,
            warm_start=warm_start,
            devices=devices,
        )
        self.likelihood = likelihood

    @one_at_a_time
    @with_warnings
    def fit(
        self,
        X: Rows,
        y: ArrayLike | str,
        sample_weight: ArrayLike | str | None = None,
        *,
        groups: ArrayLike | str | None = None,
    ) -> FairMixedEffectsRegressor:
        """Fit the model.

        Parameters
        ----------
        X
            pandas or polars frame (n, columns) with covariates, cluster and sensitive columns; an
            array (n, p) when ``cluster`` and ``sensitive`` are unused. Or the path of a Parquet
            file, of a folder of such files, or a pyarrow dataset: tables that do not fit into
            memory (docs/large_tables.md).
        y
            Real target, counts 0, 1, 2, ... or positive amounts, (n,), as the likelihood has it.
        sample_weight
            Weight of each row, (n,). Of Parquet files y, weights and groups may be names of
            columns.
        groups
            Labels (n,) of rows that belong together, such as the visits of one patient or the
            applications to one advertisement. The rows that the fit holds out
            (``validation_fraction``), by which it stops, chooses ``weight_decay`` and a threshold,
            are then whole groups, so that what a network learns of a group by heart does not pass
            for knowledge of others. It is no role of a column: one of X that holds the same labels
            belongs into ``drop``. None: rows do not belong together.

        Returns
        -------
        FairMixedEffectsRegressor
            The fitted estimator itself.

        Raises
        ------
        ValueError
            For bad keywords, columns or values, and groups of which none can be held out; the
            message says what to do.
        FloatingPointError
            When the loss stops being finite, or ends above that of an intercept alone.
        """
        with progress_display(self.progress, "fit") as report:
            fit_table(self, X, y, sample_weight, groups, report)
        return self

    def score(self, X: Table, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R squared of `predict` on rows X (n, columns) of target y (n,)."""
        warn_of_order(X, "X", y=y)
        warn_of_order(X, "X", sample_weight=sample_weight)
        check_length(X, y)
        return super().score(X, y, sample_weight)

    def predict(self, X: Rows, effects: str = "mixed") -> np.ndarray:
        """Predict the posterior mean of E[y] (n,), from "fixed", "random" or "mixed" effects."""
        mean = table_means(self, X, effects)
        return self.target_.decode(mean)

    def predict_interval(
        self, X: Table, level: float = 0.9, kind: str = "auto", effects: str = "mixed"
    ) -> pd.DataFrame:
        """Predict with an equal-tailed interval.

        Parameters
        ----------
        X
            Rows to predict.
        level
            Coverage of the interval.
        kind
            What the interval covers. "mean": the mean, given the posterior of the network
            and of the cluster effects; for fits with ``network_posterior="laplace"``, which "auto"
            takes up to 10,000 rows. "cluster": the mean as far as cluster effects are
            uncertain, the network taken as known: it holds the true mean less often than
            ``level`` (docs/network_uncertainty.md has how often). "observation": a new outcome.
            "auto": "mean" where the network has a posterior, else "cluster".
        effects
            "fixed", "random" or "mixed".

        Returns
        -------
        DataFrame
            mean, low, high in the target's units; indexed like X. Bounds of a new count are whole.
            The columns' common name says what the interval is of: "cluster interval".

        Raises
        ------
        ValueError
            For kind "mean" of a model whose network is a point estimate.
        """
        return value_intervals(self, X, level, kind, effects)

    def sample_predictive(self, X: Table, draws: int = 1000, effects: str = "mixed") -> Any:
        """Draw new outcomes y from the likelihood.

        Rows are drawn independently of each other given the posterior's draw. The noise of a row
        depends on its label, cluster and covariates and on ``random_state``: drawn again it is the
        same, and outcomes of a table that is scored in parts add up as those of the whole. A draw
        is one of the posterior, the same in every call.

        Parameters
        ----------
        X
            Rows to predict.
        draws
            Number of draws, spread over the members of an ensemble.
        effects
            "fixed", "random" or "mixed".

        Returns
        -------
        xarray.DataArray
            Dims (chain, draw, row), in the target's units; integers for counts.
        """
        return table_outcomes(self, X, draws, effects)

    def _fit_target(self, y: np.ndarray, offset: np.ndarray) -> Any:
        kind = self._target_kind
        if kind.log_link:  # the offset is on the log scale: no unit to take it off in
            return kind.fit(y)
        return kind.fit(np.asarray(y, np.float64) - offset)

    def _check_keywords(self) -> None:
        check_likelihood(self.likelihood)
        super()._check_keywords()

    def _likelihood(self) -> Likelihood:
        return likelihood_of(self.likelihood, self.target_.unit, self.target_.value_scale)

    @property
    def _target_kind(self) -> Any:
        return TARGETS[likelihood_of(self.likelihood, 1.0).target]

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        # refuses what is no finite number, or no count, before anything else is looked at
        self._target_kind.fit(y)
        return None

    def __sklearn_tags__(self) -> Any:
        """Describe the estimator to scikit-learn."""
        tags = super().__sklearn_tags__()
        known = not isinstance(self.likelihood, str) or self.likelihood in LIKELIHOODS
        kind = getattr(likelihood_of(self.likelihood, 1.0), "target", "") if known else ""
        tags.target_tags.positive_only = kind in TARGETS and TARGETS[kind].log_link
        return tags
