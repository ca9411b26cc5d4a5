"""Learned state to plain data and back: dicts, lists, strings and numbers only.

The annotations of the dataclasses say what plain data must look like to become them again.
"""

import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Union, get_args, get_origin, get_type_hints

from pyfairme.data.attributes import Attribute
from pyfairme.data.encoders import CategoricalTerm, NumericTerm
from pyfairme.notices import StateError, shown

MOST_CELLS = 10**8  # of an intersection of groups, for which `Attribute.encode` makes a table


def plain(value: Any) -> Any:
    """Turn dataclasses into dicts and tuples into lists, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        saved = [field.name for field in fields(value) if field.metadata.get("saved", True)]
        return {name: plain(getattr(value, name)) for name in saved}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def rebuilt(kind: Any, state: Any) -> Any:
    """Return what `plain` was given: a value of a type, such as a dataclass.

    Parameters
    ----------
    kind
        The type. Fields of a dataclass have the types of their annotations; those that files of
        before do not have need a default.
    state
        Plain data.

    Raises
    ------
    StateError
        When the data are of another form; the message names the place.
    ValueError
        When the dataclass itself refuses them.
    """
    if kind in (str, int, bool, type(None)):
        if type(state) is kind:
            return state
    elif kind is float:
        if type(state) in (int, float) and math.isfinite(state):
            return state
    elif get_origin(kind) in (Union, types.UnionType):
        return _one_of(kind, state)
    elif get_origin(kind) is tuple and isinstance(state, tuple | list):
        items = get_args(kind)
        if items[-1] is Ellipsis:
            return tuple([rebuilt(items[0], item) for item in state])
        if len(items) == len(state):
            return tuple([rebuilt(*pair) for pair in zip(items, state, strict=True)])
    elif is_dataclass(kind) and isinstance(state, Mapping):
        return _fields(kind, state)
    raise StateError(f"expected {getattr(kind, '__name__', kind)}, got {shown(state)}")


def _one_of(kind: Any, state: Any) -> Any:
    """Return the first that fits of the types of a union."""
    reasons = []
    for option in get_args(kind):
        try:
            return rebuilt(option, state)
        except StateError as error:
            reasons.append(str(error))
    raise StateError(", or ".join(reasons))


def _fields(kind: Any, state: Mapping[str, Any]) -> Any:
    hints, found = _hints(kind), {}
    for name, value in state.items():
        if name not in hints:
            raise StateError(f"{kind.__name__} has no {shown(name)}")
        try:
            found[name] = rebuilt(hints[name], value)
        except StateError as error:
            raise StateError(f"{name}: {error}") from None
    return kind(**found)


@lru_cache(maxsize=32)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


# --- what a rebuilt design must say to be one ---------------------------------------------------


def check_design(design: Any) -> None:
    """Raise StateError where the parts of a `Design` contradict each other."""
    schema, columns = design.schema, design.columns
    _same("grouping factors", [factor.column for factor in design.factors], schema.factor_names)
    _same("sensitive attributes", [one.name for one in design.attributes], schema.attribute_names)
    covariates = {*schema.numeric, *schema.categorical}
    _require({term.column for term in design.terms} <= covariates, "a term of no covariate")
    for term in design.terms:
        _check_term(term)
    for factor in design.factors:
        _check_levels(factor.column, factor.levels)
    for attribute in design.attributes:
        check_attribute(attribute)
    places = dict(design.slopes)
    _require(set(places) <= set(schema.factor_names), "slopes of no factor")
    _require(
        all(0 <= i < len(columns) for chosen in places.values() for i in chosen),
        "slopes on columns that are not there",
    )


def check_attribute(attribute: Attribute) -> None:
    """Raise StateError where the levels of an attribute are not those of its components."""
    levels, parts = attribute.levels, attribute.components
    _check_levels(attribute.name, levels)
    _require(len(attribute.counts) == len(attribute.picks) == len(levels), "levels without counts")
    _require(min(attribute.counts) >= 0, "a negative count of rows")
    _require(tuple(part.column for part in parts) == attribute.columns, "a column of no component")
    for part in parts:
        _check_levels(part.column, part.levels)
        _require(len(part.values) == len(part.levels), f"{part.column!r}: levels without values")
        if part.groups:
            medians = [value for value in part.values if value is not None]
            rising = all(isinstance(v, float) for v in medians) and list(medians) == sorted(medians)  # type: ignore[type-var]
            _require(part.binned is not None and rising, f"{part.column!r}: groups out of order")
            _require(len(parts) == 1, f"{attribute.name!r}: an intersection with a number")
    sizes = [len(part.levels) for part in parts]
    _require(math.prod(size + 1 for size in sizes) <= MOST_CELLS, "too many cells of groups")
    for pick in attribute.picks:
        _require(len(pick) == len(sizes), f"{attribute.name!r}: a level of other components")
        inside = all(0 <= i < size for i, size in zip(pick, sizes, strict=True))
        _require(inside, f"{attribute.name!r}: a level of no component")
    known, named = set(levels), attribute.chosen.levels
    _require(set(named) <= known, f"{attribute.name!r}: a choice of no level")
    _require(len(set(named)) == len(named), f"{attribute.name!r}: a level chosen twice")


def _check_term(term: NumericTerm | CategoricalTerm) -> None:
    if isinstance(term, CategoricalTerm):
        _check_levels(term.column, term.levels)
        return
    knots = term.knots
    _require(term.scale > 0, f"{term.column!r}: a scale that is not positive")
    rising = len(knots) != 1 and all(a < b for a, b in pairwise(knots))
    _require(rising, f"{term.column!r}: knots that do not increase")


def _check_levels(name: str, levels: tuple[str, ...]) -> None:
    _require(0 < len(levels) == len(set(levels)), f"{name!r}: no levels, or one of them twice")


def _same(what: str, found: Iterable[object], expected: Iterable[object]) -> None:
    _require(list(found) == list(expected), f"other {what} than its roles say")


def _require(fine: bool, otherwise: str) -> None:
    if not fine:
        raise StateError(otherwise)
