"""Averages, comparisons and slopes beside those that lme4's coefficients give by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from pyfairme.explain import avg_comparisons, avg_predictions, avg_slopes

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("optimised")]


def test_sleepstudy_agrees_with_lme4(sleepstudy, data_dir):
    """Slopes are fixef + ranef; predictions of day 0 and 9 are sums of them, by hand."""
    case, reg = sleepstudy
    reference = data_dir / "lme4" / "reference"
    fixed = pd.read_csv(reference / "sleepstudy_lmer_REML_fixef.csv").set_index("term")
    found = avg_slopes(reg, case.X, "Days", effects="fixed").frame.iloc[0]
    assert found["estimate"] == pytest.approx(fixed.loc["Days", "Estimate"], abs=0.3)
    assert found["sd"] == pytest.approx(fixed.loc["Days", "Std. Error"], rel=0.15)
    assert found["low"] < fixed.loc["Days", "Estimate"] < found["high"]
    own = pd.read_csv(reference / "sleepstudy_lmer_REML_ranef.csv", dtype={"grp": str})
    own = own.pivot(index="grp", columns="term", values="condval")
    coef = own + fixed["Estimate"].loc[["(Intercept)", "Days"]]
    each = avg_slopes(reg, case.X, "Days", by="Subject").frame.set_index("Subject")["estimate"]
    np.testing.assert_allclose(each, coef["Days"].loc[each.index], atol=1.0)
    nine = avg_comparisons(reg, case.X, {"Days": [0, 9]}, by="Subject").frame["estimate"]
    np.testing.assert_allclose(nine, 9 * each, rtol=1e-3)
    last = avg_predictions(reg, case.X, {"Days": [9]}, by="Subject").frame["estimate"]
    np.testing.assert_allclose(last, coef["(Intercept)"] + 9 * coef["Days"], atol=8.0)


def test_cbpp_agrees_with_lme4(cbpp, data_dir):
    """Contrasts of periods on the probability, from lme4's coefficients and effects by hand."""
    case, clf = cbpp
    reference = data_dir / "lme4" / "reference"
    beta = pd.read_csv(reference / "cbpp_glmer_agq9_fixef.csv")["Estimate"].to_numpy()
    own = pd.read_csv(reference / "cbpp_glmer_agq9_ranef.csv", dtype={"grp": str})
    own = own.set_index("grp")["condval"].loc[case.X["herd"].astype(str)].to_numpy()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    spread = 0.647517861083275 * nodes  # the SD between herds
    for effects, rest, mass in (
        ("mixed", own, np.full(len(own), 1 / len(own))),
        ("integrated", spread, weights / weights.sum()),
        ("fixed", np.zeros(1), np.ones(1)),
    ):
        p = [mass @ expit(beta[0] + (beta[k] if k else 0) + rest) for k in range(4)]
        found = avg_comparisons(clf, case.X, "period", effects=effects).frame
        assert list(found["contrast"]) == ["2 - 1", "3 - 1", "4 - 1"]
        np.testing.assert_allclose(found["estimate"], np.array(p[1:]) - p[0], atol=0.012)
        assert ((found["low"] < 0) & (found["high"] < 0)).all()
