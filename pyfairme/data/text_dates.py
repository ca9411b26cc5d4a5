"""Columns of dates that were read as text, as a CSV file has them."""

import re

from pyfairme.data.columns import Labels

MOSTLY = 0.8  # of the labels
FEW = 12  # labels that may be levels, such as the dates of waves of a survey
ISO = r"\d{4}-[01]\d-[0-3]\d([ T][0-2]\d:[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?"
LOCAL = r"[0-3]?\d(?P<mark>[/.-])[0-3]?\d(?P=mark)(\d{4}|\d\d)"
FORM = re.compile(f"{ISO}|{LOCAL}")
CURE = "(pandas.to_datetime(column) - start).dt.days counts days, .dt.day_name() names weekdays"


def text_date(labels: Labels) -> str | None:
    """Return one of the labels if most are dates, and more than a few; else None.

    Examples
    --------
    >>> days = [f"2011-05-{day:02d}" for day in range(1, 31)]
    >>> text_date(Labels([*range(30)], days, days))
    '2011-05-01'
    >>> text_date(Labels([0, 1], ["2011-05-01", "2015-05-01"], ["2011-05-01", "2015-05-01"]))
    """
    texts = [value.strip() for value in labels.values if isinstance(value, str)]
    found = [text for text in texts if FORM.fullmatch(text)]
    return found[0] if len(found) > FEW and len(found) >= MOSTLY * len(labels.names) else None
