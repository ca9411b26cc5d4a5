"""``pyfairme predict``: a saved model and a table to a table of predictions."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from pyfairme.cli.options import Names, Unseen, option
from pyfairme.cli.problems import one_line_errors, say_note, spoken_warnings
from pyfairme.cli.reading import Decimal, Encoding, Missing, Reading, Separator
from pyfairme.cli.saved_models import Model, load_model, read_for_model, rows_for_model, set_unseen
from pyfairme.cli.table_files import check_columns, check_output, write_table
from pyfairme.data.columns import label_of
from pyfairme.estimators import FairMixedEffectsClassifier
from pyfairme.estimators.cluster_label_warnings import expecting_new_clusters
from pyfairme.estimators.interval_kind import interval_kind
from pyfairme.estimators.table_inputs import new_clusters
from pyfairme.metrics.names import listed

SHOWN = 5


def predict(
    model: Annotated[Path, typer.Argument(help='File that "pyfairme fit" wrote.')],
    table: Annotated[Path, typer.Argument(help="CSV, TSV (also .gz) or Parquet file.")],
    out: Annotated[
        Path, option("FILE", "File for the predictions: .csv, .tsv or .parquet.")
    ] = Path("predictions.csv"),
    keep: Annotated[
        Names,
        option("COLUMN", "Column to copy into the predictions, such as an id; once for each."),
    ] = None,
    effects: Annotated[
        str, option("NAME", "mixed; fixed: without the cluster; random: of the cluster alone.")
    ] = "mixed",
    level: Annotated[float, option("NUMBER", "Coverage of the interval low to high.")] = 0.9,
    kind: Annotated[
        str,
        option(
            "NAME",
            "Interval of the mean (or probability), of its uncertainty about the cluster alone, or "
            "of a new observation; auto: mean, or cluster for a network without a posterior.",
        ),
    ] = "auto",
    unseen: Unseen = None,
    encoding: Encoding = None,
    separator: Separator = None,
    decimal: Decimal = None,
    missing: Missing = None,
) -> None:
    """Predict for the rows of a table.

    The table needs the columns that the model was fitted on; the target may be absent. Columns of
    the result: row (from 1), those of --keep, prediction, for classes the probability, low and high
    of the interval, and cluster_seen, whether training had the row's cluster. With more than two
    classes, probability_A, low_A, high_A for each class A.

    \b
    Examples:
      pyfairme predict loans.pyfairme new_loans.csv
      pyfairme predict loans.pyfairme new_loans.csv --keep loan_number \\
          --level 0.95 --unseen population --out decisions.parquet
    """  # noqa: D301 (\b is click's mark for lines that are not to be wrapped)
    with one_line_errors():
        check_output(out, "--out", inputs=[model, table])
        fitted = set_unseen(load_model(model), unseen)
        kept = keep or []
        reading = Reading.of(encoding, separator, decimal, missing)
        frame = read_for_model(fitted, table, reading, also=kept)
        check_columns(kept, frame, "--keep")
        rows = rows_for_model(fitted, frame, table)
        kind = interval_kind(kind, fitted.fit_.spec)
        with spoken_warnings(), expecting_new_clusters():  # _news says it
            found = prediction_table(fitted, rows, effects, level, kind)
        write_table(_with_ids(found, frame, kept), out)
        typer.echo(f"{table.name}: {len(frame):,} rows predicted with {effects} effects.")
        for text in _summary(fitted, found, level, kind):
            typer.echo(f"  {text}")
        for text in _news(fitted, frame, found, effects):
            say_note(text)
        typer.echo(f"The predictions are in {out}.")


def prediction_table(
    model: Model, frame: pd.DataFrame, effects: str, level: float, kind: str
) -> pd.DataFrame:
    """Return predictions, probabilities, interval and whether the cluster was seen.

    Parameters
    ----------
    model
        Fitted estimator.
    frame
        Rows to predict, (n, columns).
    effects, level, kind
        As of the estimator's ``predict_interval``.

    Returns
    -------
    DataFrame
        prediction, for classes probability, then low and high (for more than two classes each with
        "_" and the class at the end), cluster_seen; rows as in the frame.
    """
    interval = model.predict_interval(frame, level=level, kind=kind, effects=effects)
    columns: dict[str, Any] = {"prediction": model.predict(frame, effects=effects)}
    if isinstance(model, FairMixedEffectsClassifier) and len(model.classes_) > 2:
        columns |= _by_class(model, frame, interval, effects)
    else:
        if isinstance(model, FairMixedEffectsClassifier):
            columns["probability"] = model.predict_proba(frame, effects=effects)[:, 1]
        columns |= {name: interval[name].to_numpy() for name in ("low", "high")}
    columns["cluster_seen"] = _seen(model, frame)
    return pd.DataFrame(columns)


def _by_class(
    model: FairMixedEffectsClassifier, frame: pd.DataFrame, interval: pd.DataFrame, effects: str
) -> dict[str, np.ndarray]:
    probability = model.predict_proba(frame, effects=effects)
    found = {f"probability_{label_of(c)}": probability[:, i] for i, c in enumerate(model.classes_)}
    for label in model.classes_:
        mine = interval.loc[(interval["class"] == label).to_numpy()]
        found |= {f"{name}_{label_of(label)}": mine[name].to_numpy() for name in ("low", "high")}
    return found


def _seen(model: Model, frame: pd.DataFrame) -> np.ndarray:
    """Rows all of whose clusters training had; all of them for a model without clusters."""
    seen = np.ones(len(frame), bool)
    for factor in model.design_.factors:
        seen &= factor.encode(frame) >= 0
    return seen


def _with_ids(found: pd.DataFrame, frame: pd.DataFrame, keep: list[str]) -> pd.DataFrame:
    taken = [name for name in keep if name in found or name == "row"]
    if taken:
        raise ValueError(
            f"--keep {taken[0]}: a column of the predictions has this name; rename it in the "
            "table. [keep-name]"
        )
    ids = {"row": np.arange(1, len(frame) + 1), **{name: frame[name].array for name in keep}}
    return pd.concat([pd.DataFrame(ids), found], axis=1)


def _summary(model: Model, found: pd.DataFrame, level: float, kind: str) -> list[str]:
    """Say what the columns are, and how the predictions lie."""
    of = {
        "mean": "what it expects",
        "cluster": "what it expects as far as clusters are uncertain (not the network)",
        "observation": "a new observation",
    }[kind]
    bounds = f"low and high: {100 * level:g} % interval of"
    prediction = found["prediction"]
    if not hasattr(model, "classes_"):
        return [
            f"prediction: mean {prediction.mean():.4g}, from {prediction.min():.4g} to "
            f"{prediction.max():.4g}",
            f"{bounds} {of}",
        ]
    counts = prediction.value_counts()
    names = listed(map(label_of, model.classes_))
    shares = [f"{n} {counts.get(c, 0):,}" for n, c in zip(names, model.classes_, strict=True)]
    lines = [f"prediction: {', '.join(shares)}"]
    if len(model.classes_) == 2:
        lines.append(f"probability: of the class {names[1]}")
    what = {
        "mean": "the probability",
        "cluster": "the probability as far as clusters are uncertain (not the network)",
        "observation": "a new observation, 0 or 1",
    }[kind]
    return [*lines, f"{bounds} {what}"]


def _news(model: Model, frame: pd.DataFrame, found: pd.DataFrame, effects: str) -> list[str]:
    """Say how many rows have clusters that training never saw, and what was done with them."""
    rows = int(np.sum(~found["cluster_seen"].to_numpy()))
    if not rows:
        return []
    done = {
        "infer": "their effects are guessed from the seen clusters that their rows resemble",
        "population": "they are treated as average clusters",
        "sample": "their effects are drawn from the spread between seen clusters",
    }[model.unseen]
    if effects == "fixed":
        done = "fixed effects do not use the cluster"
    texts = []
    for name in model.design_.clusters:
        labels = new_clusters(model.design_, frame, name)
        if labels:
            more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
            texts.append(f"{name}: {', '.join(listed(labels[:SHOWN]))}{more}")
    return [f"{rows:,} rows are of unseen clusters ({'; '.join(texts)}): {done}."]
