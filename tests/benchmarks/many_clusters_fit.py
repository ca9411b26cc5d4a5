"""A default fit of very many clusters: processor seconds, and the peak of memory.

python tests/benchmarks/many_clusters_fit.py 5000 200000
python tests/benchmarks/many_clusters_fit.py 100000 500000
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings

from bench_clusters import make_rows

import pyfairme as pf


def main() -> None:
    """Fit, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("clusters", type=int)
    parser.add_argument("rows", type=int)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    frame, y = make_rows(options.rows, options.clusters)
    model = pf.FairMixedEffectsClassifier("cluster", random_state=0, progress=False)
    calls = {
        "fit": lambda: model.fit(frame, y),
        "predict_proba": lambda: model.predict_proba(frame),
        "cluster_effects_": lambda: model.cluster_effects_,
    }
    for name, call in calls.items():
        begin = time.process_time()
        call()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kB on Linux
        print(f"{name}: {time.process_time() - begin:.1f} s, peak {peak:.2f} GB", flush=True)


if __name__ == "__main__":
    main()
