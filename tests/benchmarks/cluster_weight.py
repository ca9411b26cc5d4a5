"""How much the cluster adversary of `medl_adb` should weigh, on folds that no result uses.

``python tests/benchmarks/cluster_weight.py`` (five minutes): five rotations of Adult, seed 100, and
three with probes, for each weight and for fewer random slopes: accuracy, spread of the TPR, and
probes among the first ten features of the fixed and of the mixed effects.
"""

import pandas as pd

import pyfairme as pf
from pyfairme.study import add_probes, cross_validate

WEIGHTS = (0.1, 0.2, 0.3, 0.5)
SEED = 100  # results are made with seeds 0, 1, 2


def models() -> dict[str, pf.FairMixedEffectsClassifier]:
    changes = {f"weight {weight:g}": {"cluster_weight": weight} for weight in WEIGHTS}
    changes |= {f"slopes {slopes}": {"random_slopes": slopes} for slopes in (None, "hidden")}
    keywords = dict(pf.VARIANTS["medl_adb"])
    return {
        name: pf.FairMixedEffectsClassifier(**(keywords | change), threshold="balanced_accuracy")
        for name, change in changes.items()
    }


def main() -> None:
    adult = pf.datasets.load_adult()
    shared = {"seen": 6, "folds": 10, "seeds": [SEED], "n_boot": 0, "n_jobs": 2}
    found = cross_validate(models(), adult, turns=5, **shared).frame
    lines = found.query("effects == 'mixed' and clusters == 'seen' and group == 'all'")
    wanted = lines[lines["metric"].isin(["auroc", "balanced_accuracy", "tpr_sd"])]
    table = wanted.pivot_table("value", "variant", ["attribute", "metric"], sort=False)
    probed = cross_validate(models(), add_probes(adult, random_state=1), turns=3, **shared)
    found = {}
    for fit in probed.configurations:
        for effects, importance in fit["importance"].items():
            rank = pd.Series(importance).rank(ascending=False)
            among = rank[rank.index.str.startswith("probe")] <= 10
            found.setdefault((fit["variant"], effects), []).append(int(among.sum()))
    print(table.round(4).to_string())
    print("probes among the first ten, by fold:", found)


if __name__ == "__main__":
    main()
