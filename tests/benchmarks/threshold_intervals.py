"""How often intervals of joint thresholds' observed rates hold what new rows show.

    python tests/benchmarks/threshold_intervals.py

Known truth: outcomes are drawn from p, which differs between three groups of 60, 30 and 10 % of the
rows, or eight of 30 to 3 %, of whose rows 4 % are positive. Thresholds are chosen on the rows of
the interval; what they do to 300,000 new rows is the truth. 90 % intervals of 200 draws of the
rows; the share that holds it has an error of 2 points.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from pyfairme.postprocessing.joint_rule import Members, expected_rates, joint_rule
from pyfairme.postprocessing.limit_support import Limit, inequality
from pyfairme.postprocessing.rate_intervals import ObservedRates

CASES = (
    ("tpr", 0.02, "sd"),
    ("fpr", 0.0, "sd"),
    ("tpr", 0.05, "difference"),
    ("selection_rate", 0.8, "ratio"),
    ("selection_rate", 0.9, "ratio"),
)
DRAWS, NEW = 200, 300_000
USUAL = (0.6, 0.3, 0.1)
FEW = (0.3, 0.2, 0.15, 0.1, 0.1, 0.07, 0.05, 0.03)  # shares of groups with few positives


def drawn(
    n: int, seed: int, shares: tuple[float, ...]
) -> tuple[np.ndarray, dict[str, Members], np.ndarray]:
    """Return probabilities, groups and outcomes of rows."""
    rng = np.random.default_rng(seed)
    group = rng.choice(len(shares), n, p=shares)
    link = -1 + 0.6 * group if shares == USUAL else -4.1 + 1.2 * group / 7
    p = expit(link + (1.0 if shares == USUAL else 1.2) * rng.normal(size=n))
    return p, {"a": Members.of(group, len(shares))}, (rng.random(n) < p).astype(float)


def main() -> None:
    """Print a table in Markdown."""
    print("| groups | rows | rate | measure | limit | held | too high | too low | mean width |")
    print("|---|---|---|---|---|---|---|---|---|")
    for shares, n in ((USUAL, 1000), (USUAL, 6000), (FEW, 2000)):
        p_new, everybody, y_new = drawn(NEW, 10_000, shares)
        for rate, bound, measure in CASES:
            limit, sides, width = Limit("a", rate, bound, measure), np.zeros(3), 0.0
            for seed in range(DRAWS):
                p, members, y = drawn(n, seed, shares)
                rule = joint_rule(p, members, (limit,), "balanced_accuracy")
                chance = rule.chances(p, members)
                evidence = ObservedRates.of(chance, y, members["a"], limit, np.ones(n))
                low, high = evidence.interval(measure)
                decision = rule.chances(p_new, everybody)
                truth = inequality(expected_rates(decision, y_new, everybody["a"], rate), measure)
                sides += np.array([low <= truth <= high, low > truth, high < truth]) / DRAWS
                width += (high - low) / DRAWS
            found = " | ".join(f"{one:.3f}" for one in sides)
            print(
                f"| {len(shares)} | {n:,} | {rate} | {measure} | {bound:g} | {found} | "
                f"{width:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
