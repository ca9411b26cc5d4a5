"""How much the cluster adversary of `medl_adb` should weigh, on folds that no result uses.

``python tests/benchmarks/cluster_weight.py`` (five minutes): five rotations of Adult, seed 100, and
three with probes, for each weight: accuracy, spread of the TPR, and probes among the first ten
features of the fixed effects.
"""

import pandas as pd

import pyfairme as pf
from pyfairme.study import add_probes, cross_validate

WEIGHTS = (0.1, 0.2, 0.3, 0.5)
SEED = 100  # results are made with seeds 0, 1, 2


def models() -> dict[str, pf.FairMixedEffectsClassifier]:
    keywords = dict(pf.VARIANTS["medl_adb"])
    return {
        f"{weight:g}": pf.FairMixedEffectsClassifier(
            **(keywords | {"cluster_weight": weight}), threshold="balanced_accuracy"
        )
        for weight in WEIGHTS
    }


def main() -> None:
    adult = pf.datasets.load_adult()
    shared = {"seen": 6, "folds": 10, "seeds": [SEED], "n_boot": 0, "n_jobs": 2}
    found = cross_validate(models(), adult, turns=5, **shared).frame
    lines = found.query("effects == 'mixed' and clusters == 'seen' and group == 'all'")
    wanted = lines[lines["metric"].isin(["auroc", "balanced_accuracy", "tpr_sd"])]
    table = wanted.pivot_table("value", "variant", ["attribute", "metric"], sort=False)
    probed = cross_validate(models(), add_probes(adult, random_state=1), turns=3, **shared)
    ranks = {}
    for fit in probed.configurations:
        rank = pd.Series(fit["importance"]["fixed"]).rank(ascending=False)
        places = sorted(rank[rank.index.str.startswith("probe")].astype(int))
        ranks.setdefault(fit["variant"], []).append(sum(place <= 10 for place in places))
    print(table.round(4).to_string())
    print("probes among the first ten, by fold:", ranks)


if __name__ == "__main__":
    main()
