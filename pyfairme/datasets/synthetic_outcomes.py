"""Outcomes of synthetic data, drawn given a link whose true values are known."""

import numpy as np

COUNTS = ("poisson", "negative_binomial")
LIKELIHOODS = ("bernoulli", "categorical", "normal", "student_t", *COUNTS)
STUDENT_DF = 3.0


def draw_outcome(
    rng: np.random.Generator, link: np.ndarray, likelihood: str, noise: float, classes: int
) -> np.ndarray:
    """Draw y (n,) given the link (n,), by the equations in `make_clustered`."""
    if likelihood == "normal":
        return link + noise * rng.normal(size=link.shape)
    if likelihood == "student_t":
        return link + noise * rng.standard_t(STUDENT_DF, size=link.shape)
    if likelihood == "poisson":
        return rng.poisson(np.exp(link))
    if likelihood == "negative_binomial":
        return rng.poisson(np.exp(link) * _gamma(rng, noise, len(link)))
    if likelihood == "categorical":
        utility = link[:, None] * np.linspace(-0.5, 0.5, classes)
        return (utility + noise * rng.gumbel(size=utility.shape)).argmax(axis=1)
    return (link + noise * rng.logistic(size=link.shape) > 0).astype(np.int64)


def _gamma(rng: np.random.Generator, sd: float, size: int) -> np.ndarray:
    """Draw multipliers of mean 1; a Poisson times one is negative binomial."""
    return rng.gamma(1 / sd**2, sd**2, size=size) if sd > 0 else np.ones(size)
