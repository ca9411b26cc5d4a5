"""Probabilities made calibrated by outcomes: centred isotonic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyfairme.estimators.saved_array_checks import checked
from pyfairme.notices import StateError

CALIBRATIONS = (None, "isotonic")


class IsotonicCalibration(NamedTuple):
    """A curve from probabilities to calibrated ones: lines between points that rise.

    ``given`` (k,) are probabilities of the classifier, ``calibrated`` (k,) what they are worth;
    beyond the first and the last point the curve is flat. Isotonic regression makes steps, on which
    rows that a classifier tells apart would have one probability; so each step is one point, at the
    mean of its rows, with lines between (Oron & Flournoy, "Centered isotonic regression",
    Statistics in Biopharmaceutical Research 9, 2017).
    """

    given: np.ndarray
    calibrated: np.ndarray

    @classmethod
    def fit(cls, p: np.ndarray, outcome: np.ndarray, mass: np.ndarray) -> IsotonicCalibration:
        """Regress outcomes (n,), 0 or 1, on probabilities (n,); rows count by ``mass`` (n,).

        Examples
        --------
        >>> p, y = np.array([0.1, 0.2, 0.4, 0.5, 0.7]), np.array([0, 1, 0, 1, 1])
        >>> curve = IsotonicCalibration.fit(p, y, np.ones(5))
        >>> curve.given.round(2).tolist(), curve.calibrated.tolist()
        ([0.1, 0.3, 0.6], [0.0, 0.5, 1.0])
        >>> curve.of(np.array([0.2])).round(3)
        array([0.25])
        """
        from sklearn.isotonic import isotonic_regression  # slow to import

        counted = mass > 0
        values, at = np.unique(p[counted], return_inverse=True)
        whole = np.bincount(at, mass[counted])
        share = np.bincount(at, (mass * outcome)[counted]) / whole
        steps = isotonic_regression(share, sample_weight=whole, y_min=0.0, y_max=1.0)
        calibrated, step = np.unique(steps, return_inverse=True)
        given = np.bincount(step, whole * values) / np.bincount(step, whole)
        rises = np.append(True, np.diff(given) > 0)  # not so where two steps are an ulp apart
        return cls(given[rises], calibrated[rises])

    @classmethod
    def restored(cls, saved: Sequence[Sequence[float]]) -> IsotonicCalibration:
        """Return the curve of a file, checked; raise StateError for what is none."""
        if len(saved) != 2:
            raise StateError("expected a curve of calibration as two lists")
        given, calibrated = (np.asarray(part, float) for part in saved)
        for name, part in (("given", given), ("calibrated", calibrated)):
            checked(name, part, (len(given),))
            if part.size == 0 or part[0] < 0 or part[-1] > 1 or (np.diff(part) <= 0).any():
                raise StateError("expected a curve of calibration that rises from 0 to 1 at most")
        return cls(given, calibrated)

    def of(self, p: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities (n,)."""
        return np.interp(p, self.given, self.calibrated)

    def given_at(self, calibrated: np.ndarray) -> np.ndarray:
        """Return the classifier's probability at which the curve reaches values (n,), in [0, 1].

        Below its first value it is 0, above its last 1, and so it is of 0 and 1 themselves, which
        stand for thresholds that every row, or none, is above; NaN stays.
        """
        calibrated = np.asarray(calibrated, float)
        found = np.interp(calibrated, self.calibrated, self.given)
        low = (calibrated < self.calibrated[0]) | (calibrated <= 0)
        high = (calibrated > self.calibrated[-1]) | (calibrated >= 1)
        return np.where(low, 0.0, np.where(high, 1.0, found))
