"""``pyfairme report``: accuracy and fairness of a saved model on the rows of a table."""

import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
import typer

from pyfairme.cli.fairness_text import by_cluster_text, fairness_text
from pyfairme.cli.level_options import ExcludeLevels, MergeLevels, chosen_levels
from pyfairme.cli.options import DropMissingTarget, Names, Unseen, Weight, option
from pyfairme.cli.problems import WIDTH, one_line_errors, say_note, spoken_warnings
from pyfairme.cli.reading import Decimal, Encoding, Missing, Reading, Separator
from pyfairme.cli.roles import (
    number_names,
    parse_sensitive,
    read_target,
    read_weight,
    role_names,
)
from pyfairme.cli.saved_models import Model, load_model, read_for_model, rows_for_model, set_unseen
from pyfairme.cli.table_files import check_columns, check_folder, check_output
from pyfairme.data.columns import label_of
from pyfairme.data.schema import Sensitive, attribute_name
from pyfairme.file_names import free_name, readable_part
from pyfairme.metrics.names import short_names
from pyfairme.plots import plot_cluster_effects, plot_group_rates, plot_training
from pyfairme.report.card.fairness_card import check_suffix
from pyfairme.report.writing import write_csv, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    _Picture = tuple[str, Figure, str]  # name of its file, and what it shows

MOST_PICTURES = 6  # of classes
LONGEST = 25  # letters of a label in the name of a file, or in a title


def report(
    model: Annotated[Path, typer.Argument(help='File that "pyfairme fit" wrote.')],
    table: Annotated[Path, typer.Argument(help="Rows that the model was not trained on.")],
    target: Annotated[str, option("COLUMN", "Column with the outcome.", show_default=False)],
    out: Annotated[Path, option("FOLDER", "Folder for tables and pictures.")] = Path("report"),
    attribute: Annotated[
        Names,
        option(
            "ATTRIBUTE",
            "Attribute to judge, also one that the model does not protect; as --sensitive of "
            "fit, once for each.",
            show_default="those of the model",
        ),
    ] = None,
    weight: Weight = None,
    by_cluster: Annotated[
        bool, typer.Option("--by-cluster", help="Judge every cluster on its own as well.")
    ] = False,
    effects: Annotated[
        str, option("NAME", "Predictions on the screen: mixed, fixed or random.")
    ] = "mixed",
    drop_missing_target: DropMissingTarget = False,
    unseen: Unseen = None,
    level: Annotated[float, option("NUMBER", "Coverage of the intervals.")] = 0.9,
    n_boot: Annotated[int, option("NUMBER", "Bootstrap draws behind them.", min=0)] = 200,
    min_group_size: Annotated[
        int, option("NUMBER", "Rows below which groups are put together; see the docs.", min=0)
    ] = 0,
    exclude: ExcludeLevels = None,
    merge: MergeLevels = None,
    html: Annotated[
        Path | None,
        option("FILE", "Also write the fairness card, one page (or the same as .md or .json)."),
    ] = None,
    encoding: Encoding = None,
    separator: Separator = None,
    decimal: Decimal = None,
    missing: Missing = None,
) -> None:
    """Judge the accuracy and the fairness of a model.

    Every value has an interval and, for disparities, what chance alone would show. Rows of
    clusters that training saw and of new ones are judged apart. The folder gets every metric and
    group as a table, and pictures.

    \b
    Examples:
      pyfairme report loans.pyfairme last_year.csv --target repaid
      pyfairme report loans.pyfairme last_year.csv --target repaid \\
          --attribute sex --attribute "sex*region" --by-cluster --out last_year
      pyfairme report loans.pyfairme last_year.csv --target repaid \\
          --html card.html
    """  # noqa: D301 (\b is click's mark for lines that are not to be wrapped)
    with one_line_errors():
        check_folder(out)
        if html is not None:
            _check_card(html, by_cluster and min_group_size > 1, (model, table))
        fitted = set_unseen(load_model(model), unseen)
        classes = getattr(fitted, "classes_", ())
        every = read_for_model(
            fitted,
            table,
            Reading.of(encoding, separator, decimal, missing),
            text=[*role_names((), attribute or ()), *([target] if _are_text(classes) else [])],
            numbers=number_names(attribute or (), weight),
            also=[target],
        )
        check_columns([target], every, "--target")
        attributes = parse_sensitive(attribute, every, "--attribute") if attribute else None
        rows = rows_for_model(fitted, every, table, judge=attributes is None)
        names = fitted.design_.schema.attribute_names
        names = names if attributes is None else tuple(map(attribute_name, attributes))
        levels = chosen_levels(exclude, merge, names)
        frame, y = read_target(rows, target, drop_missing=drop_missing_target)
        counted = read_weight(frame, weight)
        X = frame.drop(columns=[target] if weight is None else [target, weight])
        _check_effects(effects)

        def judged(by_cluster: bool) -> pd.DataFrame:
            with spoken_warnings():
                return fitted.fairness_report(
                    X,
                    y,
                    by_cluster=by_cluster,
                    attributes=attributes,
                    n_boot=n_boot,
                    level=level,
                    min_group_size=min_group_size,
                    sample_weight=counted,
                    **levels,
                )

        left_out = len(every) - len(frame)
        gone = f"; {left_out:,} without a target are left out" if left_out else ""
        found, tables = None, {}
        if by_cluster and min_group_size > 1:
            typer.echo(textwrap.fill(f"{table.name}: {len(frame):,} rows{gone}.", WIDTH))
            older = out / "fairness_report.csv"
            there = f" {older} is from an earlier run: remove it." if older.exists() else ""
            say_note(
                "only the table of clusters is written: beside the table of all rows it would "
                "reveal groups smaller than --min-group-size. Share only one of the two."
                f"{there} [clusters-alone]"
            )
        else:
            found = judged(False)
            typer.echo(textwrap.fill(f"{table.name}: {_rows(found)}{gone}.", WIDTH))
            typer.echo(f"{_positive(found)}\n{fairness_text(found, effects, level)}")
            tables["fairness_report.csv"] = (found, "every metric and group, with notes")
        if by_cluster:
            lines = judged(True)
            typer.echo(f"{'' if tables else _positive(lines)}\n{by_cluster_text(lines, effects)}")
            tables["fairness_by_cluster.csv"] = (lines, "the same for every cluster")
        if len(fitted.cluster_effects_):
            tables["cluster_effects.csv"] = (fitted.cluster_effects_, "effect of every cluster")
        typer.echo(f"\nIn {out.resolve()}:")
        for name, meaning in _write(out, fitted, found, tables).items():
            typer.echo(f"  {name:<30} {meaning}")
        if html is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the report has said them; the card holds them
                options: Any = {"n_boot": n_boot, "level": level, "sample_weight": counted}
                options |= {"min_group_size": min_group_size, **levels}
                card = fitted.card(X, y, attributes, **options)
            typer.echo(f"\nFairness card: {card.save(html).resolve()}")
        _say_no_groups(fitted, attributes)


def _check_card(path: Path, clusters_alone: bool, inputs: Iterable[Path]) -> None:
    """Refuse a card that cannot be written, or would show what is to be hidden."""
    if clusters_alone:
        raise ValueError(
            "A card has the report of all rows, which beside that of every cluster would reveal "
            "groups smaller than --min-group-size: leave out --html or --by-cluster. "
            "[card-shows-all]"
        )
    check_suffix(path)
    check_output(path, "--html", table=False, inputs=inputs)


def _are_text(classes: Iterable[Any]) -> bool:
    return any(isinstance(label, str) for label in classes)


def _check_effects(effects: str) -> None:
    if effects not in ("mixed", "fixed", "random"):
        raise ValueError(f"--effects is mixed, fixed or random; got {effects!r}. [unknown-choice]")


def _positive(report: pd.DataFrame) -> str:
    """Return a line with the positive class, where there is one."""
    positive = report.attrs.get("positive")
    return "" if positive is None else f"positive class: {label_of(positive)}\n"


def _rows(report: pd.DataFrame) -> str:
    sizes = {
        name: int(report.loc[report["clusters"] == name, "n"].to_numpy().max())
        for name in dict.fromkeys(report["clusters"])
    }
    parts = [f"{sizes.get('seen', 0):,} of clusters that training saw"]
    parts.append(f"{sizes.get('unseen', 0):,} of new clusters")
    return f"{sum(sizes.values()):,} rows, {' and '.join(parts)}"


def _write(
    folder: Path,
    model: Model,
    report: pd.DataFrame | None,
    tables: dict[str, tuple[pd.DataFrame, str]],
) -> dict[str, str]:
    """Write tables and pictures; return the files and what they hold."""
    meanings = {}
    for name, (frame, meaning) in tables.items():
        write_csv(frame, folder / name)
        meanings[name] = meaning
    for wanted, figure, meaning in _figures(model, report):
        name = free_name(wanted, meanings)
        write_figure(figure, folder / name)
        meanings[name] = meaning
    return meanings


def _figures(model: Model, report: pd.DataFrame | None) -> "Iterator[_Picture]":
    if report is not None:
        yield from _rates(report)
    yield from _effects(model)
    yield "training.png", plot_training(model.history_), "training curves of the model"


def _rates(report: pd.DataFrame) -> "Iterator[_Picture]":
    """Draw the groups' rates by fixed and by mixed effects; a regression has none."""
    rates = report.loc[report["metric"].isin(("tpr", "fpr"))]
    classes = list(dict.fromkeys(rates["class"]))
    for clusters in dict.fromkeys(rates["clusters"]):
        for label in classes[:MOST_PICTURES]:
            lines = rates.loc[(rates["clusters"] == clusters) & (rates["class"] == label)]
            part, title = "", f"Rates by group, {clusters} clusters"
            if len(classes) > 1:
                part, title = f"_{_file_part(label)}", f"{title}, class {_shown(label)}"
            fixed = lines.loc[lines["effects"] == "fixed"].assign(effects="mixed")
            figure = plot_group_rates(
                fixed, lines, names=("fixed effects", "mixed effects"), clusters=clusters,
                title=title,
            )  # fmt: skip
            yield f"group_rates_{clusters}{part}.png", figure, "TPR and FPR of every group"


def _effects(model: Model) -> "Iterator[_Picture]":
    effects = model.cluster_effects_
    factors = list(dict.fromkeys(effects["factor"]))
    classes = list(dict.fromkeys(effects["class"])) if "class" in effects else [None]
    for factor in factors:
        for label in classes[:MOST_PICTURES]:
            lines = effects.loc[effects["factor"] == factor]
            parts = [factor] if len(factors) > 1 else []
            if label is not None and len(classes) > 1:
                lines = lines.loc[lines["class"] == label]
                parts.append(label)
            name = "_".join(["cluster_effects", *map(_file_part, parts)])
            title = ", ".join(["Cluster effects", *map(_shown, parts)])
            figure = plot_cluster_effects(lines, unit=_unit(model), title=title)
            yield f"{name}.png", figure, "effect of every cluster with its interval"


def _unit(model: Model) -> str:
    if hasattr(model, "classes_"):
        return "log-odds"
    return "log of the mean" if model.target_.log_link else "units of the target"


def _shown(label: object) -> str:
    (name,) = short_names([label_of(label)], LONGEST).values()
    return name


def _file_part(label: object) -> str:
    return readable_part(label_of(label), LONGEST)


def _say_no_groups(model: Model, attributes: Sequence[Sensitive] | None) -> None:
    if not attributes and not model.design_.attributes:
        say_note("the model has no sensitive attributes; --attribute COLUMN compares groups.")
