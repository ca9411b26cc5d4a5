"""What is said of a training wherever it is told: groups with their rows, loss, adversaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.attributes import Attribute
from pyfairme.inference.adversary_restarts import RESTARTS, times
from pyfairme.metrics.names import listed
from pyfairme.report.display.short_number import short_number

MANY = 12
FAR_ABOVE = 0.25  # of the training loss
SKILL = "0 or less: predictions do not tell the group"


def group_sizes(attribute: Attribute, counted: bool = True, most: int = MANY) -> str:
    """Name the levels of an attribute with their training rows.

    Parameters
    ----------
    attribute
        As it was learned.
    counted
        Give the numbers of rows.
    most
        Levels that are named.
    """
    counts = zip(listed(attribute.levels), attribute.counts, strict=True)
    each = [f"{level} {int(n):,}" if counted else level for level, n in counts]
    more = f" and {len(each) - most} more" if len(each) > most else ""
    return ", ".join(each[:most]) + more


def loss_reached(last: Mapping[Any, Any]) -> str:
    """Give the loss of the last line of a history, and that of validation rows where there are any.

    Examples
    --------
    >>> loss_reached({"mixed": 0.4, "validation/mixed": 0.42})
    'loss .400 (.420 on validation rows)'
    """
    held = float(last.get("validation/mixed", np.nan))
    text = f"loss {short_number(float(last['mixed']))}"
    return text + (f" ({short_number(held)} on validation rows)" if np.isfinite(held) else "")


def learned_by_heart(
    last: Mapping[Any, Any], smaller: str = "hidden=(16,)", fewer: str = "epochs=, min_steps="
) -> str:
    """Say that validation rows fare much worse than training rows, and what to try; "" if not.

    Parameters
    ----------
    last
        Last line of a history.
    smaller, fewer
        How a smaller network and fewer steps are asked for where the reader is.

    Examples
    --------
    >>> learned_by_heart({"mixed": 0.18, "validation/mixed": 0.27}).partition(":")[0]
    'the loss on validation rows (.270) is far above that on training rows (.180)'
    >>> learned_by_heart({"mixed": 0.4, "validation/mixed": 0.42})
    ''
    """
    training, held = float(last["mixed"]), float(last.get("validation/mixed", np.nan))
    if not held > training + FAR_ABOVE * abs(training):
        return ""
    return (
        f"the loss on validation rows ({short_number(held)}) is far above that on training rows "
        f"({short_number(training)}): a smaller network ({smaller}) or fewer steps ({fewer}) may "
        "predict better."
    )


def adversaries_skill(last: Mapping[Any, Any]) -> str:
    """Say how well adversaries tell each attribute, by the last line of a history; "" for none.

    Examples
    --------
    >>> adversaries_skill({"mixed": 0.4, "skill/mixed/sex": -0.01})
    "adversaries' skill sex -.010 (0 or less: predictions do not tell the group)"
    """
    for view in ("mixed", "fixed"):
        start = f"skill/{view}/"
        skill = {str(n).removeprefix(start): float(v) for n, v in last.items()
                 if str(n).startswith(start)}  # fmt: skip
        if skill:
            shown = zip(listed(skill), skill.values(), strict=True)
            each = ", ".join(f"{name} {short_number(value)}" for name, value in shown)
            return f"adversaries' skill {each} ({SKILL})"
    return ""


def adversaries_restarted(history: pd.DataFrame) -> str:
    """Say how often collapsed adversaries of a fit began anew; "" for never.

    Parameters
    ----------
    history
        Frame ``history_`` of an estimator; of an ensemble the member with the most is named.

    Examples
    --------
    >>> adversaries_restarted(pd.DataFrame({"mixed": [0.4, 0.3], "restarts": [0.0, 1.0]}))
    'its adversaries had collapsed and were restarted once'
    >>> adversaries_restarted(pd.DataFrame({"mixed": [0.4, 0.3]}))
    ''
    """
    number = int(np.max(history[RESTARTS].to_numpy(float))) if RESTARTS in history else 0
    return f"its adversaries had collapsed and were restarted {times(number)}" if number else ""
