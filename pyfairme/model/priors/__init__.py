"""Families of priors, by name: what may stand in place of a model's own priors.

A family is an object with

``support``
    what it is a prior of: "positive" (scales, degrees of freedom), "real" (weights of a
    latent last layer) or "correlations" (their Cholesky factor)
``values``
    names of the numbers that choose one of its members, in the order in which they are
    given; all but one called "loc" are positive
``distribution(shape, *values)``
    the NumPyro distribution of one latent variable of that shape

The family is part of a model's structure, its numbers are traced: changing one compiles nothing.
One line in ``PRIORS`` adds a family; one of a user's own is given as an object (docs/priors.md).

Examples
--------
>>> sorted(PRIORS)
['exponential', 'gamma', 'half_cauchy', 'half_normal', 'half_student_t', 'inverse_gamma', 'lkj',
 'log_normal', 'normal', 'uniform']
"""

from __future__ import annotations

from collections.abc import Mapping

from pyfairme.model.priors.lkj import CORRELATIONS
from pyfairme.model.priors.number_priors import POSITIVE, REAL, NumberPrior
from pyfairme.model.priors.prior_family import PriorFamily

__all__ = ["PRIORS", "NumberPrior", "PriorFamily"]

PRIORS: Mapping[str, PriorFamily] = {**POSITIVE, **REAL, **CORRELATIONS}
"""Every family by name."""
