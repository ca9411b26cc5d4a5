"""How a table is to be read: the options that every command with a table has, and their check."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}

Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Encoding of a text file: cp1252, utf-16, ...",
        show_default="found in the file",
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        metavar="MARK", help="Between cells: ';', tab, ...", show_default="found in the file"
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        metavar="MARK", help="Decimal mark: a point or a comma.", show_default="found in the file"
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORD",
        help="Cell that stands for a missing value, such as NA; once for each.",
        show_default="blank cells only, and NA among numbers",
    ),
]


@dataclass(frozen=True)
class Reading:
    """How a table is to be read; None is found out.

    Parameters
    ----------
    encoding
        Name of the encoding, as Python has it.
    separator
        The mark between cells.
    decimal
        "." or ",".
    missing
        Cells that stand for gaps, besides blank ones.
    usual_decimal
        The decimal mark of a table whose cells can be read either way; None refuses it.
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    missing: tuple[str, ...] = ()
    usual_decimal: str | None = None

    @classmethod
    def of(
        cls,
        encoding: str | None = None,
        separator: str | None = None,
        decimal: str | None = None,
        missing: Iterable[str] | None = None,
    ) -> "Reading":
        """Check options as they are typed.

        Raises
        ------
        ValueError
            For an encoding that Python does not know, and for marks that are none.
        """
        if encoding is not None:
            _check_encoding(encoding)
        if separator is not None:
            separator = NAMED.get(separator, separator)
            if len(separator) != 1 or separator in '"\r\n':
                raise ValueError(
                    f"--separator is one mark such as ';', or the word tab; got {separator!r}. "
                    "[separator]"
                )
        if decimal is not None and (decimal not in (".", ",") or decimal == separator):
            raise ValueError(
                "--decimal is a point or a comma, and not the mark between cells; got "
                f"{decimal!r}. [decimal-mark]"
            )
        return cls(encoding, separator, decimal, tuple(w.strip() for w in missing or ()))

    def remembered(self) -> dict[str, Any]:
        """Return what a model keeps for the tables that it will predict; {} for a plain table."""
        found: dict[str, Any] = {}
        if self.missing:
            found["missing"] = list(self.missing)
        if self.decimal == ",":
            found["decimal"] = self.decimal
        return found

    def as_remembered(self, saved: Mapping[str, Any]) -> "Reading":
        """Return the reading of a later table: gaps are spelled as in training."""
        missing = dict.fromkeys([*self.missing, *saved.get("missing", ())])
        return replace(self, missing=tuple(missing), usual_decimal=saved.get("decimal"))


PLAIN = Reading()


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except LookupError as error:
        raise ValueError(
            f"--encoding {name!r} is no encoding that Python knows: expected a name such as "
            "utf-8, cp1252, utf-16 or shift_jis. [encoding]"
        ) from error
