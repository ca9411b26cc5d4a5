"""How much each class weighs in a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.estimators.number_checks import is_number


def by_class(given: object, y: np.ndarray, weight: np.ndarray | None) -> dict[Any, float] | None:
    """Return the weight of each class of ``y``; None where classes do not weigh.

    Parameters
    ----------
    given
        None, "balanced" (the sum of ``weight`` over the number of classes and a class's own sum,
        so that all classes have one sum and the whole stays as it was), or {class: weight}, 1 for
        a class that it does not name.
    y, weight
        Class and weight of each row, (n,); None: 1.

    Raises
    ------
    ValueError
        For anything else, weights that are not finite or negative, and classes that y lacks.

    Examples
    --------
    >>> by_class("balanced", np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 9.0]))
    {0: 2.0, 1: 0.6666666666666666}
    """
    if given is None:
        return None
    codes, classes = pd.factorize(np.asarray(y))  # a missing or mixed label is refused later
    labels = list(classes.tolist())
    if isinstance(given, str) and given == "balanced":
        there = codes >= 0
        rows = None if weight is None else weight[there]
        sums = np.bincount(codes[there], rows, minlength=len(classes))
        share = sums.sum() / max(np.count_nonzero(sums), 1)
        found = np.where(sums > 0, share / np.where(sums > 0, sums, 1.0), 1.0)
        return dict(zip(labels, found.tolist(), strict=True))
    if not isinstance(given, Mapping):
        raise ValueError(
            f"Invalid value of class_weight: {given!r}. Expected None, 'balanced', or a dictionary "
            "{class: weight} such as {'no': 1, 'yes': 5}. [class-weight]"
        )
    _check(given, labels)
    return {label: float(given.get(label, 1.0)) for label in labels}


def of_rows(weights: Mapping[Any, float], y: np.ndarray) -> np.ndarray:
    """Return the weight of each row's class, (n,)."""
    return np.array([weights.get(label, 1.0) for label in np.asarray(y).tolist()], np.float64)


def times(
    weights: Mapping[Any, float] | None, y: np.ndarray, weight: np.ndarray | None
) -> np.ndarray | None:
    """Return the weight of each row times that of its class, (n,); None where all weigh 1."""
    if weights is None:
        return weight
    own = of_rows(weights, y)
    return own if weight is None else own * weight


def _check(given: Mapping[Any, Any], labels: list[Any]) -> None:
    unknown = [name for name in given if name not in labels]
    if unknown:
        raise ValueError(
            f"class_weight names {unknown[:5]}, which are not among the classes of y, "
            f"{labels[:10]}: correct the names (text and numbers are not alike), or leave them "
            "out. [class-weight-unknown]"
        )
    for name, value in given.items():
        if not is_number(value) or value < 0:
            raise ValueError(
                f"class_weight of {name!r} is {value!r}. Expected a finite number of at least 0; a "
                "class of weight 0 is left out of the fit. [class-weight]"
            )
