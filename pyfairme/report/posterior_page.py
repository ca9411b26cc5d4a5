"""One page on a fitted model's posterior: components, clusters, calibration, checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pyfairme.atomic import write_text
from pyfairme.data.input_types import PathLike, Table
from pyfairme.estimators import FairMixedEffectsClassifier, table_inputs
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.metrics import coverage_table, ece, pit_values, reliability_table
from pyfairme.plots.caterpillar import plot_caterpillar
from pyfairme.plots.coverage_plot import plot_coverage
from pyfairme.plots.pit_plot import plot_pit
from pyfairme.plots.predictive_check import plot_predictive_check
from pyfairme.plots.reliability_plot import plot_reliability
from pyfairme.plots.shrinkage_plot import plot_shrinkage
from pyfairme.report.markdown import markdown_table
from pyfairme.report.shrinkage_table import shrinkage_frame
from pyfairme.report.writing import write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyfairme.estimators.base import FairMixedEffects

PAGE = "posterior.md"
MOST_CLUSTERS = 40  # named in a caterpillar plot; of more, the extremes are drawn
MOST_TERMS = 4
RESIDUAL_VARIANCE = {
    "Bernoulli": "pi^2 / 3 (the latent logistic scale)",
    "Categorical": "pi^2 / 6 for each class (Gumbel errors)",
    "Normal": "residual_sd^2",
    "StudentT": "residual_scale^2 df / (df - 2)",
    "Poisson": "ln(1 + 1/m), m the mean count",
    "NegativeBinomial": "ln(1 + 1/m + 1/concentration), m the mean count",
}
NOTE = (
    "Rows that made the posterior flatter it: give rows held out for an honest look at calibration."
)


class PagePart(NamedTuple):
    """A section: heading, text, and its figure by file name."""

    heading: str
    text: str
    figures: dict[str, Figure]


def posterior_report(
    estimator: FairMixedEffects,
    X: Table,
    y: ArrayLike,
    folder: PathLike,
    *,
    draws: int = 500,
    unit: str | None = None,
) -> Path:
    """Write a page on the posterior: tables as Markdown, pictures beside it.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X, y
        Rows (n, columns) and (n,) to judge the predictions on. The shrinkage plot, too, is of these
        rows, those of known clusters; it means most for the training rows.
    folder
        Folder to write to; it is made. Files of the same names are overwritten.
    draws
        Predictive draws behind PIT, coverage and predictive checks.
    unit
        Unit of the linear predictor; by default log-odds, log, or "units of y".

    Returns
    -------
    Path
        The page, ``posterior.md``: variance components, intraclass correlation with its formula,
        caterpillar and shrinkage plots, reliability (classes) or PIT and coverage (counts, real
        outcomes; intervals by cluster), posterior predictive check.

    Raises
    ------
    ValueError
        When X and y differ in length or hold what training did not allow.
    """
    check_fitted(estimator)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    unit = unit or _unit(estimator)
    outcome = np.asarray(y).reshape(-1)
    lines = ["# Posterior", "", f"{len(outcome):,} rows. {NOTE}"]
    for part in _parts(estimator, X, outcome, draws, unit):
        lines += ["", f"## {part.heading}", "", part.text]
        for name, figure in part.figures.items():
            write_figure(figure, target / name)
            lines += ["", f"![{part.heading}]({name})"]
    page = target / PAGE
    write_text(page, "\n".join(lines) + "\n")
    return page


def _parts(
    estimator: FairMixedEffects, X: Table, y: np.ndarray, draws: int, unit: str
) -> Iterator[PagePart]:
    if estimator.fit_.spec.factors:
        yield PagePart("Variance components", _table(estimator.variance_components_), {})
        yield PagePart("Intraclass correlation", _icc_text(estimator), {})
        yield _caterpillars(estimator.cluster_effects_, unit)
        yield _shrinkage(shrinkage_frame(estimator, X, y), unit)
    replicated = estimator.sample_predictive(X, draws).to_numpy()
    classes = getattr(estimator, "classes_", None)
    clusters = _clusters(estimator, X)
    if isinstance(estimator, FairMixedEffectsClassifier):
        yield _reliability(estimator, X, y)
    else:
        yield from _calibration(y.astype(float), replicated, clusters)
    figure = plot_predictive_check(y, replicated, labels=classes)
    yield PagePart("Posterior predictive check", "Observed outcomes among those the model draws.",
               {"predictive_check.png": figure})  # fmt: skip


def _unit(estimator: FairMixedEffects) -> str:
    return estimator.target_.link_name


def _icc_text(estimator: FairMixedEffects) -> str:
    likelihood = type(estimator.fit_.spec.likelihood).__name__
    formula = RESIDUAL_VARIANCE.get(likelihood, "that of the likelihood on its link scale")
    return (
        f"{_table(estimator.icc())}\n\nICC = var_f / (sum of the factors' var + residual variance) "
        "on the link scale, var_f = tau_0^2 + sum_j m_j^2 tau_j^2 with m_j the mean distance of "
        f"slope j's column from its origin; the residual variance is {formula}."
    )


def _caterpillars(effects: pd.DataFrame, unit: str) -> PagePart:
    figures = {}
    for factor, of_factor in effects.groupby("factor", sort=False):
        for name, lines in _classes(of_factor):
            for term in list(dict.fromkeys(lines["term"]))[:MOST_TERMS]:
                many = len(set(lines["cluster"])) > MOST_CLUSTERS
                figures[f"caterpillar_{len(figures) + 1}.png"] = plot_caterpillar(
                    lines, str(term), str(factor), MOST_CLUSTERS // 2 if many else None, unit=unit,
                    title=f"Cluster effects{name}",
                )  # fmt: skip
    return PagePart("Cluster effects", "Sorted by posterior mean, with 90 % intervals.", figures)


def _shrinkage(frame: pd.DataFrame, unit: str) -> PagePart:
    figures = {}
    for factor, of_factor in frame.groupby("factor", sort=False):
        for name, lines in _classes(of_factor):
            figures[f"shrinkage_{len(figures) + 1}.png"] = plot_shrinkage(
                lines, str(factor), unit=unit, title=f"Partial pooling{name}"
            )
    text = "Each cluster's own estimate, and what the other clusters make of it."
    infinite = int(np.isinf(frame["raw"]).sum())
    if infinite:
        text += f" Clusters without a finite estimate of their own: {infinite}."
    return PagePart("Shrinkage", text, figures)


def _classes(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if "class" not in frame:
        yield "", frame
        return
    for label, lines in frame.groupby("class", sort=False):
        yield f", class {label}", lines


def _reliability(estimator: FairMixedEffectsClassifier, X: Table, y: np.ndarray) -> PagePart:
    probability = estimator.predict_proba(X)
    codes = estimator.target_.encode(y)
    positions = [1] if probability.shape[1] == 2 else range(probability.shape[1])
    tables, errors = {}, []
    for position in positions:
        hit, of_class = (codes == position).astype(int), np.clip(probability[:, position], 0, 1)
        name = str(estimator.classes_[position])
        tables[name] = reliability_table(hit, of_class)
        errors.append(f"{name} {ece(hit, of_class):.4f}")
    text = f"Expected calibration error by class: {', '.join(errors)} (ten bins of equal size)."
    return PagePart("Reliability", text, {"reliability.png": plot_reliability(tables)})


def _calibration(
    y: np.ndarray, draws: np.ndarray, clusters: np.ndarray | None
) -> Iterator[PagePart]:
    discrete = draws.dtype.kind in "iu"
    pit = pit_values(y, draws, discrete=discrete, random_state=0)
    kind = (
        "Randomised, as outcomes are counts." if discrete else "Uniform if predictions are right."
    )
    yield PagePart("Probability integral transform", kind, {"pit.png": plot_pit(pit)})
    table = coverage_table(y, draws, groups=clusters)
    text = f"{_table(table)}\n\nRead *covered* against *attainable*."
    yield PagePart("Coverage", text, {"coverage.png": plot_coverage(table)})


def _clusters(estimator: FairMixedEffects, X: Table) -> np.ndarray | None:
    """Return the first factor's label of each row, or None where there are not two of them."""
    names = [factor.name for factor in estimator.fit_.spec.factors]
    if not names:
        return None
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    labels = table_inputs.cluster_labels(frame, estimator.design_.factor(names[0]))
    return labels if len(np.unique(labels)) > 1 else None


def _table(frame: pd.DataFrame) -> str:
    rows = [
        [f"{value:.4g}" if isinstance(value, float) else str(value) for value in line]
        for line in frame.itertuples(index=False)
    ]
    return markdown_table([str(column) for column in frame], rows)
