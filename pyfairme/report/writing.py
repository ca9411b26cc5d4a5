"""Tables and figures as files, each of which appears whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfairme.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_csv(frame: pd.DataFrame, path: Path, **options: Any) -> None:
    """Write a table without row numbers, zipped if the name ends in .gz.

    Parameters
    ----------
    frame, path
        What and where.
    options
        Of ``DataFrame.to_csv``.
    """
    compression: Any = "gzip" if path.suffix.lower() == ".gz" else None
    with replacing(path) as file:
        frame.to_csv(file, index=False, compression=compression, **options)


def write_figure(figure: Figure, path: Path) -> None:
    """Write a picture of the kind that its suffix names."""
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix.lstrip("."))
