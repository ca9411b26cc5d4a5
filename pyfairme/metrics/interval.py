"""Intervals of values, from how far bootstrap replicates lie from them.

One method per kind of value, chosen by simulated coverage (docs/intervals.md):

- rates, and other numbers from 0 to 1: Wilson's interval with the number of rows that explains the
  bootstrap's variance (Korn and Graubard 1998); at 0 and 1 Clopper and Pearson's;
- numbers above 0 (mean losses): the standard interval of the logarithm; others: of the value;
- distances from equality (spreads, gaps, calibration errors), which noise pushes up: the distances
  under which the observed one is no surprise. Each is tried at the groups' rates nearest to the
  observed ones that have it, with the replicates' noise added;
- the worst of several groups: the same, all groups moved together.

Each holds its own value. With whole clusters drawn, Normal quantiles become those of a t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pyfairme.metrics.array_inputs import Floats
from pyfairme.metrics.metric import Kind
from pyfairme.metrics.nearest_parts import nearest
from pyfairme.metrics.sampling_noise import design_effect

STEPS = 33  # distances tried on the way from equality to the largest that is possible
_BLOCK = 2_000_000  # numbers held at a time
_TINY = 1e-12


class Interval(NamedTuple):
    """Limits of a value, and why there are none."""

    low: float
    high: float
    note: str = ""


def wilson(value: float, variance: float, rows: float, quantile: float) -> Interval:
    """Return the limits of a rate.

    Parameters
    ----------
    value
        From 0 to 1.
    variance
        Of the value, by the bootstrap.
    rows
        Effective number of rows, which counts at 0 and 1, where the variance says nothing.
    quantile
        Of the Normal or t distribution.

    Examples
    --------
    >>> low, high, _ = wilson(1.0, 0.0, 40, 1.645)
    >>> round(low, 3), high
    (0.928, 1.0)
    """
    from scipy.special import ndtr

    if value in (0.0, 1.0):
        far = float((1 - ndtr(quantile)) ** (1 / max(rows, 1)))  # Clopper and Pearson 1934
        return Interval(0.0, 1 - far) if value == 0 else Interval(far, 1.0)
    size = rows / design_effect(value, variance, rows)
    extra = quantile**2 / size
    middle = (value + extra / 2) / (1 + extra)
    half = quantile / (1 + extra) * np.sqrt(value * (1 - value) / size + extra / (4 * size))
    return Interval(float(max(0.0, middle - half)), float(min(1.0, middle + half)))


def standard(value: float, error: float, quantile: float, *, positive: bool) -> Interval:
    """Return ``value ± quantile error``; for a positive value on the scale of its logarithm.

    Examples
    --------
    >>> low, high, _ = standard(2.0, 0.5, 1.0, positive=False)
    >>> low, high
    (1.5, 2.5)
    """
    margin = quantile * error
    if positive and value > 0:
        factor = float(np.exp(margin / value))
        return Interval(value / factor, value * factor)
    return Interval(value - margin, value + margin)


def distance(
    value: float,
    parts: Floats,
    noise: Floats,
    combine: Callable[[Floats], Floats],
    tails: tuple[float, float],
    rows: Floats | None = None,
    kind: Kind = "real",
) -> Interval:
    """Return the limits of a distance from equality, such as an SD over groups.

    A distance d belongs to the interval if the observed one is not among the smallest or largest of
    ``combine(parts with distance d + noise)``, where parts with distance d are those nearest to the
    observed ones (`nearest`). An observed distance below the median of pure noise counts as
    that median for the upper limit, lest luck look like precision.

    Parameters
    ----------
    value
        What is reported; the limits are widened to hold it.
    parts
        Shape ``(S, *P)``: what the distance is computed from, by seed.
    noise
        Shape ``(S, B, *P)``: deviations of replicates.
    combine
        From ``(..., *P)`` to distances ``(...)``.
    tails
        Probabilities left out below the low limit and above the high one.
    rows
        Shape ``(*P)``: those that the parts rest on.
    kind
        Of the parts. The noise of rates is that of the rates that are tried, as in Wilson's
        interval; that of positive means is in proportion to them.
    """
    observed = float(combine(parts).mean())
    below, above = tails
    middle, top = quantiles(combine(noise).mean(0), [0.5, 1 - above])
    if not observed > _TINY:
        return Interval(0.0, max(float(top), value))
    most = 1.3 * (observed + top + max(middle - observed, 0.0))
    loudness = _loudness(parts, rows, kind)
    places = _tried(parts, noise, combine, np.linspace(0, most, STEPS), loudness, kind)
    louder = loudness(places)
    each = max(1, _BLOCK // noise.size)  # steps at a time: few numpy calls, bounded memory
    spread = np.concatenate(
        [
            combine(places[some, :, None] + noise * louder[some, :, None]).mean(1)
            for some in (slice(at, at + each) for at in range(0, STEPS, each))
        ]
    )
    reached = np.maximum.accumulate(combine(places).mean(1))
    lower, upper = quantiles(spread, [above, 1 - below])
    low = _crossing(reached, upper, observed)
    high = _crossing(reached, lower, max(observed, float(middle)))
    return Interval(min(low, value), max(high, value))


def _tried(
    parts: Floats,
    noise: Floats,
    combine: Callable[[Floats], Floats],
    distances: Floats,
    loudness: Callable[[Floats], Floats],
    kind: Kind,
) -> Floats:
    """Return parts with each of the distances, ``(T, S, *P)``; rates stay from 0 to 1."""
    shape = parts.shape
    usual = np.nan_to_num(noise.var(1))
    known = ~np.isnan(parts)  # what has no value has none at any distance

    def shaped(place: Floats) -> Floats:
        return place.reshape(*place.shape[:-1], *shape[1:])

    def variance(place: Floats) -> Floats:
        found = np.where(known, usual * loudness(shaped(place)) ** 2, 0)
        return found.reshape(place.shape)

    def flat(place: Floats) -> Floats:
        return combine(shaped(place))

    bounds = (0.0, 1.0) if kind == "rate" else (-np.inf, np.inf)
    found = nearest(parts.reshape(shape[0], -1), flat, variance, distances, bounds)
    return found.reshape(-1, *shape)


def extreme(
    value: float,
    parts: Floats,
    equal: Floats,
    noise: Floats,
    combine: Callable[[Floats], Floats],
    level: float,
) -> Interval:
    """Return the limits of the smallest (or largest) of several parts.

    Noise makes an extreme look worse than it is, the more the nearer the parts are to each other,
    and how near they are is not known: the limits hold for parts as far apart as those observed and
    for equal ones (``equal``, shape ``(S, P)``). And the smallest is no larger than any part may be
    (Bonferroni). Parameters as of `distance`; parts are rates from 0 to 1, ``level`` the coverage.
    """
    from scipy.special import ndtri

    observed = float(combine(parts).mean())
    limits = [value]
    for centre in (parts, equal):
        away = combine(centre[:, None] + noise).mean(0) - float(combine(centre).mean())
        limits += list(observed - quantiles(away, [(1 - level) / 2, (1 + level) / 2]))
    known = ~np.isnan(parts).any(0)
    reach = ndtri(1 - (1 - level) / 2 / known.sum()) * noise.mean(0)[:, known].std(0)
    most = (parts.mean(0)[known] + reach).min()
    high = max(value, min(1.0, float(max(limits)), float(most)))
    return Interval(max(0.0, float(min(limits))), high)


def quantiles(draws: Floats, at: list[float]) -> Floats:
    """Return quantiles over the last axis, which passes over NaN where there are any."""
    if np.isnan(draws).any():
        return np.nanquantile(draws, at, axis=-1)
    return np.quantile(draws, at, axis=-1)


def _loudness(parts: Floats, rows: Floats | None, kind: Kind) -> Callable[[Floats], Floats]:
    """Return the function of by how much more tried parts vary than the observed ones."""
    if kind == "rate" and rows is not None:
        usual = _binomial_sd(parts, rows)
        return lambda tried: _binomial_sd(tried, rows) / usual
    if kind == "positive":
        unit = np.where(parts > 0, parts, 1)
        return lambda tried: np.maximum(tried / unit, 0.1)
    return np.ones_like


def _binomial_sd(rate: Floats, rows: Floats) -> Floats:
    inside = np.minimum(np.maximum(rate, 0), 1)
    held = (inside * rows + 1) / (rows + 2)  # off 0 and 1, as far as rows can tell
    return np.sqrt(held * (1 - held))


def _crossing(tried: Floats, quantile: Floats, observed: float) -> float:
    """Return where a growing quantile first reaches the observed distance."""
    growing = np.maximum.accumulate(quantile)
    if growing[0] >= observed:
        return 0.0
    if growing[-1] < observed:
        return float(tried[-1])
    return float(np.interp(observed, growing, tried))
