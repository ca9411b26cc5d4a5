"""Processor seconds that a user waits: first and further fits, folds, reports, answers.

    python tests/benchmarks/speed_figures.py

Public calls only, so that older versions of pyfairme answer too: `speed_compare` runs this file
with two of them, and reads the line of JSON that it prints. The figures are those of `first_fit`
(600 rows in 10 clusters, three folds) and `report_time` (the quickest of three calls).
"""

from __future__ import annotations

import json
import tempfile
import warnings

from first_fit import in_a_process
from report_time import answers, seconds

ROWS, CLUSTERS, REPEATS = 600, 10, 3


def measured() -> dict[str, float]:
    """Return every figure by its name, in processor seconds."""
    with tempfile.TemporaryDirectory() as folder:
        table = str(ROWS), str(CLUSTERS), folder
        found = {f"fit of {ROWS} rows, {k}": v for k, v in in_a_process("table", *table).items()}
        again = in_a_process("table", *table)["cold"]
    found[f"fit of {ROWS} rows, second process"] = again
    found |= in_a_process("folds")
    for name, call in answers().items():
        found[name] = round(seconds(call, REPEATS)[1], 3)
    return found


def main() -> None:
    """Print the figures as JSON."""
    warnings.simplefilter("ignore")
    print(json.dumps(measured()))


if __name__ == "__main__":
    main()
