"""Base class of conformal intervals and sets: calibration by held-out rows, reports and files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from pyfairme import persistence
from pyfairme.data.attributes import Attribute
from pyfairme.data.input_types import Attributes, PathLike, Table
from pyfairme.data.schema import Sensitive, attribute_name
from pyfairme.estimators import saved_state
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.estimator_keywords import EFFECTS, check_choice, check_level
from pyfairme.estimators.report_table import FairnessReport
from pyfairme.inference.predictions import Fit
from pyfairme.metrics.array_inputs import Floats
from pyfairme.postprocessing import policy_inputs
from pyfairme.postprocessing.calibrated_groups import CalibratedGroups, RowQuantiles
from pyfairme.postprocessing.conformal_groups import By, group_codes, learn_by, unseen_units


class ConformalPredictor(BaseEstimator, ABC):
    """Base of `ConformalIntervals` and `ConformalSets`; not for direct use.

    Held-out rows have scores, one for each part that is calibrated on its own (a class, or all
    rows); new rows get a quantile of the scores of each part, by group. What a score is, and what
    becomes of a quantile, is the subclasses' own.
    """

    estimator: Any
    by: By
    effects: str
    n_rows_: int
    _parts: tuple[CalibratedGroups, ...]
    _of_fit: Fit  # the fit whose scores were kept

    _wanted: ClassVar[type[FairMixedEffects]]  # class of the estimator
    _others: ClassVar[str]  # where to go with another one

    # What the subclasses provide ------------------------------------------------------------

    @abstractmethod
    def _scored(
        self, X: Table, y: ArrayLike, frame: pd.DataFrame, encoded: np.ndarray
    ) -> tuple[Floats, Sequence[np.ndarray | slice]]:
        """Return the score of each row's outcome, (n,), and the rows of each part."""

    @abstractmethod
    def _predicted(self, X: Table, frame: pd.DataFrame) -> Any:
        """Return what the estimator predicts for the rows, to be cut at their quantiles."""

    def _check_keywords(self) -> None:
        check_choice("effects", self.effects, EFFECTS)

    def _saved_keywords(self) -> dict[str, Any]:
        """Return the keywords that a file has; ``by`` is known from the groups of the scores."""
        return {"effects": self.effects}

    def _names(self) -> list[str]:
        """Say whose scores each of the parts has, for messages."""
        return [""]

    # Calibrating ----------------------------------------------------------------------------

    def _check(self) -> None:
        """Raise for bad keywords, and unless the estimator is fitted and of the wanted class."""
        if not isinstance(self.estimator, self._wanted):
            raise TypeError(
                f"estimator must be a fitted {self._wanted.__name__}, got "
                f"{type(self.estimator).__name__}; {self._others} [conformal-estimator]"
            )
        check_fitted(self.estimator)
        self._check_keywords()

    def _calibrate(self, X: Table, y: ArrayLike) -> Self:
        """Keep the scores of held-out rows, with the groups and clusters that they are of."""
        self._check()
        frame = policy_inputs.frame_of(self.estimator, X)
        encoded = policy_inputs.encode(self.estimator, y, frame)
        groups = learn_by(self.estimator, self.by, frame)
        codes = group_codes(self.estimator, groups, frame)
        score, parts = self._scored(X, y, frame, encoded)
        unit = unseen_units(self.estimator, frame, self.effects)
        stacked = np.stack(codes) if codes else np.empty((0, len(frame)), np.intp)
        self._parts = tuple(
            CalibratedGroups(groups, stacked[:, rows], unit[rows], score[rows]) for rows in parts
        )
        self._of_fit, self.n_rows_ = self.estimator.fit_, len(frame)
        return self

    # New rows -------------------------------------------------------------------------------

    def _row_quantiles(
        self, X: Table, level: float
    ) -> tuple[pd.DataFrame, Any, list[RowQuantiles]]:
        """Return new rows as a frame, what is predicted for them, and their quantile by part."""
        check_fitted(self, "n_rows_")
        check_level(level)
        self._check_same_fit()
        frame = policy_inputs.frame_of(self.estimator, X)
        codes = group_codes(self.estimator, self._groups, frame)
        predicted = self._predicted(X, frame)
        unseen = unseen_units(self.estimator, frame, self.effects) >= 0
        found = [
            part.row_quantiles(codes, unseen, level, of)
            for part, of in zip(self._parts, self._names(), strict=True)
        ]
        return frame, predicted, found

    def _check_same_fit(self) -> None:
        if self.estimator.fit_ is not self._of_fit:
            raise ValueError(
                f"The {type(self.estimator).__name__} was fitted again, or replaced, after its "
                "scores were kept, and they say nothing of another fit: call fit with held-out "
                "rows again. [refitted-estimator]"
            )

    @property
    def _groups(self) -> tuple[Attribute, ...]:
        """Attributes that are calibrated by group, the same of every part."""
        return self._parts[0].attributes

    # Reports --------------------------------------------------------------------------------

    def _tables(self, level: float) -> list[pd.DataFrame]:
        """Return what the calibration rows of each part allow."""
        check_fitted(self, "n_rows_")
        check_level(level)
        return [part.table(level, of) for part, of in zip(self._parts, self._names(), strict=True)]

    def _report(
        self,
        X: Table,
        y: ArrayLike,
        by_cluster: bool,
        attributes: Attributes | None,
        intervals: pd.DataFrame,
        options: Mapping[str, Any],
    ) -> FairnessReport:
        """Return the estimator's report with the ``intervals`` of the rows X, of these effects."""
        every = self.estimator.fairness_report(
            X,
            y,
            by_cluster,
            self._reported if attributes is None else attributes,
            intervals={self.effects: intervals},
            **options,
        )
        return every.only(self.effects)

    @property
    def _reported(self) -> tuple[Sensitive, ...]:
        """Attributes of a report: the estimator's, and others that are calibrated.

        Clusters are none: a report has lines of its own for them.
        """
        schema = self.estimator.design_.schema
        names = [attribute_name(entry) for entry in schema.sensitive]
        clusters = set(schema.cluster_columns)
        others = [one for one in self._groups if one.name not in names]
        more = [one for one in others if not clusters & set(one.columns)]
        return (*schema.sensitive, *(policy_inputs.entry_of(one) for one in more))

    def summary(self) -> Any:
        """Return what the calibration rows allow, group by group: text, or HTML in a notebook."""
        from pyfairme.report.display.shown import facts_of

        return facts_of(self)

    def _html_repr(self) -> str:
        from pyfairme.report.display.estimator_html import estimator_html

        return estimator_html(self, "n_rows_")

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Show the object, and what it reads."""
        keywords = {"by": self.by, **self._saved_keywords()}
        shown = [f"{name}={keywords[name]!r}" for name in keywords if name != "random_state"]
        end = "" if self.by is None else "  # reads these columns when predicting"
        inner = ", ".join([type(self.estimator).__name__, *shown])
        return f"{type(self).__name__}({inner}){end}"

    def __sklearn_clone__(self) -> Self:
        """Copy the keywords; the fitted estimator is shared, as fitting leaves it."""
        return type(self)(**self.get_params(deep=False))

    # Files ----------------------------------------------------------------------------------

    def save(self, path: PathLike, *, key: str | bytes | None = None) -> None:
        """Write estimator and scores to one file, without pickle; `load` of the class reads it.

        With a ``key`` the file is signed, as by `FairMixedEffectsRegressor.save`. It holds a score
        and the groups of every calibration row.
        """
        check_fitted(self, "n_rows_")
        estimator = saved_state.to_state(self.estimator, persistence.secret_of(key))
        keywords = {"keywords": self._saved_keywords()}
        saved = {"estimator": estimator, **keywords, **self._calibration_state()}
        persistence.save_state(path, saved, kind=type(self).__name__, key=key)

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        key: str | bytes | None = None,
        objects: Mapping[str, Any] | None = None,
    ) -> Self:
        """Read what `save` wrote: its predictions equal the saved one's.

        With a ``key`` a file that was not signed with it is refused, as by `pyfairme.load`, and
        ``objects`` are those of its estimator.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When the file is damaged, of a newer format, or holds something else.
        """
        return policy_inputs.read(path, cls.__name__, key, objects, cls._restored, cls._wanted)

    def _calibration_state(self) -> dict[str, Any]:
        """Return the scores as plain data and arrays."""
        (only,) = self._parts
        return {"calibrated": only.to_state()}

    @classmethod
    def _calibrated(cls, saved: Mapping[str, Any], estimator: Any) -> tuple[CalibratedGroups, ...]:
        """Return the scores of a file."""
        return (CalibratedGroups.from_state(saved["calibrated"]),)

    @classmethod
    def _restored(cls, saved: Mapping[str, Any], estimator: Any) -> Self:
        parts = cls._calibrated(saved, estimator)
        entries = [policy_inputs.entry_of(one) for one in parts[0].attributes]
        by = (None, *entries)[-1] if len(entries) < 2 else entries
        make: Any = cls  # the keywords are the subclass's own
        found = make(estimator, by=by, **saved["keywords"])
        found._check()
        found._parts, found._of_fit = parts, estimator.fit_
        found.n_rows_ = sum(len(one.score) for one in parts)
        return found
