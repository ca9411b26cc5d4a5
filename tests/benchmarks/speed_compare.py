"""Two commits beside each other, on this machine, in turns: seconds of each and their ratio.

    python tests/benchmarks/speed_compare.py OLD [NEW] [--rounds 3]

Each commit is checked out into a folder of its own, and `speed_figures` of this checkout is run
with it, once a round, one after the other; the least of the rounds counts, which a busy machine
disturbs least. NEW is HEAD unless given. Both run in the environment of this Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def figures(checkout: Path) -> dict[str, float]:
    """Run the figures with the package of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, str(HERE / "speed_figures.py")]
    done = subprocess.run(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("old")
    parser.add_argument("new", nargs="?", default="HEAD")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {options.old: [], options.new: []}
    with tempfile.TemporaryDirectory() as folder:
        checkouts = {name: Path(folder) / str(at) for at, name in enumerate(found)}
        for name, checkout in checkouts.items():
            adding = ["git", "worktree", "add", "--quiet", "--detach", str(checkout), name]
            subprocess.run(adding, cwd=ROOT, check=True)
        try:
            for number in range(options.rounds):
                for name, checkout in checkouts.items():
                    found[name].append(figures(checkout))
                    print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
        finally:
            for checkout in checkouts.values():
                removing = ["git", "worktree", "remove", "--force", str(checkout)]
                subprocess.run(removing, cwd=ROOT, check=False)
    least = pd.DataFrame({name: pd.DataFrame(rounds).min() for name, rounds in found.items()})
    least["ratio"] = least[options.new] / least[options.old]
    print(least.round(3).to_string())


if __name__ == "__main__":
    main()
