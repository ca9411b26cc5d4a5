"""All commands under one name."""

from typing import Annotated

import typer

import pyfairme
from pyfairme.cli.demo import demo
from pyfairme.cli.fit import fit
from pyfairme.cli.predict import predict
from pyfairme.cli.report import report
from pyfairme.cli.reproduce import reproduce
from pyfairme.cli.tune import tune
from pyfairme.compiled_files import keep_compiled_unasked

app = typer.Typer(
    help="Fair mixed-effects deep learning for clustered data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help and errors wrap well at any width
    context_settings={"max_content_width": 100},
)
app.command(short_help="Compare a fair with a plain model on bundled data.")(demo)
app.command()(fit)
app.command()(predict)
app.command()(report)
app.command()(reproduce)
app.command()(tune)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pyfairme {pyfairme.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Fair mixed-effects deep learning for clustered data.

    Start with "pyfairme demo", or with a table of your own: fit, predict, report.
    """
    keep_compiled_unasked()
