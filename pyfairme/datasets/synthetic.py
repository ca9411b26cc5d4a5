"""Clustered data with known network, random effects, unfairness and probes."""

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pyfairme.data.schema import Schema
from pyfairme.datasets.dataset import Dataset
from pyfairme.datasets.synthetic_outcomes import COUNTS, LIKELIHOODS, draw_outcome

__all__ = ["make_clustered"]

PROXY_SHIFT = 0.5
MOST_LINK = 43.0  # exp of it is 4.7e18: NumPy draws counts up to 9.2e18
COUNT_SHARE = 1 / 3  # of f for counts: exp of the whole would reach into the thousands


@dataclass(frozen=True, eq=False)
class Truth:
    """What a synthetic data set was made with.

    Parameters
    ----------
    intercepts
        Random intercept of each cluster, indexed by its label.
    slopes
        Random slopes, clusters x covariates (only covariates that have them), per unit of x.
    intercept_scale, slope_scale, noise
        Standard deviations; `noise` is that of `make_clustered`.
    fixed
        float64[n], f(x) plus the direct shift by group, on the link scale.
    mixed
        float64[n], `fixed` plus the random effects, without the log of the exposure.
    unfairness
        One row per attribute and level: `direct`, the shift of the link, `proxy`, the covariate
        that carries the level (None if there is none), and `proxy_shift`, by how much.
    probes
        Names of the probe columns.

    Examples
    --------
    >>> truth = make_clustered(rows=200, clusters=4, random_state=0).truth
    >>> truth.unfairness["attribute"].unique().tolist()
    ['group1', 'group2']
    """

    intercepts: pd.Series
    slopes: pd.DataFrame
    intercept_scale: float
    slope_scale: float
    noise: float
    fixed: np.ndarray
    mixed: np.ndarray
    unfairness: pd.DataFrame
    probes: tuple[str, ...]


def make_clustered(
    rows: int = 2000,
    clusters: int = 10,
    *,
    covariates: int = 5,
    likelihood: str = "bernoulli",
    intercept_scale: float = 1.0,
    slope_scale: float = 0.5,
    slopes: int = 1,
    sensitive_levels: Sequence[int] = (2, 3),
    unfairness: float = 1.0,
    noise: float = 1.0,
    nonlinear: bool = True,
    probes: int = 0,
    probe_strength: float = 1.0,
    cluster_imbalance: float = 0.0,
    classes: int = 3,
    exposure: float = 0.0,
    random_state: int | np.random.Generator,
) -> Dataset:
    r"""Draw clustered data from a mixed-effects model whose parts are known.

    With rows i, clusters k, covariates j = 1..p, sensitive attributes a with levels 0..L_a - 1::

        P(z_i = k)   proportional to (k + 1)^(-cluster_imbalance), every cluster at least once
        s_ia         uniform on the levels;  d_a(l) = 2 l / (L_a - 1) - 1, from -1 to 1
        beta_j       = (-1)^(j - 1) j^(-1/2)
        x_ij         = e_ij + 0.5 sign(beta_j) unfairness d_j(s_ij), covariate j being the proxy of
                       attribute j; = e_ij where there is no attribute j;  e_ij ~ Normal(0, 1)
        f(x)         = sum_j beta_j x_j  [+ sin(2 x_1) + x_1 x_p / 2 if nonlinear], a third of it
                       for counts
        fixed_i      = f(x_i) + unfairness sum_a d_a(s_ia)
        intercept_k  ~ Normal(0, intercept_scale),  slope_kj ~ Normal(0, slope_scale), j <= slopes
        mixed_i      = fixed_i + intercept_z(i) + sum_j x_ij slope_z(i)j
        y_i          = 1[mixed_i + noise Logistic(0, 1) > 0]       "bernoulli": Bernoulli(sigmoid(
                                                                    mixed_i)) at noise = 1
                     = argmax_c (u_c mixed_i + noise Gumbel_ic)    "categorical", u_c from -0.5 to
                                                                    0.5: softmax(u mixed_i) at 1
                     = mixed_i + noise Normal(0, 1)                "normal"
                     = mixed_i + noise t_3                         "student_t"
                     ~ Poisson(exp(mixed_i + log_exposure_i))      "poisson"
                     ~ Poisson(g_i exp(mixed_i + log_exposure_i))  "negative_binomial", g_i ~ Gamma
                       of mean 1 and SD noise: concentration 1 / noise^2
        log_exposure_i ~ Normal(0, exposure), for counts
        probe_im     = probe_strength b_z(i) + Normal(0, 1), b = the intercepts in units of their
                       scale: related to y through the cluster only, to no covariate

    The direct shift and the proxies make an ordinary model's TPR and FPR differ between groups;
    with `unfairness=0` nothing depends on s and groups are exchangeable. Another value of
    `unfairness` or `probes` leaves all other draws of the same seed as they are.

    Parameters
    ----------
    rows, clusters, covariates
        Sizes n, G, p.
    likelihood
        "bernoulli", "categorical", "normal", "student_t", "poisson" or "negative_binomial".
    intercept_scale, slope_scale, slopes
        Scales of the random effects; number of covariates with random slopes.
    sensitive_levels
        Number of levels of each sensitive attribute.
    unfairness
        Strength of the injected unfairness, link units.
    noise, nonlinear, probes, probe_strength, cluster_imbalance
        As in the equations.
    classes
        Number of classes 0, 1, ... of "categorical".
    exposure
        SD of the log exposure of counts, a column "log_exposure" to be used as offset; 0: no such
        column, every exposure is 1.
    random_state
        Seed or generator.

    Returns
    -------
    Dataset
        Columns x1.., cluster, group1.., probe1.., log_exposure; `truth` is a `Truth`.

    Raises
    ------
    ValueError
        For sizes, scales or a likelihood that cannot be.

    Examples
    --------
    >>> data = make_clustered(rows=200, clusters=4, random_state=0)
    >>> data.truth.intercepts.index.tolist()
    ['c0', 'c1', 'c2', 'c3']
    """
    sizes = {"clusters": clusters, "covariates": covariates, "slopes": slopes, "probes": probes}
    _check_sizes(rows, sizes, sensitive_levels)
    levels = tuple(sensitive_levels)
    _check_likelihood(likelihood)
    scales = {"intercept_scale": intercept_scale, "slope_scale": slope_scale, "noise": noise}
    rest = {"cluster_imbalance": cluster_imbalance, "unfairness": unfairness, "exposure": exposure}
    _check_amounts({**scales, **rest})
    _check_amounts({"probe_strength": probe_strength}, least=-np.inf)
    _check_kind(likelihood, classes, exposure)
    _check_seed(random_state)
    rng = np.random.default_rng(random_state)
    cluster = _draw_clusters(rng, rows, clusters, cluster_imbalance)
    groups = [rng.integers(count, size=rows) for count in levels]
    shifts = [unfairness * _scores(count)[s] for count, s in zip(levels, groups, strict=True)]
    x = _shift_proxies(rng.normal(size=(rows, covariates)), shifts)
    standard = rng.normal(size=clusters)
    slope = slope_scale * rng.normal(size=(clusters, slopes))
    share = COUNT_SHARE if likelihood in COUNTS else 1.0
    fixed = share * _network(x, nonlinear) + sum(shifts, np.zeros(rows))
    random = intercept_scale * standard[cluster] + (x[:, :slopes] * slope[cluster]).sum(axis=1)
    exposed = _log_exposure(rng, rows, exposure)
    link = fixed + random + exposed.sum(axis=1)
    _check_counts(link, likelihood)
    y = draw_outcome(rng, link, likelihood, noise, classes)
    probe = probe_strength * standard[cluster, None] + rng.normal(size=(rows, probes))

    names, labels = _names("x", covariates, 1), _names("c", clusters, 0)
    truth = Truth(
        intercepts=pd.Series(intercept_scale * standard, index=labels),
        slopes=pd.DataFrame(slope, index=labels, columns=names[:slopes]),
        **scales,
        fixed=fixed,
        mixed=fixed + random,
        unfairness=_amounts(levels, names, unfairness),
        probes=tuple(_names("probe", probes, 1)),
    )
    frame = pd.concat(
        [
            pd.DataFrame(x, columns=names),
            _label_frame({"cluster": (labels, cluster)}),
            _label_frame(_group_labels(levels, groups)),
            pd.DataFrame(probe, columns=list(truth.probes)),
            pd.DataFrame(exposed, columns=["log_exposure"][: exposed.shape[1]]),
        ],
        axis=1,
    )
    classify = likelihood in ("bernoulli", "categorical")
    task = "classification" if classify else "regression"
    sensitive = tuple(_names("group", len(levels), 1))
    schema = Schema.infer(frame, cluster="cluster", sensitive=sensitive, target="y", task=task)
    return Dataset(
        frame, pd.Series(y, name="y"), schema, name="clustered", truth=truth, licence="generated"
    )


def _draw_clusters(
    rng: np.random.Generator, rows: int, clusters: int, imbalance: float
) -> np.ndarray:
    share = np.arange(1, clusters + 1, dtype=float) ** -imbalance
    rest = rng.choice(clusters, size=rows - clusters, p=share / share.sum())
    return rng.permutation(np.concatenate([np.arange(clusters), rest]))


def _scores(levels: int) -> np.ndarray:
    return np.linspace(-1.0, 1.0, levels)


def _shift_proxies(e: np.ndarray, shifts: Sequence[np.ndarray]) -> np.ndarray:
    x = e.copy()
    for column, shift, beta in zip(x.T, shifts, _coefficients(x.shape[1]), strict=False):
        column += PROXY_SHIFT * np.sign(beta) * shift
    return x


def _coefficients(covariates: int) -> np.ndarray:
    order = np.arange(1, covariates + 1)
    return (-1.0) ** (order - 1) / np.sqrt(order)


def _network(x: np.ndarray, nonlinear: bool) -> np.ndarray:
    linear = x @ _coefficients(x.shape[1])
    return linear + np.sin(2 * x[:, 0]) + x[:, 0] * x[:, -1] / 2 if nonlinear else linear


def _log_exposure(rng: np.random.Generator, rows: int, sd: float) -> np.ndarray:
    """Draw log exposures (rows, 1), or (rows, 0) without them: no draw, nothing else changes."""
    return sd * rng.normal(size=(rows, 1)) if sd > 0 else np.zeros((rows, 0))


def _names(prefix: str, count: int, first: int) -> list[str]:
    width = len(str(first + count - 1))  # padded, so that sorting names sorts numbers
    return [f"{prefix}{number:0{width}d}" for number in range(first, first + count)]


def _group_labels(
    levels: Sequence[int], groups: Sequence[np.ndarray]
) -> dict[str, tuple[list[str], np.ndarray]]:
    names = _names("group", len(levels), 1)
    labels = [_names("g", count, 0) for count in levels]
    return dict(zip(names, zip(labels, groups, strict=True), strict=True))


def _label_frame(columns: Mapping[str, tuple[list[str], np.ndarray]]) -> pd.DataFrame:
    return pd.DataFrame({name: np.array(text)[codes] for name, (text, codes) in columns.items()})


def _amounts(levels: Sequence[int], covariates: Sequence[str], unfairness: float) -> pd.DataFrame:
    signs = PROXY_SHIFT * np.sign(_coefficients(len(covariates)))
    proxies = dict(
        zip(_names("group", len(levels), 1), zip(covariates, signs, strict=True), strict=False)
    )
    rows = []
    for attribute, count in zip(_names("group", len(levels), 1), levels, strict=True):
        proxy, sign = proxies.get(attribute, (None, 0.0))
        for level, score in zip(_names("g", count, 0), unfairness * _scores(count), strict=True):
            rows.append((attribute, level, score, proxy, sign * score))
    return pd.DataFrame(rows, columns=["attribute", "level", "direct", "proxy", "proxy_shift"])


def _check_sizes(rows: object, sizes: Mapping[str, Any], levels: Any) -> None:
    lowest = {"clusters": 2, "covariates": 1, "slopes": 0, "probes": 0}
    for name, size in sizes.items():
        if not _is_whole(size) or size < lowest[name]:
            raise ValueError(
                f"Expected {name} >= {lowest[name]}, got {size!r}. Give a whole number. [data-size]"
            )
    if not _is_whole(rows) or rows < sizes["clusters"]:
        raise ValueError(
            f"Expected at least one row per cluster ({sizes['clusters']}), "
            f"got rows={rows!r}. Give a whole number. [data-size]"
        )
    if sizes["slopes"] > sizes["covariates"]:
        raise ValueError(
            f"Expected slopes <= covariates ({sizes['covariates']}), got {sizes['slopes']}. "
            "[data-size]"
        )
    counts = isinstance(levels, Iterable) and not isinstance(levels, str)
    if not counts or any(not _is_whole(count) or int(count) < 2 for count in levels):
        raise ValueError(
            f"Expected sensitive_levels of at least 2 each, got {levels!r}. Give whole numbers, "
            "such as (2, 3). [data-size]"
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_likelihood(likelihood: object) -> None:
    if likelihood not in LIKELIHOODS:
        raise ValueError(
            f"Expected likelihood to be one of {LIKELIHOODS}, got {likelihood!r}. [unknown-choice]"
        )


def _check_kind(likelihood: str, classes: Any, exposure: float) -> None:
    if not _is_whole(classes) or classes < 2:
        raise ValueError(
            f"Expected classes >= 2, got {classes!r}. Give a whole number. [data-size]"
        )
    if exposure > 0 and likelihood not in COUNTS:
        raise ValueError(
            f"exposure is for counts: expected likelihood to be one of {COUNTS}, got "
            f"{likelihood!r}. Leave exposure at 0. [exposure-of-counts]"
        )


def _check_amounts(amounts: Mapping[str, Any], *, least: float = 0.0) -> None:
    for name, amount in amounts.items():
        number = isinstance(amount, numbers.Real) and not isinstance(amount, bool)
        size = float(amount) if number else np.nan
        if not np.isfinite(size) or size < least:
            bound = f" and >= {least:g}" if np.isfinite(least) else ""
            raise ValueError(f"Expected {name} to be finite{bound}, got {amount!r}. [data-amount]")


def _check_counts(link: np.ndarray, likelihood: str) -> None:
    """Refuse means that counts of 64 bits cannot reach."""
    if likelihood in COUNTS and link.max() > MOST_LINK:
        raise ValueError(
            f"The largest expected count would be exp({link.max():.3g}), more than a count can "
            "be: choose a smaller intercept_scale, slope_scale, unfairness or exposure. "
            "[large-counts]"
        )


def _check_seed(random_state: Any) -> None:
    generators = np.random.Generator | np.random.BitGenerator | np.random.SeedSequence
    seed = _is_whole(random_state) and random_state >= 0
    if not (seed or random_state is None or isinstance(random_state, generators)):
        raise ValueError(
            "Expected random_state to be a seed (0, 1, ...) or a numpy.random.Generator, "
            f"got {random_state!r}. [no-generator]"
        )
