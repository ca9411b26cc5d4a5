"""A fresh probe of what a prediction tells of the groups, and whether that is more than luck."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from pyfairme.metrics.constant_baseline import FEWEST_CLUSTERS
from pyfairme.metrics.standard_error import error_of_mean

FEWEST_ROWS = 100  # from which a probe is asked; of fewer it learns nothing that could be told
MOST_ROWS = 5000
ALIKE = 0.05  # share of the levels' variety that may be within clusters that have one level each
FALSE_ALARMS = 0.01  # share of sound fits that may be flagged, over all their adversaries
LEAST_ERRORS = 3.0  # standard errors by which a probe has to beat chance in any case
LEAST_SKILL = 0.01  # and by this share of chance: what an adversary at chance may miss


class Probed(NamedTuple):
    """What a probe found: its gain over chance, nats per row, the error, and whether it counts."""

    gain: float
    error: float
    rows: int
    beats_chance: bool


class _Half(NamedTuple):
    """Test rows of one half: gain by level (n, L), own level, stratum, unit, the loss of chance."""

    gains: np.ndarray
    codes: np.ndarray
    strata: np.ndarray
    units: np.ndarray
    chance: np.ndarray


def probe(
    told: np.ndarray,
    codes: np.ndarray,
    strata: np.ndarray,
    balance: np.ndarray,
    seed: int,
    looks: int = 1,
    units: np.ndarray | None = None,
) -> Probed:
    """Tell whether gradient boosting finds the level in what an adversary saw.

    It is fitted on each half of at most 5,000 rows and judged on the other, with leaves of a tenth
    of the rows and without weights, which only multiply its probabilities afterwards: weights of
    rare levels would make it too sure. It beats chance if the
    mean gain is at least 1 % of chance, above the one-sided quantile of Student's t at ``0.01 /
    looks`` and 3 standard errors, and above as large a share of its values when levels are permuted
    among the test rows of a stratum. The probe stays as it is meanwhile, so that this p-value is
    that of a permutation test whatever the tails of the gains are: weights of a rare level may let
    a few rows decide, and a standard error says little then.

    Rows of one cluster resemble each other, and where they have one level, as the visits of one
    patient do, a few hundred rows are evidence of a few dozen people only. With such ``units``
    halves are of whole units, the standard error is robust to dependence within them, and
    levels are permuted among units of similar outcomes.

    Parameters
    ----------
    told
        What the adversary saw, (n, V).
    codes, strata
        Numbers (n,) of every row's level, and of the stratum of its outcome.
    balance
        Weight of each level.
    seed
        Seeds the halves, the boosting and the permutations.
    looks
        How many adversaries are looked at.
    units
        Numbers (n,) of what has one level each (`units_of_level`); None: every row has its own.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> group = rng.integers(0, 2, 400)
    >>> told, same = (group + rng.normal(size=400))[:, None], np.zeros(400, int)
    >>> probe(told, group, same, np.ones(2), seed=0).beats_chance
    True
    >>> probe(rng.permutation(told), group, same, np.ones(2), seed=0).beats_chance
    False
    """
    random = np.random.default_rng(seed)
    rows = random.permutation(len(codes))[:MOST_ROWS]
    nothing = Probed(0.0, 0.0, len(rows), False)
    if len(rows) < FEWEST_ROWS:
        return nothing
    parts = (rows[::2], rows[1::2])
    if units is not None:
        own = np.unique(units[rows], return_inverse=True)[1]
        odd = random.permutation(own.max() + 1)[own] % 2 == 1
        parts = (rows[~odd], rows[odd])
    given = (told, codes, strata, np.arange(len(codes)) if units is None else units, balance, seed)
    halves = [_half(*given, *parts), _half(*given, *parts[::-1])]
    halves = [half for half in halves if half is not None]
    if not halves:
        return nothing
    gains = np.concatenate([_own(half, half.codes) for half in halves])
    chance = float(np.concatenate([half.chance for half in halves]).mean())
    gain, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    level, degrees = FALSE_ALARMS / max(looks, 1), len(gains) - 1
    if units is not None:
        judged = np.unique(np.concatenate([half.units for half in halves]), return_inverse=True)[1]
        error, degrees = error_of_mean(gains, groups=judged), int(judged.max())
        halves = [_by_unit(half) for half in halves]
    limit = max(LEAST_ERRORS, float(student.isf(level, degrees)))
    large = gain > limit * error and gain >= LEAST_SKILL * chance
    return Probed(gain, error, len(gains), large and _rare(halves, gains.sum(), level, random))


def units_of_level(clusters: np.ndarray, codes: np.ndarray) -> np.ndarray | None:
    """Return the clusters that have (nearly) one level each, (n,); None where none have.

    Of several grouping factors, ``clusters`` (n, F), the one with the fewest clusters, at least
    30: of fewer they are taken as given, as in intervals of reports. A row of a negative number,
    whose cluster is not known, is alone.

    Examples
    --------
    >>> patients = np.repeat(np.arange(40), 3)
    >>> sex, result = patients % 2, np.arange(120) % 2
    >>> units_of_level(patients[:, None], sex).max(), units_of_level(patients[:, None], result)
    (np.int64(39), None)
    """
    found: list[np.ndarray] = []
    for given in clusters.T:
        alone = given < 0
        units = np.where(alone, given.max(initial=0) + np.cumsum(alone), given)
        units = np.unique(units, return_inverse=True)[1]
        table = np.zeros((units.max(initial=0) + 1, codes.max(initial=0) + 1))
        np.add.at(table, (units, codes), 1)
        table = table[table.sum(1) > 1]
        within = table.sum() - table.max(axis=1, initial=0).sum()
        varied = table.sum() - table.sum(0).max(initial=0)
        if len(table) >= FEWEST_CLUSTERS and within <= ALIKE * varied:
            found.append(units)
    return min(found, key=np.max) if found else None


def _by_unit(half: _Half) -> _Half:
    """Return a half whose units, not rows, are permuted: gains and losses of their rows, summed."""
    units = np.unique(half.units, return_inverse=True)[1]
    rows = np.bincount(units).astype(float)
    gains = np.stack([np.bincount(units, one) for one in half.gains.T], axis=1)
    levels = np.zeros_like(gains)
    np.add.at(levels, (units, half.codes), 1)
    mean = np.bincount(units, half.strata) / rows
    place = np.searchsorted(np.unique(np.quantile(mean, (0.25, 0.5, 0.75))), mean)
    chance = np.bincount(units, half.chance)
    return _Half(gains, levels.argmax(1), place, np.arange(len(rows)), chance)


def _half(
    told: np.ndarray,
    codes: np.ndarray,
    strata: np.ndarray,
    units: np.ndarray,
    balance: np.ndarray,
    seed: int,
    train: np.ndarray,
    test: np.ndarray,
) -> _Half | None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    levels = np.unique(codes[train])
    if not 2 <= len(levels) <= len(train) / 2:
        return None  # groups of single rows: there is nothing to learn, as scikit-learn warns
    boosting: Any = HistGradientBoostingClassifier(
        max_iter=30, max_depth=3, min_samples_leaf=max(20, len(train) // 10), random_state=seed
    )
    test = test[np.isin(codes[test], levels)]
    # so few rows take a third of the time in one thread; on busy cores several only spin
    with threadpool_limits(1, user_api="openmp"):
        boosting.fit(told[train], codes[train])
        known = boosting.predict_proba(told[test]) * balance[levels]
    known = np.log(np.maximum(known / known.sum(axis=1, keepdims=True), 1e-6))
    guess = _guess(codes, strata, balance, train, test)[:, levels]
    own = np.searchsorted(levels, codes[test])
    chance = -balance[codes[test]] * guess[np.arange(len(test)), own]
    return _Half(balance[levels] * (known - guess), own, strata[test], units[test], chance)


def _guess(
    codes: np.ndarray,
    strata: np.ndarray,
    balance: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """Log-probabilities (n, L) of levels by the reweighted shares of each test row's stratum.

    Each stratum has L rows more, of the shares of all strata: a level that one of few rows lacks
    would else be a guess so bad that any probe beats it.
    """
    found = np.zeros((len(test), len(balance)))
    whole = np.bincount(codes[train], balance[codes[train]], minlength=len(balance)) + 1e-3
    prior = len(balance) * whole / whole.sum()
    for stratum in np.unique(strata[test]):
        inside = train[strata[train] == stratum]
        mass = np.bincount(codes[inside], balance[codes[inside]], minlength=len(balance)) + prior
        found[strata[test] == stratum] = np.log(mass / mass.sum())
    return found


def _own(half: _Half, codes: np.ndarray) -> np.ndarray:
    return half.gains[np.arange(len(codes)), codes]


def _rare(halves: list[_Half], found: float, level: float, random: np.random.Generator) -> bool:
    """Tell whether at most the share ``level`` of permutations within strata gains as much."""
    most = int(np.ceil(2 / level))
    halves = [
        _Half(*(part[np.argsort(half.strata, kind="stable")] for part in half)) for half in halves
    ]
    places = [np.unique(half.strata, return_inverse=True)[1] for half in halves]
    reached = 0
    for _ in range(most):
        total = 0.0
        for half, place in zip(halves, places, strict=True):
            order = np.argsort(place + random.random(len(place)))
            total += _own(half, half.codes[order]).sum()
        reached += total >= found
        if (1 + reached) > level * (1 + most):
            return False
    return True
