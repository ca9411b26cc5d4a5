import warnings
from itertools import pairwise

import numpy as np
import pytest

import pyfairme as pf
from tests.benchmarks import fair_mixed_models
from tests.benchmarks.adversary_weights import made, spread

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("optimised")]


@pytest.fixture(scope="module")
def table():
    """12 % positives, and little but the groups tells them: the weight has to give up skill.

    Probabilities then lie in a few narrow heaps, whose means penalties bring together first.
    """
    return made(8000, 12, 87, groups=3.0, others=0.3, seed=0)


def spreads(table, weight):
    """Mean of TPR and FPR SD over both attributes, as the true probabilities expect them."""
    frame, y, truth = table
    clf = pf.FairMixedEffectsClassifier(
        "place", ["race", "sex"], **(pf.VARIANTS["medl_adb"] | {"random_slopes": None}),
        threshold="balanced_accuracy", unseen="population", random_state=0, progress=False,
    ).set_params(fairness_weight=weight)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # neither collapsed nor worse than a constant
        clf.fit(frame[:8000], y[:8000])
    decided = clf.predict(frame[8000:]).astype(float)
    found = [
        spread(decided, chance, frame[name][8000:].to_numpy())
        for name in ("race", "sex")
        for chance in (truth[8000:], 1 - truth[8000:])
    ]
    return float(np.mean(found))


def test_disparity_falls_with_the_weight_and_nothing_collapses(table):
    """Sampling of the judged rows moves a mean SD by less than .01 (20,000 rows, .03 the rarest).

    Without standardised predictions an adversary collapses here at weight 1, and the fit warns.
    """
    found = [spreads(table, weight) for weight in (0.0, 0.3, 1.0, 3.0)]
    assert all(after < before - 0.01 for before, after in pairwise(found))
    assert found[2] < 0.6 * found[0]
    assert found[3] < 0.35 * found[0]


def test_a_strong_pull_does_not_run_away_with_the_effects():
    """The second stage holds the pull constant: the effects' SD ran to 1e10 where it is strong."""
    frame, y, truth = made(2000, 12, 10, groups=3.0, others=0.3, judged=4000)
    clf = pf.FairMixedEffectsClassifier(
        "place", ["race", "sex"], fairness_weight=10.0, guide="block", hidden=(16,),
        numeric_encoding="standard", network_posterior="none", cluster_weight=0.0,
        unseen="population", random_state=0, progress=False,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        clf.fit(frame[:2000], y[:2000])
    assert any("its penalties pull the effects away" in str(one.message) for one in said)
    assert not any("[collapsed]" in str(one.message) for one in said)
    assert clf.variance_components_["mean"].max() < 3  # on the logit scale; .15 is the truth
    p, q = clf.predict_proba(frame[2000:])[:, 1], truth[2000:]
    loss = -np.mean(q * np.log(p) + (1 - q) * np.log(1 - p))
    assert loss < 1.1 * -np.mean(q * np.log(q.mean()) + (1 - q) * np.log(1 - q.mean()))


def test_clusters_of_one_outcome_do_not_run_away_under_a_penalty():
    """100 strata of four rows, most with one outcome: nothing is lost where effects are 1e20."""
    draw = fair_mixed_models.made("linear", 0)
    clf = pf.FairMixedEffectsClassifier(
        "stratum", ["group"], hidden=(), fairness_weight=1.0, criterion="demographic_parity",
        random_state=0, progress=False,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        clf.fit(draw.train.frame(), draw.train.y)
    assert any("the effects grow without bound" in str(one.message) for one in said)
    assert not any("[collapsed]" in str(one.message) for one in said)
    assert clf.variance_components_["mean"].max() < 6  # 3 is the truth
    assert clf.cluster_effects_["mean"].abs().max() < 15
