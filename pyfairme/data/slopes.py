"""Which encoded columns have random slopes, per grouping factor."""

from collections.abc import Iterable, Mapping, Sequence

from pyfairme.data.checks import check_present
from pyfairme.data.encoders import Column

__all__ = ["resolve_slopes"]


def resolve_slopes(
    wanted: Mapping[str, str | Sequence[str]],
    *,
    factors: Sequence[str],
    columns: Sequence[Column],
    constant: Iterable[str],
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return (factor, positions in x of its slope columns) for every factor.

    Parameters
    ----------
    wanted
        "all" or names of covariates for each factor; a factor that is not named has no slopes.
        The knots of a number are inputs of the network only.
    factors
        Names of the grouping factors.
    columns
        The columns of x.
    constant
        Covariates that were left out because they do not vary.

    Raises
    ------
    ValueError
        For a factor that is not a cluster column, and for a covariate that is unknown or constant.
    """
    check_present(wanted, factors, "random slopes' cluster")
    dropped = set(constant)
    return tuple((name, _positions(wanted.get(name, ()), columns, dropped)) for name in factors)


def _positions(
    wanted: str | Sequence[str], columns: Sequence[Column], dropped: set[str]
) -> tuple[int, ...]:
    if wanted == "all":
        return tuple(i for i, column in enumerate(columns) if not column.knot)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name in dropped:
            raise ValueError(
                f"A random slope was asked for {name!r}, which is constant in the training rows: "
                "leave it out of the slopes."
            )
    check_present(names, dict.fromkeys(c.term for c in columns), "random slopes' covariate")
    return tuple(i for i, c in enumerate(columns) if c.term in names and not c.knot)
