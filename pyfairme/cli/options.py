"""Options that commands have in common, and how options are declared."""

from typing import Annotated, Any

import typer

from pyfairme.cli.fit_options import default_of


def option(metavar: str, meaning: str, **more: Any) -> Any:
    """Declare an option that takes a value."""
    return typer.Option(metavar=metavar, help=meaning, **more)


def keyword(name: str, metavar: str, meaning: str) -> Any:
    """Declare an option that is a keyword of the estimators; their signatures have its default."""
    return option(metavar, meaning, show_default=default_of(name))


Names = list[str] | None
Weight = Annotated[
    str | None,
    option(
        "COLUMN",
        "Column with the weight of each row, such as a survey's, in any unit: a fit scales "
        "weights to the effective number of rows.",
    ),
]
DropMissingTarget = Annotated[
    bool, typer.Option("--drop-missing-target", help="Leave out rows without a target.")
]
HoldOutGroups = Annotated[
    str | None,
    option(
        "COLUMN",
        "Column whose rows with one value belong together, such as a patient: they are on one side "
        "of a split. It is no covariate.",
    ),
]
Unseen = Annotated[
    str | None,
    option(
        "POLICY",
        "Clusters that training never saw: infer, population, sample or raise.",
        show_default="as fitted",
    ),
]
