"""Tables that are probably not what the user thinks they are: told before the training."""

from __future__ import annotations

import numpy as np

from pyfairme.data import Batch, Design
from pyfairme.metrics.names import listed, listed_name
from pyfairme.metrics.report_notes import MOST_TINY, TINY
from pyfairme.model.likelihoods import noise_is_known
from pyfairme.model.program import ModelSpec
from pyfairme.notices import DataWarning, warn

MOST_SINGLE = 0.5  # of the rows, alone in their cluster
CLEARLY = 0.8  # a deviance below this share of another is clearly lower, beside this difference
LEAST_DIFFERENCE = 20.0
MOST_TIMES = 10.0  # that a row is counted, on average: intervals are narrower by the root of it


def warn_of_heavy_rows(spec: ModelSpec, weight: np.ndarray | None) -> None:
    """Warn of weights (n,) that count rows many times, as a survey's do that sum to its population.

    A row of weight w is w rows to the likelihood. Not where the noise is known: weights then say
    how precise a row is.
    """
    if weight is None or noise_is_known(spec.likelihood):
        return
    times = float(weight.mean())
    if times > MOST_TIMES:
        warn(
            f"sample_weight counts {len(weight):,} rows as {weight.sum():,.0f}: intervals are "
            f"those of so many rows, about {times**0.5:,.0f} times narrower than if a row counted "
            "once on average. That is right where each row stands for as many rows that were "
            "observed. Weights of a survey say how many people a row speaks for: scale them to "
            "the effective number of rows, w * (w.sum() / (w**2).sum()), or to a mean of 1, "
            "w / w.mean(). [heavy-rows]",
            DataWarning,
        )


def warn_of_single_rows(spec: ModelSpec, training: Batch) -> None:
    """Warn where most rows are alone in their cluster: its effect and the row's noise are one.

    Not of counts, for which an effect per row is a known way to let the variance be larger, nor
    where the noise is known.
    """
    if spec.likelihood.target == "count" or noise_is_known(spec.likelihood):
        return
    for factor in spec.factors:
        codes = training.cluster[:, factor.column]
        each = np.bincount(codes[codes >= 0])
        alone = int((each == 1).sum())
        if alone > MOST_SINGLE * len(codes):
            warn(
                f"{alone} of {len(codes)} training rows are the only one of their cluster of "
                f"{factor.name!r} ({int((each > 0).sum())} clusters): the effect of such a "
                "cluster cannot be told from the noise of its row. Name a coarser column as "
                "cluster, or leave it out. [one-row-per-cluster]",
                DataWarning,
            )


def warn_of_tiny_groups(design: Design, training: Batch) -> None:
    """Warn of groups of a few people, by whom a penalty cannot tell how their group fares."""
    found = []
    for index, attribute in enumerate(design.attributes):
        codes = np.rint(np.asarray(training.sensitive)[:, index]).astype(int)
        sizes = np.bincount(codes[codes >= 0], minlength=len(attribute.groups))
        names = zip(listed(attribute.groups), sizes, strict=True)
        tiny = [f"{name} {n}" for name, n in names if 0 < n < TINY]
        more = f" and {len(tiny) - MOST_TINY} more" if len(tiny) > MOST_TINY else ""
        if tiny:
            found.append(f"{listed_name(attribute.name)}: {', '.join(tiny[:MOST_TINY])}{more}")
    if found:
        warn(
            f"Groups with fewer than {TINY} training rows ({'; '.join(found)}): a few people "
            "decide part of the fairness penalty and tell little of their group. Leave them "
            "out with exclude={attribute: levels}, or put them together with merge={attribute: "
            "{name: levels}}. [tiny-groups]",
            DataWarning,
        )


def warn_of_raw_exposure(spec: ModelSpec, design: Design, training: Batch) -> None:
    """Warn where counts grow with an offset itself, rather than with its exponential.

    Compared by the Poisson deviance of the two means without covariates.
    """
    offset = np.asarray(training.offset, np.float64)
    varies = len(offset) > 0 and float(offset.std()) > 0 and bool((offset > 0).all())
    if design.offset is None or spec.likelihood.target != "count" or not varies:
        return
    y = np.asarray(training.y, np.float64)
    raw = _deviance(y, offset, training.weight)
    log = _deviance(y, np.exp(offset - offset.max()), training.weight)
    if raw < CLEARLY * log and log - raw > LEAST_DIFFERENCE:
        warn(
            f"The offset {design.offset!r} looks like an exposure, not like its logarithm: values "
            f"from {offset.min():.4g} to {offset.max():.4g} are added on the log scale, and the "
            "counts grow with the value itself. Give a column of numpy.log of it. [raw-exposure]",
            DataWarning,
        )


def _deviance(y: np.ndarray, exposure: np.ndarray, weight: np.ndarray) -> float:
    """Return the Poisson deviance of counts whose mean is proportional to the exposure."""
    mean = np.maximum(exposure, 1e-300) * (weight @ y) / max(weight @ exposure, 1e-300)
    log_ratio = np.log(np.where(y > 0, y, 1.0)) - np.log(np.maximum(mean, 1e-300))
    return float(2 * weight @ (np.where(y > 0, y * log_ratio, 0.0) - (y - mean)))
