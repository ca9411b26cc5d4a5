"""Finished fits of a study as files: a Parquet table and a record each.

A folder holds ``study.json``, what all fits have in common, and for every fit
``fits/<model>/seed<seed>-fold<fold>.parquet`` (one line per judged row) with a ``.json`` beside it:
the record (settings, λs, versions, wall times, warnings, importance; the study that it is of, and
the SHA-256 of its table, of its row ids and of itself). A fit counts when its record is there and
all of that is right, which is checked whenever it is read. What is not is set aside, as
``*.aside``, and the fit is made anew: no file of a store is ever deleted or written over.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.atomic import locked, replacing, write_text
from pyfairme.data.columns import MISSING
from pyfairme.estimators.fairness_report import EvaluatedRows
from pyfairme.file_names import file_name
from pyfairme.notices import warn
from pyfairme.study.crossval.checksummed_json import (
    Untrusted,
    bytes_of,
    read_checked,
    with_checksum,
)

SEPARATOR = "|"  # of the parts of a column's name: "gap|mixed|age_bracket"
SINGLE = ("y", "cluster", "seen")
WEIGHT = "weight"  # only where rows have one
BASE = "base"  # of two classes or a real target, where the fit said it
ALONE = "alone"
NESTED = ("prediction", "decision", "gap", "log_density", "sensitive")
OWN = ("row", "fold")
ASIDE = ".aside"  # ends the names of files that nothing is read from
MOST_NAMED = 20  # pieces that a warning names
# set by a study, whatever the estimator says; and where it computes
NOT_COMPARED = ("random_state", "validation_fraction", "progress", "warm_start", "devices")


class Key(NamedTuple):
    """Which fit: the model's name, the seed, the fold that is judged."""

    variant: str
    seed: int
    fold: int

    def __str__(self) -> str:
        return f"{self.variant} seed {self.seed} fold {self.fold}"


def judged_frame(judged: EvaluatedRows, row: np.ndarray, fold: int) -> pd.DataFrame:
    """Lay the judged rows out as one table, a column per array.

    Parameters
    ----------
    judged
        Rows that one fit judged.
    row
        Their positions in the data set, (n,).
    fold
        Number of the fold.

    Returns
    -------
    DataFrame
        row, fold, y, cluster, seen, alone, perhaps weight and base, and
        ``<field>|<effects>[|<attribute>][|#<class>]``.
    """
    columns: dict[str, Any] = {"row": row, "fold": np.full(len(row), fold, np.int32)}
    columns |= {name: getattr(judged, name) for name in SINGLE}
    if judged.weight is not None:
        columns[WEIGHT] = judged.weight
    if judged.base is not None and judged.base.ndim == 1:
        columns[BASE] = judged.base
    columns[ALONE] = np.zeros(len(row), bool) if judged.alone is None else judged.alone
    for field in NESTED:
        columns |= dict(_flat(field, getattr(judged, field)))
    frame = pd.DataFrame(columns)
    text = frame.select_dtypes(exclude=["number", "bool"]).columns
    frame = frame.astype(dict.fromkeys(text, "category"))
    small = frame.select_dtypes("float64").columns.drop(["y", WEIGHT, BASE], errors="ignore")
    return frame.astype(dict.fromkeys(small, np.float32))


def read_judged(frame: pd.DataFrame, classes: tuple[Any, ...], seed: int) -> EvaluatedRows:
    """Return the rows of `judged_frame` as they were judged."""
    nested: dict[str, Any] = {field: {} for field in NESTED}
    weight = _array(frame[WEIGHT]) if WEIGHT in frame else None
    for name in frame.columns.drop([*OWN, *SINGLE]).drop([WEIGHT, ALONE, BASE], errors="ignore"):
        *path, last = name.split(SEPARATOR)
        branch = nested
        for step in path:
            branch = branch.setdefault(step, {})
        branch[last] = _array(frame[name])
    return EvaluatedRows(
        **{name: _array(frame[name]) for name in SINGLE},
        **{field: _stacked(tree) for field, tree in nested.items()},
        classes=classes,
        seed=seed,
        weight=weight,
        alone=_alone(frame),
        base=_base(frame),
    )


def _base(frame: pd.DataFrame) -> np.ndarray | None:
    """Return the constants of all rows; None where a fit of an older version did not say."""
    if BASE not in frame:
        return None
    found = _array(frame[BASE])
    return None if np.isnan(found).any() else found


def _alone(frame: pd.DataFrame) -> np.ndarray:
    """Return which rows have no cluster; stores of before do not say it of several factors."""
    if ALONE in frame and bool(frame[ALONE].notna().all()):
        return frame[ALONE].to_numpy(bool)
    return (frame["cluster"].astype(object) == MISSING).to_numpy()


def check_stored_name(name: str) -> None:
    """Refuse the name of an attribute that would not come back from a stored column's name."""
    if SEPARATOR in name:
        raise ValueError(
            f"The attribute {name!r} has a {SEPARATOR!r} in its name, which separates the parts of "
            "a stored column's name: rename it. [attribute-name]"
        )
    if re.fullmatch(r"#\d+", name):
        raise ValueError(
            f"The attribute {name!r} is called as the stored columns of classes are: rename it. "
            "[attribute-name]"
        )


def _flat(name: str, value: np.ndarray | Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            check_stored_name(key)
            yield from _flat(f"{name}{SEPARATOR}{key}", inner)
    elif value.ndim == 2:
        yield from ((f"{name}{SEPARATOR}#{k}", column) for k, column in enumerate(value.T))
    else:
        yield name, value


def _stacked(tree: Any) -> Any:
    """Turn {"#0": column, ...} back into (n, K); leave names as they are."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.startswith("#") for key in tree):
        return np.stack([tree[f"#{number}"] for number in range(len(tree))], axis=1)
    return {key: _stacked(inner) for key, inner in tree.items()}


def _array(column: Any) -> np.ndarray:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(object).to_numpy()
    values = column.to_numpy()
    return values.astype(np.float64) if values.dtype == np.float32 else values


class Store:
    """The folder of a study.

    Several processes and threads may use one folder at the same time; of a fit that two of them
    made, the first one stays.

    Parameters
    ----------
    folder
        Made if it is missing.
    study
        What all fits have in common, such as the fingerprint of the data: plain values that JSON
        can hold.

    Raises
    ------
    ValueError
        When the folder holds the fits of another study.
    OSError
        When it cannot be written to.
    """

    def __init__(self, folder: str | Path, study: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        with _said(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._study = _plain(study)
        self._aside: list[str] = []
        path = self.folder / "study.json"
        with locked(self.folder):
            try:
                self._check_study(path)
            except Untrusted as error:
                if path.exists() or any((self.folder / "fits").glob("*/*.json")):
                    self._aside.append(str(error))
                    _set_aside(path)
                write_text(path, with_checksum(self._study))

    def done(self, key: Key, parameters: Mapping[str, Any], rows: np.ndarray | None = None) -> bool:
        """Tell whether a fit is there and as it was written; set it aside if it is not.

        Parameters
        ----------
        key
            Which fit.
        parameters
            What it depends on.
        rows
            The rows that it judges, as positions in the data set; None: any.

        Raises
        ------
        ValueError
            When it was made with other parameters.
        """
        path = self._path(key, "json")
        if not path.parent.exists():
            return False
        with locked(path.parent):
            try:
                record = self._record(key)
                self._table(key, record)
                if rows is not None and record["rows"] != _digest_of_rows(rows):
                    raise Untrusted("its rows are not those of the fold")
            except Untrusted as error:
                if path.exists() or self._path(key, "parquet").exists():
                    self._aside.append(f"{key}: {error}")
                    self._put_aside(key)
                return False
        there, now = dict(record["parameters"]), _plain(parameters)
        for own in NOT_COMPARED:
            there.pop(own, None)
            now.pop(own, None)
        _check_same(there, now, path)
        return True

    def prepare(self, keys: Iterable[Key]) -> None:
        """Make the folders of fits and try to write there, before a minute is spent on them."""
        for folder in {self._path(key, "json").parent for key in keys}:
            with _said(folder):
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass

    def write(self, key: Key, frame: pd.DataFrame, configuration: Mapping[str, Any]) -> None:
        """Write a finished fit, unless another process wrote it meanwhile.

        The record goes last, for it marks the fit as finished.
        """
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        table = buffer.getvalue()
        record = {
            **_plain(configuration),
            "key": list(key),
            "study": self._study,
            "rows": _digest_of_rows(frame["row"].to_numpy()) if "row" in frame else None,
            "table": hashlib.sha256(table).hexdigest(),
        }
        path = self._path(key, "json")
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent):
            if path.exists():
                return
            with replacing(path) as file:
                file.write(with_checksum(record).encode("utf-8"))
                file.flush()  # a full disk leaves no table without its record
                with replacing(self._path(key, "parquet")) as other:
                    other.write(table)

    def set_aside(self, key: Key) -> None:
        """Let a fit be made anew; its files stay under other names."""
        with locked(self._path(key, "json").parent):
            self._put_aside(key)

    def frame(self, key: Key) -> pd.DataFrame:
        """Read the rows that a fit judged, as they were written."""
        try:
            return pd.read_parquet(io.BytesIO(self._table(key, self._record(key))))
        except Untrusted as error:
            raise self._changed(key, error) from error

    def configuration(self, key: Key) -> dict[str, Any]:
        """Read the configuration of a fit, as it was written."""
        try:
            return self._record(key)
        except Untrusted as error:
            raise self._changed(key, error) from error

    def warn_of_damage(self) -> None:
        """Name what was set aside, in one warning."""
        if self._aside:
            named = "; ".join(self._aside[:MOST_NAMED])
            more = len(self._aside) - MOST_NAMED
            warn(
                f"The store {str(self.folder)!r} holds what cannot be trusted: {named}"
                f"{f'; and {more} more' if more > 0 else ''}. It is computed again; the damaged "
                f"files are kept as *{ASIDE}. [store-damaged]"
            )
        self._aside.clear()

    def _check_study(self, path: Path) -> None:
        """Refuse the settings of another study; Untrusted when they are not what was written."""
        try:
            found = read_checked(path)
            if "key" in found:
                raise Untrusted(f"{path.name} is the record of a fit")
        except Untrusted:
            found = _settings_of_before(path)
            if found.keys() == self._study.keys():
                _check_same(found, self._study, path)
            raise
        _check_same(found, self._study, path)

    def _record(self, key: Key) -> dict[str, Any]:
        """Return a record that is whole, and of this study and fit."""
        path = self._path(key, "json")
        record = read_checked(path)
        if record.get("key") != list(key):
            raise Untrusted(f"{path.name} is of another fit")
        if record.get("study") != self._study:
            raise Untrusted(f"{path.name} is of another study")
        return record

    def _table(self, key: Key, record: Mapping[str, Any]) -> bytes:
        """Return the bytes of a table that is the one of its record."""
        path = self._path(key, "parquet")
        content = bytes_of(path)
        if hashlib.sha256(content).hexdigest() != record["table"]:
            raise Untrusted(f"{path.name} is not the table that was written")
        return content

    def _put_aside(self, key: Key) -> None:
        for suffix in ("json", "parquet"):
            _set_aside(self._path(key, suffix))

    def _changed(self, key: Key, why: Untrusted) -> ValueError:
        return ValueError(
            f"The store {str(self.folder)!r} was changed while it was read ({key}: {why}): repeat "
            f"the call, and the fit is computed again. [store-damaged]"
        )

    def _path(self, key: Key, suffix: str) -> Path:
        name = f"seed{key.seed}-fold{key.fold:02d}.{suffix}"
        return self.folder / "fits" / file_name(key.variant) / name


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """Say of which folder it is when it cannot be written to."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise type(error)(
            f"cannot write to the store {str(folder)!r}: {reason} [cannot-write]"
        ) from error


def _set_aside(path: Path) -> None:
    """Rename a file to a name that no file has."""
    number, target = 1, path.with_name(path.name + ASIDE)
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}-{number}{ASIDE}")
    try:
        path.rename(target)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise type(error)(
            f"{str(path)!r} cannot be trusted, and could not be moved aside: {reason} "
            f"[cannot-write]"
        ) from error


def _settings_of_before(path: Path) -> dict[str, Any]:
    """Return what a ``study.json`` of an older version, without checksum, holds; else nothing."""
    try:
        found = json.loads(bytes_of(path))
    except (ValueError, RecursionError, Untrusted):
        return {}
    return found if isinstance(found, dict) else {}


def _digest_of_rows(rows: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows, "<i8").tobytes()).hexdigest()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they will be read from a file."""
    return json.loads(json.dumps(values))


def _check_same(there: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    different = sorted(name for name in {*there, *now} if there.get(name) != now.get(name))
    if different:
        name = different[0]
        raise ValueError(
            f"{path} was written with other settings: {', '.join(different)} differ (for example "
            f"{name}: {there.get(name)!r} there, {now.get(name)!r} now). Choose another store, or "
            "delete that one to start anew. [other-study]"
        )
