"""Base class of the two estimators: scikit-learn's interface, no numerics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator

from pyfairme import persistence
from pyfairme.data import Batch, Design
from pyfairme.data.chosen_levels import Exclude, Merge
from pyfairme.data.input_types import Attributes, Clusters, PathLike, Seed, Slopes, Strength, Table
from pyfairme.estimators import (
    estimator_keywords,
    fairness_report,
    feature_importance,
    inference_data,
    keywords_after_fit,
    program_access,
    random_part_disparity,
    refine_and_adapt,
    saved_state,
    training_record,
    warm_start_state,
)
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.chosen_groups import groups_to_compare
from pyfairme.estimators.older_pickles import with_keywords
from pyfairme.estimators.posterior_labels import posterior_attrs, posterior_labels
from pyfairme.estimators.posterior_table import PosteriorTable
from pyfairme.estimators.prior_keyword import Prior
from pyfairme.estimators.report_table import FairnessReport
from pyfairme.estimators.shareable_copy import private_copy
from pyfairme.inference import posterior_draws, posterior_tables
from pyfairme.inference.diagnostics import diagnostics
from pyfairme.inference.guides import GuideChoice
from pyfairme.inference.predictions import Fit
from pyfairme.inference.prior_sensitivity import prior_sensitivity
from pyfairme.metrics.array_inputs import check_count, check_share
from pyfairme.metrics.metric import ChosenMetrics, chosen_metrics
from pyfairme.model.likelihoods import Likelihood
from pyfairme.model.penalties import Fairness
from pyfairme.model.program import Objective


class FairMixedEffects(BaseEstimator, ABC):
    """Base of the classifier and the regressor; not for direct use."""

    # What a fit leaves here.
    fit_: Fit
    design_: Design
    target_: Any  # one of pyfairme.data.TARGETS
    guide_: str
    network_posterior_: str
    history_: pd.DataFrame
    n_iter_: int
    n_features_in_: int
    feature_names_in_: np.ndarray
    disparity_: pd.DataFrame  # of `adapt` and `refine`
    classes_: np.ndarray  # of a classifier, as the next
    threshold_: dict[str, float]
    _fitted_params: dict[str, Any]
    _seed: int
    _class_weights: dict[Any, float] | None
    _training: Batch | None
    _learned: warm_start_state.Learned | None
    _slope_means: np.ndarray
    _input_sd: np.ndarray
    _column_labels: Any
    _reading: dict[str, Any]
    _record: training_record.TrainingRecord | None

    def __new__(cls, *args: Any, **keywords: Any) -> Any:
        """Refuse a keyword that the constructor does not have, with the nearest one."""
        estimator_keywords.check_names(cls, keywords)
        return super().__new__(cls)

    def __init__(
        self,
        cluster: Clusters | None = None,
        sensitive: Attributes = (),
        *,
        categorical: str | Sequence[str] = (),
        drop: str | Sequence[str] = (),
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
        self.cluster = cluster
        self.sensitive = sensitive
        self.categorical = categorical
        self.drop = drop
        self.random_intercepts = random_intercepts
        self.random_slopes = random_slopes
        self.correlated = correlated
        self.prior_scale = prior_scale
        self.prior = prior
        self.hidden = hidden
        self.numeric_encoding = numeric_encoding
        self.network_posterior = network_posterior
        self.ensemble = ensemble
        self.fairness = fairness
        self.fairness_weight = fairness_weight
        self.fairness_on = fairness_on
        self.criterion = criterion
        self.exclude = exclude
        self.merge = merge
        self.drop_sensitive = drop_sensitive
        self.cluster_weight = cluster_weight
        self.fixed_weight = fixed_weight
        self.kl_weight = kl_weight
        self.guide = guide
        self.unseen = unseen
        self.missing = missing
        self.offset = offset
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.min_steps = min_steps
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.random_state = random_state
        self.progress = progress
        self.warm_start = warm_start
        self.devices = devices

    # What the subclasses provide ------------------------------------------------------------

    def _check_keywords(self) -> None:
        """Check every keyword that can be checked without data; raise ValueError by its name."""
        estimator_keywords.check_settings(self.get_params(deep=False))

    def _take_order(self, y: Any) -> None:
        """Remember the order of the classes of an ordered target."""

    @abstractmethod
    def _fit_target(self, y: np.ndarray, offset: np.ndarray) -> Any:
        """Return the target's encoding, learned from the training rows."""

    @abstractmethod
    def _likelihood(self) -> Likelihood:
        """Return the likelihood of the fitted target."""

    @abstractmethod
    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Class codes (n,) by which validation rows are stratified; None for a real target."""

    @abstractmethod
    def sample_predictive(self, X: Table, draws: int = 1000, effects: str = "mixed") -> Any:
        """Draw new outcomes: xarray, dims (chain, draw, row)."""

    def _weights_of_classes(
        self, y: np.ndarray, weight: np.ndarray | None
    ) -> dict[Any, float] | None:
        """Return the weight of each class, by its label; None where classes do not weigh."""
        return None

    def _objective(self, objective: Objective, by_class: dict[Any, float] | None) -> Objective:
        """Return the objective's numbers as the subclass wants them."""
        return objective

    # Use ------------------------------------------------------------------------------------

    def _check_use(self) -> None:
        """Raise unless the estimator is fitted, and to the keywords that it has now."""
        check_fitted(self)
        keywords_after_fit.check_unchanged(self)

    # Posterior ------------------------------------------------------------------------------

    @property
    def posterior_(self) -> Any:
        """Posterior draws as the ArviZ object of the installed ArviZ, in the data's units.

        Dims: chain (members of an ensemble), draw, the cluster column, ``<cluster>_term`` of
        slopes. The attribute ``kind`` says what the draws approximate.

        Raises
        ------
        AttributeError
            When the model has no latent variable: nothing was drawn.
        """
        inference_data.refuse_without_latents(self, "posterior_")
        attrs = posterior_attrs(self)
        return posterior_draws.to_arviz(self.fit_, posterior_labels(self), attrs)

    @property
    def program_(self) -> program_access.FittedProgram:
        """The NumPyro model, guide and parameters behind the fit: for MCMC, SVI, `Predictive`.

        See `pyfairme.estimators.program_access.FittedProgram`, and docs/program.md for examples.
        """
        return program_access.program(self)

    def to_arviz(
        self,
        X: Table | None = None,
        y: ArrayLike | None = None,
        *,
        draws: int | None = None,
        prior_draws: int = 0,
    ) -> Any:
        """Collect what ArviZ can use: ``az.loo``, ``az.compare``, predictive checks and the rest.

        Parameters
        ----------
        X
            Rows (n, columns) to predict and, with ``y``, to judge: those of training for ``az.loo``
            and ``az.compare``. None: the posterior alone.
        y
            Their target, (n,).
        draws
            Number of draws in all groups of the posterior, spread evenly over its chains; None: all
            there are. Memory grows with draws x rows.
        prior_draws
            Number of draws from the model's own prior, spread over the chains; 0: none.

        Returns
        -------
        InferenceData or xarray.DataTree
            For ArviZ 0.x or 1.x. Groups ``posterior``; with X ``posterior_predictive`` (chain,
            draw, row) and ``constant_data``, the columns that the model uses; with y
            ``log_likelihood`` (chain, draw, row) of the mixed prediction at the posterior's own
            draws, per unit of y, and ``observed_data``; with ``prior_draws`` ``prior`` and, with X,
            ``prior_predictive``. The target is called like a pandas Series y, or "y"; classes are
            codes 0, 1, ..., their labels an attribute. Clusters that training never saw follow
            ``unseen``.

        Raises
        ------
        AttributeError
            When the model has no latent variable.
        ValueError
            For y without X, bad rows or numbers, or more than 5e8 numbers in all.

        Notes
        -----
        log p(y_i | draw) knows y_i through the network, which has seen it: ``az.loo`` leaves row i
        out of the posterior of the latents only, and flatters a large network.
        """
        return inference_data.to_arviz(self, X, y, draws, prior_draws)

    @property
    def cluster_effects_(self) -> pd.DataFrame:
        """Tidy effects: factor, cluster, term, mean, sd, low, high (90 % interval)."""
        found = posterior_tables.cluster_effects(labels=posterior_labels(self), fit=self.fit_)
        return PosteriorTable.of(found, "cluster effects", self.target_.link_name)

    @property
    def variance_components_(self) -> pd.DataFrame:
        """Standard deviations between clusters and of the residual, and where they hold."""
        found = posterior_tables.variance_components(labels=posterior_labels(self), fit=self.fit_)
        return PosteriorTable.of(found, "variance components", self.target_.link_name)

    @property
    def fixed_effects_(self) -> pd.DataFrame:
        """Linear fixed effects in original units, for ``hidden=()``: term, mean, sd, low, high.

        They are point estimates, with NaN as spread and a column "note", unless the model was
        fitted with ``network_posterior="last_layer"`` or "laplace".
        """
        found = posterior_tables.fixed_effects(labels=posterior_labels(self), fit=self.fit_)
        return PosteriorTable.of(found, "fixed effects", self.target_.link_name)

    def icc(self, level: float = 0.9) -> pd.DataFrame:
        """Return the intraclass correlation per factor at the training mean of the covariates.

        Parameters
        ----------
        level
            Coverage of the equal-tailed interval.

        Returns
        -------
        DataFrame
            factor, mean, sd, low, high; NaN for slopes on hidden activations, which have no unit.
        """
        estimator_keywords.check_level(level)
        found = posterior_tables.icc(labels=posterior_labels(self), fit=self.fit_, level=level)
        return PosteriorTable.of(found, "intraclass correlation", level=level)

    def feature_importance(
        self, X: Table, effects: str = "mixed", *, method: str = "permutation"
    ) -> pd.DataFrame:
        """Measure how strongly the prediction reacts to each covariate.

        By permutation: the mean over rows of the absolute change of the prediction (a probability,
        a mean count, a real target in its standard deviations; of more than two classes the sum)
        when the covariate takes another row's value, all else as it is. By gradient: the mean of
        abs(d prediction / d input), the input in standard deviations of the training rows
        (Dimopoulos et al. 1995); for the columns of a categorical covariate the root of the sum of
        squares. Random effects are at their posterior mean.

        Parameters
        ----------
        X
            Rows at which predictions are changed, at least 2 for permutations.
        effects
            "fixed", "random" or "mixed".
        method
            "permutation", or "gradient", as in the paper. Gradients belong to smooth networks: with
            knots (``numeric_encoding``) a number whose knots lie close has steep pieces, so large
            gradients, however little the prediction depends on it.

        Returns
        -------
        DataFrame
            feature, importance, share (of the sum), rank; from large to small.
        """
        return feature_importance.feature_importance(self, X, effects, method)

    # Updates --------------------------------------------------------------------------------

    def refine(
        self,
        draws: int = 1000,
        chains: int = 2,
        fairness_weight: Strength = 0,
        *,
        X: Table | None = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        warmup: int = 500,
        progress: bool | str = "auto",
    ) -> Any:
        """Sample the posterior with NUTS, the network frozen.

        Random effects, their scales, the likelihood's own parameters and a latent last layer are
        drawn from their exact posterior given the rest of the network, whatever guide was fitted.

        Parameters
        ----------
        draws, chains, warmup
            Kept draws per chain; chains in parallel (per member of an ensemble); draws of warm-up.
        fairness_weight
            By default the target is the plain posterior, which can undo what penalties on the mixed
            prediction achieved. A number (or {attribute: number}) w multiplies its density by
            exp(-n w disparity), with the mean absolute gap of the groups as disparity.
        X, y, sample_weight
            Training rows, needed only when the estimator does not hold them: after `load`.
        progress
            As in the constructor; sampling has a time left.

        Returns
        -------
        estimator
            A new one of the same class: draws from NUTS, ``diagnostics_`` with R-hat, effective
            sample sizes and divergences, and ``disparity_``, before and after, of training rows.

        Warns
        -----
        PosteriorWarning
            When the chains diverge, disagree or are short; it says what to do.
        FairnessWarning
            When the groups' predictions are further apart than before.
        """
        rows = (X, y, sample_weight)
        return refine_and_adapt.refine(self, draws, chains, fairness_weight, rows, warmup, progress)

    def adapt(
        self,
        X_new: Table,
        y_new: ArrayLike,
        fairness_weight: Strength = 0,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Any:
        """Learn new clusters from a few labelled rows, without training.

        Their effects are drawn from the posterior given their rows: near the prior with few rows,
        the cluster's own fit with many. Network, scales and known clusters stay as they are.

        Parameters
        ----------
        X_new, y_new
            Labelled rows of clusters that training never saw, (n, columns) and (n,).
        fairness_weight
            Weight of a fairness term, as in `refine`.
        sample_weight
            Weight of each row, (n,).

        Returns
        -------
        estimator
            A new one of the same class that knows the new clusters, with ``disparity_``, before and
            after, on these rows (before: predicted as an average cluster).

        Raises
        ------
        ValueError
            For rows of known clusters, or of none that is new; where several factors have new
            ones, with the order in which to give the rows.

        Warns
        -----
        PosteriorWarning
            When a new cluster's draws are not to be trusted.
        FairnessWarning
            As in `refine`.
        """
        return refine_and_adapt.adapt(self, X_new, y_new, fairness_weight, sample_weight)

    @property
    def diagnostics_(self) -> pd.DataFrame:
        """What the posterior draws are worth: parameter, member, measure, value, limit, ok.

        After ``guide="block"`` Pareto's k of the hyper-parameters and of every cluster's effects;
        after `refine` R-hat, effective sample sizes (bulk, tails) and divergences; after `adapt`
        Pareto's k of the new clusters. Other guides have one line, whose column "note" says how to
        get diagnostics.

        With these come lines "prior_sensitivity" of the hyper-parameters (power-scaling, limit
        .05): above it the choice of the prior shows in the posterior, as it often does with few
        clusters. That is no fault of the draws, but a reason to say which prior it was
        (docs/priors.md).
        """
        numbers = estimator_keywords.prior_numbers(self.get_params(deep=False), self.fit_.spec)
        matters = prior_sensitivity(self.fit_, numbers) if self.fit_.quality else {}
        return PosteriorTable.of(
            diagnostics(self.fit_, posterior_labels(self), matters), "diagnostics"
        )

    # Fairness -------------------------------------------------------------------------------

    def fairness_report(
        self,
        X: Table,
        y: ArrayLike,
        by_cluster: bool = False,
        attributes: Attributes | None = None,
        *,
        n_boot: int = 200,
        level: float = 0.9,
        sample_weight: ArrayLike | None = None,
        min_group_size: int = 0,
        metrics: ChosenMetrics | None = None,
        intervals: Any = None,
        exclude: Exclude = None,
        merge: Merge = None,
    ) -> FairnessReport:
        """Report accuracy and fairness of fixed, random and mixed predictions.

        Parameters
        ----------
        X, y
            Rows to judge, (n, columns) and (n,).
        by_cluster
            One block per cluster instead of the pooled seen and unseen rows.
        attributes
            Attributes to report: columns, `Binned`, or tuples of these for intersections, also
            ones that were not penalised. By default the penalised ones.
        n_boot
            Bootstrap replicates behind the intervals.
        level
            Coverage of the intervals.
        sample_weight
            Weight of each row, (n,), such as a survey's: every metric is that of the weighted rows,
            and intervals and null bands know how many rows of equal weight they are worth (the
            effective sample size, Kish 1965). None: rows count alike.
        min_group_size
            For reports that others read: groups with fewer rows, or fewer of one of the classes,
            are put together, so that no sum or difference of lines shows one, and clusters with
            fewer rows are left out (docs/model_files.md).
        metrics
            Names to choose some metrics, `pyfairme.metrics.Metric` objects to add some of your own
            (docs/extending.md), or both. None: all that come with the package.
        intervals
            Prediction intervals of the outcomes, or sets of classes, whose coverage and width are
            reported by group: a frame with a line per row of X, as `ConformalIntervals` and
            `ConformalSets` return, or ``predict_interval(X, kind="observation")`` of a regressor.
            They are judged beside mixed predictions, or those that a dictionary {effects: frame}
            names.
        exclude
            Levels that are no group of people, by attribute: ``{"race": ["Unknown"]}``. Groups are
            compared without their rows, which count for accuracy and for other attributes. Notes
            say what was left out.
        merge
            Levels to put together, by attribute and new name:
            ``{"race": {"other": ["Amer-Indian-Eskimo", "Other"]}}``. Where neither is given, both
            are those of the estimator; ``exclude={}`` reports every level.

        Returns
        -------
        FairnessReport
            A tidy DataFrame that shows what it says, with ``summary()``, ``plot()`` and
            ``compare(other)``. Columns effects, clusters ("seen", "unseen" or a cluster),
            attribute, group (a level or "all"), class, metric, value, low, high, null, null_low,
            null_high, n, note.

        Notes
        -----
        Rows of a level that training never saw are the group "(new level)", rows without a level
        "(missing)"; a block that holds such rows has no counterfactual gap, as there is no telling
        what their other levels are.
        """
        check_count(n_boot, "n_boot")
        check_count(min_group_size, "min_group_size")
        check_share(level)
        options: Any = {"by_cluster": by_cluster, "n_boot": n_boot, "level": level}
        options |= {"min_group_size": min_group_size, "metrics": metrics}
        chosen_metrics(metrics)
        judged = fairness_report.collect(self, X, y, attributes, sample_weight, intervals)
        judged = groups_to_compare(self, judged, exclude, merge)
        return fairness_report.report(judged, **options)

    def card(
        self,
        X: Table,
        y: ArrayLike,
        attributes: Attributes | None = None,
        *,
        intended_use: str = "",
        n_boot: int = 200,
        level: float = 0.9,
        sample_weight: ArrayLike | None = None,
        min_group_size: int = 0,
        exclude: Exclude = None,
        merge: Merge = None,
    ) -> Any:
        """Return the fairness card: what the model is, does to every group, and should not do.

        Parameters
        ----------
        X, y
            Rows to judge, (n, columns) and (n,), best held out.
        attributes, n_boot, level, sample_weight, exclude, merge
            As of `fairness_report`.
        min_group_size
            As of `fairness_report`. What would show smaller groups by subtraction is left out:
            lines and effects of single clusters, what random effects do to groups, sizes of
            training groups.
        intended_use
            What the model is for, and what it is not for: no table tells.

        Returns
        -------
        FairnessCard
            With the sections of a model card (Mitchell et al. 2019). ``save("card.html")`` writes
            one page that loads nothing, ``"card.md"`` and ``"card.json"`` the same content;
            ``facts`` has its parts, ``tables`` the tidy frames. A notebook shows the page.
        """
        from pyfairme.report.card.fairness_card import fairness_card

        options: Any = {"n_boot": n_boot, "level": level, "sample_weight": sample_weight}
        options |= {"min_group_size": min_group_size, "exclude": exclude, "merge": merge}
        return fairness_card(self, X, y, attributes, intended_use=intended_use, **options)

    def random_disparity(
        self,
        X: Table,
        attributes: Attributes | None = None,
        by_cluster: bool = True,
        level: float = 0.9,
        exclude: Exclude = None,
        merge: Merge = None,
    ) -> pd.DataFrame:
        """Report what the random effects do to every group, with posterior intervals.

        See `pyfairme.estimators.random_part_disparity.random_disparity` for parameters and columns.
        """
        chosen: Any = {"exclude": exclude, "merge": merge}
        return random_part_disparity.random_disparity(
            self, X, attributes, by_cluster, level, **chosen
        )

    # What it shows of itself -----------------------------------------------------------------

    def summary(self) -> Any:
        """Return what was fitted, in words: roles of columns, rows, clusters, model, diagnostics.

        Returns
        -------
        Facts
            Text when printed, HTML in a notebook, as the estimator itself shows it there.
        """
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def _html_repr(self) -> str:
        from pyfairme.report.display.estimator_html import estimator_html

        return estimator_html(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return what a notebook shows: as scikit-learn does, with our facts when fitted."""
        shown = {"text/plain": repr(self)}
        return shown | {"text/html": self._html_repr()} if _as_diagram() else shown

    def _repr_html_inner(self) -> str:
        """Return the HTML that scikit-learn's property ``_repr_html_`` gives."""
        return self._html_repr()

    @property
    def _get_fitted_attr_html(self) -> Any:
        """Keep scikit-learn's diagram from computing every fitted attribute, as 1.9 does.

        Ours are tables of the posterior, made when they are asked for.
        """
        raise AttributeError

    # Files ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Leave the training rows out of pickles and copies."""
        held: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        held.pop("_training", None)
        return held

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle; one of an earlier version lacks keywords."""
        super().__setstate__(with_keywords(type(self), state))

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether `fit` has been called."""
        return hasattr(self, "fit_")

    def __sklearn_tags__(self) -> Any:
        """Describe the estimator to scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "category"
        tags.target_tags.required = True
        return tags

    # Saving ----------------------------------------------------------------------------------

    def save(
        self, path: PathLike, *, key: str | bytes | None = None, private: bool = False
    ) -> None:
        """Write the fitted estimator to one file, without pickle; `pyfairme.load` reads it.

        docs/model_files.md says what the file holds of the training rows.

        Parameters
        ----------
        path
            File to write. An existing one is replaced, and keeps its permissions; of a symbolic
            link the file that it names. Folders, devices, pipes and read-only files are refused.
        key
            Secret of at least 16 bytes, text or bytes, with which the file is signed (HMAC-SHA256):
            ``load(path, key=key)`` refuses files that were not. The file can be read without it.
        private
            Leave names of clusters and exact values of single rows out. Knots move by up to a
            quarter of the gap to the next one, or most of a unit, so predictions change a little.
            With a ``key`` names are hashed with it: who loads with the key gets the effects of
            known clusters. Without one every cluster is new to the loaded model. Weights and
            effects stay as they are.

        Raises
        ------
        ValueError
            When keywords were changed after fit that only another fit can obey, the key is too
            short, or is not the one that the model's names are hashed with.
        OSError
            When the file cannot be written; the old one is then as it was.
        """
        self._check_use()
        secret = persistence.secret_of(key)
        written = private_copy(self, secret) if private else self
        found = saved_state.to_state(written, secret)
        persistence.save_state(path, found, kind=type(self).__name__, key=secret)


def _as_diagram() -> bool:
    """Tell whether ``sklearn.set_config(display=...)`` asks for HTML."""
    return get_config()["display"] == "diagram"
