"""Columns of numbers that were read as text: for a decimal comma, or a word among the numbers."""

import re
from typing import NamedTuple

from pyfairme.data.columns import Labels

MOSTLY = 0.8  # of the labels
PLAIN = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d+)?")  # 007 is a code
COMMA = re.compile(r"[-+]?(0|[1-9]\d*|[1-9]\d{0,2}(\.\d{3})+),\d+")
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")


class TextNumbers(NamedTuple):
    """What a column of text holds that should have been numbers.

    Attributes
    ----------
    example
        One of its labels.
    cure
        How to read it as numbers.
    fraction
        Whether labels have a decimal mark or one of thousands, as codes of levels have not.
    words
        How many labels are no number.
    """

    example: str
    cure: str
    fraction: bool
    words: int


def text_numbers(labels: Labels) -> TextNumbers | None:
    """Return what to do where most labels are texts of a number; None where they are not.

    Examples
    --------
    >>> text_numbers(Labels([0, 1], ["1,5", "20"], ["1,5", "20"])).cure
    "pandas.read_csv(..., decimal=',')"
    >>> text_numbers(Labels([0, 1], ["1,500", "20"], ["1,500", "20"])).cure
    "pandas.read_csv(..., thousands=',')"
    >>> text_numbers(Labels([0, 1], ["007", "020"], ["007", "020"])) is None
    True
    """
    texts = [value.strip() for value in labels.values if isinstance(value, str)]
    found = [t for t in texts if any(form.fullmatch(t) for form in (PLAIN, COMMA, THOUSANDS))]
    if not found or len(found) < MOSTLY * len(labels.names):
        return None
    commas = [text for text in found if "," in text]
    marked = commas or [text for text in found if "." in text]
    return TextNumbers(
        example=(marked or found)[0],
        cure=_cure(commas),
        fraction=bool(marked),
        words=len(labels.names) - len(found),
    )


def _cure(commas: list[str]) -> str:
    if not commas:
        return "pandas.to_numeric(..., errors='coerce')"
    if all(THOUSANDS.fullmatch(text) for text in commas):
        return "pandas.read_csv(..., thousands=',')"
    dots = ", thousands='.'" if any("." in text for text in commas) else ""
    return f"pandas.read_csv(..., decimal=','{dots})"
