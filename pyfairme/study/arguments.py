"""What a study is given, checked before the first fit: a wrong value must not cost an hour."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from pyfairme.data.columns import label_of
from pyfairme.datasets import Dataset
from pyfairme.estimators.estimator_keywords import check_choice, is_number
from pyfairme.metrics.array_inputs import check_count, check_share

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

MOST_SEED = 2**32 - 1  # of scikit-learn's folds
LONGEST_NAME = 150  # of a model: it names a folder
FOLDS = "training, validation, test"


def check_dataset(dataset: object) -> None:
    """Refuse what is no data set, or one that nothing can be learned from.

    Raises
    ------
    TypeError
        When it is no `Dataset`.
    ValueError
        When it has no rows, a target of another length, or classes with one class only.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset must be a pyfairme.datasets.Dataset, got {type(dataset).__name__}: wrap a "
            "table as Dataset(frame, target, Schema.infer(frame, cluster=..., sensitive=..., "
            "task=...)). [no-dataset]"
        )
    rows = len(dataset.frame)
    if rows == 0:
        raise ValueError("dataset has no rows: there is nothing to split or to fit. [no-rows]")
    if len(dataset.target) != rows:
        raise ValueError(
            f"dataset has {rows} rows and a target of {len(dataset.target)}: give one target per "
            "row. [other-length]"
        )
    if dataset.schema.task == "classification" and dataset.target.nunique(dropna=False) < 2:
        raise ValueError(
            f"The target has one class only, {label_of(dataset.target.iloc[0])}: a classifier "
            "needs rows of two classes or more. [one-class]"
        )


def named_models(
    estimators: FairMixedEffects | Mapping[str, FairMixedEffects],
) -> dict[str, FairMixedEffects]:
    """Return estimators by name; a single one is called "model".

    Raises
    ------
    TypeError
        When one is no estimator.
    ValueError
        When there is none, or a name cannot be that of a folder.
    """
    models = dict(estimators) if isinstance(estimators, Mapping) else {"model": estimators}
    if not models:
        raise ValueError("estimators is empty: give at least one model by its name. [no-model]")
    for name, model in models.items():
        _check_name(name)
        check_estimator(model, f"estimators[{name!r}]")
    return models


def check_estimator(model: Any, name: str = "estimator") -> None:
    """Raise TypeError for what is no instance of one of pyfairme's estimators."""
    keywords = (
        ()
        if isinstance(model, type) or not hasattr(model, "get_params")
        else (model.get_params(deep=False))
    )
    if not {"cluster", "sensitive"} <= set(keywords):
        what = f"the class {model.__name__}" if isinstance(model, type) else repr(model)[:80]
        raise TypeError(
            f"{name} must be an estimator such as FairMixedEffectsClassifier(...), not its class, "
            f"a name or None; got {what}. [no-estimator]"
        )


def _check_name(name: Any) -> None:
    plain = isinstance(name, str) and name == name.strip() and name.isprintable()
    if not plain or name in ("", ".", "..") or set(name) & {"/", "\\"}:
        raise ValueError(
            f"The name of a model must be text that can name a folder of the store (no slashes, "
            f"not empty, '.' or '..', no blanks at its ends); got {name!r}. [model-name]"
        )
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"The name of a model must have at most {LONGEST_NAME} bytes, as it names a folder of "
            f"the store; got {len(name.encode())}: {name[:40]!r}... [model-name]"
        )


def seeds_of(seeds: object) -> tuple[int, ...]:
    """Return seeds as numbers; a number n stands for 0, 1, ..., n - 1.

    Raises
    ------
    ValueError
        When there is none, one is given twice, or is not a whole number from 0 to 2^32 - 1.

    Examples
    --------
    >>> seeds_of(3), seeds_of([7])
    ((0, 1, 2), (7,))
    """
    if _is_whole(seeds) and seeds >= 1:
        return tuple(range(int(seeds)))
    if isinstance(seeds, Iterable) and not isinstance(seeds, str | bytes | Mapping):
        found = tuple(seeds)
        usable = all(_is_whole(seed) and 0 <= seed <= MOST_SEED for seed in found)
        if found and usable and len(set(found)) == len(found):
            return tuple(int(seed) for seed in found)
        seeds = list(found)
    raise ValueError(
        "seeds must be a number of seeds of at least 1, or different whole numbers from 0 to "
        f"2^32 - 1, at least one; got {seeds!r}. [seeds]"
    )


def check_folds(folds: object, turns: object, most_turns: int | None = None) -> None:
    """Refuse a number of folds below 3, and turns that are not among the folds.

    Parameters
    ----------
    folds, turns
        As of `cross_validate`.
    most_turns
        How many folds fewer than ``folds`` may be judged: None stands for all.
    """
    if not _is_whole(folds) or folds < 3:
        raise ValueError(f"folds must be at least 3 ({FOLDS}), got {folds!r}. [folds]")
    most = folds if most_turns is None else folds - most_turns
    if turns is not None and not (_is_whole(turns) and 1 <= turns <= most):
        less = "" if most_turns is None else ", one fold less than folds"
        raise ValueError(f"turns must lie between 1 and {most}{less}; got {turns!r}. [turns]")


def check_protocol(*, seen: object, path: object, store: object) -> None:
    """Refuse a number of clusters, a path or a store that cannot be one."""
    if seen is not None and not _is_whole(seen):
        raise ValueError(
            f"seen must be a whole number of clusters, or None for all; got {seen!r}. "
            "[seen-clusters]"
        )
    if not isinstance(path, bool):
        raise ValueError(f"path must be True or False, got {path!r}. [not-a-switch]")
    if store is not None and not isinstance(store, str | Path):
        raise ValueError(f"store must be the path of a folder or None, got {store!r}. [store-path]")
    if store is not None and Path(store).exists() and not Path(store).is_dir():
        raise ValueError(f"store must be a folder, and {str(store)!r} is a file. [store-path]")


def check_engine(engine: object, n_jobs: object, address: object, progress: object) -> None:
    """Refuse where and how fits cannot be made."""
    check_choice("engine", engine, ("local", "ray"))
    check_count(n_jobs, "n_jobs", 1)
    if address is not None and not isinstance(address, str):
        raise ValueError(
            f"address must be that of a running Ray cluster, as text, or None; got {address!r}. "
            "[ray-address]"
        )
    check_choice("progress", progress, ("auto", True, False))


def check_report(n_boot: object, level: object) -> None:
    """Refuse numbers of replicates and coverages that the report would refuse after all fits."""
    check_count(n_boot, "n_boot")
    check_share(level)


def check_max_cost(max_cost: object) -> None:
    """Refuse an accuracy that cannot be given up."""
    if not is_number(max_cost) or max_cost < 0:
        raise ValueError(f"max_cost must be a number of at least 0, got {max_cost!r}. [max-cost]")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
