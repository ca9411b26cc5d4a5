"""SHAP values by the package shap, which is no dependency: install it to use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.columns import column_kind, pick
from pyfairme.data.input_types import Table
from pyfairme.estimators import table_inputs
from pyfairme.estimators.base import FairMixedEffects
from pyfairme.explain.question import check_model
from pyfairme.notices import unsaid

BACKGROUND = 100  # rows that stand for what is not known of a row


def shap_values(
    estimator: FairMixedEffects,
    X: Table,
    background: Table | None = None,
    *,
    effects: str = "mixed",
    random_state: int = 0,
    **options: Any,
) -> Any:
    """Explain predictions of single rows by shap's permutation explainer.

    Features are the columns that the model reads, the cluster among them (unless effects are
    "fixed"); what a coalition leaves out is taken from rows of ``background``. Values of a row and
    the base value add up to its predicted mean. They have no posterior interval.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    X
        Rows to explain, (n, columns).
    background
        Rows of which at most 100 stand for what is left out; None: X.
    effects
        Predictions to explain: "mixed", "fixed" or "random".
    random_state
        Seed of the choice of background rows, and of the permutations.
    **options
        Handed to shap's explainer when it is called, such as ``max_evals``.

    Returns
    -------
    shap.Explanation
        values (n, features), with more than two classes (n, features, classes); of two classes
        those of the second. ``data`` holds the values of X as they are.

    Raises
    ------
    ImportError
        When shap is not installed.

    Examples
    --------
    >>> import pyfairme as pf
    >>> found = pf.explain.shap_values(clf, X[:20], X)  # doctest: +SKIP
    >>> found.values.shape  # doctest: +SKIP
    (20, 13)
    """
    check_model(estimator)
    try:
        import shap  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "SHAP values need the package shap, which pyfairme does not install: pip install shap. "
            "[no-shap]"
        ) from error
    frame = table_inputs.new_frame(estimator, X, allow_nan=estimator.missing == "category")
    behind = frame if background is None else table_inputs.new_frame(
        estimator, background, allow_nan=estimator.missing == "category"
    )  # fmt: skip
    if len(behind) > BACKGROUND:
        rng = np.random.default_rng(random_state)
        behind = behind.iloc[np.sort(rng.choice(len(behind), BACKGROUND, replace=False))]
    names = _columns(estimator, frame, effects)
    both = pd.concat([behind, frame], ignore_index=True)
    coding = _Coding(both.reindex(columns=names))
    rest = behind.iloc[0]  # columns that are needed to read a table and change nothing

    def predicted(codes: np.ndarray) -> np.ndarray:
        rows = coding.frame(codes)
        rows = rows.assign(**{name: rest[name] for name in behind.columns if name not in names})
        with unsaid():
            return _means(estimator, rows, effects)

    masker = shap.maskers.Independent(coding.codes[: len(behind)], max_samples=len(behind))
    explainer = shap.PermutationExplainer(predicted, masker, feature_names=names, seed=random_state)
    found = explainer(coding.codes[len(behind) :], **options)
    found.data = frame[names].to_numpy()
    return found


def _columns(estimator: FairMixedEffects, frame: pd.DataFrame, effects: str) -> list[str]:
    """List the columns on which the prediction depends."""
    design = estimator.design_
    used = [term.column for term in design.terms]
    used += [] if design.offset is None else [design.offset]
    if effects != "fixed":
        used += [name for factor in design.factors for name in factor.columns]
    return [name for name in dict.fromkeys(used) if name in frame.columns]


def _means(estimator: Any, rows: pd.DataFrame, effects: str) -> np.ndarray:
    if not hasattr(estimator, "classes_"):
        return estimator.predict(rows, effects=effects)
    found = estimator.predict_proba(rows, effects=effects)
    return found[:, 1] if found.shape[1] == 2 else found


class _Coding:
    """A table as numbers and back: levels become codes, numbers stay; -1 is a missing level."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.levels: dict[str, Any] = {}
        self.codes = np.empty(frame.shape)
        for place, name in enumerate(frame.columns):
            series = pick(frame, name)
            if column_kind(series) == "numeric":
                self.levels[str(name)] = None
                self.codes[:, place] = series.to_numpy(np.float64, na_value=np.nan)
            else:
                codes, values = pd.factorize(series)
                self.levels[str(name)] = np.array([*values, None], dtype=object)
                self.codes[:, place] = codes

    def frame(self, codes: np.ndarray) -> pd.DataFrame:
        """Return the rows of codes (n, columns)."""
        columns = {}
        for place, (name, levels) in enumerate(self.levels.items()):
            own = codes[:, place]
            columns[name] = own if levels is None else levels[own.astype(int)]
        return pd.DataFrame(columns)
