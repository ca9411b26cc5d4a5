"""What this version takes, written beside those of earlier ones, and the picture of them all.

    python tests/benchmarks/speed_record.py            # measure this commit, then draw
    python tests/benchmarks/speed_record.py --draw     # only draw docs/speed_history.png

Measures `speed_figures` and the ratios of `bench_training` and `bench_clusters`, and writes one
file to docs/results/speed: the commit, its date, machine, versions, figures. Seconds of two
machines do not compare, ratios within one run do; the picture has a line for each machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDS, PICTURE = ROOT / "docs/results/speed", ROOT / "docs/speed_history.png"
PACKAGES = ("jax", "numpyro", "numpy", "scipy", "scikit-learn", "pandas", "arviz")
DRAWN = {
    "fit of 600 rows, cold": "first fit, s",
    "fit of 600 rows, warm": "further fit, s",
    "fit of 600 rows, second process": "second process, s",
    "GroupKFold(3), 600 rows, cold": "three folds, s",
    "report, classes": "fairness report, s",
    "training, medl": "rows/s: medl / scikit-learn",
    "training, medl_adb": "rows/s: medl_adb / scikit-learn",
    "step, 100,000 clusters": "step: 100,000 / 10 clusters",
}


def machine() -> dict[str, Any]:
    """Describe where this runs."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load at the start": load and round(load, 1),
    }


def git(*arguments: str) -> str:
    """Return what git says of this checkout."""
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def ratios(script: str) -> Any:
    """Run a benchmark that writes its figures as JSON, and return them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        subprocess.run([sys.executable, HERE / script, "--json", file], cwd=ROOT, check=True)
        return json.loads(file.read_text())


def measure() -> dict[str, Any]:
    """Measure this commit."""
    there = machine()
    command = [sys.executable, str(HERE / "speed_figures.py")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    training, clusters = ratios("bench_training.py"), ratios("bench_clusters.py")
    figures |= {f"training, {name}": value for name, value in training["ratio"].items()}
    for row in clusters:
        adversary = ", cluster adversary" if row["cluster_adversary"] else ""
        figures[f"step, {row['clusters']:,} clusters{adversary}"] = row["ratio"]
    changed = " and changes" if git("status", "--porcelain", "pyfairme") else ""
    return {
        "commit": git("rev-parse", "--short", "HEAD") + changed,
        "date": git("show", "-s", "--format=%cI", "HEAD"),
        "machine": there,
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "figures": figures,
    }


def draw() -> None:
    """Draw what the records say over time."""
    records = [json.loads(file.read_text()) for file in sorted(RECORDS.glob("*.json"))]
    rows = [
        {
            "date": pd.Timestamp(one["date"]),
            "machine": f"{one['machine']['processor']}, {one['machine']['cores']} cores",
            **one["figures"],
        }
        for one in records
    ]
    frame = pd.DataFrame(rows).sort_values("date")
    figure, axes = plt.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
    for (name, title), axis in zip(DRAWN.items(), axes.flat, strict=True):
        for place, part in frame.groupby("machine"):
            axis.plot(part["date"].dt.strftime("%d %b"), part[name], "o-", label=place)
        axis.set_title(title, fontsize=9)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=8)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower left", fontsize=8)
    figure.savefig(PICTURE, dpi=100)
    plt.close(figure)
    print(f"drawn: {PICTURE}")


def main() -> None:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--draw", action="store_true", help="only draw what was recorded")
    options = parser.parse_args()
    if not options.draw:
        RECORDS.mkdir(parents=True, exist_ok=True)
        found = measure()
        name = f"{found['date'][:10]}_{found['commit'].split()[0]}.json"
        (RECORDS / name).write_text(json.dumps(found, indent=1) + "\n")
        print(f"written: {RECORDS / name}")
    draw()


if __name__ == "__main__":
    main()
