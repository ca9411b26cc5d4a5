"""A design without the cells and names that it learnt from training rows.

Every number that was a cell moves by a random amount that is small for predictions, none of which
is kept. Means and standard deviations stay: they are of all rows.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from math import gcd
from typing import Any

import numpy as np

from pyfairme.data.attributes import Attribute, Component
from pyfairme.data.brackets import Binned
from pyfairme.data.design import Design
from pyfairme.data.encoders import NumericTerm
from pyfairme.data.grouping_factors import Factor
from pyfairme.data.hidden_names import derived, hashed, new_salt

# How far numbers move, at most; further where rounding to the column's unit would give them back.
KNOT = 1 / 4  # of the gap to the next knot
UNIT = 3 / 4  # of a unit: rounding gives at most two of three back
APART = 1 / 10  # of a unit, between knots that noise brings together
MEDIAN = 1 / 50  # of a standard deviation, or of the distance to the next bracket's median
MOST = 1 / 4  # of the same, for the sake of a unit
ROWS = 10  # to which counts of groups are rounded


def private_design(design: Design, key: bytes | None, random: np.random.Generator) -> Design:
    """Return a design that encodes nearly alike, and holds no cell of a number and no cluster.

    Parameters
    ----------
    design
        What a fit has learned.
    key
        With which names of clusters are hashed; None puts random signs in their place.
    random
        Source of the noise, whose seed nobody knows.
    """
    terms = [private_number(t, random) if isinstance(t, NumericTerm) else t for t in design.terms]
    return replace(
        design,
        terms=tuple(terms),
        factors=tuple(_factor(factor, key) for factor in design.factors),
        attributes=tuple(_attribute(attribute, random) for attribute in design.attributes),
    )


def private_number(term: NumericTerm, random: np.random.Generator) -> NumericTerm:
    """Move knots and median, and leave out what single rows alone have."""
    moved: dict[str, Any] = {"low": None, "high": None}
    if not term.varies:  # all rows have one value, which no prediction needs
        return replace(term, mean=0.0, median=0.0, origin=0.0, **moved)
    values = [*term.knots, term.median, term.low, term.high]
    unit = _unit(value for value in values if value is not None)
    near = _near(term.scale, unit) * random.uniform(-1, 1)
    knots = _knots(term.knots, unit, random)
    return replace(term, knots=knots, median=term.median + near, **moved)


def _unit(values: Iterable[float]) -> float:
    """Return the largest number that all are whole multiples of: 1 for ages, 5 for 5, 20, 45."""
    exact = [Decimal(repr(float(value))) for value in values]
    places = min((int(value.as_tuple().exponent) for value in exact), default=0)
    return float(Decimal(gcd(*(int(value.scaleb(-places)) for value in exact))).scaleb(places))


def _near(spread: float, unit: float) -> float:
    """Return how far a median moves: past half a unit, unless this is much beside the spread."""
    return min(max(MEDIAN * spread, UNIT * unit), MOST * spread) if spread else UNIT * unit


def _knots(knots: tuple[float, ...], unit: float, random: np.random.Generator) -> tuple[float, ...]:
    """Move knots by a quarter of the gap to the next one or most of a unit, in order again."""
    if not knots:
        return ()
    gaps = np.diff(knots)
    room = KNOT * np.minimum(np.append(gaps[0], gaps), np.append(gaps, gaps[-1]))
    moved = np.sort(
        np.array(knots) + np.maximum(room, UNIT * unit) * random.uniform(-1, 1, len(knots))
    )
    apart = APART * unit * np.arange(len(knots))
    return tuple((np.maximum.accumulate(moved - apart) + apart).tolist())


def _factor(factor: Factor, key: bytes | None) -> Factor:
    if factor.salt:  # loaded from a private file: hashed already
        return factor
    if key is None:
        secret, salt = derived(b"", new_salt()), ""  # nobody has the salt
        return replace(
            factor, levels=tuple(hashed(factor.levels, secret)), doubled=(), salt=salt, secret=None
        )
    if factor.doubled:
        raise ValueError(
            f"The cluster column {factor.column!r} has labels both as text and as another value, "
            "such as '1' and 1, which a private file does not tell apart: write them alike before "
            "fit, or save without a key. [private-labels]"
        )
    salt = new_salt()
    secret = derived(key, salt)
    return replace(factor, levels=tuple(hashed(factor.levels, secret)), salt=salt, secret=secret)


def _attribute(attribute: Attribute, random: np.random.Generator) -> Attribute:
    """Round the rows of each level, and move the medians of brackets."""
    rounded = [float(max(ROWS, ROWS * round(n / ROWS))) if n else 0.0 for n in attribute.counts]
    parts = tuple(private_brackets(part, random) for part in attribute.components)
    return replace(attribute, counts=tuple(rounded), components=parts)


def private_brackets(part: Component, random: np.random.Generator) -> Component:
    """Move the medians of brackets, each within its own."""
    if part.binned is None:
        return part
    medians = [float(value) for value in part.values if value is not None]
    edges = part.binned.edges
    ways = np.diff(medians) if len(medians) > 1 else np.abs(np.subtract(medians[:1], edges))
    near = _near(float(np.min(ways, initial=np.inf)), _unit((*medians, *edges)))
    values = [
        value if value is None else _inside(part.binned, float(value), near, random)
        for value in part.values
    ]
    return replace(part, values=tuple(values))


def _inside(binned: Binned, value: float, near: float, random: np.random.Generator) -> float:
    """Move a value, but not out of its bracket."""
    code = int(binned.codes(np.array([value]))[0])
    edges = (-np.inf, *binned.edges, np.inf)
    low, high = max(edges[code], value - near), min(edges[code + 1], value + near)
    moved = float(random.uniform(low, high))
    return moved if low < moved else float(high)
