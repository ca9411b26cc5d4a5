"""Warnings that point at the user's own line.

Every message of pyfairme, warning or error, ends with its code in square brackets, such as
``[one-cluster]``; ``docs/faq.md`` has a heading of that name with the cause and the cure. Codes
stay when wordings change, so that they can be searched for and filtered by.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

__all__ = ["DataWarning", "warn"]

_OURS = str(Path(__file__).parent)
_BETWEEN = ("sklearn", "joblib", "fairlearn")  # what may stand between a user's line and ours


class DataWarning(UserWarning):
    """Something in the table is probably not what the user thinks it is."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest line outside of pyfairme, scikit-learn, joblib and fairlearn.

    Parameters
    ----------
    message
        What was found and what to do, ending with its code in square brackets.
    category
        Class of the warning.
    """
    warnings.warn(message, category, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """Return the ``stacklevel`` for `warn`; that of the outermost frame where all are ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    return level


def _is_between(file: str) -> bool:
    if file.startswith(_OURS):
        return True
    parts = Path(file).parts
    return "site-packages" in parts and parts[parts.index("site-packages") + 1] in _BETWEEN
