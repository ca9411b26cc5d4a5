"""What restarting collapsed adversaries does, on made-up tables and Adult (docs/results).

    python tests/benchmarks/adversary_restarts.py made-20000-3-80 made-16000-12-87-3-0.3

No table that settings may be chosen on collapses with the defaults. So this provokes it: ten times
the learning rate and a weight of 10. Tables and models are those of adversary_weights.py; a line
without restarts, and one with them, of each table and seed.
"""

from __future__ import annotations

import argparse

import pandas as pd

from pyfairme.inference import adversary_restarts
from tests.benchmarks.adversary_weights import MODELS, judged_fit


def main() -> None:
    """Fit each table without and with restarts, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["medl_adb without slopes"])
    parser.add_argument("--weight", type=float, default=10.0)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    rates, lines = adversary_restarts.SLOWER, []
    for name in given.tables:
        for model in given.models:
            for seed in given.seeds:
                for some in ((), rates):
                    adversary_restarts.SLOWER = some
                    keywords = MODELS[model] | {"learning_rate": given.learning_rate}
                    found = judged_fit(name, seed, given.weight, keywords)
                    kept = {k: found[k] for k in ("auroc", "loss", "mean_sd", "worst_sd", "warned")}
                    key = {"table": name, "model": model, "seed": seed, "rounds": len(some)}
                    lines.append(key | kept | {"seconds": found["seconds"]})
                    print(pd.DataFrame(lines[-1:]).round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
