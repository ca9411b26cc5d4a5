"""Turn errors into one line and exit code 2, and warnings into notes."""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

WIDTH = 80
EXIT_CODE = 2


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn errors that a user can act on into one line on stderr and exit code 2.

    These are ValueError (of the library as well: its texts say what to do), OSError and
    FloatingPointError. Anything else is a defect of ours and keeps its traceback.
    """
    try:
        yield
    except FileNotFoundError as error:
        text = str(error) if error.filename is None else f"there is no file {error.filename!r}"
        raise _stop(text) from error
    except (ValueError, OSError, FloatingPointError) as error:
        raise _stop(str(error)) from error


def _stop(text: str) -> typer.Exit:
    typer.echo(f"Error: {' '.join(text.split())}", err=True)
    return typer.Exit(EXIT_CODE)


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """Say the library's warnings as notes, each text once; warnings of others pass on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    ours = [w for w in caught if issubclass(w.category, UserWarning)]
    for text in dict.fromkeys(str(warning.message) for warning in ours):
        say_note(text)
    for other in caught:
        if not issubclass(other.category, UserWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)


def say_note(text: str) -> None:
    """Print a note, wrapped."""
    typer.echo(textwrap.fill(f"Note. {text}", WIDTH, subsequent_indent="  "))
