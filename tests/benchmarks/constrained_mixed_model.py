"""A logistic mixed model under a limit on the covariance of a group and the linear predictor.

Our own implementation of what Burgard & Pamplona (arXiv 2405.09273) define, written from its
equations. With x_i the covariates (a 1 first), k(i) the stratum and s_i the group (0, 1) of row i,

    minimise    - sum_i log p(y_i | eta_i) + sum_k b_k^2 / (2 v),      eta_i = x_i . beta + b_k(i)
    subject to  |1/n sum_i (s_i - mean of s) eta_i| <= c.

v = 1/2 is their cluster-regularised logistic regression (CRLR); v = None estimates the variance of
the intercepts by EM, v <- mean of b_k^2 + Var(b_k | y), the variance from the curvature at the
optimum: their GLMM, which they reach by boosting one covariate at a time.

The objective is convex and the constraint one linear form a . theta, so that the optimum either
keeps the limit by itself or lies on a . theta = +-c: Newton's method on the equations of Lagrange
finds it to machine precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit


class Fitted(NamedTuple):
    """Fixed effects (p,), intercepts (K,), their variance, and the covariance that is limited."""

    beta: np.ndarray
    intercepts: np.ndarray
    variance: float
    covariance: float

    def probability(self, x: np.ndarray, stratum: np.ndarray) -> np.ndarray:
        """Return P(y = 1) of rows; strata -1 are new, and have the intercept 0."""
        known = np.append(self.intercepts, 0.0)
        return expit(x @ self.beta + known[stratum])


def objective(design: np.ndarray, y: np.ndarray, penalty: np.ndarray, theta: np.ndarray) -> float:
    """Return the penalised negative log-likelihood; penalty (P,) is the inverse variances."""
    eta = design @ theta
    return float(np.sum(np.logaddexp(0.0, eta) - y * eta) + 0.5 * penalty @ theta**2)


def solve(
    design: np.ndarray, y: np.ndarray, penalty: np.ndarray, form: np.ndarray, level: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the optimum theta (P,) with ``form @ theta == level`` (None: without) and its Hessian.

    Raises RuntimeError where Newton's method does not converge.
    """
    theta = np.zeros(design.shape[1])
    if level is not None:
        theta = form * (level / (form @ form))  # feasible, and every step stays so
    for _ in range(200):
        p = expit(design @ theta)
        slope = design.T @ (p - y) + penalty * theta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, -slope)
        if level is not None:
            along = np.linalg.solve(hessian, form)
            step -= along * ((form @ step) / (form @ along))
        before, size = objective(design, y, penalty, theta), 1.0
        if -slope @ step < 1e-13 * (1.0 + before):  # Newton's decrement; it falls quadratically
            return theta, hessian
        while objective(design, y, penalty, theta + size * step) > before and size > 1e-10:
            size /= 2
        if size <= 1e-10:  # no descent left in double precision
            return theta, hessian
        theta = theta + size * step
    raise RuntimeError("Newton's method did not converge in 200 steps")


def fit(
    x: np.ndarray,
    group: np.ndarray,
    stratum: np.ndarray,
    y: np.ndarray,
    limit: float = np.inf,
    variance: float | None = 0.5,
) -> Fitted:
    """Fit the model; x (n, p) with a column of ones, group, y (n,) 0 or 1, stratum 0 to K - 1."""
    width, count = x.shape[1], int(stratum.max()) + 1
    design = np.hstack([x, np.eye(count)[stratum]])
    form = (group - group.mean()) @ design / len(y)
    v = 1.0 if variance is None else variance
    for _ in range(500):
        penalty = np.concatenate([np.zeros(width), np.full(count, 1 / v)])
        theta, hessian = solve(design, y, penalty, form, None)
        if abs(form @ theta) > limit:
            level = float(np.sign(form @ theta)) * limit
            theta, hessian = solve(design, y, penalty, form, level)
        b = theta[width:]
        if variance is not None:
            break
        inverse = np.linalg.inv(hessian)
        new = float(np.mean(b**2 + np.diag(inverse)[width:]))
        done, v = abs(new - v) <= 1e-4 * v, new
        if done:
            break
    return Fitted(theta[:width], b, v, float(form @ theta))
