"""Targets: class labels to codes, real targets to standard units, counts and amounts checked.

Each target says what the rooms after this one must know of it, so that none asks for its kind:

``encoded``      NumPy dtype of encoded values
``log_link``     whether links are logarithms of means
``link_name``    what a link is measured in, for people
``whole``        whether only whole numbers are possible
``unit``         typical size of an encoded value (of amounts and counts, real numbers)
``link_origin``, ``link_scale``  a link in the data's units is origin + scale * link
``value_scale``  by what values of y were divided
``mean_count``   of counts their mean, else NaN
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.data.design_state import rebuilt
from pyfairme.data.one_per_row import check_no_date, one_per_row
from pyfairme.data.standardising import mean_and_sd
from pyfairme.notices import StateError, shown

WIDEST_LABELS = 2**20  # bytes of all classes together, where their text does not fill them
_LABEL_DTYPE = re.compile(r"[<>|=]?([OSUbiufmM])\d{0,8}(\[\d{0,8}\w{1,8}\])?|object|bool")


def class_order(y: ArrayLike) -> tuple[Any, ...] | None:
    """Return the classes of an ordered target in their order; None for any other target.

    Ordered are a pandas Categorical with ``ordered=True`` and a polars Enum.

    Examples
    --------
    >>> class_order(pd.Categorical(["low", "high"], ["low", "high"], ordered=True))
    ('low', 'high')
    """
    if isinstance(y, pd.DataFrame):  # of any names: narwhals refuses those that occur twice
        y = y.iloc[:, 0] if y.shape[1] == 1 else y.to_numpy()
    dtype = getattr(y, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return tuple(dtype.categories.tolist()) if dtype.ordered else None
    native = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(native, nw.Series) and isinstance(native.dtype, nw.Enum):
        return tuple(native.dtype.categories)
    return None


def _column(y: ArrayLike) -> np.ndarray:
    values = one_per_row(y, "y")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"Expected y of shape (n,), got shape {values.shape}. [y-not-rows]")
    if len(values) == 0:
        raise ValueError("Expected at least one row in y, got 0. [no-rows]")
    gaps = pd.isna(values)
    if gaps.any():
        raise ValueError(
            f"y has {gaps.sum()} missing values (NaN or null): drop these rows. [missing-target]"
        )
    return values


def _numbers(y: ArrayLike) -> np.ndarray:
    values = _column(y)
    check_no_date(values, "y")
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        first = values.tolist()[0]
        raise ValueError(
            f"Expected a numeric y, got dtype {values.dtype} (first value {shown(first)}): convert "
            "it, for example with pandas.to_numeric. [target-not-numeric]"
        ) from error
    if not np.isfinite(numbers).all():
        raise ValueError("y holds infinite values: drop or correct these rows. [infinite-target]")
    return numbers


@dataclass(frozen=True)
class ClassTarget:
    """Class labels and their codes 0, 1, ...

    Parameters
    ----------
    classes
        Labels as Python values, sorted or in the order of an ordered target; of two, the last is
        the positive one.
    dtype
        NumPy dtype of the training labels ("object" for text in objects).

    Examples
    --------
    >>> target = ClassTarget.fit(["no", "yes", "no"])
    >>> target.encode(["yes", "no"])
    array([1, 0], dtype=int32)
    """

    encoded: ClassVar[type] = np.int32
    log_link: ClassVar[bool] = False
    link_name: ClassVar[str] = "log-odds"
    whole: ClassVar[bool] = True
    link_origin: ClassVar[float] = 0.0
    link_scale: ClassVar[float] = 1.0
    value_scale: ClassVar[float] = 1.0
    mean_count: ClassVar[float] = np.nan

    classes: tuple[Any, ...]
    dtype: str

    @classmethod
    def fit(
        cls, y: ArrayLike, order: Sequence[Any] | None = None, pos_label: object = None
    ) -> ClassTarget:
        """Learn the classes of y.

        Parameters
        ----------
        y
            Labels, shape (n,).
        order
            The order of the classes, from `class_order`; None sorts them.
        pos_label
            The positive class of two, which is put last; None leaves them in their order.

        Raises
        ------
        ValueError
            When there is only one class, or ``pos_label`` is none of two.
        """
        values = _column(y)
        try:
            classes = np.unique(values)
        except TypeError as error:
            raise ValueError(
                "y mixes text and numbers: use one type of label. [mixed-labels]"
            ) from error
        if len(classes) < 2:
            raise ValueError(
                "A classifier needs samples of at least 2 classes in y, got 1 class: "
                f"{classes.tolist()[0]!r}. [one-class]"
            )
        labels = classes.tolist()
        if order is not None:
            labels = [label for label in order if label in labels]
        if pos_label is not None:
            labels = _positive_last(labels, pos_label)
        return cls(tuple(labels), classes.dtype.str if values.dtype != object else "O")

    @property
    def is_sorted(self) -> bool:
        """Whether the classes are sorted, as scikit-learn's are."""
        return list(self.classes) == np.unique(self.labels).tolist()

    @property
    def labels(self) -> np.ndarray:
        """The classes as an array of the training labels' dtype."""
        return np.array(self.classes, dtype=np.dtype(self.dtype))

    def encode(self, y: ArrayLike) -> np.ndarray:
        """Return int32[n] codes; raise ValueError for a label that training rows do not have."""
        codes = pd.Index(self.classes, dtype=object).get_indexer(_column(y).astype(object))
        if (codes < 0).any():
            new = _column(y)[codes < 0].tolist()[0]
            raise ValueError(
                f"y has the label {shown(new)}, unknown in training: {shown(self.classes)}. Drop "
                "these rows, or spell the label as in training. [unknown-label]"
            )
        return codes.astype(np.int32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the labels of int[n] codes."""
        return self.labels[codes]

    def outcomes(self, drawn: np.ndarray) -> np.ndarray:
        """Return drawn codes as integers."""
        return drawn.astype(np.int32)

    def observed(self, y: ArrayLike) -> np.ndarray:
        """Return y as codes that a file can hold."""
        return self.encode(y).astype(np.int64)

    def to_state(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        classes = list(self.classes)
        if np.dtype(self.dtype).kind in "mM":  # JSON has no dates: their counts of the unit
            classes = self.labels.astype(np.int64).tolist()
        dtype = np.dtype(self.dtype)
        if dtype.kind in "US" and len(classes) * dtype.itemsize > WIDEST_LABELS:
            return {"classes": classes, "dtype": np.array(classes).dtype.str}  # no room for nothing
        return {"classes": classes, "dtype": self.dtype}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ClassTarget:
        """Rebuild from `to_state`."""
        classes, name = state["classes"], state["dtype"]
        if not isinstance(classes, list) or not _LABEL_DTYPE.fullmatch(name):
            raise StateError(
                f"expected classes and their dtype, got {shown(classes)}, {shown(name)}"
            )
        dtype = np.dtype(name)
        if len(classes) * dtype.itemsize > max(WIDEST_LABELS, 4 * sum(map(len, map(str, classes)))):
            raise StateError(
                f"expected classes that fill their dtype, got {shown(classes)}, {name}"
            )
        if any(not isinstance(label, str | int | float) for label in classes):
            raise StateError(f"expected text and numbers as classes, got {shown(classes)}")
        if dtype.kind in "mM":
            classes = np.array(classes, np.int64).astype(dtype).tolist()
        found = cls(tuple(classes), name)
        if len(classes) < 2 or len(set(found.labels.tolist())) < len(classes):
            raise StateError(f"expected two or more different classes, got {shown(classes)}")
        return found


def _positive_last(labels: list[Any], pos_label: object) -> list[Any]:
    if len(labels) > 2:
        raise ValueError(
            f"pos_label={pos_label!r} is for two classes, and y has {len(labels)}: {labels[:10]}. "
            "Leave it out: reports compare each class with the rest. [pos-label]"
        )
    if pos_label not in labels:
        raise ValueError(
            f"pos_label={pos_label!r} is none of the classes of y, {labels}: give one of these "
            "(text and numbers are not alike; cross_val_predict(method='predict_proba') of "
            "scikit-learn passes classes on as 0 and 1). [pos-label]"
        )
    return sorted(labels, key=lambda label: label == pos_label)


@dataclass(frozen=True)
class RealTarget:
    """A real target in standard units: (y - mean) / scale.

    Parameters
    ----------
    mean, scale
        Mean and SD (ddof = 0) of the training values; the scale of a constant target is 1.

    Examples
    --------
    >>> target = RealTarget.fit([1.0, 3.0])
    >>> target.encode([2.0, 3.0])
    array([0., 1.], dtype=float32)
    """

    encoded: ClassVar[type] = np.float32
    log_link: ClassVar[bool] = False
    link_name: ClassVar[str] = "units of y"
    whole: ClassVar[bool] = False
    unit: ClassVar[float] = 1.0
    mean_count: ClassVar[float] = np.nan

    mean: float
    scale: float

    @property
    def link_origin(self) -> float:
        """The mean: a link is that of the standardised target."""
        return self.mean

    @property
    def link_scale(self) -> float:
        """The SD."""
        return self.scale

    @property
    def value_scale(self) -> float:
        """The SD."""
        return self.scale

    @classmethod
    def fit(cls, y: ArrayLike) -> RealTarget:
        """Learn from y, shape (n,)."""
        values = _numbers(y)
        mean, scale = mean_and_sd(values)
        return cls(mean, scale or 1.0)

    def encode(self, y: ArrayLike) -> np.ndarray:
        """Return float32[n] in standard units."""
        with np.errstate(over="ignore"):
            found = ((_numbers(y) - self.mean) / self.scale).astype(np.float32)
        if not np.isfinite(found).all():
            raise ValueError(
                f"y has {(~np.isfinite(found)).sum()} values that are too large to compute with, "
                f"given training's mean {self.mean:g} and SD {self.scale:g}: look for a code that "
                "stands for a missing value (1e308, 9e99). [too-large]"
            )
        return found

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return float64[n] in the units of y."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.mean

    def outcomes(self, drawn: np.ndarray) -> np.ndarray:
        """Return drawn outcomes in the units of y."""
        return self.decode(drawn)

    def observed(self, y: ArrayLike) -> np.ndarray:
        """Return y as numbers."""
        return np.asarray(y, dtype=np.float64).reshape(-1)

    def to_state(self) -> dict[str, float]:
        """Return plain data for JSON."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, state: Mapping[str, float]) -> RealTarget:
        """Rebuild from `to_state`."""
        return _positive(rebuilt(cls, state), "scale")


@dataclass(frozen=True)
class CountTarget:
    """Counts, used as they are: 0, 1, 2, ...

    Parameters
    ----------
    mean
        Mean of the training values.
    unit
        Their typical size: the mean or, if larger, the SD, rounded to a power of 2 so that folds of
        one table agree on it.

    Examples
    --------
    >>> CountTarget.fit([0, 2, 4]).mean
    2.0
    """

    encoded: ClassVar[type] = np.int32
    log_link: ClassVar[bool] = True
    link_name: ClassVar[str] = "log"
    whole: ClassVar[bool] = True
    link_origin: ClassVar[float] = 0.0
    link_scale: ClassVar[float] = 1.0
    value_scale: ClassVar[float] = 1.0

    mean: float = 1.0
    unit: float = 1.0

    @property
    def mean_count(self) -> float:
        """Mean of the training values."""
        return self.mean

    @classmethod
    def fit(cls, y: ArrayLike) -> CountTarget:
        """Learn from y, shape (n,); raise ValueError when a value is negative or not whole."""
        values = cls().encode(y)
        size = max(float(values.mean()), float(values.std()))
        if size == 0:
            raise ValueError(
                "Every count in y is 0: there is no rate to learn from such rows. [no-counts]"
            )
        return cls(float(values.mean()), float(2.0 ** np.round(np.log2(size))))

    def encode(self, y: ArrayLike) -> np.ndarray:
        """Return int32[n] counts, checked."""
        values = _numbers(y)
        wrong = (values < 0) | (values != np.floor(values))
        if wrong.any():
            raise ValueError(
                f"Expected counts 0, 1, 2, ... in y, got {values[wrong][0]:g} (and {wrong.sum()} "
                "such values in all): use a likelihood for real numbers, or correct them. "
                "[not-a-count-target]"
            )
        if values.max() > np.iinfo(np.int32).max:
            raise ValueError(
                f"Expected counts below 2^31 in y, got {values.max():g}: count in larger units, or "
                "use a likelihood for real numbers. [large-counts]"
            )
        return values.astype(np.int32)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return float64[n], unchanged."""
        return np.asarray(values, dtype=np.float64)

    def outcomes(self, drawn: np.ndarray) -> np.ndarray:
        """Return drawn counts as integers."""
        return drawn.astype(np.int64)

    def observed(self, y: ArrayLike) -> np.ndarray:
        """Return y as counts."""
        return self.encode(y).astype(np.int64)

    def to_state(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"mean": self.mean, "unit": self.unit}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CountTarget:
        """Rebuild from `to_state`."""
        return _positive(rebuilt(cls, state), "unit")


@dataclass(frozen=True)
class PositiveTarget:
    """Positive amounts with a log link: divided by a power of 2 near their mean.

    Dividing by a power of 2 loses no digit, and folds of one table agree on it.

    Parameters
    ----------
    scale
        The power of 2.

    Examples
    --------
    >>> target = PositiveTarget.fit([3.0, 4.0, 8.0])
    >>> target.scale, target.encode([3.0])
    (4.0, array([0.75], dtype=float32))
    """

    encoded: ClassVar[type] = np.float32
    log_link: ClassVar[bool] = True
    link_name: ClassVar[str] = "log"
    whole: ClassVar[bool] = False
    unit: ClassVar[float] = 1.0
    link_scale: ClassVar[float] = 1.0
    mean_count: ClassVar[float] = np.nan

    scale: float = 1.0

    @property
    def link_origin(self) -> float:
        """Logarithm of the scale: what the link of an amount in its own units has more."""
        return float(np.log(self.scale))

    @property
    def value_scale(self) -> float:
        """The scale."""
        return self.scale

    @classmethod
    def fit(cls, y: ArrayLike) -> PositiveTarget:
        """Learn from y, shape (n,); raise ValueError when a value is 0 or negative."""
        found = cls(float(2.0 ** np.round(np.log2(_amounts(y).mean()))))
        found.encode(y)
        return found

    def encode(self, y: ArrayLike) -> np.ndarray:
        """Return float32[n] in multiples of the scale, checked."""
        with np.errstate(over="ignore", under="ignore"):
            found = (_amounts(y) / self.scale).astype(np.float32)
        wrong = ~np.isfinite(found) | (found < np.finfo(np.float32).tiny)
        if wrong.any():
            raise ValueError(
                f"y has {wrong.sum()} values that are too large or too small to compute with "
                f"beside a typical one of {self.scale:g}: look for a code that stands for a "
                "missing value (1e308, 1e-300). [too-large]"
            )
        return found

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return float64[n] in the units of y."""
        return np.asarray(values, dtype=np.float64) * self.scale

    def outcomes(self, drawn: np.ndarray) -> np.ndarray:
        """Return drawn amounts in the units of y."""
        return self.decode(drawn)

    def observed(self, y: ArrayLike) -> np.ndarray:
        """Return y as numbers."""
        return np.asarray(y, dtype=np.float64).reshape(-1)

    def to_state(self) -> dict[str, float]:
        """Return plain data for JSON."""
        return {"scale": self.scale}

    @classmethod
    def from_state(cls, state: Mapping[str, float]) -> PositiveTarget:
        """Rebuild from `to_state`."""
        return _positive(rebuilt(cls, state), "scale")


def _amounts(y: ArrayLike) -> np.ndarray:
    values = _numbers(y)
    if not (values > 0).all():
        wrong = values[~(values > 0)]
        raise ValueError(
            f"Expected positive numbers in y, got {wrong[0]:g} (and {wrong.size} such values in "
            "all): leave these rows out (and model separately who has an amount at all), or use a "
            "likelihood for real numbers. [not-a-positive-target]"
        )
    return values


TARGETS: Mapping[str, Any] = {
    "class": ClassTarget,
    "real": RealTarget,
    "count": CountTarget,
    "positive": PositiveTarget,
}
"""Targets by the word with which a likelihood says what it is for."""


def _positive(target: Any, name: str) -> Any:
    if not getattr(target, name) > 0:
        raise StateError(f"expected a positive {name} of the target, got {getattr(target, name)}")
    return target


Target = ClassTarget | RealTarget | CountTarget | PositiveTarget
