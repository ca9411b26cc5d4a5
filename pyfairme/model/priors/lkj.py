"""Priors of correlations: LKJ (Lewandowski, Kurowicka & Joe 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpyro.distributions as dist


@dataclass(frozen=True)
class LKJ:
    """Density of a correlation matrix in proportion to det(R)^(concentration - 1), of its factor L.

    1 is uniform over matrices, more pulls towards no correlation.
    """

    support: str = "correlations"
    values: tuple[str, ...] = ("concentration",)

    def distribution(self, shape: tuple[int, ...], *values: Any) -> dist.Distribution:
        """Return the distribution of Cholesky factors (..., d, d)."""
        *outer, _, terms = shape
        whole = dist.LKJCholesky(terms, *values).expand(tuple(outer))
        return whole.to_event(len(outer))


CORRELATIONS: Mapping[str, LKJ] = {"lkj": LKJ()}
