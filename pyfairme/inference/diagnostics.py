"""Diagnostics of the posterior draws as a tidy table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.inference.laplace.importance_sampling import judged_clusters
from pyfairme.inference.laplace.psis import ENOUGH, LEAST, RELIABLE, trusted
from pyfairme.inference.posterior_draws import AxisLabels
from pyfairme.inference.predictions import Fit
from pyfairme.inference.prior_sensitivity import SENSITIVE

WORST_RHAT = 1.01  # Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021
FEWEST_EFFECTIVE = 400
PRIOR = "prior_sensitivity"
LIMITS = {
    "pareto_k": RELIABLE,
    "relative_ess": ENOUGH,
    "r_hat": WORST_RHAT,
    "ess_bulk": FEWEST_EFFECTIVE,
    "ess_tail": FEWEST_EFFECTIVE,
    PRIOR: SENSITIVE,
}
WHOLE = "hyper-parameters"  # whose weights are those of the proposals
MATTERS = "the prior matters here, as it often does with few clusters: no fault of the draws"
WITHOUT = "this guide has no diagnostic: refine(), or guide='block', says what draws are worth"
COLUMNS = ["parameter", "cluster", "member", "measure", "value", "limit", "ok"]


def diagnostics(
    fit: Fit, labels: AxisLabels, sensitivity: Mapping[str, np.ndarray] = MappingProxyType({})
) -> pd.DataFrame:
    """Return one line per parameter (or cluster), member and measure.

    Without diagnostics one line says so, its "note" how to get them. ``sensitivity`` to the prior
    has a line per hyper-parameter and member; a "note" says what it means where it is large.

    Pareto's k of the hyper-parameters and ``relative_ess``, the share of proposals that are
    effective, are judged together: one of the two may miss its limit (see `psis.trusted`). Clusters
    whose k is NaN were not judged, and have no line; any other NaN is not ok.
    """
    if not fit.quality:
        note = WITHOUT if fit.draws else "the model has no latent variable: nothing was drawn"
        none = ["all", "", 0, "none", np.nan, np.nan, False, note]
        return pd.DataFrame([none], columns=[*COLUMNS, "note"])
    lines: list[dict[str, Any]] = []
    for name, values in fit.quality.items():
        measure, _, parameter = name.partition("/")
        for member, value in enumerate(values):
            line = {"parameter": parameter or "all", "cluster": "", "member": member}
            line["measure"] = {"rhat": "r_hat", "ess": "ess_bulk"}.get(measure, measure)
            if measure == "pareto_k" and parameter:
                known = labels.clusters[parameter]
                shown = [known[i] for i in judged_clusters(len(values[member]), len(known))]
                each = zip(shown, value, strict=True)
                lines += [line | {"cluster": c, "value": v} for c, v in each if not np.isnan(v)]
            else:
                named = WHOLE if measure in ("pareto_k", "relative_ess") else line["parameter"]
                lines.append(line | {"parameter": named, "value": float(value)})
    lines += [
        {"parameter": name, "cluster": "", "member": member, "measure": PRIOR, "value": value}
        for name, values in sensitivity.items()
        for member, value in enumerate(values)
    ]
    frame = pd.DataFrame(lines, columns=COLUMNS)
    frame["limit"] = frame["measure"].map(lambda m: LIMITS.get(m, 0.0)).astype(float)
    value = frame["value"].astype(float)
    above = frame["measure"].isin(["ess_bulk", "ess_tail", "relative_ess"])
    good = np.where(above, value >= frame["limit"], value <= frame["limit"])
    if "pareto_k" in fit.quality:
        both = trusted(fit.quality["pareto_k"], fit.quality.get("relative_ess", LEAST))
        good = np.where(frame["parameter"] == WHOLE, both[frame["member"]], good)
    frame = frame.assign(value=value, ok=good)
    if sensitivity:
        frame["note"] = np.where((frame["measure"] == PRIOR) & ~frame["ok"], MATTERS, "")
    return frame
