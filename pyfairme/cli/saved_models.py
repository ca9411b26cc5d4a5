"""Saved models: load one, and bring the rows of a table into the form that it takes."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from pyfairme.cli.reading import Reading
from pyfairme.cli.table_files import read_table
from pyfairme.data.brackets import Brackets
from pyfairme.data.columns import label_of
from pyfairme.data.encoders import CategoricalTerm
from pyfairme.data.schema import components
from pyfairme.estimators import FairMixedEffectsClassifier, FairMixedEffectsRegressor, load
from pyfairme.estimators.estimator_keywords import UNSEEN, check_choice
from pyfairme.persistence import secret_of

Model = FairMixedEffectsClassifier | FairMixedEffectsRegressor


def load_model(path: Path) -> Model:
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
            f"there is no file {str(path)!r}: give the model first, then the table; "
            '"pyfairme fit" makes it. [no-file]'
        )
    return load(path, key=key_of_models())


def key_of_models() -> bytes | None:
    """Return the key that models are signed with, from the environment; None where there is none.

    An option would show it to everybody who lists the machine's processes. An empty one is refused:
    it is what a job sees whose secret is missing.
    """
    return secret_of(os.environ.get("PYFAIRME_KEY"))


def set_unseen(model: Model, policy: str | None) -> Model:
    """Return the model with another policy for new clusters, or as it is for None."""
    if policy is None:
        return model
    check_choice("unseen", policy, UNSEEN)
    return model.set_params(unseen=policy)


def remember_reading(model: Model, reading: Reading) -> None:
    """Keep how the table was read, for `read_for_model`, with the model's file."""
    model._reading = reading.remembered()


def read_for_model(
    model: Model,
    table: Path,
    reading: Reading,
    *,
    text: Iterable[str] = (),
    numbers: Iterable[str] = (),
    also: Iterable[str] = (),
) -> pd.DataFrame:
    """Read a table as that of the fit was read: "01" stays "01", gaps are spelled alike.

    Parameters
    ----------
    model
        Fitted estimator.
    table
        The file.
    reading
        What is known of the file.
    text, numbers
        More columns that are text, or numbers.
    also
        More columns that are used.
    """
    design = model.design_
    parts = [part for entry in design.schema.sensitive for part in components(entry)]
    names = [part for part in parts if not isinstance(part, Brackets)]
    levels = [term.column for term in design.terms if isinstance(term, CategoricalTerm)]
    names += [*levels, *design.schema.cluster_columns, *text]
    counts = [part.column for part in parts if isinstance(part, Brackets)]
    counts += [term.column for term in design.terms]
    counts += [*([] if design.offset is None else [design.offset]), *numbers]
    used = {*names, *counts, *also}
    reading = reading.as_remembered(getattr(model, "_reading", {}))
    return read_table(
        table, names, numbers=set(counts) - set(names), used=used.__contains__, reading=reading
    )


def rows_for_model(
    model: Model, frame: pd.DataFrame, table: Path, *, judge: bool = False
) -> pd.DataFrame:
    """Return the rows as the model takes them, or refuse a table that lacks columns.

    A column that was text in training and holds numbers in a Parquet file becomes text.

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


def _needed(model: Model, judge: bool) -> list[str]:
    design = model.design_
    parts = [part for entry in design.schema.sensitive for part in components(entry)]
    sensitive = [part.column if isinstance(part, Brackets) else part for part in parts]
    if design.drop_sensitive and not judge:
        sensitive = []
    offset = [] if design.offset is None else [design.offset]
    covariates = [term.column for term in design.terms]
    return list(dict.fromkeys([*covariates, *design.schema.cluster_columns, *sensitive, *offset]))
