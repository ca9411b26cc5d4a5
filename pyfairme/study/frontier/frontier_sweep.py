"""The fits of a frontier: one model at many strengths of its penalties."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike
from sklearn.base import clone

from pyfairme.datasets import Dataset
from pyfairme.estimators.number_checks import check_count
from pyfairme.metrics.metric import ChosenMetrics, chosen_metrics
from pyfairme.study.arguments import check_dataset, check_estimator, seeds_of
from pyfairme.study.crossval.cross_validate import cross_validate
from pyfairme.study.crossval.fits import with_roles
from pyfairme.study.frontier.frontier_points import GOALS, Goal
from pyfairme.study.frontier.frontier_result import Frontier
from pyfairme.study.frontier.frontier_weights import ascending, labelled

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

SHORTER = 3  # a point of a path has one part in so many of the epochs


def frontier(
    estimator: FairMixedEffects,
    dataset: Dataset,
    *,
    weights: Iterable[Any] = (0, 0.03, 0.1, 0.3, 1),
    seen: int | None = None,
    folds: int = 10,
    seeds: int | Iterable[int] = 3,
    choosing_seeds: Iterable[int] | None = None,
    groups: ArrayLike | str | None = None,
    hold_out: str = "rows",
    path: bool = False,
    path_epochs: int | None = None,
    store: str | Path | None = None,
    n_jobs: int = 1,
    engine: str = "local",
    address: str | None = None,
    n_boot: int = 200,
    level: float = 0.9,
    metrics: ChosenMetrics = None,
    progress: bool | str = "auto",
) -> Frontier:
    """Fit one model at several strengths of its fairness penalties and judge each.

    All points have one structure and are trained alike, the unfair one too: "auto" for
    ``early_stopping`` means off here. All fits of a process share one compiled program, and are
    judged by `cross_validate` on the same folds.

    Parameters
    ----------
    estimator
        Unfitted, with a penalty (``fairness``); its ``fairness_weight`` is replaced. Roles come
        from the data set's schema where they are not set.
    dataset
        The data.
    weights
        Values of ``fairness_weight``: numbers, or dictionaries by attribute or penalty. One must be
        0, or 0 for every attribute: the unfair point that costs are measured from.
    seen, folds, seeds, groups, hold_out, store, n_jobs, engine, address, n_boot, level, progress
        As of `cross_validate`. With ``hold_out="clusters"`` a point is chosen by what it does to
        clusters that its fits never saw. With a ``store`` only missing fits are made; more weights
        and seeds may be added later.
    metrics
        As of `cross_validate`, for ``frame``; those that are traded and reported in ``points`` are
        needed: add yours as objects, or name these as well.
    choosing_seeds
        Seeds of the fits that `Frontier.choose` looks at; all others are reported. None: the first.
        With one seed in all it serves for both, and the choice says so. (): nothing can be chosen,
        and all seeds are reported.
    path
        Fit the weights of a seed and fold one after the other, the unfair one first and then in
        ascending strength, each beginning where the one before it ended: faster, but a point then
        depends on those before it. Folds and seeds stay beside each other.
    path_epochs
        Epochs of every point of a path but the first; ``min_steps`` shrinks alike. None: a third.

    Returns
    -------
    Frontier
        ``frame``, ``points``, ``hypervolume()``, ``choose(max_cost)``, ``plot()``.

    Raises
    ------
    ValueError
        When there is no weight, none is 0, one is negative, given twice or names no protected
        attribute; when the estimator has no penalty or nothing to protect; when ``choosing_seeds``
        is not among the seeds; ``path_epochs`` without a path; or as of `cross_validate`.

    Examples
    --------
    >>> clf = pf.FairMixedEffectsClassifier(**pf.VARIANTS["medl_adb"])  # doctest: +SKIP
    >>> frontier(clf, adult, seen=6).choose(max_cost=0.01).estimator  # doctest: +SKIP
    """
    check_dataset(dataset)
    check_estimator(estimator)
    _check_metrics(metrics, GOALS[dataset.schema.task])
    model = _with_equal_training(with_roles(estimator, dataset))
    by_label, unfair = labelled(weights, model)
    every = seeds_of(seeds)
    choosing = every[:1] if choosing_seeds is None else tuple(choosing_seeds)
    if stray := [seed for seed in choosing if seed not in every]:
        raise ValueError(
            f"choosing_seeds must be among the seeds {list(every)}, got {stray}. [seeds]"
        )
    by_label = ascending(by_label, model) if path else by_label
    copies: dict[str, Any] = {label: clone(model) for label in by_label}
    models = {label: copies[label].set_params(fairness_weight=w) for label, w in by_label.items()}
    shorter = _shorter(model, path, path_epochs)
    for label in models:
        models[label].set_params(**({} if label == unfair else shorter))
    study = cross_validate(
        models,
        dataset,
        seen=seen,
        folds=folds,
        seeds=every,
        groups=groups,
        hold_out=hold_out,
        path=path,
        store=store,
        n_jobs=n_jobs,
        engine=engine,
        address=address,
        n_boot=n_boot,
        level=level,
        metrics=metrics,
        progress=progress,
    )
    return Frontier(model, by_label, unfair, study, choosing, path)


def _check_metrics(metrics: ChosenMetrics, goal: Goal) -> None:
    """Refuse a choice without what a frontier trades."""
    there = {metric.name for metric in chosen_metrics(metrics)}
    if missing := [name for name in goal.names if name not in there]:
        raise ValueError(
            f"A frontier needs the metrics {', '.join(missing)}, which the names in metrics leave "
            "out: add them, or give your own metrics only, as objects. [frontier-metrics]"
        )


def _with_equal_training(model: FairMixedEffects) -> FairMixedEffects:
    """Let every point train for as long: alone, the unfair one would be stopped early."""
    return model.set_params(early_stopping=False) if model.early_stopping == "auto" else model


def _shorter(model: FairMixedEffects, path: bool, epochs: int | None) -> dict[str, int]:
    """Return the schedule of a path's points after the first."""
    if not path:
        if epochs is not None:
            raise ValueError(
                f"path_epochs={epochs!r} needs path=True: give both, or leave path_epochs out. "
                f"[path-epochs]"
            )
        return {}
    whole, steps = model.epochs, model.min_steps
    chosen = -(-whole // SHORTER) if epochs is None else epochs
    check_count("path_epochs", chosen, 1)
    return {"epochs": chosen, "min_steps": -(-steps * chosen // whole)}
