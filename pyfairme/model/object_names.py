"""The names by which weights, histories and files know an object that a user gives."""

from __future__ import annotations

import re
from types import FunctionType
from typing import Any

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def object_name(value: Any) -> str:
    """Return ``value.name`` if it has one, else the name of its class in snake_case.

    That of a function is its own.

    Examples
    --------
    >>> class WassersteinPenalty: ...
    >>> object_name(WassersteinPenalty())
    'wasserstein_penalty'
    >>> class Wasserstein1:
    ...     name = "w1"
    >>> object_name(Wasserstein1())
    'w1'
    """
    if isinstance(own := getattr(value, "name", None), str):
        return own
    known = value if isinstance(value, FunctionType) else type(value)
    return _WORD.sub("_", known.__name__).lower()
