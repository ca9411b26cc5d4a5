"""``pyfairme fit``: a table to a fitted model in a file."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pyfairme.cli.describe import describe_fit, shell_words
from pyfairme.cli.fairness_text import fairness_text
from pyfairme.cli.fit_options import estimator_keywords
from pyfairme.cli.level_options import ExcludeLevels, MergeLevels, chosen_levels
from pyfairme.cli.options import DropMissingTarget, HoldOutGroups, Names, Weight, keyword, option
from pyfairme.cli.problems import one_line_errors, say_note, spoken_warnings
from pyfairme.cli.reading import Decimal, Encoding, Missing, Reading, Separator
from pyfairme.cli.roles import Roles, number_names, parse_clusters, parse_sensitive, role_names
from pyfairme.cli.saved_models import Model, key_of_models, remember_reading
from pyfairme.cli.table_files import check_output, read_table_as, write_table
from pyfairme.cli.training_table import Learning, Split, read_learning
from pyfairme.data.schema import attribute_name
from pyfairme.estimators import FairMixedEffectsClassifier, FairMixedEffectsRegressor
from pyfairme.model.likelihoods import LIKELIHOODS
from pyfairme.model.penalties import PENALTIES
from pyfairme.variants import VARIANTS

RARE = 0.2  # share of a class below which .5 is hardly a threshold
KEYWORDS = (  # options that are keywords of the estimators
    *("likelihood", "random_slopes", "fairness", "fairness_weight", "criterion", "hidden"),
    *("offset", "threshold", "unseen", "epochs", "min_steps", "batch_size", "learning_rate"),
    "validation_fraction",
)


def fit(
    table: Annotated[Path, typer.Argument(help="CSV, TSV (also .gz) or Parquet file.")],
    target: Annotated[str, option("COLUMN", "Column to predict.", show_default=False)],
    positive: Annotated[
        str | None,
        option(
            "CLASS",
            "The positive class of two, such as approved.",
            show_default="the last in alphabetical order",
        ),
    ] = None,
    cluster: Annotated[
        Names,
        option(
            "COLUMN",
            "Column that groups rows; again for a crossed factor; school/class for classes "
            "numbered anew in each school.",
        ),
    ] = None,
    sensitive: Annotated[
        Names,
        option(
            "ATTRIBUTE",
            "Sensitive attribute, once for each: a column; age:30,45 for brackets of a "
            "number (name=age:30,45 names them), age:continuous for the number itself; "
            "sex*race for an intersection.",
        ),
    ] = None,
    drop: Annotated[Names, option("COLUMN", "Column to leave out, once for each.")] = None,
    categorical: Annotated[
        Names, option("COLUMN", "Column of numbers that are codes, not amounts, once for each.")
    ] = None,
    weight: Weight = None,
    drop_missing_target: DropMissingTarget = False,
    out: Annotated[Path, option("FILE", "File for the model.")] = Path("model.pyfairme"),
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="Leave values of single rows and names of clusters out of the file."
        ),
    ] = False,
    hold_out: Annotated[
        float, option("SHARE", "Share of rows kept for the fairness table; 0 trains on all.")
    ] = 0.2,
    hold_out_groups: HoldOutGroups = None,
    held_out_rows: Annotated[
        Path | None, option("FILE", "Table file to write the held-out rows to.")
    ] = None,
    task: Annotated[
        str, option("TASK", "classification, regression, or auto: text and two values are classes.")
    ] = "auto",
    likelihood: Annotated[
        str | None, keyword("likelihood", "NAME", f"Of a regression: {', '.join(LIKELIHOODS)}.")
    ] = None,
    variant: Annotated[
        str | None,
        option(
            "NAME",
            f"A model of the paper: {', '.join(VARIANTS)}; the options below go before it.",
            show_default="none of them; the options' own defaults",
        ),
    ] = None,
    random_slopes: Annotated[
        str | None,
        keyword(
            "random_slopes",
            "COLUMNS",
            "all, hidden, none, or columns: hours,age; with a comma in a name: '\"a, b\",c'.",
        ),
    ] = None,
    fairness: Annotated[
        str | None,
        keyword("fairness", "NAMES", f"One or several of {', '.join(PENALTIES)}; or none."),
    ] = None,
    fairness_weight: Annotated[
        float | None, keyword("fairness_weight", "NUMBER", "How strongly fairness counts.")
    ] = None,
    criterion: Annotated[
        str | None,
        keyword("criterion", "NAME", "equalized_odds, demographic_parity or equal_opportunity."),
    ] = None,
    exclude: ExcludeLevels = None,
    merge: MergeLevels = None,
    drop_sensitive: Annotated[
        bool, typer.Option("--drop-sensitive", help="Hide sensitive columns from the network.")
    ] = False,
    hidden: Annotated[
        str | None, keyword("hidden", "WIDTHS", "Widths of hidden layers; none: linear.")
    ] = None,
    offset: Annotated[
        str | None,
        option(
            "COLUMN", "Column added on the link scale: the log of the exposure, not the exposure."
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        keyword(
            "threshold",
            "NUMBER",
            "Probability of a positive decision, or balanced_accuracy: chosen on validation rows.",
        ),
    ] = None,
    unseen: Annotated[
        str | None,
        keyword("unseen", "POLICY", "For new clusters: infer, population, sample or raise."),
    ] = None,
    epochs: Annotated[int | None, keyword("epochs", "NUMBER", "Passes over the rows.")] = None,
    min_steps: Annotated[
        int | None, keyword("min_steps", "NUMBER", "Steps at least, on small tables.")
    ] = None,
    batch_size: Annotated[int | None, keyword("batch_size", "ROWS", "Rows per step.")] = None,
    learning_rate: Annotated[float | None, keyword("learning_rate", "NUMBER", "Of Adam.")] = None,
    validation_fraction: Annotated[
        float | None,
        keyword(
            "validation_fraction",
            "SHARE",
            "Share of the training rows by which a fit stops and chooses a threshold.",
        ),
    ] = None,
    encoding: Encoding = None,
    separator: Separator = None,
    decimal: Decimal = None,
    missing: Missing = None,
    seed: Annotated[int, option("NUMBER", "Seeds the split and the training.", min=0)] = 0,
) -> None:
    """Fit a model to a table and save it.

    All columns that have no other role are covariates: numbers as amounts, text as levels. Drop
    row numbers, names, and what is known only after the outcome.

    \b
    Examples:
      pyfairme fit loans.csv --target repaid --cluster branch --sensitive sex
      pyfairme fit loans.csv --target repaid --cluster branch \\
          --sensitive sex --sensitive age:30,45 --sensitive "sex*region" \\
          --drop loan_number --categorical postcode --out loans.pyfairme
      pyfairme fit visits.parquet --target days --cluster clinic \\
          --sensitive sex --likelihood poisson --random-slopes age
    """  # noqa: D301 (\b is click's mark for lines that are not to be wrapped)
    given = locals()
    keywords = {name: given[name] for name in KEYWORDS}
    keywords |= {"drop_sensitive": drop_sensitive or None, "random_state": seed}
    with one_line_errors():
        key = key_of_models()
        check_output(out, "--out", table=False, inputs=[table])
        if held_out_rows is not None:
            check_output(held_out_rows, "--held-out-rows", inputs=[table, out])
        if not 0 <= hold_out < 1:
            raise ValueError(
                f"--hold-out is a share from 0 to below 1, got {hold_out:g}. [hold-out]"
            )
        frame, reading = read_table_as(
            table,
            [*role_names(cluster or (), sensitive or ()), *(categorical or ())],
            numbers=number_names(sensitive or (), offset, weight),
            used=lambda name: name not in (drop or ()),
            reading=Reading.of(encoding, separator, decimal, missing),
        )
        size = f"{table.name}: {len(frame):,} rows, {len(frame.columns)} columns"
        roles = Roles(
            target=target,
            cluster=parse_clusters(cluster or (), frame),
            sensitive=parse_sensitive(sensitive or (), frame),
            dropped=tuple(drop or ()),
            categorical=tuple(categorical or ()),
            weight=weight,
            positive=positive,
        ).without_groups(hold_out_groups, frame)
        levels = chosen_levels(exclude, merge, map(attribute_name, roles.sensitive))
        learning = read_learning(frame, roles, task, likelihood, drop_missing=drop_missing_target)
        gone = f"; {learning.left_out:,} rows without a target are left out"
        typer.echo(f"{size}{gone if learning.left_out else ''}\n{learning.described()}")
        estimator = _estimator(learning, variant, {**keywords, **levels})
        split = learning.split(hold_out, seed, hold_out_groups)
        _say_split(learning, split)
        if threshold is None and variant is None:
            _say_rare(learning)
        start = time.perf_counter()
        with spoken_warnings():
            estimator.fit(
                learning.covariates.iloc[split.training],
                learning.y.iloc[split.training],
                sample_weight=learning.weights(split.training),
                groups=learning.groups(hold_out_groups, split.training),
            )
        seconds = time.perf_counter() - start
        remember_reading(estimator, reading)
        estimator.save(out, key=key, private=private)
        typer.echo(f"\n{describe_fit(estimator, len(split.training), seconds)}")
        if len(split.held):
            _judge(estimator, learning, split.held)
        if held_out_rows is not None:
            write_table(learning.frame.iloc[split.held], held_out_rows)
        _say_next(out, target, held_out_rows, weight, reading)


def _estimator(learning: Learning, variant: str | None, options: Mapping[str, Any]) -> Model:
    keywords = estimator_keywords(learning.roles, learning.covariates, variant, options)
    if learning.schema.task == "classification":
        return FairMixedEffectsClassifier(**keywords, pos_label=learning.positive)
    if keywords.pop("threshold", None) is not None:
        raise ValueError(
            "--threshold is for classification: leave it out. [threshold-of-regression]"
        )
    return FairMixedEffectsRegressor(**keywords)


def _say_split(learning: Learning, split: Split) -> None:
    typer.echo(f"Training on {len(split.training):,} rows, {len(split.held):,} are held out.")
    for name in learning.row_numbers():
        say_note(f"{name!r} differs in every row: if it only numbers them, use --drop {name!r}.")
    if not learning.roles.cluster:
        say_note("without --cluster there are no random effects: a plain network.")
    if not learning.roles.sensitive:
        say_note("without --sensitive nothing is made fair and no groups are compared.")


def _say_rare(learning: Learning) -> None:
    share = learning.rarer_share()
    if share < RARE:
        say_note(
            f"only {share:.1%} of the rows are of the rarer class: decisions at a probability of "
            ".5 may be the same for all rows. --threshold balanced_accuracy chooses the threshold "
            "on validation rows."
        )


def _judge(estimator: Model, learning: Learning, held: np.ndarray) -> None:
    with spoken_warnings():
        report = estimator.fairness_report(
            learning.covariates.iloc[held],
            learning.y.iloc[held],
            sample_weight=learning.weights(held),
        )
    typer.echo(f"\nOn the held-out rows:\n\n{fairness_text(report)}")


def _say_next(
    out: Path, target: str, held_out_rows: Path | None, weight: str | None, reading: Reading
) -> None:
    size = out.stat().st_size / 1024
    typer.echo(f"\nThe model is in {out} ({size:,.0f} kB). Next:")
    rows = "NEW_ROWS.csv" if held_out_rows is None else held_out_rows
    predict = ["pyfairme", "predict", out, "NEW_ROWS.csv", "--out", "predictions.csv"]
    weighted = [] if weight is None else ["--weight", weight]
    report = ["pyfairme", "report", out, rows, "--target", target, *weighted, "--out", "report"]
    if held_out_rows is not None and reading.decimal == ",":
        report += ["--decimal", "."]  # the rows that we write are plain CSV
    typer.echo(f"  {shell_words(predict)}")
    typer.echo(f"  {shell_words(report)}")
    if held_out_rows is None:
        typer.echo("Report on rows that the model has not seen; --held-out-rows FILE keeps some.")
    else:
        typer.echo(f"The rows in {held_out_rows} were held out of training.")
