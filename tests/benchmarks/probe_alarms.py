"""How often a fresh probe flags a sound adversary, and how often a collapsed one (docs/results).

    python tests/benchmarks/probe_alarms.py
    python -m tests.benchmarks.probe_alarms --visits

Rows of tests/inference/test_adversary_probe.py: a prediction and a class of 25 %, groups of 55 and
45 %, or of 90, 6, 3 and 1 %, which move the link by `shift` (0: nothing to find), eight adversaries
looked at. "2 errors" is the rule before: a gain of more than two standard errors. With ``--visits``
groups are of patients with several rows each, which the probe takes as rows, or as patients.
"""

import sys

import pandas as pd

from pyfairme.inference import adversary_probe
from tests.inference.test_adversary_probe import case, visits

SHARES = {"two groups": (0.55, 0.45), "four groups": (0.9, 0.06, 0.03, 0.01)}


def patients() -> None:
    """Print shares of flagged tables of patients with several visits."""
    print("| patients | visits | shift | by rows | by patients |")
    print("|---|---|---|---|---|")
    for number, each, shift in (
        (50, 20, 0.0), (100, 10, 0.0), (300, 4, 0.0), (100, 10, 1.0), (300, 4, 1.0), (300, 4, 1.5),
    ):  # fmt: skip
        flagged = [0, 0]
        for seed in range(40):
            *given, who = visits(seed, number, each, shift)
            units = adversary_probe.units_of_level(who[:, None], given[1])
            for at, one in enumerate((None, units)):
                flagged[at] += adversary_probe.probe(*given, seed, 8, one).beats_chance
        shares = " | ".join(f"{one / 40:.3f}" for one in flagged)
        print(f"| {number} | {each} | {shift:g} | {shares} |", flush=True)


def main() -> None:
    """Print shares of flagged cases."""
    adversary_probe.FEWEST_ROWS = 0  # to see what the least number of rows leaves out
    lines = []
    for name, shares in SHARES.items():
        for shift, times in ((0.0, 300), (0.5, 40), (1.0, 40), (2.0, 40)):
            for rows in (60, 200, 1000, 2400):
                number = times if rows < 1000 else times // 2
                found = [
                    adversary_probe.probe(*case(rows, seed, shift, shares), seed, 8)
                    for seed in range(number)
                ]
                frame = pd.DataFrame(found)
                line = {
                    "groups": name,
                    "shift": shift,
                    "rows": rows,
                    "cases": number,
                    "gain": frame["gain"].mean(),
                    "2 errors": (frame["gain"] > 2 * frame["error"]).mean(),
                    "flagged": frame["beats_chance"].mean(),
                }
                lines.append(line)
                print(line, flush=True)
    print(pd.DataFrame(lines).round(3).to_string(index=False))


if __name__ == "__main__":
    patients() if "--visits" in sys.argv else main()
