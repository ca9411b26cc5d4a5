"""How long every model took."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pyfairme.report.markdown import markdown_table


def run_times_table(timings: pd.DataFrame) -> str:
    """Return seconds by data set and model, as Markdown.

    Parameters
    ----------
    timings
        One row per fit: dataset, variant, seed, fold, rows, seconds_fit, seconds_judge.
    """
    rows = []
    models = timings[["dataset", "variant"]].drop_duplicates()
    for dataset, variant in models.itertuples(index=False):
        fits: Any = timings[(timings["dataset"] == dataset) & (timings["variant"] == variant)]
        seconds, judged = fits["seconds_fit"], fits["seconds_judge"]
        rows.append(
            [
                *(dataset, variant),
                str(len(fits)),
                f"{fits['rows'].median():,.0f}",
                f"{seconds.median():.1f} ({seconds.min():.1f}, {seconds.max():.1f})",
                f"{judged.median():.1f}",
                f"{(seconds.sum() + judged.sum()) / 60:.1f}",
            ]
        )
    header = ["data", "model", "fits", "rows (median)", "seconds a fit: median (least, most)",
              "seconds to judge (median)", "minutes in all"]  # fmt: skip
    return markdown_table(header, rows)
