"""The lines of one grouping factor, and of one class, of a tidy frame of clusters."""

from __future__ import annotations

from typing import Any


def one_factor(frame: Any, factor: str | None) -> tuple[Any, str]:
    """Return a factor's lines of a frame and its name; ``None``: the only one there is.

    Raises
    ------
    ValueError
        When the frame is empty, has several factors and none is named, lacks the one that is named,
        or has lines of several classes.
    """
    factors = list(dict.fromkeys(frame["factor"]))
    if not factors:
        raise ValueError(
            "The frame has no cluster effects: the model has no random effects, so give "
            "cluster='column' with random_intercepts=True or random_slopes. [no-random-effects]"
        )
    if factor is None and len(factors) > 1:
        raise ValueError(
            f"The frame has several factors, {factors}: choose one with factor='...'. [choose-one]"
        )
    name = factors[0] if factor is None else factor
    if name not in factors:
        raise ValueError(f"The frame has no factor {name!r}; it has {factors}. [not-in-table]")
    if "class" in frame and frame["class"].nunique() > 1:
        classes = list(dict.fromkeys(frame["class"]))
        raise ValueError(
            f"The frame has an effect for each class, {classes}: choose one, "
            f"frame[frame['class'] == {classes[0]!r}]. [choose-one]"
        )
    return frame[frame["factor"] == name], name
