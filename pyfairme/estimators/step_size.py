"""What a training step takes and how far it goes: ``batch_size``, ``learning_rate``."""

from __future__ import annotations

from pyfairme.estimators.number_checks import check_count, check_number
from pyfairme.notices import shown

ROWS, MOST_ROWS = 256, 2048
STEPS = 75  # of a pass over the rows of a large table, at least
RATE = 1e-3  # of Adam, for `ROWS`


def check_batch_size(value: object) -> None:
    """Raise ValueError unless ``batch_size`` is "auto" or a number of rows."""
    if isinstance(value, str) and value != "auto":
        raise ValueError(
            f"Invalid value of batch_size: {shown(value)}. Expected an integer >= 1, or 'auto'. "
            "[not-a-count]"
        )
    if not isinstance(value, str):
        check_count("batch_size", value, 1)


def check_learning_rate(value: object) -> None:
    """Raise ValueError unless ``learning_rate`` is "auto" or a number above 0."""
    if isinstance(value, str) and value != "auto":
        raise ValueError(
            f"Invalid value of learning_rate: {shown(value)}. Expected a number greater than 0, or "
            "'auto'. [not-a-number]"
        )
    if not isinstance(value, str):
        check_number("learning_rate", value, 0, above=True)


def rows_per_step(given: int | str, rows: int) -> int:
    """Return how many of the training rows a step takes.

    "auto" is 256, and from 38,400 rows on the largest power of two of which a pass over the rows
    has 75 steps, at most 2,048 (measured: docs/performance.md).

    Examples
    --------
    >>> [rows_per_step("auto", rows) for rows in (1_000, 38_400, 76_800, 150_000, 10_000_000)]
    [256, 512, 1024, 1024, 2048]
    """
    if not isinstance(given, str):
        return int(given)
    return min(MOST_ROWS, max(ROWS, 2 ** ((rows // STEPS).bit_length() - 1)))


def rate(given: float | str, step_rows: int) -> float:
    """Return the learning rate; "auto" is .001 for up to 256 rows, and grows with their root.

    It grows up to 2,048 rows: no further was measured.

    Adam's steps have one length whatever the noise of the gradient; the root keeps the noise of a
    pass over the rows what it was (Malladi et al. 2022, arXiv 2205.10287).

    Examples
    --------
    >>> rate("auto", 64), rate("auto", 1024), rate(0.003, 1024)
    (0.001, 0.002, 0.003)
    """
    if not isinstance(given, str):
        return float(given)
    return RATE * (min(max(step_rows, ROWS), MOST_ROWS) / ROWS) ** 0.5
