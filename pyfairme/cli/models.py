"""Saved models: load one, and bring the rows of a table into the form that it takes."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from pyfairme.data.clusters import factor_columns
from pyfairme.data.columns import label_of
from pyfairme.data.encoders import CategoricalTerm
from pyfairme.data.schema import Binned, components
from pyfairme.estimators import load
from pyfairme.estimators.settings import UNSEEN, check_choice

__all__ = ["load_model", "names_in_roles", "rows_for_model", "set_unseen"]


def load_model(path: Path) -> Any:
    """Load an estimator.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is no model, is damaged or of a newer format.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {str(path)!r}: the model comes before the table, and "
            '"pyfairme fit" makes it. [no-file]'
        )
    return load(path)


def set_unseen(model: Any, policy: str | None) -> Any:
    """Return the model with another policy for new clusters, or as it is for None."""
    if policy is None:
        return model
    check_choice("unseen", policy, UNSEEN)
    return model.set_params(unseen=policy)


def names_in_roles(model: Any) -> list[str]:
    """Return the columns that hold names of clusters and groups, see `read_table`."""
    design = model.design_
    parts = [part for entry in design.schema.sensitive for part in components(entry)]
    factors = [name for entry in design.schema.cluster for name in factor_columns(entry)]
    return [*factors, *(part for part in parts if not isinstance(part, Binned))]


def rows_for_model(
    model: Any, frame: pd.DataFrame, table: Path, *, judge: bool = False
) -> pd.DataFrame:
    """Return the rows as the model takes them, or refuse a table that lacks columns.

    A column that was text in training and happens to hold only numbers here becomes text.

    Parameters
    ----------
    model
        Fitted estimator.
    frame
        The table.
    table
        Its file, for the error.
    judge
        Whether fairness is to be judged: sensitive columns are then needed even when the network
        does not see them.

    Raises
    ------
    ValueError
        Naming all columns that are absent, with the nearest column of each.
    """
    _check_columns(_needed(model, judge), frame, table)
    levels = [term for term in model.design_.terms if isinstance(term, CategoricalTerm)]
    text = [term.column for term in levels if not term.numbers]
    digits = [name for name in text if pd.api.types.is_numeric_dtype(frame[name])]
    changed = {name: frame[name].map(label_of, na_action="ignore") for name in digits}
    return frame.assign(**{name: column.astype(object) for name, column in changed.items()})


def _check_columns(needed: list[str], frame: pd.DataFrame, table: Path) -> None:
    names = [str(name) for name in frame.columns]
    absent = [name for name in needed if name not in names]
    if not absent:
        return
    near = {name: get_close_matches(name, names, n=1) for name in absent}
    shown = [f"{n!r}" + (f" (is it {near[n][0]!r}?)" if near[n] else "") for n in absent]
    raise ValueError(
        f"{table.name} lacks {'a column' if len(absent) == 1 else 'columns'} that the model was "
        f"fitted on: {', '.join(shown)}. [absent-column]"
    )


def _needed(model: Any, judge: bool) -> list[str]:
    design = model.design_
    parts = [part for entry in design.schema.sensitive for part in components(entry)]
    sensitive = [part.column if isinstance(part, Binned) else part for part in parts]
    if design.drop_sensitive and not judge:
        sensitive = []
    offset = [] if design.offset is None else [design.offset]
    covariates = [term.column for term in design.terms]
    return list(dict.fromkeys([*covariates, *design.schema.cluster_columns, *sensitive, *offset]))
