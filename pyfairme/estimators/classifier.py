"""The classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from pyfairme.data import Batch, ClassTarget
from pyfairme.data.chosen_levels import Exclude, Merge
from pyfairme.data.input_types import Attributes, Clusters, Rows, Seed, Slopes, Strength, Table
from pyfairme.data.target import class_order
from pyfairme.estimators import class_weights, prior_correction
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.best_threshold import BEST, best_threshold, rows_to_choose_on
from pyfairme.estimators.class_label_warnings import warn_of_classes, warn_of_scorers
from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice
from pyfairme.estimators.fit_lock import one_at_a_time
from pyfairme.estimators.kept_training import keep_training
from pyfairme.estimators.number_checks import is_number
from pyfairme.estimators.prediction_intervals import probability_intervals
from pyfairme.estimators.prior_keyword import Prior
from pyfairme.estimators.progress_display import progress_display
from pyfairme.estimators.table_fit import fit_table
from pyfairme.estimators.table_inputs import check_length
from pyfairme.estimators.table_predictions import table_means, table_outcomes
from pyfairme.estimators.training_record import with_warnings
from pyfairme.inference import predictions
from pyfairme.inference.fit_stages import Progress
from pyfairme.inference.guides import GuideChoice
from pyfairme.inference.predictions import Query
from pyfairme.inference.shifted_fit import shifted
from pyfairme.metrics.row_order import warn_of_order
from pyfairme.model.likelihoods import Bernoulli, Categorical, Likelihood
from pyfairme.model.penalties import Fairness
from pyfairme.model.program import Objective
from pyfairme.notices import shown


class FairMixedEffectsClassifier(ClassifierMixin, FairMixedEffects):
    """Fair mixed-effects deep learning for a target of two or more classes.

    The model is ``y_i ~ Bernoulli(logit^-1(f(x_i) + intercept_z(i) + r_i . slope_z(i)))`` with a
    neural network f, hierarchical Normal priors on the effects of every cluster z, and adversaries
    that make the network cluster-invariant and the predictions fair (eq. 11 of the paper).

    More than two classes make it ``Categorical(softmax(...))``: the network and every cluster have
    one link per class, and tables of effects, intervals and reports a column "class". Adding one
    number to all links of a row changes nothing, so an effect says how a class moves against the
    others; the priors settle its level. The likeliest class is predicted.

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
        None; "decision_adversarial", networks that predict the group from the prediction and from
        which side of the threshold it is on; "adversarial", from the prediction alone, as in the
        paper; "decision_only_adversarial", from the side alone; "moment", gaps of the groups' mean
        predictions; "decision", gaps of their rates of decisions; "correlation"; "kernel", any
        dependence (HSIC); an object of your own (docs/extending.md); or a tuple of these.
    fairness_weight
        Strength of the penalties (λ_FE, λ_ME): a number, {attribute: number}, or
        {penalty: number or {attribute: number}}. 0 is the model without them; changing it compiles
        nothing.
    fairness_on
        Predictions that the penalties act on: a subset of ("fixed", "random", "mixed"), or a
        dictionary of multipliers. Without random effects only "fixed" exists.
    criterion
        "equalized_odds", "demographic_parity" or "equal_opportunity" (of the last class).
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
        Numeric column added on the link scale.
    threshold
        Probability from which the positive of two classes is predicted; "balanced_accuracy" chooses
        it on validation rows (training rows if there are none, or fewer than 5 of a class), for
        each kind of effects, as does "smoothed_balanced_accuracy", which depends less on single
        rows. With more classes the likeliest is predicted: leave it as it is.
    pos_label
        The positive class of two, the favourable one where decisions are judged; it comes last in
        ``classes_``. None: the last in the order of an ordered target (a pandas Categorical with
        ``ordered=True``, a polars Enum), else the last in sorted order, so of "approved" and
        "denied" the latter.
    class_weight
        None, "balanced" (every class has the same sum of sample weights), or {class: weight};
        multiplies the sample weights.
    prior_correction
        What becomes of probabilities that ``class_weight`` moves away from the classes' shares.
        True: log weights are subtracted from the links, which gives probabilities of the classes as
        they are (with two classes in the same order). False: nothing. None: nothing, and a warning
        says how far they move.
    learning_rate
        Of Adam, decayed by a cosine; adversaries move 5 times, latents 10 times as fast. "auto":
        .001, and for 256 to 2,048 rows per step .001 sqrt(rows per step / 256).
    weight_decay
        Shrinks the weights of hidden layers in every step by this times the learning rate. "auto":
        100 (encoded columns / training rows)^0.75, at least 3, so that small tables are not learned
        by heart (docs/small_tables.md); with ``hidden=()`` and a penalty 0.3 of that formula. With
        fewer than 20 rows of the rarer class per column and no early stopping, as under a penalty,
        held-out rows choose between 1, 3 and 9 times that; `history_` has the choice.
    batch_size
        Rows per step; tables with fewer rows use all of them in each step. "auto": 256, and for
        large tables the largest power of two with 75 steps in each epoch, at most 2,048.
    epochs
        Passes over the training rows.
    min_steps
        Steps that are taken even when the epochs hold fewer; early stopping may end them.
    validation_fraction
        Part of the rows held out for the history, early stopping and the threshold.
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
    classes_
        The classes, sorted unless the target is ordered or ``pos_label`` is given; of two, the
        second is the positive one.
    threshold_
        Threshold per kind of effects: {"fixed": ..., "random": ..., "mixed": ...}; empty with more
        than two classes.
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
    >>> data = pf.datasets.make_clustered(rows=900, clusters=6, random_state=0)
    >>> clf = pf.FairMixedEffectsClassifier("cluster", data.schema.sensitive, random_state=0)
    >>> clf = clf.fit(data.frame, data.target)
    >>> clf.predict_proba(data.frame).shape
    (900, 2)
    >>> sorted(clf.cluster_effects_["term"].unique())
    ['Intercept']
    """

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
        fairness: Fairness = "decision_adversarial",
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
        threshold: float | str = 0.5,
        pos_label: object = None,
        class_weight: str | Mapping[Any, float] | None = None,
        prior_correction: bool | None = None,
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
        self.threshold = threshold
        self.pos_label = pos_label
        self.class_weight = class_weight
        self.prior_correction = prior_correction

    @one_at_a_time
    @with_warnings
    def fit(
        self,
        X: Rows,
        y: ArrayLike | str,
        sample_weight: ArrayLike | str | None = None,
        *,
        groups: ArrayLike | str | None = None,
    ) -> FairMixedEffectsClassifier:
        """Fit the model.

        Parameters
        ----------
        X
            pandas or polars frame (n, columns) with covariates, cluster and sensitive columns; an
            array (n, p) when ``cluster`` and ``sensitive`` are unused. Or the path of a Parquet
            file, of a folder of such files, or a pyarrow dataset: tables that do not fit into
            memory (docs/large_tables.md).
        y
            Class of each row, (n,), two or more different ones.
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
        FairMixedEffectsClassifier
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
            training, validation = fit_table(self, X, y, sample_weight, groups, report)
            self._correct_priors(training)
            if self.threshold in BEST:
                report(Progress("threshold", 0, 1))
            self.threshold_ = self._thresholds(training, validation)
        return self

    def set_params(self, **params: Any) -> FairMixedEffectsClassifier:
        """Set keywords; after fit, a number as ``threshold`` and ``unseen`` take effect at once.

        Other keywords take effect in the next fit: until then, what they were changed for raises.

        Parameters
        ----------
        **params
            Keywords of the constructor.

        Returns
        -------
        FairMixedEffectsClassifier
            The estimator itself.
        """
        super().set_params(**params)
        self._apply_threshold()
        return self

    def _apply_threshold(self) -> None:
        """Decide by a number that ``threshold`` was set to after fit."""
        fitted = getattr(self, "_fitted_params", {})
        two = hasattr(self, "fit_") and len(self.classes_) == 2
        if two and is_number(self.threshold) and fitted.get("threshold") != self.threshold:
            self._check_threshold()
            self.threshold_: dict[str, float] = dict.fromkeys(EFFECTS, float(self.threshold))
            self._fitted_params = {**fitted, "threshold": self.threshold}

    def _check_use(self) -> None:
        self._apply_threshold()
        super()._check_use()

    def score(self, X: Table, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of `predict` on rows X (n, columns) of class y (n,)."""
        warn_of_order(X, "X", y=y)
        warn_of_order(X, "X", sample_weight=sample_weight)
        check_length(X, y)
        return super().score(X, y, sample_weight)

    def predict(self, X: Rows, effects: str = "mixed") -> np.ndarray:
        """Predict classes (n,), from "fixed", "random" or "mixed" effects."""
        probability = table_means(self, X, effects)
        if len(self.classes_) == 2:
            probability = probability[:, 1]
        return self.classes_[self._decide(probability, effects)]

    def _decide(self, probability: np.ndarray, effects: str) -> np.ndarray:
        """Return class codes (n,): by the threshold for two classes (n,), else the likeliest."""
        if probability.ndim == 2:
            return probability.argmax(axis=1)
        return (probability >= self.threshold_[effects]).astype(int)

    def predict_proba(self, X: Rows, effects: str = "mixed") -> np.ndarray:
        """Predict posterior mean probabilities (n, K), columns in the order of ``classes_``."""
        probability = table_means(self, X, effects)
        if not self.target_.is_sorted:
            warn_of_scorers(self.target_.classes)
        return probability.astype(np.float64)

    def predict_interval(
        self, X: Table, level: float = 0.9, kind: str = "auto", effects: str = "mixed"
    ) -> pd.DataFrame:
        """Predict the probability of the positive class, or of each, with an equal-tailed interval.

        Parameters
        ----------
        X
            Rows to predict.
        level
            Coverage of the interval.
        kind
            What the interval covers. "mean": the probability, given the posterior of the network
            and of the cluster effects; for fits with ``network_posterior="laplace"``, which "auto"
            takes up to 10,000 rows. "cluster": the probability as far as cluster effects are
            uncertain, the network taken as known: it holds the true probability less often than
            ``level`` (docs/network_uncertainty.md has how often). "observation": a new outcome in
            {0, 1} (with more than two classes: 1 where it is the class of the line).
            "auto": "mean" where the network has a posterior, else "cluster".
        effects
            "fixed", "random" or "mixed".

        Returns
        -------
        DataFrame
            mean, low, high; indexed like X. With more than two classes class, mean, low, high: one
            line per row and class, all classes of a row together. The columns'
            common name says what the interval is of: "cluster interval".

        Raises
        ------
        ValueError
            For kind "mean" of a model whose network is a point estimate.
        """
        return probability_intervals(self, X, level, kind, effects)

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
            Dims (chain, draw, row); values are 0, 1, ...: positions in ``classes_``.
        """
        return table_outcomes(self, X, draws, effects)

    def _take_order(self, y: Any) -> None:
        self._order = class_order(y)

    def _fit_target(self, y: np.ndarray, offset: np.ndarray) -> ClassTarget:
        target = ClassTarget.fit(y, self._order, self.pos_label)
        self.classes_ = target.labels
        return target

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        target = ClassTarget.fit(y, self._order, self.pos_label)
        _check_labels(y)
        warn_of_classes(target.classes, target.encode(y), chosen=self._is_order_given)
        number = len(target.classes)
        if number > 2 and self.threshold != 0.5:
            raise ValueError(
                f"threshold={self.threshold!r} is for two classes, and y has {number}: then the "
                "likeliest is predicted. Leave threshold at 0.5. [threshold-many-classes]"
            )
        return target.encode(y)

    @property
    def _is_order_given(self) -> bool:
        return self._order is not None or self.pos_label is not None

    def _likelihood(self) -> Likelihood:
        number = len(self.classes_)
        return Bernoulli() if number == 2 else Categorical(number)

    def _weights_of_classes(
        self, y: np.ndarray, weight: np.ndarray | None
    ) -> dict[Any, float] | None:
        return class_weights.by_class(self.class_weight, y, weight)

    def _objective(self, objective: Objective, by_class: dict[Any, float] | None) -> Objective:
        two = len(self.classes_) == 2
        if not (self.prior_correction and by_class and two and is_number(self.threshold)):
            return objective
        own = prior_correction.moved_threshold(
            float(self.threshold), by_class, self.classes_.tolist()
        )
        return objective._replace(threshold=own)

    def _correct_priors(self, training: Batch) -> None:
        """Undo what class weights do to probabilities, if that is asked for."""
        weights, classes = self._class_weights, self.classes_.tolist()
        if weights is None:
            return
        if self.prior_correction is None:
            prior_correction.warn_of_moved_shares(training, weights, classes)
        if self.prior_correction:
            self.fit_ = shifted(self.fit_, prior_correction.shift_of(weights, classes))
            bare = prior_correction.without_class_weights(training, weights, classes)
            keep_training(self, bare)
            self._class_weights = None  # updates learn from rows as they are

    def _check_keywords(self) -> None:
        self._check_threshold()
        check_choice("prior_correction", self.prior_correction, (None, True, False))
        super()._check_keywords()

    def _check_threshold(self) -> None:
        if isinstance(self.threshold, str):
            check_choice("threshold", self.threshold, BEST)
        elif not (is_number(self.threshold) and 0 <= self.threshold <= 1):
            raise ValueError(
                f"Invalid value of threshold: {shown(self.threshold)}. Expected a probability "
                f"between 0 and 1, or one of {', '.join(map(repr, BEST))}. [threshold]"
            )

    def _thresholds(self, training: Batch, validation: Batch | None) -> dict[str, float]:
        if len(self.classes_) > 2:
            return {}
        if self.threshold not in BEST:
            return dict.fromkeys(EFFECTS, float(self.threshold))
        batch = rows_to_choose_on(training, validation)
        fit = self.fit_
        query = Query(fit.spec, fit.network, fit.draws, fit.centre, batch, None)
        return {
            effects: best_threshold(
                batch.y,
                predictions.means(query, effects)[:, 1],
                batch.weight,
                smooth=self.threshold == "smoothed_balanced_accuracy",
            )
            for effects in EFFECTS
        }


def _check_labels(y: np.ndarray) -> None:
    """Refuse what scikit-learn does not take as classes, with an example of what was given."""
    if y.dtype.kind == "f" and np.isinf(y).any():
        raise ValueError("y holds infinite values: drop or correct these rows. [infinite-target]")
    try:
        check_classification_targets(y)
    except (TypeError, ValueError) as error:
        first = y.tolist()[0]
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(
            f"{error} The first value of y is {shown(first)}, of type {type(first).__name__}: give "
            "classes as text, whole numbers or booleans. [label-type]"
        ) from error
