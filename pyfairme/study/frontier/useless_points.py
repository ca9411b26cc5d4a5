"""Points of a frontier whose equal groups are no merit: near chance, constant, or nearly so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyfairme.metrics.constant_baseline import share_is_alike

LEAST_SKILL = 1 / 3  # of the unfair point's, below which a point is useless
SHOWN = {"auroc": "AUROC", "r2": "R2", "balanced_accuracy": "balanced accuracy"}
NOT_FAIR = "its spreads are no sign of fairness"


def useless(point: Any, unfair: Any) -> str:
    """Say what makes a point useless, or nothing: equal groups are then no merit.

    It keeps less than a third of the unfair point's skill, its interval reaches chance, or it
    decides (nearly) all rows alike.

    Parameters
    ----------
    point, unfair
        Lines of `Frontier.points`; what a line does not have is not asked for.
    """
    return "; ".join(_reasons(point, unfair))


def _reasons(point: Any, unfair: Any) -> Iterator[str]:
    name, chance = ("auroc", 0.5) if "auroc" in point else ("r2", 0.0)
    now, before = float(point[name]), float(unfair[name])
    low = float(point.get(f"{name}_low", np.nan))
    if now - chance < LEAST_SKILL * (before - chance) or low <= chance:  # NaN: not known
        shown_low = f", from {low:.3f}" if low <= chance else ""
        yield (
            f"hardly tells rows apart ({SHOWN[name]} {now:.3f}{shown_low}, the unfair point "
            f"{before:.3f}): {NOT_FAIR}; give a smaller max_cost or smaller weights"
        )
    share = float(point.get("selected", np.nan))
    if share_is_alike(share):
        yield (
            f"decides {'negative' if share < 0.5 else 'positive'} for {max(share, 1 - share):.1%} "
            f"of the rows: {NOT_FAIR}; give the estimator threshold='balanced_accuracy', or a "
            "number among its probabilities"
        )
