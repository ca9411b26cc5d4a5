"""Which encoded columns have random slopes, per grouping factor."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from pyfairme.data.checks import check_present
from pyfairme.data.columns import pick
from pyfairme.data.encoders import Column
from pyfairme.data.grouping_factors import Factor
from pyfairme.notices import DataWarning, warn

VARYING = 0.05  # share of clusters in which a column must vary for its slopes to be told apart


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


def warn_of_constant_slopes(
    frame: pd.DataFrame, factors: Iterable[Factor], wanted: Mapping[str, str | Sequence[str]]
) -> None:
    """Warn of slopes, asked for by name, on covariates that do not vary within clusters.

    What such a slope adds is the same for all rows of a cluster, as an intercept is. "all" covers
    columns that nobody has named, and their scales shrink: no word there.
    """
    for factor in factors:
        chosen = wanted.get(factor.column, ())
        if chosen == "all":
            continue
        names = [chosen] if isinstance(chosen, str) else list(dict.fromkeys(chosen))
        codes = factor.encode(frame)
        known = codes >= 0
        for name in names:
            rows = pick(frame, name).loc[known].groupby(codes[known])
            several = rows.size().to_numpy() > 1
            varying = int((rows.nunique(dropna=False).to_numpy()[several] > 1).sum())
            whole = int(several.sum())
            if whole and varying < max(1, VARYING * whole):
                warn(
                    f"A random slope was asked for {name!r}, which varies within {varying} of "
                    f"{whole} clusters of {factor.column!r} that have two rows or more: how its "
                    "effect differs between clusters cannot be learned from that. Leave it out of "
                    "random_slopes; its effect common to all clusters stays in the fixed part. "
                    "[constant-slope]",
                    DataWarning,
                )


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
                "leave it out of the slopes. [constant-slope]"
            )
    check_present(names, dict.fromkeys(c.term for c in columns), "random slopes' covariate")
    return tuple(i for i, c in enumerate(columns) if c.term in names and not c.knot)
