"""The keyword ``prior``: families and numbers of priors in place of a model's own, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from pyfairme.estimators.custom_objects import check_members, check_value
from pyfairme.estimators.number_checks import SINGLE, check_number
from pyfairme.model.priors import PRIORS, PriorFamily
from pyfairme.model.program import LAST_LAYER, ModelSpec
from pyfairme.model.tangent import LINEAR_SD, WEIGHT_SD
from pyfairme.notices import shown

Prior = Mapping[str, Any] | None
EXAMPLE = '{"sd": ("half_cauchy", 1.0)}'
KINDS = {
    "positive": "a positive number",
    "real": "a weight, which may be negative",
    "correlations": "correlations",
}
MISSING = {  # keys of other models, and what such a model has
    "sd": "cluster= and random effects",
    "intercept_sd": "cluster= and random_intercepts=True",
    "slopes_sd": "random_slopes=",
    "correlation": "correlated=True, and two effects or more in every cluster",
    "last_layer": "network_posterior='last_layer'",
    "network_sd": "network_posterior='laplace' and a hidden layer",
    "linear_sd": "network_posterior='laplace'",
    "residual_sd": "likelihood='normal'",
    "residual_scale": "likelihood='student_t'",
    "df": "likelihood='student_t'",
    "concentration": "likelihood='negative_binomial'",
}


class Place(NamedTuple):
    """A site of a model that has a prior, what it is, and the keys of it, the closest first."""

    site: str
    support: str
    keys: tuple[str, ...]


def places(spec: ModelSpec) -> Iterator[Place]:
    """Yield what of a model has a prior that can be chosen."""
    for latent, _ in spec.likelihood.latents():
        kind = "positive" if latent.positive else "real"
        yield Place(latent.name, "correlations" if latent.correlations else kind, (latent.name,))
    if spec.last_layer:
        for site in LAST_LAYER:
            yield Place(site, "real", ("last_layer",))
    if spec.tangent:
        if spec.hidden:
            yield Place(WEIGHT_SD, "positive", ("network_sd",))
        yield Place(LINEAR_SD, "positive", ("linear_sd",))
    for factor in spec.factors:
        for term in factor.sites:
            site = f"{factor.name}_{term}_sd"
            yield Place(site, "positive", (site, f"{term}_sd", "sd"))
        if factor.correlated:
            own = f"{factor.name}_correlation"
            yield Place(f"{factor.name}_cholesky", "correlations", (own, "correlation"))


def check_prior(prior: Any) -> None:
    """Check what can be checked without a model: families and their numbers.

    Raises
    ------
    ValueError
        Where an entry is no pair of a family and as many numbers as it takes, in its range.
    """
    if prior is None:
        return
    if not isinstance(prior, Mapping) or not all(isinstance(key, str) for key in prior):
        raise ValueError(
            f"Invalid value of prior: {shown(prior)}. Expected a dictionary by name, such as "
            f"{EXAMPLE}, or None for the model's own priors. [prior-format]"
        )
    for key, entry in prior.items():
        family, values = _parts(key, entry)
        if len(values) != len(family.values):
            raise ValueError(
                f"prior[{key!r}] is {shown(entry)}, with {len(values)} number(s); expected "
                f"{_written(entry, family)}. [prior-numbers]"
            )
        for name, value in zip(family.values, values, strict=True):
            low, above = (-SINGLE.max, False) if name == "loc" else (0, True)
            check_number(f"prior[{key!r}], {name}", value, low, above=above)


def families(prior: Prior, spec: ModelSpec) -> tuple[tuple[str, PriorFamily], ...]:
    """Return the families by site, for `ModelSpec.priors`.

    Raises
    ------
    ValueError
        Where the model has no prior of a name, or a family is of something else.
    """
    every = tuple(places(spec))
    known = list(dict.fromkeys(key for place in every for key in place.keys))
    for key in prior or {}:
        if key not in known:
            needs = f"{key!r} needs {MISSING[key]}. " if key in MISSING else ""
            raise ValueError(
                f"prior names {key!r}, and this model has no such prior. {needs}It has "
                f"{known}. [prior-name]"
            )
    found = []
    for place, key in _chosen(prior, every):
        family, _ = _parts(key, (prior or {})[key])
        if family.support != place.support:
            able = [name for name, one in PRIORS.items() if one.support == place.support]
            raise ValueError(
                f"prior[{key!r}] is {shown((prior or {})[key])}, a prior of "
                f"{KINDS.get(family.support, family.support)}, and {key!r} is "
                f"{KINDS[place.support]}: give one of {able}. [prior-support]"
            )
        found.append((place.site, family))
    return tuple(found)


def of_posterior(prior: Prior, network_posterior: str) -> Prior:
    """Return the priors of a fitted model: `refine` makes point estimates of networks again."""
    if prior is None or network_posterior == "laplace":
        return prior
    return {key: entry for key, entry in prior.items() if key not in ("network_sd", "linear_sd")}


def numbers(prior: Prior, spec: ModelSpec) -> dict[str, tuple[float, ...]]:
    """Return the numbers of the priors by site, for `Objective.priors`."""
    return {
        place.site: tuple(float(value) for value in _parts(key, (prior or {})[key])[1])
        for place, key in _chosen(prior, tuple(places(spec)))
    }


def _chosen(prior: Prior, every: tuple[Place, ...]) -> Iterator[tuple[Place, str]]:
    """Yield the places that have a prior of the user's, with the closest of the keys given."""
    for place in every:
        key = next((key for key in place.keys if key in (prior or {})), None)
        if key is not None:
            yield place, key


def _parts(key: str, entry: Any) -> tuple[PriorFamily, tuple[Any, ...]]:
    """Return the family and the numbers of an entry: a tuple, a list, or a family without any."""
    given, *values = entry if isinstance(entry, tuple | list) and len(entry) else (entry,)
    if isinstance(given, str) and given in PRIORS:
        return PRIORS[given], tuple(values)
    plain = str | bytes | int | float | tuple | list | set | Mapping
    if given is None or isinstance(given, plain):
        raise ValueError(
            f"prior[{key!r}] is {shown(entry)}. Expected the name of a family and its numbers, "
            f'such as ("half_normal", 1.0). Families are {list(PRIORS)}, or an object of your own '
            "(docs/priors.md). [prior-family]"
        )
    check_value(f"prior[{key!r}]", given)
    check_members("prior", given, PriorFamily)
    return cast("PriorFamily", given), tuple(values)


def _written(entry: Any, family: PriorFamily) -> str:
    """Return how an entry of a family is written."""
    given = entry[0] if isinstance(entry, tuple | list) else entry
    return f"({', '.join([shown(given), *family.values])})"
