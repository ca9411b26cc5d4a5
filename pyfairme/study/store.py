"""Finished fits of a study as files: a Parquet table and a configuration each.

A folder holds ``study.json``, what all fits have in common, and for every fit
``fits/<model>/seed<seed>-fold<fold>.parquet`` (one line per judged row) with a ``.json`` beside it
(settings, λs, versions, wall times, warnings, importance). A fit counts once its ``.json`` is
there; both are written under another name first, so that a kill leaves no half of a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pyfairme.atomic import replacing, write_text
from pyfairme.data.columns import MISSING
from pyfairme.estimators.fairness import Judged

__all__ = ["Key", "Store", "check_stored_name", "judged_frame", "read_judged"]

SEPARATOR = "|"  # of the parts of a column's name: "gap|mixed|age_bracket"
SINGLE = ("y", "cluster", "seen")
WEIGHT = "weight"  # only where rows have one
ALONE = "alone"
NESTED = ("prediction", "decision", "gap", "log_density", "sensitive")
OWN = ("row", "fold")
# whatever the estimator says
SET_BY_STUDY = ("random_state", "validation_fraction", "progress", "warm_start")


class Key(NamedTuple):
    """Which fit: the model's name, the seed, the fold that is judged."""

    variant: str
    seed: int
    fold: int

    def __str__(self) -> str:
        return f"{self.variant} seed {self.seed} fold {self.fold}"


def judged_frame(judged: Judged, row: np.ndarray, fold: int) -> pd.DataFrame:
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
        row, fold, y, cluster, seen, alone, and ``<field>|<effects>[|<attribute>][|#<class>]``.
    """
    columns: dict[str, Any] = {"row": row, "fold": np.full(len(row), fold, np.int32)}
    columns |= {name: getattr(judged, name) for name in SINGLE}
    if judged.weight is not None:
        columns[WEIGHT] = judged.weight
    columns[ALONE] = np.zeros(len(row), bool) if judged.alone is None else judged.alone
    for field in NESTED:
        columns |= dict(_flat(field, getattr(judged, field)))
    frame = pd.DataFrame(columns)
    text = frame.select_dtypes(exclude=["number", "bool"]).columns
    frame = frame.astype(dict.fromkeys(text, "category"))
    small = frame.select_dtypes("float64").columns.drop(["y", WEIGHT], errors="ignore")
    return frame.astype(dict.fromkeys(small, np.float32))


def read_judged(frame: pd.DataFrame, classes: tuple[Any, ...], seed: int) -> Judged:
    """Return the rows of `judged_frame` as they were judged."""
    nested: dict[str, Any] = {field: {} for field in NESTED}
    weight = _array(frame[WEIGHT]) if WEIGHT in frame else None
    for name in frame.columns.drop([*OWN, *SINGLE]).drop([WEIGHT, ALONE], errors="ignore"):
        *path, last = name.split(SEPARATOR)
        branch = nested
        for step in path:
            branch = branch.setdefault(step, {})
        branch[last] = _array(frame[name])
    return Judged(
        **{name: _array(frame[name]) for name in SINGLE},
        **{field: _stacked(tree) for field, tree in nested.items()},
        classes=classes,
        seed=seed,
        weight=weight,
        alone=_alone(frame),
    )


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


def _flat(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
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

    Parameters
    ----------
    folder
        Made if it is missing.
    study
        What all fits have in common: plain values that JSON can hold.

    Raises
    ------
    ValueError
        When the folder holds the fits of another study, or fits and no ``study.json``, so that
        nobody knows which data they are of.
    """

    def __init__(self, folder: str | Path, study: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "study.json"
        plain = json.loads(json.dumps(study))
        if path.exists():
            _check_same(json.loads(path.read_text(encoding="utf-8")), plain, path)
        elif next((self.folder / "fits").glob("*/*.*"), None) is not None:
            raise ValueError(
                f"{self.folder} holds fits and no {path.name}, which says of what data and folds "
                "they are: restore it, choose another store, or delete the folder to start anew. "
                "[store-without-study]"
            )
        else:
            write_text(path, _json(plain))

    def done(self, key: Key, parameters: Mapping[str, Any]) -> bool:
        """Tell whether a fit is there; raise ValueError when it had other parameters."""
        path = self._path(key, "json")
        if not path.exists():
            return False
        there, now = self.configuration(key)["parameters"], json.loads(json.dumps(parameters))
        for own in SET_BY_STUDY:
            there.pop(own, None)
            now.pop(own, None)
        _check_same(there, now, path)
        return True

    def write(self, key: Key, frame: pd.DataFrame, configuration: Mapping[str, Any]) -> None:
        """Write a finished fit; the configuration last, for it marks the fit as finished."""
        target = self._path(key, "parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:
            frame.to_parquet(file, index=False)
        write_text(self._path(key, "json"), _json(configuration))

    def frame(self, key: Key) -> pd.DataFrame:
        """Read the rows that a fit judged."""
        return pd.read_parquet(self._path(key, "parquet"))

    def configuration(self, key: Key) -> dict[str, Any]:
        """Read the configuration of a fit."""
        return json.loads(self._path(key, "json").read_text(encoding="utf-8"))

    def _path(self, key: Key, suffix: str) -> Path:
        return self.folder / "fits" / key.variant / f"seed{key.seed}-fold{key.fold:02d}.{suffix}"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _check_same(there: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    different = sorted(name for name in {*there, *now} if there.get(name) != now.get(name))
    if different:
        name = different[0]
        raise ValueError(
            f"{path} was written with other settings: {', '.join(different)} differ (for example "
            f"{name}: {there.get(name)!r} there, {now.get(name)!r} now). Choose another store, or "
            "delete that one to start anew. [other-study]"
        )
