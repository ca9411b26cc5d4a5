"""Variational guides q(U): each makes a NumPyro guide from the list of a program's latents.

A user's own guide is an object, a `GuideFamily` (docs/extending.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Key
from numpyro import handlers
from numpyro.distributions import biject_to, constraints

from pyfairme.compilation import per_structure
from pyfairme.data import Batch
from pyfairme.model.likelihoods import Latent
from pyfairme.model.program import SUMS, Objective, Totals, totals_of

START_SCALE = 0.1


class Guide(NamedTuple):
    """``sample`` is the guide, with the arguments of the model; ``median`` its latents' medians.

    ``analytic`` says that every site of the model is drawn on its own, so that the KL term of the
    effects given their scales can be computed in closed form. ``second_stage`` says that it is only
    where the posterior begins: `finish` goes on from there.
    """

    sample: Callable[..., None]
    median: Callable[[Mapping[str, Any]], dict[str, Array]]
    analytic: bool
    second_stage: bool = False


@runtime_checkable
class GuideFamily(Protocol):
    """What a guide of a user's own must do; hashable, as programs are compiled once for each.

    The weight of the KL term is none of its concern, nor are rows: it draws the latents.
    """

    def sample(self, latents: tuple[Latent, ...]) -> None:
        """Draw every latent by its name, in the plate of its clusters, ``latent.in_plate()``.

        The last ``latent.event_dim`` axes of its shape belong to one value. Parameters are
        ``numpyro.param`` sites; `place` registers a latent whose real numbers
        (``latent.free_shape``) were drawn jointly with others.
        """
        ...

    def median(self, latents: tuple[Latent, ...], params: Mapping[str, Any]) -> dict[str, Array]:
        """Return a typical value of each latent by name, given the fitted parameters by site."""
        ...


GuideChoice = str | GuideFamily


def mean_field(latents: tuple[Latent, ...]) -> Guide:
    """Independent Normals, LogNormals for positive latents: the approximation of the paper."""

    def sample() -> None:
        for latent in latents:
            shape = latent.free_shape
            loc = numpyro.param(f"{latent.name}_loc", jnp.full(shape, latent.free_start))
            scale = numpyro.param(
                f"{latent.name}_scale",
                jnp.full(shape, START_SCALE),
                constraint=constraints.positive,
            )
            with latent.in_plate():
                numpyro.sample(latent.name, _marginal(latent, loc, scale))

    def median(params: Mapping[str, Any]) -> dict[str, Array]:
        return {v.name: v.transform(jnp.asarray(params[f"{v.name}_loc"])) for v in latents}

    return Guide(_under_kl(sample), median, analytic=True)


def _under_kl(sample: Callable[[], None]) -> Callable[..., None]:
    """Give a guide the arguments of the model, and its sites the weight of the KL term."""

    def guide(
        batch: Batch | None,  # looked at for its totals alone
        objective: Objective,
        totals: Totals | None = None,
        ramp: Array | float = 1.0,
    ) -> None:
        del ramp
        if totals is None:
            assert batch is not None
            totals = totals_of(batch)
        with handlers.scale(scale=objective.kl / totals.rows):
            sample()

    return guide


def _marginal(latent: Latent, loc: Any, scale: Any) -> dist.Distribution:
    """Independent Normals of the real numbers behind a latent."""
    if latent.correlations:
        base = dist.Normal(loc, scale).to_event(1)
        return dist.TransformedDistribution(base, latent.transform).to_event(len(latent.shape) - 2)
    family = dist.LogNormal if latent.positive else dist.Normal
    return family(loc, scale).to_event(latent.event_dim)


def _joint(latents: tuple[Latent, ...], joint: Callable[[Array], dist.Distribution]) -> Guide:
    """Draw all unconstrained latents from one multivariate Normal made by ``joint(start)``."""

    def sample() -> None:
        if not latents:
            return
        flat: Any = numpyro.sample("joint", joint(start(latents)), infer={"is_auxiliary": True})
        for latent, free in split(latents, flat).items():
            if latent.plate and flat.ndim > 1:  # of many draws: clusters take the 1's place
                free = free.squeeze(-len(latent.free_shape) - 1)
            with latent.in_plate():
                place(latent, free)

    def median(params: Mapping[str, Any]) -> dict[str, Array]:
        if not latents:
            return {}
        return {v.name: v.transform(f) for v, f in split(latents, params["joint_loc"]).items()}

    return Guide(_under_kl(sample), median, analytic=False)


def free_size(latents: tuple[Latent, ...]) -> int:
    """Return how many real numbers are behind all latents."""
    return sum(math.prod(v.free_shape) for v in latents)


def start(latents: tuple[Latent, ...]) -> Array:
    """Return where the guides of all latents start: one vector of real numbers."""
    return jnp.concatenate([jnp.full(math.prod(v.free_shape), v.free_start) for v in latents])


def split(latents: tuple[Latent, ...], flat: Array) -> dict[Latent, Array]:
    """Cut a vector (..., size) of real numbers into every latent's part, in its free shape."""
    ends = np.cumsum([math.prod(v.free_shape) for v in latents], dtype=int)
    parts = jnp.split(flat, ends, axis=-1)[:-1]  # of no latents: none
    return {
        v: part.reshape(*flat.shape[:-1], *v.free_shape)
        for v, part in zip(latents, parts, strict=True)
    }


def place(latent: Latent, free: Array) -> Array:
    """Register a latent's site, given the real numbers behind it whose density is known."""
    value = latent.transform(free)
    # density of the value = density of the real numbers / |d value / d numbers|
    jacobian = -latent.transform.log_abs_det_jacobian(free, value)
    over = jacobian.ndim - (value.ndim - latent.event_dim)
    jacobian = jacobian.sum(axis=tuple(range(-over, 0))) if over else jacobian
    delta = dist.Delta(value, log_density=jacobian, event_dim=latent.event_dim)
    return numpyro.sample(latent.name, delta)  # type: ignore[return-value]


def full_rank(latents: tuple[Latent, ...]) -> Guide:
    """One multivariate Normal with a dense covariance over all unconstrained latents."""

    def joint(start: Array) -> dist.Distribution:
        loc = numpyro.param("joint_loc", start)
        scale_tril = numpyro.param(
            "joint_scale_tril",
            START_SCALE * jnp.eye(start.shape[0]),
            constraint=constraints.scaled_unit_lower_cholesky,
        )
        return dist.MultivariateNormal(loc, scale_tril=scale_tril)

    return _joint(latents, joint)


def low_rank(latents: tuple[Latent, ...]) -> Guide:
    """One multivariate Normal whose covariance is diagonal plus rank sqrt(dimension)."""

    def joint(start: Array) -> dist.Distribution:
        size = start.shape[0]
        rank = max(1, round(size**0.5))
        loc = numpyro.param("joint_loc", start)
        factor = numpyro.param(
            "joint_factor", lambda key: 0.01 * jax.random.normal(key, (size, rank))
        )
        diagonal: Any = numpyro.param(
            "joint_scale",
            jnp.full(size, START_SCALE),
            constraint=constraints.positive,
        )
        return dist.LowRankMultivariateNormal(loc, factor, diagonal**2)

    return _joint(latents, joint)


def block(latents: tuple[Latent, ...]) -> Guide:
    """Mean field while the network is trained; then full-rank hyper-parameters (see `block`)."""
    return mean_field(latents)._replace(second_stage=True)


GUIDES: Mapping[str, Callable[[tuple[Latent, ...]], Guide]] = {
    "mean_field": per_structure()(mean_field),
    "block": per_structure()(block),
    "low_rank": per_structure()(low_rank),
    "full_rank": per_structure()(full_rank),
}
"""Guides by the name a user gives."""


def guide_of(choice: GuideChoice, latents: tuple[Latent, ...]) -> Guide:
    """Return the guide of these latents, by its name or from an object."""
    return GUIDES[choice](latents) if isinstance(choice, str) else _of_family(choice, latents)


@per_structure()
def _of_family(family: GuideFamily, latents: tuple[Latent, ...]) -> Guide:
    def sample() -> None:
        family.sample(latents)

    def median(params: Mapping[str, Any]) -> dict[str, Array]:
        return family.median(latents, params)

    return Guide(_under_kl(sample), median, analytic=False)


def transforms_of(guide: Guide) -> dict[str, Any]:
    """Return the transforms from real numbers of the guide's parameters that are constrained."""
    found = {}

    def look(key: Key[Array, ""]) -> Array:
        sites = handlers.trace(handlers.seed(guide.sample, key)).get_trace(None, Objective(), SUMS)
        for name, site in sites.items():
            if site["type"] == "param" and "constraint" in site["kwargs"]:
                found[name] = biject_to(site["kwargs"]["constraint"])
        return key

    jax.eval_shape(look, jax.random.key(0))  # nothing is computed
    return found


def draw(
    guide: Guide,
    key: Key[Array, ""],
    params: Mapping[str, Any],
    draws: int,
) -> dict[str, Array]:
    """Draw latents from a fitted guide: name -> (draws, *shape).

    A plate around the guide draws each site at once; one trace per draw takes seconds to compile.
    """
    fitted = handlers.substitute(handlers.seed(guide.sample, key), data=dict(params))
    with numpyro.plate("draws", draws, dim=-2):  # clusters have the last place
        sites = handlers.trace(fitted).get_trace(None, Objective(), SUMS)
    return {
        name: site["value"] if len(site["cond_indep_stack"]) > 1 else site["value"][:, 0]
        for name, site in sites.items()
        if site["type"] == "sample" and not site["infer"].get("is_auxiliary")
    }
