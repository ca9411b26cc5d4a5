"""How far limits are kept on new rows where groups are inferred: simulation with known truth.

    python tests/benchmarks/inferred_groups.py

Clusters differ in their share of positives and of a group; a covariate differs by group; the
probability of the outcome is known and reads no group. The groups' chances, learnt from n rows, are
what is not known. Rows of the table: means over seeds of the SDs of TPR and FPR, limits .01: as
expected by the rule on its own rows, as observed there, and on 60,000 new rows, for the rule chosen
on chances of the same rows, and for that chosen on chances learnt from other folds.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from pyfairme.data.attributes import Attribute
from pyfairme.postprocessing.inferred_groups import infer, learn
from pyfairme.postprocessing.joint_rule import Members, expected_rates, joint_rule
from pyfairme.postprocessing.limit_support import Limit
from pyfairme.report.markdown import markdown_table

LIMITS = tuple(Limit("group", rate, 0.01) for rate in ("tpr", "fpr"))
SIZES = ((10, 20_000), (10, 1_500), (80, 3_000))
FOLDS = 5


class Drawn(NamedTuple):
    """Rows: groups, probabilities and outcomes (n,), and what groups are inferred from (n, f)."""

    group: np.ndarray
    p: np.ndarray
    outcome: np.ndarray
    features: np.ndarray


def draw(clusters: int, rows: int, seed: int) -> Drawn:
    """Draw rows of one attribute of two groups."""
    rng = np.random.default_rng(seed)
    cluster, effect = rng.integers(clusters, size=rows), np.linspace(-1.5, 1.5, clusters)
    group = (rng.random(rows) < expit(effect[cluster])).astype(int)
    x = rng.normal(0.7 * group, 1.0)
    p = expit(x - 0.5 + effect[cluster])
    outcome = (rng.random(rows) < p).astype(int)
    known = np.eye(clusters)[cluster]
    return Drawn(group, p, outcome, np.hstack([x[:, None], known, logit(p)[:, None]]))


def judged(clusters: int, rows: int, seed: int) -> dict[str, list[float]]:
    """Return SDs of TPR and FPR, and balanced accuracy on new rows, by what they are of."""
    here, new = draw(clusters, rows, seed), draw(clusters, 60_000, seed + 1000)
    attribute = Attribute.fit(pd.DataFrame({"group": here.group}), "group")
    coefficients = learn(attribute, here.group, here.outcome, here.features)
    inside, there = infer(coefficients, here.features), infer(coefficients, new.features)
    fold = np.random.default_rng(0).integers(FOLDS, size=rows)
    across = Members(*(np.zeros((rows, 2)) for _ in range(2)))
    for k in range(FOLDS):
        out = fold != k
        other = learn(attribute, here.group[out], here.outcome[out], here.features[out])
        for into, chances in zip(across, infer(other, here.features[~out]), strict=True):
            into[~out] = chances

    def on_new(members: Members) -> list[float]:
        rule = joint_rule(here.p, {"group": members}, LIMITS, "balanced_accuracy")
        chance = rule.chances(new.p, {"group": there})
        return [*sds(chance, new.outcome, Members.of(new.group, 2)), accuracy(chance, new.outcome)]

    rule = joint_rule(here.p, {"group": inside}, LIMITS, "balanced_accuracy")
    chance = rule.chances(here.p, {"group": inside})
    plain = (new.p * rule.reward > (1 - new.p) * rule.charge).astype(float)
    return {
        "expected": sds(chance, here.p, inside),
        "observed on these rows": sds(chance, here.outcome, Members.of(here.group, 2)),
        "new rows": on_new(inside),
        "new rows, other folds' chances": on_new(across),
        "new rows, one threshold": [
            *sds(plain, new.outcome, Members.of(new.group, 2)),
            accuracy(plain, new.outcome),
        ],
    }


def sds(chance: np.ndarray, outcome: np.ndarray, members: Members) -> list[float]:
    """Return the SDs of TPR and FPR over the groups."""
    weight = outcome.astype(float)
    return [float(expected_rates(chance, weight, members, r).std()) for r in ("tpr", "fpr")]


def accuracy(chance: np.ndarray, outcome: np.ndarray) -> float:
    """Return the balanced accuracy."""
    return float((chance[outcome == 1].mean() + 1 - chance[outcome == 0].mean()) / 2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=6)
    seeds = parser.parse_args().seeds
    lines = []
    for clusters, rows in SIZES:
        runs = [judged(clusters, rows, seed) for seed in range(seeds)]
        for name in runs[0]:
            spread, *rest = np.mean([run[name] for run in runs], axis=0).round(3)
            cells = [f"{spread:.3f} / {rest[0]:.3f}", f"{rest[1]:.3f}" if rest[1:] else "-"]
            lines.append([str(clusters), str(rows), name, *cells])
    print(markdown_table(["clusters", "rows", "what", "SD of TPR / FPR", "accuracy"], lines))


if __name__ == "__main__":
    main()
