"""Small reports made by hand."""

import pandas as pd
import pytest


def line(metric, value, *, attribute="sex", group="all", n=100, null=(None, None, None), note="",
         effects="mixed", clusters="seen"):  # fmt: skip
    """One line of a fairness report."""
    return {
        "effects": effects, "clusters": clusters, "attribute": attribute, "group": group,
        "class": 1, "metric": metric, "value": value, "low": value - 0.01, "high": value + 0.02,
        "null": null[0], "null_low": null[1], "null_high": null[2], "n": n, "note": note,
    }  # fmt: skip


def report(lines):
    numbers = ["null", "null_low", "null_high"]
    return pd.DataFrame(lines).astype(dict.fromkeys(numbers, float))


@pytest.fixture
def before():
    null = (0.02, 0.005, 0.05)
    return report(
        [
            line("auroc", 0.9, attribute="all"),
            line("balanced_accuracy", 0.8, attribute="all"),
            line("tpr_sd", 0.1, null=null),
            line("demographic_parity", 0.04, null=null),
            line("counterfactual_gap", 0.0),
            line("worst_group_accuracy", 0.7),
            line("tpr", 0.55, group="Male", n=1234),
            line("tpr", 0.45, group="Female", n=56),
            line("fpr", 0.25, group="Male", n=900),
            line("fpr", 0.15, group="Female", n=800),
        ]
    )


@pytest.fixture
def after(before):
    new = [0.891, 0.78, 0.03, 0.06, 0.01, 0.77, 0.52, 0.48, 0.21, 0.19]
    return before.assign(value=new, low=[v - 0.02 for v in new], high=[v + 0.01 for v in new])
