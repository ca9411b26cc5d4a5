import warnings

import numpy as np
import pandas as pd
import pytest

import pyfairme as pf
from pyfairme.inference.laplace.runaway_effects import check_pull
from pyfairme.model.program import Objective

BAD = {"pareto_k": np.array(np.inf), "relative_ess": np.array(0.0)}
GOOD = {"pareto_k": np.array(0.1), "relative_ess": np.array(0.9)}
STRONG = Objective(fairness={"moment": {"mixed": np.ones(1)}})


@pytest.mark.parametrize("size", [31.0, np.inf, np.nan])
def test_a_link_without_bound_is_refused_for_classes_alone(size):
    with pytest.raises(FloatingPointError, match="grow without bound"):
        check_pull(BAD, STRONG, "class", lambda: 0.0, lambda: size)
    check_pull(GOOD, STRONG, "class", lambda: 0.0, lambda: size)
    for target in ("real", "count"):
        check_pull(BAD, STRONG, target, lambda: 0.0, lambda: size)


@pytest.mark.parametrize("target", ["class", "real", "count"])
@pytest.mark.parametrize("lost", [0.03, np.inf, np.nan])
def test_a_loss_against_the_first_stage_is_refused_for_every_target(target, lost):
    for quality in (BAD, GOOD):
        with pytest.raises(FloatingPointError, match="pull the effects away"):
            check_pull(quality, STRONG, target, lambda: lost, lambda: 1.0)
    check_pull(GOOD, Objective(), target, lambda: lost, lambda: 1.0)


def test_a_real_target_far_from_zero_keeps_its_second_stage():
    """Unit and origin of a Normal target say nothing about its effects.

    In both units the same problem is solved, from the same keys: what differs is rounding.
    """
    rng = np.random.default_rng(7)
    cluster = np.repeat(np.arange(30), 8)
    group = rng.random(240) < 0.5
    x, effect = rng.normal(size=240), rng.normal(size=30)
    y = x + group + effect[cluster] + 0.5 * rng.normal(size=240)
    table = pd.DataFrame(
        {"x": x, "group": np.where(group, "a", "b"), "cluster": [f"k{one}" for one in cluster]}
    )
    found = []
    for origin, unit in ((0.0, 1.0), (5e5, 2e4)):
        model = pf.FairMixedEffectsRegressor(
            "cluster", ["group"], hidden=(), fairness_weight=3.0, random_state=0, progress=False
        )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model.fit(table, origin + unit * y)
        assert not any("block-broke-down" in str(one.message) for one in said)
        effects = model.cluster_effects_.set_index("cluster")["mean"]
        found.append(effects[[f"k{one}" for one in range(30)]].to_numpy() / unit)
    np.testing.assert_allclose(found[0], found[1], atol=0.02)
    assert np.corrcoef(found[0], effect)[0, 1] > 0.8
