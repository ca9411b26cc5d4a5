"""Coverage and error rate of the paired bootstrap of a difference of two spreads over groups.

    python tests/benchmarks/paired_intervals.py [--data-sets 1500]

Two models decide on the same positives, correlated (.6) within groups as large as Adult's; the true
rates of the groups, and so the true difference of `tpr_sd`, are known. Each data set is resampled
within its groups 200 times. Printed: how far the mean estimate is from the truth, how many 90 %
intervals hold the truth (percentiles of the replicates; difference ± 1.645 SE, as `compare` has
it), and how many p-values are below .05. The sizes are Adult's, rounded. Takes a minute.
"""

from __future__ import annotations

import argparse

import numpy as np

from pyfairme.study.comparison.paired_tests import bootstrap_interval, bootstrap_p

GROUPS = {
    "sex": [1000, 5500],
    "race": [20, 29, 250, 400, 5500],
    "marital status": [30, 300, 80, 2500, 60, 5000],
}
SPREADS = [(0.0, 0.0), (0.05, 0.05), (0.1, 0.1), (0.12, 0.08), (0.12, 0.03), (0.1, 0.0)]
BOOT = 200


def joint(one: np.ndarray, two: np.ndarray, correlation: float = 0.6) -> np.ndarray:
    """Return the chances of (both, first only, second only, neither) per group, (G, 4)."""
    both = one * two + correlation * np.sqrt(one * (1 - one) * two * (1 - two))
    both = np.minimum(both, np.minimum(one, two))
    return np.stack([both, one - both, two - both, 1 - one - two + both], axis=-1)


def difference(counts: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the second model's spread minus the first's, from counts (..., G, 4)."""
    first, second = counts[..., 0] + counts[..., 1], counts[..., 0] + counts[..., 2]
    return (second / n).std(-1) - (first / n).std(-1)


def simulate(
    n: np.ndarray, before: float, after: float, data_sets: int, rng: np.random.Generator
) -> list[float]:
    """Return bias, both coverages and the share of p < .05."""
    place = np.linspace(-1, 1, len(n))
    place /= place.std()
    chances = joint(0.7 + before * place, 0.7 + after * place)
    found = []
    for _ in range(data_sets):
        counts = rng.multinomial(n, chances)
        drawn = rng.multinomial(n, counts / n[:, None], size=(BOOT, len(n)))
        estimate, replicates = float(difference(counts, n)), difference(drawn, n)
        low, high = bootstrap_interval(estimate, replicates, 0.9)
        lower, upper = np.quantile(replicates, [0.05, 0.95])
        true = after - before
        p = bootstrap_p(estimate, replicates)
        found.append([estimate - true, lower <= true <= upper, low <= true <= high, p < 0.05])
    return np.mean(found, axis=0).tolist()


def main() -> None:
    """Print one line per attribute and pair of spreads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=1500)
    number = parser.parse_args().data_sets
    rng = np.random.default_rng(0)
    print("| groups of | SD before, after | bias | percentile | standard | p < .05 |")
    print("|---|---|---|---|---|---|")
    for name, sizes in GROUPS.items():
        for before, after in SPREADS:
            bias, percentile, standard, found = simulate(
                np.array(sizes), before, after, number, rng
            )
            print(
                f"| {name} | {before:.2f}, {after:.2f} | {bias:+.3f} | {percentile:.0%} "
                f"| {standard:.0%} | {found:.1%} |"
            )


if __name__ == "__main__":
    main()
