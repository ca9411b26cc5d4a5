"""What posterior draws are worth, as a tidy table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfairme.inference.posterior import Labels
from pyfairme.inference.predict import Fit
from pyfairme.inference.psis import RELIABLE
from pyfairme.inference.weighing import judged_clusters

__all__ = ["FEWEST_EFFECTIVE", "WORST_RHAT", "diagnostics"]

WORST_RHAT = 1.01  # Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021
FEWEST_EFFECTIVE = 400
COLUMNS = ["parameter", "cluster", "member", "measure", "value", "limit", "ok"]


def diagnostics(fit: Fit, labels: Labels) -> pd.DataFrame:
    """Return one line per parameter (or cluster), member and measure; none without diagnostics."""
    lines: list[dict[str, Any]] = []
    for name, values in fit.quality.items():
        measure, _, parameter = name.partition("/")
        for member, value in enumerate(values):
            line = {"parameter": parameter or "all", "cluster": "", "member": member}
            line["measure"] = {"rhat": "r_hat", "ess": "ess_bulk"}.get(measure, measure)
            if measure == "pareto_k" and parameter:
                known = labels.clusters[parameter]
                shown = [known[i] for i in judged_clusters(len(values[member]), len(known))]
                lines += [
                    line | {"cluster": c, "value": v} for c, v in zip(shown, value, strict=True)
                ]
            else:
                named = "hyper-parameters" if measure == "pareto_k" else line["parameter"]
                lines.append(line | {"parameter": named, "value": float(value)})
    frame = pd.DataFrame(lines, columns=COLUMNS)
    limit = {"pareto_k": RELIABLE, "r_hat": WORST_RHAT, "ess_bulk": FEWEST_EFFECTIVE}
    frame["limit"] = frame["measure"].map(lambda m: limit.get(m, 0.0)).astype(float)
    value = frame["value"].astype(float)
    above = frame["measure"] == "ess_bulk"
    good = np.where(above, value >= frame["limit"], value <= frame["limit"])
    return frame.assign(value=value, ok=good | value.isna())
