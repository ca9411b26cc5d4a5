"""Summaries over groups that leave out the groups without a value (NaN), over the last axis."""

import numpy as np

from pyfairme.metrics.array_inputs import Floats


def ratio(part: Floats, whole: Floats) -> Floats:
    """Divide, giving NaN where ``whole`` is 0.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    part, whole = np.broadcast_arrays(part, whole)
    empty = np.full(whole.shape, np.nan)
    return np.divide(part, whole, out=empty, where=whole > 0)


def mean_of_groups(values: Floats) -> Floats:
    """Return the mean over groups in the place of each, NaN where no group has a value.

    Examples
    --------
    >>> mean_of_groups(np.array([1.0, 3.0, np.nan])).tolist()
    [2.0, 2.0, 2.0]
    """
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(-1, keepdims=True)
    mean = ratio(total, known.sum(-1, keepdims=True).astype(np.float64))
    return np.broadcast_to(mean, values.shape)


def group_range(values: Floats) -> Floats:
    """Return the largest less the smallest value over groups.

    Parameters
    ----------
    values
        Shape ``(..., G)``; NaN marks a group without a value.

    Returns
    -------
    Floats
        Shape ``(...)``; NaN where fewer than two groups have a value.
    """
    width = np.fmax.reduce(values, axis=-1) - np.fmin.reduce(values, axis=-1)
    return np.where((~np.isnan(values)).sum(-1) >= 2, width, np.nan)


def group_sd(values: Floats) -> Floats:
    """Return the population standard deviation (ddof = 0) over groups.

    Parameters
    ----------
    values
        Shape ``(..., G)``; NaN marks a group without a value.

    Returns
    -------
    Floats
        Shape ``(...)``; NaN where fewer than two groups have a value.
    """
    known = ~np.isnan(values)
    if values.shape[-1] >= 2 and known.all():  # a third of the time, on the same numbers
        mean = values.sum(-1, keepdims=True) / values.shape[-1]
        return np.sqrt(((values - mean) ** 2).sum(-1) / values.shape[-1])
    count = known.sum(-1)
    divisor = np.maximum(count, 1)
    mean = np.where(known, values, 0.0).sum(-1) / divisor
    deviation = np.where(known, values - mean[..., None], 0.0)
    sd = np.sqrt((deviation**2).sum(-1) / divisor)
    return np.where(count >= 2, sd, np.nan)


def mean_pairwise_gap(values: Floats) -> Floats:
    """Return the mean of ``|a - b|`` over all pairs of groups.

    With the G known values sorted, the i-th (from 0) enters the sum of the pairs 2i - G + 1 times.

    Parameters
    ----------
    values
        Shape ``(..., G)``; NaN marks a group without a value.

    Returns
    -------
    Floats
        Shape ``(...)``; NaN where fewer than two groups have a value.
    """
    ordered = np.sort(values, axis=-1)  # NaN last
    known = ~np.isnan(ordered)
    count = known.sum(-1)
    times = 2 * np.arange(values.shape[-1]) - count[..., None] + 1
    total = np.where(known, ordered * times, 0.0).sum(-1)
    pairs = count * (count - 1) / 2
    return np.where(count >= 2, total / np.maximum(pairs, 1), np.nan)
