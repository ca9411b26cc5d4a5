"""A fit whose adversaries had to be restarted says so; tables of files are no different."""

import numpy as np
import pytest

import pyfairme as pf
from pyfairme.cli.describe import describe_fit

pytestmark = pytest.mark.long
SITES = ("adversary_fixed", "adversary_mixed")


def test_a_restart_is_told(classifier, tmp_path):
    """A warm start from adversaries of which no hidden unit is ever on, 300 rows to judge by."""
    data = pf.datasets.make_clustered(rows=1500, sensitive_levels=(2,), random_state=1)
    data.frame.assign(outcome=data.target).to_parquet(tmp_path / "rows.parquet", index=False)
    clf = classifier(
        sensitive=["group1"], fairness="adversarial", fairness_weight=2.0, warm_start=True,
        cluster_weight=0.0, min_steps=600, learning_rate=3e-3, validation_fraction=0.2,
    )  # fmt: skip
    clf.fit(tmp_path / "rows.parquet", "outcome")
    assert "restarted" not in str(clf.summary())
    for one in clf._learned.params:
        for site in SITES:
            first, last = one[site]
            one[site] = (first._replace(bias=np.full_like(first.bias, -1e3)), last)
    clf.fit(tmp_path / "rows.parquet", "outcome")  # warnings are errors
    assert clf.history_["restarts"].iloc[-1] >= 1
    said = "had collapsed and were restarted"
    assert said in str(clf.summary())
    assert said in describe_fit(clf, 100, 1.0)
    clf.save(tmp_path / "clf.pyfairme")
    assert said in str(pf.load(tmp_path / "clf.pyfairme").summary())
    clf.card(data.frame, data.target).save(tmp_path / "card.md")
    assert said in (tmp_path / "card.md").read_text(encoding="utf-8")
