"""The results of a study: every metric of every model, with intervals and null values."""

import numpy as np
import pandas as pd

from pyfairme.metrics.array_inputs import check_share
from pyfairme.metrics.report_limits import limits
from pyfairme.metrics.report_notes import joined
from pyfairme.study.evaluation.bootstrap_replicates import Line, Replicates

COLUMNS = (
    "dataset", "variant", "effects", "clusters", "attribute", "group", "class", "metric", "value",
    "low", "high", "null", "null_low", "null_high", "n", "note", "sd_seeds", "seeds",
)  # fmt: skip


def results_frame(replicates: Replicates, *, dataset: str, level: float = 0.9) -> pd.DataFrame:
    """Lay every metric of every model out, mean over seeds.

    Parameters
    ----------
    replicates
        See `pyfairme.study.evaluation.bootstrap_replicates.replicate`.
    dataset
        Name of the data set, for the first column.
    level
        Coverage of the intervals.

    Returns
    -------
    pd.DataFrame
        Columns dataset, variant, effects, clusters ("seen" or "unseen"), attribute ("all" or its
        name), group ("all" or a level), class, metric, value, low, high, null, null_low,
        null_high, n, note, sd_seeds, seeds.

        ``value`` is the mean over seeds of the metric on that seed's rows, all folds pooled;
        ``low`` and ``high`` are its interval as in a fairness report (`pyfairme.metrics.interval`):
        rows are drawn, models and seeds are given. The null values are means over seeds of those
        of one seed, so the band is that of one seed. ``sd_seeds`` is the standard deviation
        (ddof = 1) over the seeds.

    Raises
    ------
    ValueError
        When ``level`` is out of range.
    """
    check_share(level)
    records = [(dataset, *_record(line, level)) for line in replicates.lines]
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _record(line: Line, level: float) -> tuple:
    value, seeds = float(line.values.mean()), len(line.values)
    low, high, why = limits(line.metric, value, line.evidence, line.place, line.levels, level)
    return (
        *(line.variant, line.effects, line.clusters, line.attribute, line.group, line.label),
        *(line.metric.name, value, low, high, *line.null, line.n, joined(line.note, why)),
        *(float(line.values.std(ddof=1)) if seeds > 1 else np.nan, seeds),
    )
