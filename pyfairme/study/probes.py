"""Probes: made-up columns that tell of the cluster and the target, but of nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data import ClassTarget, Design
from pyfairme.datasets import Dataset
from pyfairme.estimators.number_checks import is_number
from pyfairme.metrics.array_inputs import as_rng, check_count
from pyfairme.study.arguments import check_dataset

TARGET_PART = 1 / 6
RIDGE = 1e-6  # of the mean diagonal: redundant columns of levels are no error


def add_probes(
    dataset: Dataset,
    number: int = 5,
    strength: float = 6.0,
    random_state: int | np.random.Generator = 0,
    *,
    target_part: float = TARGET_PART,
) -> Dataset:
    r"""Add columns that confound cluster and target, to see which models fall for them.

    With m_k the mean of the target in cluster k and SD standard deviations over rows, probe j of
    row i in cluster z(i) is ::

        v_ij = strength [ (m_z(i) - mean y) / SD(m) + target_part (y_i - m_z(i)) / SD(y - m) ]
               + Normal(0, 1)
        probe_ij = the residual of v_ij in the least-squares regression on all encoded covariates,
                   divided by its SD

    so that a probe is correlated with the cluster (above all) and with the target, and with no
    covariate: it holds no knowledge of the domain. A model of independent rows gains from it; one
    that knows of clusters should find the gain in the cluster. ``target_part`` lets a probe leak
    the row's own target, in test rows too, so that a model which ignores it pays: by default the
    leak is as large as the noise (``strength * target_part`` = 1), a sixth of the cluster's part.

    Parameters
    ----------
    dataset
        Data with one cluster column.
    number
        How many probes; they differ by their noise.
    strength
        SD of the cluster's part over the SD of the noise.
    random_state
        Seed or generator of the noise.
    target_part
        SD of the part that is the row's own target, over that of the cluster's part.

    Returns
    -------
    Dataset
        With columns probe1, probe2, ..., named in ``probes``.

    Raises
    ------
    ValueError
        When there is not one cluster column, a column is called like a probe, or the numbers are
        out of range.

    References
    ----------
    The paper's probes (arXiv 2310.03146, section 2.6) are "correlated with the target and cluster
    but not correlated with any of the original dataset covariates"; its generator is not published.

    Examples
    --------
    >>> import pyfairme as pf
    >>> probed = add_probes(pf.datasets.make_clustered(rows=300, random_state=0), number=2)
    >>> probed.probes
    ('probe1', 'probe2')
    """
    check_dataset(dataset)
    rng = as_rng(random_state, "random_state")
    names = _names(dataset, number, strength, target_part)
    signal = _signal(dataset, target_part)
    noise = rng.normal(size=(len(signal), number))
    probes = _residual(strength * signal[:, None] + noise, _covariates(dataset))
    probes /= probes.std(axis=0)
    frame = pd.concat(
        [dataset.frame, pd.DataFrame(probes, columns=list(names), index=dataset.frame.index)],
        axis=1,
    )
    schema = replace(dataset.schema, numeric=(*dataset.schema.numeric, *names))
    return replace(dataset, frame=frame, schema=schema, probes=names)


def _names(dataset: Dataset, number: int, strength: float, part: float) -> tuple[str, ...]:
    if len(dataset.schema.cluster) != 1:
        raise ValueError(
            f"Probes need one cluster column, this schema has {list(dataset.schema.cluster)}. "
            "[probe-cluster]"
        )
    check_count(number, "number", 1)
    for name, value in (("strength", strength), ("target_part", part)):
        if not (is_number(value) and value >= 0):
            raise ValueError(
                f"Expected {name} to be a finite number >= 0, got {value!r}. [probe-strength]"
            )
    names = tuple(f"probe{j}" for j in range(1, number + 1))
    if taken := sorted({*names} & {str(name) for name in dataset.frame.columns}):
        raise ValueError(
            f"The data have columns called {', '.join(taken)} already: rename them. [probe-names]"
        )
    return names


def _signal(dataset: Dataset, target_part: float) -> np.ndarray:
    """Return what probes share, (n,): the cluster's mean target, and the row's deviation."""
    y = _amounts(dataset)
    cluster = dataset.frame[dataset.schema.cluster[0]].astype(object).to_numpy()
    mean = pd.Series(y).groupby(cluster, dropna=False).transform("mean").to_numpy()
    return _standard(mean) + target_part * _standard(y - mean)


def _amounts(dataset: Dataset) -> np.ndarray:
    """Return the target as numbers: 0 and 1 for two classes."""
    if dataset.schema.task == "regression":
        return dataset.target.to_numpy(np.float64)
    target = ClassTarget.fit(dataset.target)
    if len(target.classes) > 2:
        raise ValueError(
            f"Probes need a real target or two classes; this target has {len(target.classes)}: add "
            "them to a data set with one class against the rest. [probe-classes]"
        )
    return target.encode(dataset.target).astype(np.float64)


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def _covariates(dataset: Dataset) -> np.ndarray:
    """Return all encoded covariates, standardised, with a constant: (n, p + 1)."""
    free = replace(dataset.schema, cluster=())
    x: Any = Design.fit(dataset.frame, free).encode(dataset.frame).x
    x = np.asarray(x, np.float32)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
    return np.column_stack([np.ones(len(x), np.float32), x])


def _residual(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Residuals of a least-squares regression of each column, by its normal equations."""
    gram = (x.T @ x).astype(np.float64)
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
    coefficients = np.linalg.solve(gram, x.T @ values.astype(np.float32))
    return values - x @ coefficients
