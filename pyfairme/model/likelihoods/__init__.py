"""Likelihoods: how a target follows from the link scale. One small class each.

A likelihood is a frozen dataclass with

``outputs``
    number of columns K of the link
``effect_scale``
    scale of the HalfNormal priors on the random effects' scales
``target``
    what y is: "class" (codes), "real" (standardised), "count" or "positive"
    (divided by a power of 2 near its mean; see `pyfairme.data.target`)
``latents()``
    its own scale parameters, latent variables with priors
``distribution(eta, v)``
    the NumPyro distribution of y given the link (n, K) and its latents
``mean(eta, v)``
    the mean: probabilities (n, classes) or a real prediction (n,)
``bounded(eta)``
    a bounded view of the prediction for adversaries and penalties (n, V)
``outcome(y)``
    the same for the target (n, V)
``strata(y)``
    one-hot (n, C) of the outcome classes, or None when y is not categorical
``quadratic``
    whether log p(y) is quadratic in the link: Gaussian effects are exact
``precision(v)``
    how the curvature of log p(y) in the link scales with its own latents
``residual_variance(v, mean)``
    variance on the link scale that is no effect's, for the intraclass
    correlation; ``mean`` is the mean count of the training rows
``start(mean_y)``
    link at which the output bias starts, from the mean of the encoded target

A regressor's likelihood stands in ``LIKELIHOODS`` below, or is a user's own object
(docs/extending.md). It may have a field ``unit``, the typical size of the encoded target, which
`likelihood_of` fills in (1 for all but counts). Adversaries see predictions in multiples of it:
linear where they are small, so that a mean residual of 0 stays 0, and bounded by ``BOUND`` units in
both tails (a count's lower one is 0), or a few outlying rows would rule their loss. It may have a
method ``residual(eta, y)``, link minus outcome in these units (n, V): penalties that compare
residuals then see them as they are, and their means are those of a report; without it, of counts
and of Student's t, they see the difference of what is saturated. A field
``value_scale`` is filled in by what the target was divided by, for numbers in the units of y.

Known standard errors per row: `KnownErrors`, with ``sample_weight=``.

Examples
--------
>>> sorted(LIKELIHOODS)
['negative_binomial', 'normal', 'poisson', 'student_t']
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyfairme.model.likelihoods.classes import Bernoulli, Categorical
from pyfairme.model.likelihoods.counts import NegativeBinomial, Poisson
from pyfairme.model.likelihoods.interface import (
    Latent,
    Likelihood,
    noise_is_known,
    residual_of,
    saturate,
)
from pyfairme.model.likelihoods.real import KnownErrors, Normal, StudentT

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Categorical",
    "KnownErrors",
    "Latent",
    "Likelihood",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "StudentT",
    "likelihood_of",
    "noise_is_known",
    "residual_of",
    "saturate",
]

LIKELIHOODS: Mapping[str, type[Normal | StudentT | Poisson | NegativeBinomial]] = {
    "normal": Normal,
    "student_t": StudentT,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}
"""Likelihoods of the regressor by name; a classifier's follows from its number of classes."""


def likelihood_of(given: Any, unit: float, value_scale: float = 1.0) -> Likelihood:
    """Return the likelihood of a name or an object, for a target of this typical size.

    ``value_scale`` is by what the target was divided. Fields of these names are filled in.

    Examples
    --------
    >>> likelihood_of("poisson", unit=4.0)
    Poisson(unit=4.0, outputs=1, effect_scale=1.0, target='count', quadratic=False)
    """
    chosen = LIKELIHOODS[given]() if isinstance(given, str) else given
    known = {"unit": unit, "value_scale": value_scale}
    own = getattr(chosen, "__dataclass_fields__", ())
    filled: Any = {name: value for name, value in known.items() if name in own}
    return replace(chosen, **filled) if filled else chosen
