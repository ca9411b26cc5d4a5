"""Ten fits of `medl_adb` on Adult one after the other, and by four workers of Ray.

PYFAIRME_DATA=... python tests/benchmarks/study_on_ray.py
"""

from __future__ import annotations

import time
import warnings

import pyfairme as pf
from pyfairme.study import cross_validate


def main() -> None:
    """Make both studies, print seconds by the clock, and the mean of a fit."""
    warnings.simplefilter("ignore")
    adult = pf.datasets.load_adult()
    model = pf.FairMixedEffectsClassifier(**pf.VARIANTS["medl_adb"])
    for engine, workers in (("local", 1), ("ray", 4)):
        begin = time.perf_counter()
        found = cross_validate(
            model, adult, seen=6, seeds=1, n_jobs=workers, engine=engine, n_boot=0, progress=False
        )
        each = found.timings["seconds_fit"].mean()
        print(f"{engine}, {workers}: {time.perf_counter() - begin:.0f} s, a fit {each:.1f} s")


if __name__ == "__main__":
    main()
