"""Warn of class labels that are probably not what the user thinks they are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyfairme.notices import DataWarning, warn

FEW_ROWS = 10  # of a class beside two that hold nearly all rows
NEARLY_ALL = 0.99
# What no one wants to happen, but sorts last: denied after approved, nein after ja.
UNFAVOURABLE = frozenset(
    (
        *("declined", "denied", "deny", "false", "refuse", "refused", "reject", "rejected"),
        *("n", "ne", "nee", "nein", "nej", "no", "unsuccessful", "нет"),
    )
)


def warn_of_classes(classes: Sequence[Any], codes: np.ndarray, *, chosen: bool) -> None:
    """Warn of labels that are one label written in two ways, of stray ones, of a chance positive.

    Parameters
    ----------
    classes
        The labels, of two the positive one last.
    codes
        The class of each row, (n,).
    chosen
        Whether the user has said which class is the positive one, or given the classes an order.
    """
    if alike := _alike(classes):
        warn(
            f"The classes {alike[0]!r} and {alike[1]!r} of y differ in blanks or capitals only and "
            "are fitted as two: if they are one, correct y, for example "
            "y.str.strip().str.lower(). [classes-alike]",
            DataWarning,
        )
        return
    rows = np.bincount(codes, minlength=len(classes))
    most = np.sort(rows)[-2:].sum()
    if len(classes) > 2 and most > NEARLY_ALL * rows.sum() and rows.min() < FEW_ROWS:
        stray = [(c, n) for c, n in zip(classes, rows.tolist(), strict=True) if n < FEW_ROWS]
        warn(
            f"y has {len(classes)} classes, but two of them hold {most:,} of {rows.sum():,} rows; "
            f"{stray[0][0]!r} has {stray[0][1]}: with more than two classes every class is "
            f"compared with the rest. If it is a slip, correct or drop these rows. [rare-class]",
            DataWarning,
        )
    if len(classes) == 2 and not chosen and _is_unfavourable(classes[-1]):
        warn(
            f"The positive class is {classes[-1]!r}, because it sorts after {classes[0]!r}: "
            "decisions, thresholds, true positive rates and criterion='equal_opportunity' are "
            f"about it. Give pos_label={classes[0]!r} to make that the positive class, or "
            f"pos_label={classes[-1]!r} to say that it is meant. [positive-by-order]",
            DataWarning,
        )


def _alike(classes: Sequence[Any]) -> tuple[str, str] | None:
    """Return two labels that are the same but for blanks and capitals."""
    first: dict[str, str] = {}
    for label in classes:
        if isinstance(label, str):
            plain = " ".join(label.split()).casefold()
            if plain in first:
                return first[plain], label
            first[plain] = label
    return None


def _is_unfavourable(label: object) -> bool:
    if not isinstance(label, str):
        return False
    words = label.replace("_", " ").replace("-", " ").casefold().split()
    return " ".join(words) in UNFAVOURABLE or words[:1] in (["no"], ["non"], ["not"])


def warn_of_scorers(classes: Sequence[Any]) -> None:
    """Warn where a scorer of scikit-learn takes the columns of probabilities in sorted order.

    Its roc_auc, log_loss and Brier scores have no way to learn another order than the sorted one.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "sklearn.metrics._scorer":
            scorer = frame.f_locals.get("self")
            if {"pos_label", "labels"} & set(getattr(scorer, "_kwargs", {})):
                return
            if hasattr(scorer, "_kwargs"):
                break
        frame = frame.f_back
    else:
        return
    last = sorted(classes)[-1]
    warn(
        f"classes_ is {list(classes)}, and scikit-learn's scorers of probabilities (roc_auc, "
        f"neg_log_loss, neg_brier_score) take sorted classes: to them {last!r} is the positive one "
        "and this score is wrong. Score with make_scorer(pyfairme.metrics.auroc, "
        f"response_method='predict_proba', pos_label={classes[-1]!r}) or log_loss, brier likewise, "
        "or fit y as 0 and 1. [scorer-order]",
        DataWarning,
    )
