"""Effects that the pull of penalties drives away from the outcome in the second stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pyfairme.inference.adversary_skill import DIVERGED
from pyfairme.inference.laplace.psis import trusted
from pyfairme.inference.laplace.second_stage import penalised
from pyfairme.model.program import Objective

MOST_LOST = 0.02  # nats per row that draws of the second stage may lose against the first's


def check_pull(
    quality: Mapping[str, np.ndarray],
    objective: Objective,
    target: str,
    lost: Callable[[], float],
    link: Callable[[], float],
) -> None:
    """Refuse draws of the second stage that ran away: they predict worse, or without bounds.

    To the second stage the pull of penalties is a constant. Where it is strong and the prediction
    tells little, nothing stops scale and effects from growing. Clusters whose rows have one outcome
    lose nothing by that: their effects run with the outcome. ``lost`` computes how many nats per
    row the draws lose against those of the first stage on its own rows. Good weights do not rule a
    loss out, as they compare draws with the posterior under the constant pull. ``link`` computes
    the mean absolute link of the mixed prediction there, which is looked at where Pareto's k or the
    effective share is bad. It has a limit for the target "class" alone: a logit of 30 is certainty,
    while a large log mean or real value may be what the data say.

    Raises
    ------
    FloatingPointError
        When they lose more than ``MOST_LOST``, or the link of classes is above ``DIVERGED``.

    Examples
    --------
    >>> bad = {"pareto_k": np.array(np.inf), "relative_ess": np.array(0.0)}
    >>> strong = Objective(fairness={"moment": {"mixed": np.ones(1)}})
    >>> check_pull(bad, strong, "class", lambda: 0.01, lambda: 2.0)
    >>> check_pull(bad, Objective(), "class", lambda: 3.0, lambda: 2.0)  # k is warned of
    >>> check_pull(bad, strong, "class", lambda: 3.0, lambda: 2.0)
    Traceback (most recent call last):
    FloatingPointError: its penalties pull the effects away from the outcome [block-broke-down]
    >>> check_pull(bad, strong, "class", lambda: -0.1, lambda: 1e10)
    Traceback (most recent call last):
    FloatingPointError: under its penalties the effects grow without bound [block-broke-down]
    >>> check_pull(bad, strong, "real", lambda: -0.1, lambda: 1e10)
    """
    if not penalised(objective):
        return
    if not lost() <= MOST_LOST:  # no number is bad too
        raise FloatingPointError(
            "its penalties pull the effects away from the outcome [block-broke-down]"
        )
    sound = trusted(float(quality["pareto_k"]), float(quality["relative_ess"]))
    if not sound and target == "class" and not link() <= DIVERGED:
        raise FloatingPointError(
            "under its penalties the effects grow without bound [block-broke-down]"
        )
