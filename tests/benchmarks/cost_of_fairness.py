"""What it costs on Adult to protect age, sex, race and marital status at once.

    python tests/benchmarks/cost_of_fairness.py --seeds 1 2 --store runs/cost_of_fairness

Three models of the same network, all inputs kept, the six largest occupations, ten folds rotated
and pooled: without fairness, with weak and with strong penalties. Their weights were chosen on seed
0, which the figures leave out. Prints each disparity, its change and whether it is inside its null
band, and with ``--page`` writes the tables into the page between its marks.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import pyfairme as pf
from pyfairme.report.markdown import markdown_table
from pyfairme.study import compare, cross_validate

UNFAIR = "medl"
NETWORK: Mapping[str, Any] = {
    **pf.VARIANTS["medl"],
    "numeric_encoding": "auto",
    "weight_decay": 3.0,
    "cluster_weight": 0.1,
    "fixed_weight": 0.1,
    "ensemble": 3,
    "early_stopping": False,
    "threshold": "smoothed_balanced_accuracy",
}
ON = ("fixed", "mixed")
OWN_BAND = "variant: inside its null band"  # compare's note: the band of this model, not of medl


def weights(age: float, sex: float, race: float, marital: float) -> dict[str, float]:
    """Return strengths by attribute."""
    return {"age_bracket": age, "sex": sex, "race": race, "marital_status": marital}


# Adversaries of decisions only leave in the scores what changes with a person's sex, so correlation
# lowers that. For near equality those that see scores as well were cheaper on seed 0.
MODELS: Mapping[str, Mapping[str, Any]] = {
    UNFAIR: NETWORK,
    "gentle": {
        **NETWORK,
        "fairness": ("decision_only_adversarial", "correlation"),
        "fairness_on": ON,
        "fairness_weight": {
            "decision_only_adversarial": weights(0.1, 0.06, 0.03, 0.11),
            "correlation": weights(0, 0.02, 0, 0),
        },
    },
    "strict": {
        **NETWORK,
        "fairness": "decision_adversarial",
        "fairness_on": ON,
        "fairness_weight": weights(0.16, 0.17, 0.03, 0.68),
    },
}
METRICS = (
    "auroc",
    "balanced_accuracy",
    "tpr_sd",
    "tpr_sd_corrected",
    "fpr_sd",
    "fpr_sd_corrected",
    "counterfactual_gap",
)


def main() -> None:
    """Make the fits that are missing, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--store", type=Path, default=Path("runs/cost_of_fairness"))
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    models = {name: pf.FairMixedEffectsClassifier(**keywords) for name, keywords in MODELS.items()}
    found = cross_validate(
        models,
        pf.datasets.load_adult(),
        seen=6,
        folds=10,
        seeds=options.seeds,
        store=options.store,
        n_jobs=options.n_jobs,
    )
    frame = compare(found, UNFAIR).frame
    frame.to_csv(options.store / "comparison.csv", index=False, float_format="%.5f")
    text = "\n\n".join(_tables(frame))
    print(text)
    if options.page is not None:
        _write(options.page, text)


def _tables(frame: pd.DataFrame) -> Iterator[str]:
    """Yield a title and a table for the fixed and mixed predictions of seen and other clusters."""
    wanted: Any = frame[frame["metric"].isin(METRICS) & frame["effects"].isin(ON)]
    for (clusters, effects), part in wanted.groupby(["clusters", "effects"], sort=False):
        models = list(dict.fromkeys(part["variant"]))
        header = ["metric", "attribute", UNFAIR, *models]
        rows = []
        for (metric, attribute), lines in part.groupby(["metric", "attribute"], sort=False):
            by_model = lines.set_index("variant")
            cells = [_cell(by_model.loc[model], metric) for model in models]
            base = f"{by_model['baseline_value'].iloc[0]:.4f}"
            rows.append([str(metric), str(attribute), base, *cells])
        yield f"### {clusters} clusters, {effects} prediction"
        yield markdown_table(header, rows)


def _cell(line: pd.Series, metric: str) -> str:
    low, high = line["low"], line["high"]
    if metric in ("auroc", "balanced_accuracy"):
        return f"{line['value']:.4f} ({low:+.4f} to {high:+.4f})"
    change = "" if pd.isna(line["change_percent"]) else f", {line['change_percent']:+.0f} %"
    inside = OWN_BAND in str(line["note"])
    return f"{line['value']:.4f}{change}{' (chance)' if inside else ''}"


def _write(page: Path, text: str) -> None:
    marks = "<!-- cost -->", "<!-- /cost -->"
    old = page.read_text(encoding="utf-8")
    new = re.sub(f"{marks[0]}.*?{marks[1]}", lambda _: f"{marks[0]}\n\n{text}\n\n{marks[1]}", old,
                 flags=re.S)  # fmt: skip
    if marks[0] not in old:
        raise ValueError(f"Expected a part between {marks[0]} and {marks[1]} in {page}.")
    page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
