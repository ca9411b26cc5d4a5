"""Learned state to plain data and back: dicts, lists, strings and numbers only."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pyfairme.data.attributes import Attribute, Component
from pyfairme.data.clusters import Factor
from pyfairme.data.encoders import CategoricalTerm, NumericTerm
from pyfairme.data.schema import Binned, Schema, Sensitive

__all__ = ["attribute_from", "factor_from", "plain", "schema_from", "term_from"]


def plain(value: Any) -> Any:
    """Turn dataclasses into dicts and tuples into lists, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def schema_from(state: Mapping[str, Any]) -> Schema:
    """Rebuild a schema."""
    return Schema(
        target=state["target"],
        task=state["task"],
        cluster=tuple(e if isinstance(e, str) else tuple(e) for e in state["cluster"]),
        sensitive=tuple(_entry(item) for item in state["sensitive"]),
        numeric=tuple(state["numeric"]),
        categorical=tuple(state["categorical"]),
    )


def term_from(state: Mapping[str, Any]) -> NumericTerm | CategoricalTerm:
    """Rebuild an encoder; levels tell a categorical one."""
    if "levels" in state:
        doubled = tuple(state.get("doubled", ()))  # files of before have none
        return CategoricalTerm(**{**state, "levels": tuple(state["levels"]), "doubled": doubled})
    return NumericTerm(**{**state, "knots": tuple(state.get("knots", ()))})


def factor_from(state: Mapping[str, Any]) -> Factor:
    """Rebuild a grouping factor."""
    path = tuple(state.get("path", ()))  # files of before have none
    doubled = tuple(tuple(labels) for labels in state.get("doubled", ()))
    return Factor(state["column"], tuple(state["levels"]), path, doubled)


def attribute_from(state: Mapping[str, Any]) -> Attribute:
    """Rebuild a sensitive attribute."""
    return Attribute(
        name=state["name"],
        levels=tuple(state["levels"]),
        columns=tuple(state["columns"]),
        counts=tuple(state["counts"]),
        components=tuple(_component(item) for item in state["components"]),
        picks=tuple(tuple(pick) for pick in state["picks"]),
    )


def _component(state: Mapping[str, Any]) -> Component:
    binned = state["binned"]
    return Component(
        column=state["column"],
        binned=None if binned is None else _binned(binned),
        levels=tuple(state["levels"]),
        values=tuple(state["values"]),
        doubled=tuple(state.get("doubled", ())),
    )


def _binned(state: Mapping[str, Any]) -> Binned:
    return Binned(state["column"], tuple(state["edges"]), state["name"])


def _entry(state: Any) -> Sensitive:
    if isinstance(state, Mapping):
        return _binned(state)
    return state if isinstance(state, str) else tuple(_part(item) for item in state)


def _part(state: Any) -> str | Binned:
    return state if isinstance(state, str) else _binned(state)
