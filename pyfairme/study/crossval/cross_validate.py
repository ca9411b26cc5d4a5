"""The paper's protocol: seen and unseen clusters, rotated folds, seeds, pooled test rows."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.util import hash_pandas_object

from pyfairme.data.schema import attribute_name
from pyfairme.datasets import Dataset
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.metrics.metric import ChosenMetrics, chosen_metrics
from pyfairme.notices import warn
from pyfairme.study.arguments import (
    check_dataset,
    check_engine,
    check_folds,
    check_protocol,
    check_report,
    named_models,
    seeds_of,
)
from pyfairme.study.crossval.fits import FitPart, parameters, with_roles
from pyfairme.study.crossval.kept_together import (
    check_training,
    deal,
    digest,
    held_out_together,
)
from pyfairme.study.crossval.splits import (
    judged_as_seen,
    rotations,
    seen_clusters,
    seen_rows,
    strata,
)
from pyfairme.study.crossval.store import Key, Store, check_stored_name, read_judged
from pyfairme.study.crossval.workers import jobs_of, run_jobs
from pyfairme.study.evaluation.bootstrap_replicates import Replicates, replicate
from pyfairme.study.evaluation.importance_frame import importance_frame
from pyfairme.study.evaluation.pooled_predictions import Pooled
from pyfairme.study.evaluation.study_metrics import results_frame

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` found.

    Parameters
    ----------
    dataset
        Name of the data set.
    folds
        Number of folds.
    seen
        Labels of the clusters that training saw; empty: all.
    runs
        By model and seed: the judged rows of all folds, ordered by their position in the data set.
    configurations
        Of every fit: parameters, λs, versions, wall times, warnings, importance.
    turns
        How many rotations were judged.
    n_boot, level
        Bootstrap replicates and coverage of the intervals in ``frame``.
    metrics
        Those of ``frame``, as of `cross_validate`.
    """

    dataset: str
    folds: int
    seen: tuple[str, ...]
    runs: Mapping[tuple[str, int], Pooled]
    configurations: Sequence[Mapping[str, Any]] = field(repr=False)
    turns: int
    n_boot: int = 200
    level: float = 0.9
    metrics: ChosenMetrics = None

    def summary(self) -> Any:
        """Compute the metrics, and return those of every model: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def __repr__(self) -> str:
        from pyfairme.report.display.study_facts import cheap_facts

        return str(cheap_facts(self))

    def _repr_html_(self) -> str:
        from pyfairme.report.display.study_facts import cheap_facts

        return cheap_facts(self)._repr_html_()

    @cached_property
    def replicates(self) -> Replicates:
        """Every metric of every model with its bootstrap draws, made once for frame and tests."""
        if self.turns < self.folds and len({seed for _, seed in self.runs}) > 1:
            raise ValueError(
                f"Only {self.turns} of {self.folds} rotations were evaluated, so the seeds have "
                f"different rows and no common metrics: evaluate all rotations (turns=None), "
                "or one seed. [partial-turns]"
            )
        return replicate(self.runs, n_boot=self.n_boot, metrics=self.metrics)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every metric with interval and null value.

        See `pyfairme.study.evaluation.study_metrics.results_frame`.
        """
        return results_frame(self.replicates, dataset=self.dataset, level=self.level)

    @property
    def timings(self) -> pd.DataFrame:
        """One row per fit: dataset, variant, seed, fold, rows, seconds_fit, seconds_judge."""
        names = ["variant", "seed", "fold", "rows_trained", "seconds_fit", "seconds_judge"]
        found = pd.DataFrame([{name: fit[name] for name in names} for fit in self.configurations])
        found.insert(0, "dataset", self.dataset)
        return found.rename(columns={"rows_trained": "rows"})

    @property
    def importance(self) -> pd.DataFrame:
        """Importance of every feature: its share and rank, mean and SD over seeds.

        Columns dataset, variant, effects ("fixed" or "mixed"), feature, importance, share,
        share_sd, rank, rank_sd, in_top_5, in_top_10 (share of the seeds), seeds. The share is of
        the sum over features; folds of one seed are averaged first, ranks are those of a seed's
        average; SDs (ddof = 1) are over seeds.
        """
        return importance_frame(self.dataset, self.configurations)

    @property
    def warnings(self) -> pd.DataFrame:
        """What was warned of: variant, warning, fits (number of fits that gave it)."""
        pairs = [(fit["variant"], text) for fit in self.configurations for text in fit["warnings"]]
        found: Any = pd.DataFrame(pairs, columns=pd.Index(["variant", "warning"])).assign(fits=1)
        return found.groupby(["variant", "warning"], sort=False, as_index=False).sum()


def cross_validate(
    estimators: FairMixedEffects | Mapping[str, FairMixedEffects],
    dataset: Dataset,
    *,
    seen: int | None = None,
    folds: int = 10,
    seeds: int | Iterable[int] = 3,
    groups: ArrayLike | str | None = None,
    hold_out: str = "rows",
    path: bool = False,
    store: str | Path | None = None,
    turns: int | None = None,
    n_jobs: int = 1,
    engine: str = "local",
    address: str | None = None,
    n_boot: int = 200,
    level: float = 0.9,
    metrics: ChosenMetrics = None,
    progress: bool | str = "auto",
) -> CrossValidation:
    """Judge models on rows they never saw, of clusters that training saw and of others.

    The rows of the ``seen`` largest clusters are split into stratified folds, rotated: eight train,
    one validates, one tests. An estimator splits its validation rows off by itself, so it is given
    nine folds and ``validation_fraction`` 1/9. Rows of the other clusters are dealt to the folds at
    random and judged by the model of their fold: each row is judged once per seed. Another seed
    assigns rows to folds anew and seeds the networks (``random_state`` and ``validation_fraction``
    of the estimators are not used). Metrics are computed on the pooled rows of all folds.

    Every finished fit is written to the store at once; called again, only missing fits are made.

    Parameters
    ----------
    estimators
        An unfitted estimator, or several by name; ``cluster`` and ``sensitive`` come from the data
        set's schema where they are not set. Each is fitted as it is: nothing is chosen here.
    dataset
        The data, with one cluster column.
    seen
        How many clusters training sees, the largest ones; None: all.
    folds
        Number of folds, at least 3.
    seeds
        Number of seeds (0, 1, ...), or the seeds themselves.
    groups
        Labels of rows that belong together, shape (n,), such as the visits of one patient, or the
        name of a column of the data set's frame: rows of one group are all judged by one fold, and
        none of them trains its model. A fit gets the groups too, so that what it holds out for
        itself are whole groups. Rows of unseen clusters go with those of their group. Folds
        are as alike in the classes as that allows. A cluster with rows of one group only is then
        judged as one that training never saw. None: rows do not belong together.
    hold_out
        "rows", or "clusters": folds are of whole clusters, so that every row is judged by a model
        that never saw its cluster, and a fit holds out whole clusters for itself: how well, and how
        fairly, new clusters are predicted. All rows are then of unseen clusters; leave ``seen`` and
        ``groups`` out.
    path
        Fit the models of a seed and fold one after the other, in their order, each beginning where
        the one before it ended (``warm_start``). They should have one structure: where they do not,
        a warning (``warnings``) says so, and the fit starts afresh. A path that was broken off is
        walked again from its start; what it had finished stays. With Ray a path is stored whole.
    store
        Folder of finished fits. None: a temporary one, gone at the end.
    turns
        How many of the rotations are made; None: all. With fewer, fewer rows are judged, and with
        several seeds other rows by each: there is importance then, but no ``frame``.
    n_jobs
        Processes that fit at the same time.
    engine
        "local"; "ray": fits are tasks of a Ray cluster, and one whose worker dies is made again.
    address
        Of a running Ray cluster ("auto", "ray://..."); None: one of ``n_jobs`` workers is started.
    n_boot, level
        Bootstrap replicates and coverage of the intervals.
    metrics
        Names to choose some metrics, `pyfairme.metrics.Metric` objects to add some of your own
        (docs/extending.md), or both; None: all that come with the package. `compare` tests them
        too. The store does not depend on them.
    progress
        "auto" shows fits done and the time left in terminals and notebooks, elsewhere at level
        INFO of the log "pyfairme.progress"; True: there on stderr; False.

    Returns
    -------
    CrossValidation
        ``frame`` with every metric, ``importance``, ``timings``, ``warnings``, and the rows.

    Raises
    ------
    ValueError
        When the store holds another study, a value is out of range, or the data cannot be split
        like that; all of it before the first fit.
    TypeError
        When ``dataset`` is no `Dataset`, or a model no estimator.
    """
    check_dataset(dataset)
    check_folds(folds, turns)
    check_protocol(seen=seen, path=path, store=store)
    check_engine(engine, n_jobs, address, progress)
    check_report(n_boot, level)
    chosen_metrics(metrics)
    chosen = seeds_of(seeds)
    models = {name: with_roles(model, dataset) for name, model in named_models(estimators).items()}
    for model in models.values():
        for entry in as_tuple(model.sensitive):
            check_stored_name(attribute_name(entry))
    together = held_out_together(dataset, groups, hold_out)
    if hold_out == "clusters" and seen is not None:
        raise ValueError(
            f"hold_out='clusters' judges every cluster as one that training never saw, and "
            f"seen={seen} keeps some for training: give one of them. [two-roles]"
        )
    labels = seen_clusters(dataset, seen) if seen is not None else ()
    with tempfile.TemporaryDirectory(prefix="pyfairme-") as temporary:
        study = {
            "dataset": dataset.name,
            "rows": len(dataset.frame),
            "fingerprint": fingerprint(dataset),
            "seen": list(labels),
            "folds": folds,
            **digest(together),
        }
        kept = Store(store or temporary, study)
        parts = {
            (seed, fold): part
            for seed in chosen
            for fold, part in enumerate(_parts(dataset, labels, folds, seed, together)[:turns])
        }
        keys = [Key(name, *turn) for turn in parts for name in models]
        depends = _parameters(models, path)

        def there(key: Key) -> bool:
            return kept.done(key, depends[key.variant], parts[key.seed, key.fold].judged)

        missing = [key for key in keys if not there(key)]
        kept.warn_of_damage()
        kept.prepare(missing)
        found = len(keys) - len(missing)
        jobs = jobs_of(missing, parts, tuple(models) if path else ())
        cluster: dict[str, Any] = {"n_jobs": n_jobs, "engine": engine, "address": address}
        run_jobs(jobs, dataset, models, kept, **cluster, progress=progress, done=found)
        for key in missing:  # another process may have been faster, with other settings
            there(key)
        known = judged_as_seen(dataset, labels, together)
        configurations = [kept.configuration(key) for key in keys]
        _warn_of_versions(configurations)
        return CrossValidation(
            dataset=dataset.name,
            folds=folds,
            seen=labels,
            runs={
                (name, seed): _pool(
                    kept, [k for k in keys if (k.variant, k.seed) == (name, seed)], known
                )
                for name in models
                for seed in chosen
            },
            configurations=configurations,
            turns=turns or folds,
            n_boot=n_boot,
            level=level,
            metrics=metrics,
        )


def fingerprint(dataset: Dataset) -> str:
    """Return a hash of the table and its target, so that a store is not used for other data."""
    digest = hashlib.sha256(repr(list(dataset.frame.columns)).encode())
    hashed: Any = hash_pandas_object
    weight = () if dataset.weight is None else (pd.Series(np.asarray(dataset.weight)),)
    for part in (dataset.frame, dataset.target, *weight):
        digest.update(hashed(part, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]


def _parameters(models: Mapping[str, FairMixedEffects], path: bool) -> dict[str, dict[str, Any]]:
    """Return what the fits of each model depend on; on a path, also the models before it."""
    before = {name: tuple(models)[:place] if path else () for place, name in enumerate(models)}
    return {name: parameters(model, before[name]) for name, model in models.items()}


def _parts(
    dataset: Dataset,
    seen: Sequence[str],
    folds: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> list[FitPart]:
    """Split seen rows into rotated folds, and deal rows of unseen clusters to them."""
    known, unknown = seen_rows(dataset, seen)
    own = None if groups is None else groups[known]
    turns = rotations(strata(dataset)[known], folds, seed, own)
    if groups is None:
        dealt = np.array_split(np.random.default_rng(seed).permutation(unknown), folds)
    else:
        dealt = deal(unknown, [known[turn.test] for turn in turns], groups, seed)
    parts = [
        FitPart(
            training := np.sort(known[np.concatenate([turn.training, turn.validation])]),
            np.sort(np.concatenate([known[turn.test], rows])),
            1 / (folds - 1),
            None if groups is None else groups[training],
        )
        for turn, rows in zip(turns, dealt, strict=True)
    ]
    if groups is not None:
        check_training(dataset, known, [part.training for part in parts], groups)
    return parts


def _pool(store: Store, keys: Sequence[Key], known: np.ndarray) -> Pooled:
    """Join the rows of all folds; which clusters are seen is the study's to say, not a fold's."""
    frame = pd.concat([store.frame(key) for key in keys], ignore_index=True)
    frame = frame.sort_values("row", ignore_index=True)
    classes = tuple(store.configuration(keys[0])["classes"])
    judged = read_judged(frame, classes, seed=keys[0].seed)
    row = frame["row"].to_numpy()
    judged = replace(judged, seen=known[row])
    return Pooled(judged=judged, row=row, fold=frame["fold"].to_numpy())


def _warn_of_versions(configurations: Sequence[Mapping[str, Any]]) -> None:
    made = {tuple(sorted(fit["versions"].items())) for fit in configurations}
    if len(made) > 1:
        different = sorted({name for pair in zip(*made, strict=True) if len({*pair}) > 1
                            for name, _ in pair})  # fmt: skip
        warn(
            f"The store holds fits made with different versions of {', '.join(different)}: they "
            "may differ for that reason. For one version, choose another store. [mixed-versions]",
        )
