"""The comparison of the demo: the paper's model without and with fairness, on clustered data."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.datasets import Dataset
from pyfairme.estimators import FairMixedEffectsClassifier
from pyfairme.estimators.fairness_report import EvaluatedRows, collect, pool, report
from pyfairme.study.comparison.before_after import before_after
from pyfairme.study.crossval.fits import PACKAGES, lambdas, plain
from pyfairme.study.crossval.splits import Rotation, rotations, seen_clusters, seen_rows, some_rows
from pyfairme.variants import VARIANTS

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

BEFORE, AFTER = "medl", "medl_adb"
LEVEL = 0.9


@dataclass(frozen=True)
class Protocol:
    """How much is fitted and judged.

    Parameters
    ----------
    seed
        Seeds folds, networks, the dealing of unseen rows and the bootstrap.
    seen
        Number of clusters that training sees, the largest ones.
    folds, rotations
        Number of folds, and how many of their rotations are run.
    rows
        A random part of the data; None: all of it.
    epochs, min_steps, hidden
        As of the estimator.
    n_boot
        Bootstrap replicates behind the intervals.
    """

    seed: int = 0
    seen: int = 6
    folds: int = 10
    rotations: int = 3
    rows: int | None = None
    epochs: int = 30
    min_steps: int = 2000
    hidden: tuple[int, ...] = (64, 32)
    n_boot: int = 200


QUICK = Protocol(rotations=2, rows=6000, epochs=3, min_steps=100, hidden=(16,), n_boot=20)
"""Enough to see that everything works; the figures mean nothing."""


@dataclass(frozen=True)
class Comparison:
    """What `compare_variants` found.

    Parameters
    ----------
    table
        Accuracy and disparities, see `before_after`.
    before, after
        The full fairness reports of both models.
    cluster_effects, history
        By variant: of the model of the first rotation.
    configuration
        All settings, λs, versions and wall times; plain values that JSON can hold.
    notes
        What was warned of while fitting, and by which fits.
    fair, held_out
        The fair model of the first rotation, and rows X and y of known clusters that it was judged
        on.
    """

    table: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame
    cluster_effects: Mapping[str, pd.DataFrame]
    history: Mapping[str, pd.DataFrame]
    configuration: Mapping[str, Any]
    notes: tuple[str, ...]
    fair: FairMixedEffectsClassifier
    held_out: tuple[pd.DataFrame, pd.Series]


class _DemoFit(NamedTuple):
    variant: str
    estimator: FairMixedEffectsClassifier
    judged: EvaluatedRows
    seconds: dict[str, float]


class _Part(NamedTuple):
    """Rows of one rotation: to train on, and to judge."""

    training: np.ndarray
    judged: np.ndarray


def compare_variants(
    dataset: Dataset,
    protocol: Protocol = Protocol(),
    say: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Fit the paper's `medl` and `medl_adb`, and judge both on rows that they have not seen.

    The seen clusters' rows are split into folds, rotated: eight train, one validates, one tests.
    An estimator splits its validation rows off by itself, so it is given the nine folds and
    ``validation_fraction`` 1/9: eight ninths train, one ninth (stratified, at random) validates.
    The test rows of all rotations are pooled before a metric is computed. Rows of unseen clusters
    are dealt to the rotations at random, so that each is judged once, by the model of one rotation.
    Both models have the same seed, architecture, rows and sensitive attributes.

    Parameters
    ----------
    dataset
        Data with one cluster column and a binary target.
    protocol
        How much is fitted and judged.
    say
        Told about each fit, one line of text.

    Returns
    -------
    Comparison
        Frames, configuration and notes.
    """
    dataset = some_rows(dataset, protocol.rows, protocol.seed)
    seen = seen_clusters(dataset, protocol.seen)
    parts = _parts(dataset, seen, protocol)
    notes: dict[str, list[str]] = {}
    fits = []
    total = 2 * len(parts)
    for number, (variant, index) in enumerate(
        ((variant, index) for variant in (BEFORE, AFTER) for index in range(len(parts))), start=1
    ):
        name = f"{variant} rotation {index + 1}"
        say(f"[{number}/{total}] {name}: {len(parts[index].training):,} rows ...")
        with _noted(name, notes):
            fits.append(_fit_and_judge(variant, dataset, parts[index], protocol))
        spent = fits[-1].seconds
        say(f"      fitted in {spent['fit']:.1f} s, judged in {spent['judge']:.1f} s")
    say("pooling the test rows, bootstrapping the intervals ...")
    before, after = (_report(fits, variant, protocol) for variant in (BEFORE, AFTER))
    first = _first(fits)
    shown = parts[0].judged[fits[0].judged.seen]
    return Comparison(
        table=before_after(before, after),
        before=before,
        after=after,
        cluster_effects={name: clf.cluster_effects_ for name, clf in first.items()},
        history={name: clf.history_ for name, clf in first.items()},
        configuration=_configuration(dataset, seen, protocol, fits),
        notes=tuple(f"{', '.join(names)}: {text}" for text, names in notes.items()),
        fair=first[AFTER],
        held_out=(dataset.frame.iloc[shown], dataset.target.iloc[shown]),
    )


def _parts(dataset: Dataset, seen: tuple[str, ...], protocol: Protocol) -> list[_Part]:
    """Split seen rows into rotated folds and deal unseen rows to the rotations."""
    known, unknown = seen_rows(dataset, seen)
    turns = rotations(dataset.target.to_numpy()[known], protocol.folds, protocol.seed)
    turns = turns[: protocol.rotations]
    shuffled = np.random.default_rng(protocol.seed).permutation(unknown)
    dealt = np.array_split(shuffled, len(turns))
    return [
        _Part(known[_nine_folds(turn)], np.concatenate([known[turn.test], np.sort(rows)]))
        for turn, rows in zip(turns, dealt, strict=True)
    ]


def _nine_folds(turn: Rotation) -> np.ndarray:
    return np.sort(np.concatenate([turn.training, turn.validation]))


@contextmanager
def _noted(name: str, notes: dict[str, list[str]]) -> Iterator[None]:
    """Collect warnings by their text, with the fits that gave them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        notes.setdefault(text, []).append(name)


def _fit_and_judge(variant: str, dataset: Dataset, part: _Part, protocol: Protocol) -> _DemoFit:
    schema, X, y = dataset.schema, dataset.frame, dataset.target
    start = time.perf_counter()
    estimator = FairMixedEffectsClassifier(
        schema.cluster[0],
        schema.sensitive,
        threshold="balanced_accuracy",
        hidden=protocol.hidden,
        epochs=protocol.epochs,
        min_steps=protocol.min_steps,
        validation_fraction=1 / (protocol.folds - 1),
        random_state=protocol.seed,
        progress=False,
        **VARIANTS[variant],
    ).fit(
        X.iloc[part.training], y.iloc[part.training], sample_weight=dataset.weights(part.training)
    )
    fitted = time.perf_counter()
    weight = dataset.weights(part.judged)
    judged = collect(estimator, X.iloc[part.judged], y.iloc[part.judged], sample_weight=weight)
    seconds = {"fit": fitted - start, "judge": time.perf_counter() - fitted}
    return _DemoFit(variant, estimator, judged, seconds)


def _report(fits: list[_DemoFit], variant: str, protocol: Protocol) -> pd.DataFrame:
    mine = [fit for fit in fits if fit.variant == variant]
    pooled = pool(fit.judged for fit in mine)
    frame = report(pooled, by_cluster=False, n_boot=protocol.n_boot, level=LEVEL)
    return _in_level_order(frame, mine[0].estimator)


def _in_level_order(frame: pd.DataFrame, estimator: FairMixedEffects) -> pd.DataFrame:
    """Sort the groups of each metric as the attribute orders its levels (<=30 before >45)."""
    attributes = estimator.design_.attributes
    rank = {(a.name, level): i for a in attributes for i, level in enumerate(a.levels)}
    within = [rank.get(pair, -1) for pair in zip(frame["attribute"], frame["group"], strict=True)]
    keys = ["clusters", "effects", "attribute", "metric"]
    line = frame.groupby(keys, sort=False).ngroup()
    return frame.iloc[np.lexsort((within, line))].reset_index(drop=True)


def _first(fits: list[_DemoFit]) -> dict[str, FairMixedEffectsClassifier]:
    """Return each variant's model of the first rotation."""
    first: dict[str, FairMixedEffectsClassifier] = {}
    for fit in fits:
        first.setdefault(fit.variant, fit.estimator)
    return first


def _configuration(
    dataset: Dataset, seen: tuple[str, ...], protocol: Protocol, fits: list[_DemoFit]
) -> dict[str, Any]:
    first = _first(fits)
    return {
        "data": dataset.name,
        "rows": len(dataset.frame),
        "seen": list(seen),
        "protocol": asdict(protocol) | {"level": LEVEL},
        "variants": {
            name: {"lambdas": lambdas(clf), "parameters": plain(clf.get_params(deep=False))}
            for name, clf in first.items()
        },
        "fits": [
            {
                "variant": fit.variant,
                "seconds": {key: round(value, 2) for key, value in fit.seconds.items()},
                "threshold": {key: float(at) for key, at in fit.estimator.threshold_.items()},
                "rows_judged": len(fit.judged.y),
            }
            for fit in fits
        ],
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "machine": platform.platform(),
    }
