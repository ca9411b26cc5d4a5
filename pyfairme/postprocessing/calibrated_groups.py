"""Scores of held-out rows by group, and the conformal quantile that each new row gets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.attributes import Attribute
from pyfairme.data.design_state import check_attribute, plain, rebuilt
from pyfairme.estimators.saved_array_checks import checked
from pyfairme.metrics.array_inputs import Codes, Floats
from pyfairme.metrics.names import listed
from pyfairme.notices import DataWarning, StateError, warn
from pyfairme.postprocessing.conformal_quantile import CalibrationScores, fewest_units, shares
from pyfairme.postprocessing.overlapping_quantiles import OverlappingQuantiles, distinct_columns

SEEN, UNSEEN = "seen", "unseen"
ALL = "all"
SPREAD = (0.05, 0.95)  # of the coverage that this many rows can have
MOST_SHOWN = 5


class RowQuantiles(NamedTuple):
    """Conformal quantile of rows, and the calibration rows that it is from: both (n,)."""

    value: Floats
    calibrated_on: np.ndarray


class _CalibratedRows(NamedTuple):
    """Calibration rows of known clusters, or of others: all, and by attribute and group."""

    rows: np.ndarray
    every: CalibrationScores
    groups: tuple[tuple[CalibrationScores, ...], ...]


@dataclass(frozen=True)
class CalibratedGroups:
    """Held-out rows that new rows are calibrated on.

    A new row gets the quantile of the rows of its group; of several attributes one that holds in
    the groups of each (`OverlappingQuantiles`). Attributes of which its group has fewer units than
    the level takes are left out; without any it gets that of all rows. Rows of clusters that
    training never saw are calibrated on such rows, their clusters being the units, where there are
    enough.

    Parameters
    ----------
    attributes
        Attributes whose groups are calibrated on their own rows; none: all rows together.
    codes
        Shape ``(attributes, n)``: the group of each row.
    unit
        Shape ``(n,)``: the number of the cluster that training never saw, -1 of one that it did.
    score
        Shape ``(n,)``.
    """

    attributes: tuple[Attribute, ...]
    codes: Codes
    unit: Codes
    score: Floats

    @cached_property
    def _parts(self) -> dict[str, _CalibratedRows]:
        rows = {SEEN: np.flatnonzero(self.unit < 0), UNSEEN: np.flatnonzero(self.unit >= 0)}
        return {kind: self._part(kind, at) for kind, at in rows.items()}

    def _part(self, kind: str, rows: np.ndarray) -> _CalibratedRows:
        def scores(at: np.ndarray) -> CalibrationScores:
            return CalibrationScores.of(self.score[at], self.unit[at] if kind == UNSEEN else None)

        groups = []
        for attribute, codes in zip(self.attributes, self.codes, strict=True):
            mine = codes[rows]
            order = np.argsort(mine, kind="stable")
            ends = np.cumsum(np.bincount(mine, minlength=len(attribute.levels)))[:-1]
            groups.append(tuple(scores(rows[at]) for at in np.split(order, ends)))
        return _CalibratedRows(rows, scores(rows), tuple(groups))

    # New rows -------------------------------------------------------------------------------

    def row_quantiles(
        self, codes: Sequence[Codes], unseen: np.ndarray, level: float, of: str = ""
    ) -> RowQuantiles:
        """Return the quantile of new rows.

        Parameters
        ----------
        codes
            For each attribute (n,): the group of each row, -1 for one that no calibration row has.
        unseen
            Shape ``(n,)``: whether training never saw the cluster of a row.
        level
            Coverage, between 0 and 1.
        of
            Beginning of messages: whose rows these are, if not all.

        Raises
        ------
        ValueError
            When there are fewer calibration rows than the level takes.

        Warns
        -----
        DataWarning
            When rows get the quantile of all rows instead of their group's, or that of rows of
            other clusters.
        """
        value = np.empty(len(unseen))
        calibrated_on = np.empty(len(unseen), dtype=object)
        small: dict[str, int] = {}
        for kind, rows in ((SEEN, ~unseen), (UNSEEN, unseen)):
            if not rows.any():
                continue
            source = self._source(kind, level, of)
            if source != kind:
                self._warn_of_clusters(kind, int(rows.sum()), level, of)
            mine = [one[rows] for one in codes]
            value[rows], calibrated_on[rows] = self._of_part(source, mine, level)
            for name, number in self._uncalibrated(source, mine, level).items():
                small[name] = small.get(name, 0) + number
        if small:
            _warn_of_small(small, level, of)
        return RowQuantiles(value, calibrated_on)

    def _source(self, kind: str, level: float, of: str) -> str:
        """Return the part that rows of a kind are calibrated on."""
        needed = fewest_units(level)
        for name in (kind, SEEN, UNSEEN):
            if self._parts[name].every.units >= needed:
                return name
        seen, unseen = (self._parts[name].every.units for name in (SEEN, UNSEEN))
        of_unseen = f" and {unseen} clusters that training never saw" if unseen else ""
        raise ValueError(
            f"{of}level={level:g} takes {needed} calibration rows, got {seen}{of_unseen}: give fit "
            "more held-out rows, or choose a lower level. [few-calibration-rows]"
        )

    def _of_part(
        self, kind: str, codes: Sequence[Codes], level: float
    ) -> tuple[Floats | float, Any]:
        """Return the quantile of rows by a part, and what they are calibrated on."""
        part = self._parts[kind]
        of_all = part.every.quantile(level)
        if not self.attributes:
            return of_all, _label(ALL, kind)
        combinations, place = distinct_columns(codes)
        known = self._calibrated(part, level)
        kept = np.stack([mine[one] for mine, one in zip(known, combinations, strict=True)])
        found = np.full(kept.shape[1], np.inf)
        for pattern in np.unique(kept, axis=1).T:  # attributes whose groups have rows enough
            at, used = (kept == pattern[:, None]).all(axis=0), np.flatnonzero(pattern)
            if len(used):
                found[at] = self._of_groups(part, used, combinations[used][:, at], known, level)
        kept[:, np.isinf(found)] = False
        names = [self._name(*one, kind) for one in zip(combinations.T, kept.T, strict=True)]
        found = np.where(np.isinf(found), of_all, found)
        return found[place], np.array(names, dtype=object)[place]

    def _of_groups(
        self,
        part: _CalibratedRows,
        used: np.ndarray,
        combinations: Codes,
        known: tuple[np.ndarray, ...],
        level: float,
    ) -> Floats:
        """Return the quantile of combinations of groups of some attributes."""
        if len(used) == 1:
            groups = part.groups[used[0]]
            return np.array([groups[code].quantile(level) for code in combinations[0]])
        fine = [known[i][self.codes[i, part.rows]] for i in used]
        rows = part.rows[np.logical_and.reduce(fine)]
        codes = [np.cumsum(known[i])[self.codes[i, rows]] - 1 for i in used]  # of groups kept
        asked = [np.cumsum(known[i])[mine] - 1 for i, mine in zip(used, combinations, strict=True)]
        sizes = tuple(int(known[i].sum()) for i in used)
        overlapping = OverlappingQuantiles(
            self.score[rows], self._share(rows), np.stack(codes), sizes, level
        )
        return overlapping.of(np.stack(asked))

    def _calibrated(self, part: _CalibratedRows, level: float) -> tuple[np.ndarray, ...]:
        """For each attribute, which groups have units enough; one False more, for code -1."""
        needed = fewest_units(level)
        return tuple(
            np.array([*(one.units >= needed for one in groups), False]) for groups in part.groups
        )

    def _uncalibrated(self, kind: str, codes: Sequence[Codes], level: float) -> dict[str, int]:
        """Return the groups of rows that are not calibrated on their own, with their rows."""
        known, small = self._calibrated(self._parts[kind], level), {}
        for attribute, kept, mine in zip(self.attributes, known, codes, strict=True):
            for code in np.unique(mine[~kept[mine]]):
                group = attribute.levels[code] if code >= 0 else "(no calibration row)"
                small[f"{attribute.name}={group}"] = int((mine == code).sum())
        return small

    def _share(self, rows: np.ndarray) -> Floats:
        """Return what each of the rows of one part is of its unit."""
        unit = self.unit[rows]
        return shares(unit) if len(unit) and unit[0] >= 0 else np.ones(len(rows))

    def _name(self, codes: Codes, kept: np.ndarray, kind: str) -> str:
        names = [
            f"{one.name}={one.levels[code] if mine else ALL}"
            for one, code, mine in zip(self.attributes, codes, kept, strict=True)
        ]
        return _label(", ".join(names) if kept.any() else ALL, kind)

    def _warn_of_clusters(self, kind: str, rows: int, level: float, of: str) -> None:
        have, needed = self._parts[kind].every.units, fewest_units(level)
        mine, other, units = "that training never saw", "known clusters", "clusters"
        if kind == SEEN:
            mine, other, units = "of training", "other clusters", "rows"
        warn(
            f"{of}{rows:,} rows are of clusters {mine}, and are calibrated on rows of {other}: "
            f"level={level:g} takes {needed} such {units} among the calibration rows, which have "
            f"{have}. How often these rows are covered is not known; give fit held-out rows of "
            "such clusters. [calibrated-on-other-clusters]",
            DataWarning,
        )

    # What they hold -------------------------------------------------------------------------

    def table(self, level: float, of: str = "") -> pd.DataFrame:
        """Return what each group's rows allow at a level, see `ConformalIntervals.calibration`."""
        lines = []
        for kind, part in self._parts.items():
            if not len(part.rows):
                continue
            name = self._source(kind, level, of)
            source = self._parts[name]
            codes = [one[part.rows] for one in self.codes]
            value, _ = self._of_part(name, codes, level)
            of_all = source.every.quantile(level)
            lines.append(self._line(kind, (ALL, ALL), part.rows, of_all, level))
            known = self._calibrated(source, level)
            for attribute, mine, kept in zip(self.attributes, codes, known, strict=True):
                for code, group in enumerate(attribute.levels):
                    at = mine == code
                    if not at.any():
                        continue
                    used = np.broadcast_to(value, at.shape)[at]
                    line = self._line(kind, (attribute.name, group), part.rows[at], used, level)
                    lines.append(line | {"calibrated_on": "own rows" if kept[code] else ALL})
        return pd.DataFrame(lines)

    def _line(
        self, kind: str, of: tuple[str, str], rows: np.ndarray, used: Floats | float, level: float
    ) -> dict[str, Any]:
        share = self._share(rows)
        units = int(np.rint(share.sum()))
        coverage = float(share @ (self.score[rows] <= used)) / (units + 1)
        return {
            "clusters": kind,
            "attribute": of[0],
            "group": of[1],
            "n": len(rows),
            "units": units,
            "needed": fewest_units(level),
            "calibrated_on": ALL,
            "quantile": float(np.mean(used)),
            "coverage": coverage,
            **_spread(units == len(rows), len(rows), coverage),
        }

    # Files ----------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Return plain data and arrays."""
        arrays = {"codes": self.codes, "unit": self.unit, "score": self.score}
        return {"groups": [plain(one) for one in self.attributes], **arrays}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CalibratedGroups:
        """Rebuild from `to_state`; raise StateError where its parts contradict each other."""
        attributes = tuple(rebuilt(Attribute, one) for one in state["groups"])
        for one in attributes:
            check_attribute(one)
        score = checked("score", state["score"], (None,))
        codes, unit = state["codes"], state["unit"]
        shapes = {"codes": (len(attributes), len(score)), "unit": (len(score),)}
        for (name, shape), value in zip(shapes.items(), (codes, unit), strict=True):
            if not isinstance(value, np.ndarray) or value.dtype.kind != "i" or value.shape != shape:
                raise StateError(f"{name}: expected whole numbers of the shape {shape}")
        for one, mine in zip(attributes, codes, strict=True):
            if not ((mine >= 0) & (mine < len(one.levels))).all():
                raise StateError(f"codes: expected groups of {one.name!r}")
        return cls(attributes, codes, unit, score)


def _label(name: str, kind: str) -> str:
    return name if kind == SEEN else f"{name} (unseen clusters)"


def _spread(by_row: bool, n: int, coverage: float) -> dict[str, float]:
    """Return limits of the coverage given these rows: it has a Beta distribution (Vovk 2012)."""
    from scipy.stats import beta  # slow to import

    covered = round(coverage * (n + 1))
    if not (by_row and 0 < covered <= n):  # units of several rows have no such law
        return {"low": np.nan, "high": np.nan}
    low, high = beta.ppf(SPREAD, covered, n + 1 - covered)
    return {"low": float(low), "high": float(high)}


def _warn_of_small(small: Mapping[str, int], level: float, of: str) -> None:
    names = listed(list(small)[:MOST_SHOWN])
    more = f" and {len(small) - MOST_SHOWN} more groups" if len(small) > MOST_SHOWN else ""
    warn(
        f"{of}{sum(small.values()):,} rows are calibrated on all rows, not their group's own, of "
        f"which there are fewer than level={level:g} takes, {fewest_units(level)}: "
        f"{', '.join(names)}{more}. These groups may be covered more or less often than the level; "
        "the column calibrated_on says which rows. Give fit more rows of them, or join groups. "
        "[calibrated-on-all-rows]",
        DataWarning,
    )
