"""Files that ``pyfairme tune`` reads: keywords to start from, and what an earlier search found."""

import json
from pathlib import Path
from typing import Any

from pyfairme.estimators.base import FairMixedEffects


def read_settings(path: Path, kind: type[FairMixedEffects]) -> dict[str, Any]:
    """Read keywords of the estimator; lists of a file are the tuples of Python."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"--settings {path} is not a readable JSON file: {error} [settings-file]"
        ) from error
    known = kind().get_params(deep=False)
    unknown = sorted(set(found) - set(known)) if isinstance(found, dict) else [type(found).__name__]
    if unknown:
        raise ValueError(
            f"--settings {path}: expected keywords of {kind.__name__} by name, such as "
            f'{{"hidden": [64, 32]}}; got {", ".join(unknown)}. [settings-file]'
        )
    return {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}


def read_best(path: Path, kind: type[FairMixedEffects]) -> FairMixedEffects:
    """Return the estimator, of class ``kind``, that an earlier search found."""
    try:
        keywords = json.loads(path.read_text(encoding="utf-8"))["keywords"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a best.json that this command wrote. [baseline-file]"
        ) from error
    unknown = sorted(set(keywords) - set(kind().get_params(deep=False)))
    if unknown:
        raise ValueError(
            f"--baseline {path} is not of this data: a {kind.__name__} has no "
            f"{', '.join(unknown)}. Give the best.json of a search on the same data."
            " [baseline-file]"
        )
    return kind(**keywords)
