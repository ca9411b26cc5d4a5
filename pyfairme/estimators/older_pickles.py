"""Pickles of an earlier version: keywords that came later have their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any


def with_keywords(made: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of an object of class ``made`` with every keyword of its constructor.

    Examples
    --------
    >>> class Model:
    ...     def __init__(self, width, depth=2): ...
    >>> with_keywords(Model, {"width": 8})
    {'depth': 2, 'width': 8}
    """
    keywords = signature(made).parameters.values()
    known = {one.name: one.default for one in keywords if one.default is not Parameter.empty}
    return {**known, **state}
