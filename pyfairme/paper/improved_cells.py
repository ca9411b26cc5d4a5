"""How many disparities improved, how many of them can be judged, and what the paper counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from pyfairme.metrics.metric import metric_label
from pyfairme.paper.published_values import paper_dataset, paper_values
from pyfairme.paper.study_lines import EFFECTS, Lines, baseline_of
from pyfairme.paper.table_layouts import AGAINST, DISPARITY_METRICS
from pyfairme.report.markdown import markdown_table
from pyfairme.variants import VARIANTS

ALPHA = 0.05
ALL = "all"
# Names of the paper's counts; the paper does not say which 48 cells of IPUMS it counts: 4
# attributes x these 3 metrics x fixed/mixed x seen/unseen are 48.
SETS = {
    "cells_improved_equalized_odds": ("tpr_sd", "fpr_sd"),
    "cells_improved_parity_counterfactual": ("demographic_parity", "counterfactual_gap"),
    "cells_improved": ("tpr_sd", "fpr_sd", "demographic_parity"),
    "cells_improved_regression": ("mse_sd", "demographic_parity", "counterfactual_gap"),
    "cells_improved_all": ("tpr_sd", "fpr_sd", "demographic_parity", "counterfactual_gap"),
}
SCOPES = ((ALL, ALL), ("mixed", "seen"))  # effects and clusters that are counted
HEADER = (
    *("data", "model", "against", "effects", "clusters", "metrics", "cells"),
    *("improved", "resolvable", "improved and resolvable", "significantly better"),
    *("significantly worse", "paper: improved"),
)


class Pair(NamedTuple):
    """A comparison: data set, model, and the model that it is compared with."""

    dataset: str
    variant: str
    baseline: str


class Count(NamedTuple):
    """Numbers of cells: attribute x metric x effects x clusters with a value."""

    cells: int
    improved: int
    resolvable: int
    improved_resolvable: int
    better: int  # improved, both Holm-corrected p values below .05
    worse: int  # the same, not improved


def cells_improved_table(lines: Lines) -> str:
    """Return the counts of every model against every baseline, as Markdown.

    Parameters
    ----------
    lines
        Results and tests.
    """
    return (
        f"{markdown_table(HEADER, _rows(lines))}\n\nA cell is one attribute, metric, kind of "
        "effects and kind of clusters; models without random effects have no fixed effects apart. "
        "*Significant*: both Holm-corrected p values are below .05. *Resolvable*: the baseline "
        "lies above the band that equal groups would show by chance; counterfactual gaps have no "
        "such band and are not among these."
    )


def count_cells(
    lines: Lines, pair: Pair, metrics: tuple[str, ...], effects: str = ALL, clusters: str = ALL
) -> Count:
    """Count the cells of one comparison.

    Parameters
    ----------
    lines
        Results and tests.
    pair
        The comparison.
    metrics
        Disparities to count.
    effects, clusters
        Only these; ``"all"``: fixed and mixed, seen and unseen.
    """
    kinds = lines.effects_of(pair.dataset, pair.variant) if effects == ALL else (effects,)
    found = [
        test
        for key, test in lines.tests.get(pair, {}).items()
        if key[0] in kinds
        and clusters in (ALL, key[1])
        and key[2] != "all"
        and key[3] in metrics
        and test["difference"] == test["difference"]
    ]
    clear = [_significant(test) for test in found]
    better = [bool(test["improved"]) for test in found]
    # a metric without a null has no band to be read against: it is not counted as resolvable
    sure = [bool(test["resolvable"]) and test["null_high"] == test["null_high"] for test in found]
    return Count(
        len(found),
        sum(better),
        sum(sure),
        sum(a and b for a, b in zip(better, sure, strict=True)),
        sum(a and b for a, b in zip(better, clear, strict=True)),
        sum(not a and b for a, b in zip(better, clear, strict=True)),
    )


def _significant(test: Mapping[str, Any]) -> bool:
    return test["p_bootstrap_holm"] < ALPHA and test["p_nadeau_bengio_holm"] < ALPHA


def _rows(lines: Lines) -> Iterator[list[str]]:
    for dataset in lines.datasets():
        sets = list(_sets(lines.values("metric", dataset)))
        for pair in _pairs(lines, dataset):
            for (name, metrics), scope in product(sets, SCOPES):
                yield from _row(lines, pair, name, metrics, scope)


def _pairs(lines: Lines, dataset: str) -> Iterator[Pair]:
    """Yield each fair model with the one it is read against, then the ablation's pairs."""
    for variant in lines.values("variant", dataset):
        tested = lines.baselines(dataset, variant)
        further = [base for model, base in AGAINST if model == variant and base in tested]
        if VARIANTS.get(variant, {}).get("fairness", "unknown") is not None:
            for baseline in dict.fromkeys([baseline_of(variant, tested), *further]):
                yield Pair(dataset, variant, baseline)


def _row(
    lines: Lines, pair: Pair, name: str, metrics: tuple[str, ...], scope: tuple[str, str]
) -> Iterator[list[str]]:
    effects, clusters = scope
    count = count_cells(lines, pair, metrics, effects, clusters)
    if count.cells:
        improved, cells = count_of_paper(pair, name, effects, clusters)
        yield [
            *pair,
            " and ".join(EFFECTS) if effects == ALL else effects,
            "seen and unseen" if clusters == ALL else clusters,
            ", ".join(metric_label(metric) for metric in metrics),
            *map(str, count),
            "-" if math.isnan(improved) else f"{improved:.0f} of {cells:.0f}",
        ]


def _sets(metrics: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the sets of this task, then each metric alone."""
    if "mse_sd" in metrics:
        yield "cells_improved", SETS["cells_improved_regression"]
    else:
        for name in SETS:
            if name != "cells_improved_regression":
                yield name, SETS[name]
    for metric in DISPARITY_METRICS:
        if metric in metrics:
            yield "", (metric,)


def metrics_of(name: str, metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Return the disparities behind one of the paper's counts, for a data set's metrics."""
    return dict(_sets(metrics)).get(name, ())


def count_of_paper(pair: Pair, name: str, effects: str, clusters: str) -> tuple[float, float]:
    """Return how many cells the paper says improved, and of how many; NaN where it does not."""
    wanted = (paper_dataset(pair.dataset), *pair[1:], effects, clusters, "count")
    columns = ("dataset", "variant", "baseline", "effects", "clusters", "kind")
    found = {
        str(line["metric"]): float(line["value"])
        for line in paper_values().to_dict("records")
        if tuple(line[column] for column in columns) == wanted
    }
    cells = name.replace("improved", "considered")
    return found.get(name, math.nan), found.get(cells, math.nan)
