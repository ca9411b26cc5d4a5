"""Tests of the models of a study against a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.metrics.array_inputs import as_rng, check_count, check_share
from pyfairme.metrics.metric import ChosenMetrics, registered
from pyfairme.study.comparison.before_after import SMALLEST
from pyfairme.study.comparison.paired_tests import (
    bootstrap_interval,
    bootstrap_p,
    cohen_d,
    holm,
    nadeau_bengio_p,
)
from pyfairme.study.evaluation.bootstrap_replicates import Line, Replicates, replicate

if TYPE_CHECKING:
    from pyfairme.study.crossval.cross_validate import CrossValidation

COLUMNS = (
    "dataset", "variant", "baseline", "effects", "clusters", "attribute", "class", "metric",
    "value", "baseline_value", "difference", "change_percent", "low", "high",
    "null", "null_low", "null_high", "resolvable", "improved", "effect_size",
    "p_bootstrap", "p_bootstrap_holm", "p_nadeau_bengio", "p_nadeau_bengio_holm",
    "n", "folds", "note",
)  # fmt: skip
FAMILY = ("baseline", "variant", "effects", "clusters")


@dataclass(frozen=True)
class Comparisons:
    """What `compare` found.

    Parameters
    ----------
    frame
        One row per variant, baseline, effects, clusters, attribute, class and metric.
    """

    frame: pd.DataFrame

    def summary(self) -> Any:
        """Return differences from the baseline with their tests: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


class _How(NamedTuple):
    dataset: str
    level: float
    test_over_train: Mapping[str, float]


def compare(
    results: CrossValidation,
    baseline: str | Sequence[str] = "medl",
    *,
    replicates: Replicates | None = None,
    n_boot: int | None = None,
    level: float = 0.9,
    seed: int | None = None,
    metrics: ChosenMetrics = None,
) -> Comparisons:
    """Test every model of a study against a baseline, metric by metric.

    Two tests, whose assumptions differ. The paired bootstrap draws the same rows for both models:
    it holds the fitted models fixed and asks whether other rows could have turned the difference.
    The corrected resampled t-test takes the differences fold by fold and seed by seed: it lets the
    fits vary as well. See ``docs/significance.md``.

    Parameters
    ----------
    results
        What `cross_validate` returned.
    baseline
        Name of the model to compare the others with, or several.
    replicates
        Those of ``results.runs``, when they have been made already (`replicate`); ``n_boot``,
        ``seed`` and ``metrics`` are then not used. None takes ``results.replicates``.
    n_boot
        Bootstrap replicates; 0 leaves interval and test of the bootstrap empty.
    level
        Coverage of the interval of the difference.
    seed
        Seeds the bootstrap.
    metrics
        As of `cross_validate`; None: those that ``results`` were made with.

    Returns
    -------
    Comparisons
        ``frame`` with columns dataset, variant, baseline, effects, clusters, attribute, class,
        metric, value, baseline_value, difference (variant minus baseline), change_percent (NaN
        where the baseline is below .001), low, high (of the difference, standard interval of the
        paired bootstrap), null, null_low, null_high (of the baseline), resolvable (the baseline
        exceeds its null band, or the metric has none), improved (the difference has the good
        sign), effect_size (Cohen's d: mean by SD of the differences over folds and seeds),
        p_bootstrap, p_nadeau_bengio and both after Holm's correction, n, folds (differences of
        folds used), note.

        A family of Holm's correction: all disparities (attributes x metrics x classes) of one
        variant, baseline, effects and clusters; the accuracy metrics are another. An RMSE is no
        test beside that of the MSE: it has that one's corrected p-values.

    Raises
    ------
    ValueError
        When a baseline is not among the models, nothing is left to compare with it, or a model has
        other seeds.
    """
    if not hasattr(results, "runs"):
        raise TypeError(
            f"results must be what cross_validate returned, got {type(results).__name__}. "
            "[no-study]"
        )
    check_share(level)
    if n_boot is not None:
        check_count(n_boot, "n_boot")
    as_rng(0 if seed is None else seed, "seed")
    found = replicates
    if found is None and n_boot is None and seed is None and metrics is None:
        found = results.replicates
    if found is None:
        boot = 200 if n_boot is None else n_boot
        chosen = results.metrics if metrics is None else metrics
        found = replicate(results.runs, n_boot=boot, seed=seed or 0, metrics=chosen)
    names = (baseline,) if isinstance(baseline, str) else tuple(baseline)
    _check(found, names)
    how = _How(results.dataset, level, _test_over_train(results))
    by_model: dict[str, dict[Any, Line]] = {name: {} for name in found.variants}
    for line in found.lines:
        if line.metric.scope != "group":
            by_model[line.variant][_key(line)] = line
    records = [
        _record(line, by_model[name][key], how)
        for name in names
        for variant, lines in by_model.items()
        if variant != name
        for key, line in lines.items()
        if key in by_model[name]
    ]
    return Comparisons(_corrected(pd.DataFrame.from_records(records)))


def _key(line: Line) -> tuple:
    return line.effects, line.clusters, line.attribute, line.label, line.metric.name


def _check(replicates: Replicates, names: tuple[str, ...]) -> None:
    variants = replicates.variants
    if unknown := [name for name in names if name not in variants]:
        raise ValueError(
            f"baseline must be among the models of the study, {', '.join(variants)}; "
            f"got {', '.join(unknown)}. [unknown-baseline]"
        )
    if not names or len(variants) < 2:
        raise ValueError(
            f"Expected a baseline and at least one other model, got the baseline(s) "
            f"{', '.join(names) or 'none'} of {', '.join(variants)}. [nothing-to-compare]"
        )
    first = replicates.seeds[names[0]]
    for name, seeds in replicates.seeds.items():
        if sorted(seeds) != sorted(first):
            raise ValueError(
                f"{name} has the seeds {list(seeds)}, {names[0]} has {list(first)}: pairs need the "
                "same seeds. Run the missing ones. [other-seeds]"
            )


def _test_over_train(results: CrossValidation) -> dict[str, float]:
    """Return judged rows of a fold by its training rows: seen rows of all folds but two."""
    seen = next(iter(results.runs.values())).judged.seen
    training = seen.sum() * (results.folds - 2)
    rows = {"seen": seen.sum(), "unseen": (~seen).sum()}
    return {name: n / training if training > 0 else np.nan for name, n in rows.items()}


def _record(line: Line, base: Line, how: _How) -> dict[str, Any]:
    value, before = float(line.values.mean()), float(base.values.mean())
    difference = value - before
    draws = line.draws - base.draws
    by_fold = line.by_fold - base.by_fold
    degrees = float(np.max(base.evidence.effective)) - 1  # infinite where rows were drawn
    low, high = bootstrap_interval(difference, draws, how.level, degrees)
    used = int(np.count_nonzero(~np.isnan(by_fold)))
    up = line.metric.higher_is_better
    known = abs(before) >= SMALLEST
    return {
        "dataset": how.dataset,
        "variant": line.variant,
        "baseline": base.variant,
        "effects": line.effects,
        "clusters": line.clusters,
        "attribute": line.attribute,
        "class": line.label,
        "metric": line.metric.name,
        "value": value,
        "baseline_value": before,
        "difference": difference,
        "change_percent": 100 * difference / abs(before) if known else np.nan,
        "low": low,
        "high": high,
        "null": base.null.mean,
        "null_low": base.null.low,
        "null_high": base.null.high,
        "resolvable": not (np.isnan(before) or before <= base.null.high),
        "improved": difference > 0 if up else difference < 0,
        "effect_size": cohen_d(by_fold),
        "p_bootstrap": bootstrap_p(difference, draws, degrees),
        "p_nadeau_bengio": nadeau_bengio_p(by_fold, how.test_over_train[line.clusters]),
        "n": line.n,
        "folds": used,
        "note": "; ".join(_remarks(line, base, by_fold.size - used)),
    }


def _remarks(line: Line, base: Line, missing: int) -> Iterator[str]:
    if base.note:
        yield base.note
    if base.values.mean() <= base.null.high and "not resolvable" not in base.note:
        yield "not resolvable: inside the null band"
    if line.values.mean() <= line.null.high:
        yield "variant: inside its null band"
    if missing:
        yield f"{missing} of {line.by_fold.size} folds have no value"


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    """Add Holm's correction within families, and order the columns."""
    restated = {m.name: m.restates for m in registered() if m.restates}
    meant = frame["metric"].map(lambda name: restated.get(name, name))
    place = [frame[name] for name in (*FAMILY, "attribute", "class")]
    first = ~frame.groupby([*place, meant]).cumcount().astype(bool)  # one test of each question
    groups = [*(frame[name] for name in FAMILY), frame["attribute"] == "all"]
    for name in ("p_bootstrap", "p_nadeau_bengio"):
        found = frame.loc[first].groupby([g[first] for g in groups])[name].transform(holm)
        found = found.reindex(frame.index)
        frame[f"{name}_holm"] = found.groupby([*place, meant]).transform("first")
    return frame.reindex(columns=list(COLUMNS))
