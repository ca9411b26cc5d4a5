"""How fast a network's weights decay: the keyword ``weight_decay``, and its default by rows."""

from __future__ import annotations

from pyfairme.estimators.number_checks import check_number
from pyfairme.notices import shown

LEAST = 3.0  # of a network, however many rows there are
SCALE, POWER = 100.0, 0.75  # measured: docs/small_tables.md
LINEAR = 0.3  # share of it that a linear model's weights need, whose steps are ten times as long


def check_decay(value: object) -> None:
    """Raise ValueError unless ``weight_decay`` is "auto" or a number of at least 0."""
    if isinstance(value, str) and value != "auto":
        raise ValueError(
            f"Invalid value of weight_decay: {shown(value)}. Expected a number of at least 0, or "
            "'auto'. [not-a-number]"
        )
    if not isinstance(value, str):
        check_number("weight_decay", value, 0)


def decay(
    given: str | float, *, columns: int, rows: int, hidden: tuple[int, ...], penalised: bool
) -> float:
    """Return the decay per step and unit of the learning rate, of hidden layers' weights.

    "auto" is ``100 (columns / rows) ** 0.75``, at least 3: the fewer rows there are for each
    column, the sooner a network learns them by heart. A linear model decays only by "auto" and
    while a penalty acts, by 0.3 of that formula without a least value. Without penalties it stays
    the maximum of the likelihood, or has a prior of its own (``network_posterior``).

    Parameters
    ----------
    given
        The keyword.
    columns, rows
        Encoded covariates, and training rows.
    hidden
        Widths of the hidden layers.
    penalised
        Whether a penalty of positive strength acts.
    """
    if hidden and given != "auto":
        return float(given)
    by_rows = SCALE * (columns / max(rows, 1)) ** POWER
    if hidden:
        return max(LEAST, by_rows)
    return LINEAR * by_rows if penalised and given == "auto" else 0.0
