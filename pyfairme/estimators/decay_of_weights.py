"""How fast a network's weights decay: the keyword ``weight_decay``, and its default by rows."""

from __future__ import annotations

from pyfairme.estimators.number_checks import check_number
from pyfairme.notices import shown

LEAST = 3.0  # of a network, however many rows there are
SCALE, POWER = 100.0, 0.75  # measured: docs/small_tables.md
MULTIPLES = (1.0, 3.0, 9.0)  # of the formula, to choose from
FEW_ROWS = 20  # of the rarest class per column, below which there is a choice
MOST_SHRUNK = 0.5  # part of a weight that one step may take away
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


def decays_to_try(
    own: float, *, columns: int, rows: int, learning_rate: float
) -> tuple[float, ...]:
    """Return the decays that held-out rows choose from, or none where ``own`` is good enough.

    The formula is that of networks that stop early on tables with much to learn. A network that
    trains to its end, as under a penalty, learns more of its rows by heart, the more the less
    they tell: that is not known before.

    Parameters
    ----------
    own
        The decay by the formula.
    columns, rows
        Encoded covariates, and training rows of the rarest class (of any, without classes).
    learning_rate
        Of Adam: it times the decay is what a step takes away.

    Examples
    --------
    >>> decays_to_try(5.0, columns=60, rows=250, learning_rate=1e-3)
    (5.0, 15.0, 45.0)
    >>> decays_to_try(3.0, columns=60, rows=2500, learning_rate=1e-3)
    ()
    """
    if not own or rows >= FEW_ROWS * columns:
        return ()
    found = tuple(own * m for m in MULTIPLES if m == 1 or own * m * learning_rate <= MOST_SHRUNK)
    return found if len(found) > 1 else ()
