"""An estimator's keywords, checked once and turned into frozen specifications."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from pyfairme.data import Batch, Design
from pyfairme.data.brackets import Brackets
from pyfairme.data.chosen_levels import read_choice
from pyfairme.data.grouping_factors import factor_name, factors_of
from pyfairme.data.input_types import Slopes
from pyfairme.estimators.custom_objects import check_fairness, check_guide
from pyfairme.estimators.decay_of_weights import check_decay, decay, decays_to_try
from pyfairme.estimators.fairness_weight import FairnessWeight
from pyfairme.estimators.level_weights import level_weights
from pyfairme.estimators.number_checks import check_count, check_number, is_number
from pyfairme.estimators.prior_keyword import check_prior, families, numbers
from pyfairme.estimators.reversal_scale import reversal_scale
from pyfairme.estimators.step_size import (
    check_batch_size,
    check_learning_rate,
    rate,
    rows_per_step,
)
from pyfairme.inference.device_rows import device_count
from pyfairme.inference.guides import GuideChoice
from pyfairme.inference.laplace.second_stage import check_size, choose_guide
from pyfairme.inference.predictions import EFFECTS
from pyfairme.inference.svi import Schedule
from pyfairme.model.effects import RandomEffects
from pyfairme.model.likelihoods import Likelihood
from pyfairme.model.penalties import (
    CRITERIA,
    PENALTIES,
    AttributeCodes,
    NamedPenalty,
    penalties_of,
)
from pyfairme.model.program import ModelSpec, Objective
from pyfairme.notices import StateError, shown

MOST_CORRELATED = 20  # effects of a cluster
AUTO_ROWS = 10_000  # rows times outputs, up to which "auto" is "laplace"
UNSEEN = ("infer", "population", "sample", "raise")


def check_choice(name: str, value: object, valid: Iterable[Any]) -> None:
    """Raise ValueError unless ``value`` is one of ``valid``."""
    valid = tuple(valid)
    if not any(value is v or (type(value) is type(v) and value == v) for v in valid):
        hint = " This method takes no y." if name == "effects" and hasattr(value, "shape") else ""
        raise ValueError(
            f"Invalid value of {name}: {shown(value)}. Valid values are {list(valid)}.{hint} "
            "[unknown-choice]"
        )


def check_level(level: object) -> None:
    """Raise ValueError unless the coverage of an interval is a number between 0 and 1."""
    if not is_number(level) or not 0 < level < 1:
        raise ValueError(
            f"level must lie between 0 and 1, got {shown(level)}; 0.9 means 90 %. [level]"
        )


def seed_from(random_state: object) -> int:
    """Return a seed from a keyword ``random_state``: one it holds, or one drawn from it."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise ValueError(
            f"Invalid value of random_state: {shown(random_state)}. Expected a whole number from 0 "
            "to 2**32 - 1, a numpy.random.RandomState, or None. [random-state]"
        ) from error


def check_seed(value: object) -> int:
    """Return a seed that a file holds; raise StateError when it is none."""
    if type(value) is not int or not 0 <= value < 2**32:
        raise StateError(f"expected a seed from 0 to 2**32 - 1, got {shown(value)}")
    return value


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return one name or attribute, a list of them or None as a tuple."""
    if value is None:
        return ()
    if isinstance(value, str | bytes | Brackets) or not isinstance(value, Iterable):
        return (value,)
    return tuple(value)


def check_settings(params: Mapping[str, Any]) -> None:
    """Check every keyword that can be checked without data; raise ValueError by its name."""
    for name, low in (
        ("cluster_weight", 0),
        ("fixed_weight", 0),
        ("kl_weight", 0),
    ):
        check_number(name, params[name], low)
    check_decay(params["weight_decay"])
    check_learning_rate(params["learning_rate"])
    check_number("prior_scale", params["prior_scale"], 0, above=True)
    check_prior(params["prior"])
    for name, low in (("epochs", 1), ("min_steps", 0), ("ensemble", 1)):
        check_count(name, params[name], low)
    check_batch_size(params["batch_size"])
    if isinstance(params["hidden"], str) or not isinstance(params["hidden"], Iterable):
        raise ValueError(
            f"Invalid value of hidden: {shown(params['hidden'])}. Expected a tuple of widths, such "
            "as (64, 32), or () for linear fixed effects. [hidden-widths]"
        )
    for width in params["hidden"]:
        check_count("hidden", width, 1)
    check_devices(params["devices"], params["batch_size"])
    for name in ("random_intercepts", "drop_sensitive", "correlated", "warm_start"):
        check_choice(name, params[name], (True, False))
    fraction = params["validation_fraction"]
    check_number("validation_fraction", fraction, 0)
    if fraction >= 1:
        raise ValueError(
            f"Invalid value of validation_fraction: {fraction!r}. Expected 0 <= fraction < 1. "
            "[validation-fraction]"
        )
    clusters = as_tuple(params["cluster"])
    for entry in clusters:
        path = entry if isinstance(entry, tuple) else (entry,)
        if not path or not all(isinstance(name, str) and name for name in path):
            raise ValueError(
                f"Invalid value of cluster: {params['cluster']!r}. Expected the name of a column "
                "(text, not empty), a list of names, or None; a tuple inside the list names nested "
                "columns, the outermost first: [('school', 'class')]. [cluster-name]"
            )
    taken = sorted({factor_name(entry) for entry in factors_of(clusters)} & {"chain", "draw"})
    if taken:
        raise ValueError(
            f"The cluster column {taken[0]!r} has the name of a dimension of every posterior: "
            "rename the column. [reserved-name]"
        )
    offset = params["offset"]
    if offset is not None and not (isinstance(offset, str) and offset):
        raise ValueError(
            f"Invalid value of offset: {shown(offset)}. Expected the name of one numeric column, "
            "or None; to add several, sum them into one column. [offset-name]"
        )
    for name in ("categorical", "drop"):
        columns = as_tuple(params[name])
        if not all(isinstance(column, str) and column for column in columns):
            raise ValueError(
                f"Invalid value of {name}: {shown(params[name])}. Expected the name of a column "
                "(text, not empty), or a list of names. [column-list]"
            )
        if offset in columns:
            raise ValueError(
                f"The offset {offset!r} is in {name} too: a column has one role. [two-roles]"
            )
    check_choice("numeric_encoding", params["numeric_encoding"], ("auto", "standard", "piecewise"))
    if params["numeric_encoding"] == "piecewise" and not tuple(params["hidden"]):
        raise ValueError(
            "numeric_encoding='piecewise' needs a hidden layer: with hidden=() the fixed effects "
            "are linear in the numbers. Use numeric_encoding='auto'. [piecewise-linear]"
        )
    check_choice(
        "network_posterior", params["network_posterior"], ("auto", "none", "last_layer", "laplace")
    )
    check_choice("criterion", params["criterion"], CRITERIA)
    check_guide(params["guide"])
    if params["guide"] == "block" and params["kl_weight"] == 0:
        raise ValueError(
            "guide='block' needs kl_weight > 0: without the prior the effects have no Gaussian. "
            "Use guide='mean_field'. [prior-off]"
        )
    if params["network_posterior"] == "laplace" and params["kl_weight"] == 0:
        raise ValueError(
            "network_posterior='laplace' needs kl_weight > 0: without the prior the weights have "
            "no Gaussian. Use network_posterior='none'. [prior-off]"
        )
    check_choice("unseen", params["unseen"], UNSEEN)
    check_choice("missing", params["missing"], ("category", "raise"))
    check_choice("early_stopping", params["early_stopping"], ("auto", True, False))
    check_choice("progress", params["progress"], ("auto", True, False))
    penalties = _checked_penalties(params)
    for name, chosen in (
        ("fairness", tuple(one.name for one in penalties)),
        ("fairness_on", as_tuple(params["fairness_on"])),
    ):
        if len(set(chosen)) < len(chosen):
            raise ValueError(
                f"Invalid value of {name}: {params[name]!r} names one of them twice. [given-twice]"
            )
    adversaries = sorted(one.name for one in penalties if one.adversarial)
    if len(adversaries) > 1:
        raise ValueError(
            f"fairness names {adversaries}, and one adversary per attribute is enough: "
            "'decision_adversarial' sees all that the others see. [two-adversaries]"
        )
    read_choice(params["exclude"], params["merge"])
    for view, multiplier in multipliers(params["fairness_on"]).items():
        check_choice("fairness_on", view, EFFECTS)
        check_number(f"fairness_on[{view!r}]", multiplier, 0)


def _checked_penalties(params: Mapping[str, Any]) -> tuple[NamedPenalty, ...]:
    given = params["fairness"]
    for entry in (given,) if callable(given) else as_tuple(given):
        if not callable(entry):
            check_choice("fairness", entry, PENALTIES)
    check_fairness(params["fairness"], as_tuple(params["sensitive"]))
    return penalties_of(params["fairness"])


def uses_clusters(params: Mapping[str, Any]) -> bool:
    """Tell whether training looks at clusters: for random effects or a cluster adversary."""
    effects = bool(params["random_intercepts"]) or params["random_slopes"] is not None
    adversary = bool(tuple(params["hidden"])) and params["cluster_weight"] > 0
    return bool(as_tuple(params["cluster"])) and (effects or adversary)


def network_posteriors(
    params: Mapping[str, Any], likelihood: Likelihood, rows: int
) -> tuple[str, ...]:
    """Return the value of ``network_posterior``; for "auto" what to try, the best one first.

    An explicit guide is about the effects given the network, so "auto" leaves it to its work. A
    model without hidden layers stays the mixed model that lme4 fits, without a prior of
    coefficients.
    """
    given = params["network_posterior"]
    if given != "auto":
        return (given,)
    others = params["guide"] == "auto" and params["kl_weight"] > 0 and tuple(params["hidden"])
    small = rows * likelihood.outputs <= AUTO_ROWS
    return ("laplace", "none") if others and small else ("none",)


def numeric_encoding(given: str, hidden: Iterable[int]) -> str:
    """Return "standard" or "piecewise"; "auto" bends numbers only where a network follows."""
    if given != "auto":
        return given
    return "piecewise" if tuple(hidden) else "standard"


def multipliers(fairness_on: str | Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Return the multiplier of each prediction that penalties act on; 1 where none is given."""
    if isinstance(fairness_on, Mapping):
        return dict(fairness_on)
    return dict.fromkeys(as_tuple(fairness_on), 1.0)


def slope_terms(random_slopes: Slopes, cluster: tuple[str, ...]) -> dict[str, Any]:
    """Return, per factor with slopes, "all", "hidden" or the covariates that carry them.

    ``cluster`` has the names of the factors; a nested one may be called by its path too.
    """
    if random_slopes is None:
        return {}
    if isinstance(random_slopes, Mapping):
        chosen = {factor_name(factor): terms for factor, terms in random_slopes.items()}
        unknown = sorted(set(chosen) - set(cluster))
        if unknown:
            raise ValueError(
                f"random_slopes names {unknown}, which are not in cluster={list(cluster)}. "
                "[slopes-factor]"
            )
    else:
        if not cluster:
            raise ValueError(
                "random_slopes needs a grouping factor: give cluster='column'. [slopes-factor]"
            )
        chosen = dict.fromkeys(cluster, random_slopes)
    for factor, terms in chosen.items():
        _check_terms(terms)
        chosen[factor] = terms if isinstance(terms, str) else tuple(terms or ())
    return {factor: terms for factor, terms in chosen.items() if terms}


def _check_terms(terms: object) -> None:
    if terms is None or (isinstance(terms, str) and terms in ("all", "hidden")):
        return
    named = isinstance(terms, list | tuple | set | frozenset | np.ndarray)
    if named and all(isinstance(name, str) for name in terms):
        return
    hint = ""
    if terms is True:
        hint = " For slopes on every covariate give 'all'."
    elif isinstance(terms, str):
        hint = f" For one column write [{terms!r}]."
    raise ValueError(
        f"Invalid value of random_slopes: {shown(terms)}. Valid values are None, 'all', "
        f"'hidden', a list of columns, or a dictionary of these by factor.{hint} [random-slopes]"
    )


def model_spec(params: Mapping[str, Any], design: Design, likelihood: Likelihood) -> ModelSpec:
    """Return the static structure of the model that the keywords and the design describe."""
    hidden = tuple(params["hidden"]) if design.columns else ()
    cluster = tuple(design.clusters)
    factors = _factors(params, design, likelihood.outputs, hidden)
    attributes = tuple(AttributeCodes(a.name, len(a.groups)) for a in design.attributes)
    penalties = penalties_of(params["fairness"]) if attributes else ()
    if likelihood.target != "class" and params["criterion"] == "equal_opportunity" and penalties:
        raise ValueError(
            "criterion='equal_opportunity' compares rows of the favourable class, which a real "
            "or count target does not have: use 'equalized_odds' or 'demographic_parity'. "
            "[target-without-classes]"
        )
    if likelihood.target != "class" and any(p.needs_classes for p in penalties):
        raise ValueError(
            f"fairness={params['fairness']!r} looks at decisions, which a real or count target "
            "does not have: use 'adversarial', 'moment', 'kernel' or 'correlation'. "
            "[target-without-classes]"
        )
    wanted = tuple(multipliers(params["fairness_on"])) if penalties else ()
    if not factors and wanted:
        wanted = ("fixed",)  # without random effects the mixed prediction is the fixed one
    spec = ModelSpec(
        likelihood=likelihood,
        covariates=len(design.columns),
        hidden=hidden,
        factors=factors,
        adversaries=tuple((f, len(design.clusters[f])) for f in cluster) if hidden else (),
        attributes=attributes,
        penalties=penalties,
        views=tuple(view for view in EFFECTS if view in wanted),
        criterion=params["criterion"],
        fixed_loss=bool(factors),
        last_layer=params["network_posterior"] == "last_layer",
        tangent=params["network_posterior"] == "laplace",
    )
    if params["guide"] == "block":
        check_size(spec)
    return replace(spec, priors=families(params["prior"], spec))


def _factors(
    params: Mapping[str, Any], design: Design, outputs: int, hidden: tuple[int, ...]
) -> tuple[RandomEffects, ...]:
    terms = slope_terms(params["random_slopes"], tuple(design.clusters))
    found = []
    for position, (name, levels) in enumerate(design.clusters.items()):
        on_hidden = terms.get(name) == "hidden"
        if on_hidden and not hidden:
            raise ValueError(
                "random_slopes='hidden' needs a hidden layer: hidden=() has none. [slopes-hidden]"
            )
        factor = RandomEffects(
            name=name,
            clusters=len(levels),
            column=position,
            outputs=outputs,
            intercept=bool(params["random_intercepts"]),
            slopes=() if on_hidden else tuple(design.factor_slopes.get(name, ())),
            hidden=hidden[-1] if on_hidden else 0,
        )
        factor = replace(factor, correlated=bool(params["correlated"]) and factor.width > 1)
        if factor.correlated and factor.width > MOST_CORRELATED:
            raise ValueError(
                f"correlated=True has {factor.width} effects per cluster of {name!r}, too many to "
                f"estimate their correlations: at most {MOST_CORRELATED}. Give fewer columns in "
                "random_slopes, or leave correlated=False. [many-correlated]"
            )
        if factor.sites:
            found.append(factor)
    return tuple(found)


def guide(params: Mapping[str, Any], spec: ModelSpec, training: Batch) -> GuideChoice:
    """Return the name or object given; "auto" chooses by rows per effect and latent fixed ones."""
    if spec.tangent and params["guide"] in ("auto", "block"):
        return "mean_field"  # of the first stage; the second is the network's own
    if not isinstance(params["guide"], str) or params["guide"] != "auto":
        return params["guide"]
    return choose_guide(spec, training) if params["kl_weight"] > 0 else "mean_field"


def objective(params: Mapping[str, Any], spec: ModelSpec, training: Batch) -> Objective:
    """Return the traced numbers of the objective."""
    shares = multipliers(params["fairness_on"])
    if not spec.factors:
        shares = {"fixed": max(shares.values(), default=1.0)}
    adversaries = [one.name for one in spec.penalties if one.adversarial]
    scale = reversal_scale(spec.likelihood, training) if adversaries else 1.0
    fairness = {}
    for penalty, strength in _fairness_weight(params, spec).by_penalty():
        own = strength * (scale if penalty in adversaries else 1.0)
        fairness[penalty] = {
            view: np.asarray(own * shares[view], np.float32) for view in spec.views
        }
    return Objective(
        fixed=float(params["fixed_weight"]),
        kl=float(params["kl_weight"]),
        cluster=float(params["cluster_weight"]),
        prior_scale=float(params["prior_scale"]),
        fairness=fairness,
        balance=level_weights(
            spec, training, rows_per_step(params["batch_size"], len(training.weight))
        ),
        threshold=_threshold(params, spec, training),
        priors=numbers(params["prior"], spec),
    )


def prior_numbers(params: Mapping[str, Any], spec: ModelSpec) -> Objective:
    """Return the numbers of the priors alone."""
    given = numbers(params["prior"], spec)
    return Objective(prior_scale=float(params["prior_scale"]), priors=given)


def _threshold(params: Mapping[str, Any], spec: ModelSpec, training: Batch) -> float:
    """Return where decisions fall: balanced accuracy is highest at the positives' frequency."""
    given = params.get("threshold", 0.5)
    if spec.likelihood.target != "class" or spec.likelihood.outputs > 1:
        return 0.5
    return (
        float(given) if is_number(given) else float(np.average(training.y, weights=training.weight))
    )


def penalised_views(params: Mapping[str, Any], spec: ModelSpec) -> set[str]:
    """Return the views on which a penalty of positive strength acts."""
    multiplier = multipliers(params["fairness_on"])
    strong = _fairness_weight(params, spec).largest > 0
    return {view for view in spec.views if strong and multiplier.get(view, 1.0) > 0}


def _fairness_weight(params: Mapping[str, Any], spec: ModelSpec) -> FairnessWeight:
    return FairnessWeight.parse(
        params["fairness_weight"],
        [attribute.name for attribute in spec.attributes],
        [penalty.name for penalty in spec.penalties],
    )


def check_devices(devices: object, batch_size: int | str) -> None:
    """Raise ValueError unless a step's rows can be dealt out to so many devices."""
    if devices == "all":
        return
    if isinstance(devices, str):
        raise ValueError(
            f"Invalid value of devices: {shown(devices)}. Expected a number of devices, or 'all'. "
            "[devices]"
        )
    check_count("devices", devices, 1)
    if batch_size != "auto" and int(batch_size) % int(devices):  # type: ignore[call-overload]
        raise ValueError(
            f"batch_size={batch_size} rows cannot be dealt out evenly to devices={devices}. Give a "
            f"batch_size that is a multiple of {devices}. [devices]"
        )


def schedule(
    params: Mapping[str, Any],
    spec: ModelSpec,
    training: Batch,
    validated: bool,
    grouped: bool = False,
) -> Schedule:
    """Return the schedule; "auto" stops early only when no penalty acts and rows are held out.

    A penalty of strength 0 does not act: the model is the unpenalised one, and so is its training.
    What trains to its end may have several decays to choose from (see `decays_to_try`), and so may
    what is judged on whole groups (``grouped``), of which rows alone know less than their number.
    """
    stopping = params["early_stopping"]
    if stopping is True and not validated:
        raise ValueError(
            "early_stopping=True needs validation rows: give validation_fraction > 0 and enough "
            "rows, or set early_stopping=False. [no-validation-rows]"
        )
    penalised = bool(penalised_views(params, spec))
    rows = len(training.weight)
    size = rows_per_step(params["batch_size"], rows)
    step = rate(params["learning_rate"], min(size, rows))
    early = (not penalised if stopping == "auto" else stopping) and validated
    own = decay(
        params["weight_decay"],
        columns=spec.covariates,
        rows=rows,
        hidden=spec.hidden,
        penalised=penalised,
    )
    several: tuple[float, ...] = ()
    if params["weight_decay"] == "auto" and validated and (penalised or grouped or not early):
        several = decays_to_try(
            own, columns=spec.covariates, rows=_informative_rows(spec, training),
            learning_rate=step,
        )  # fmt: skip
    return Schedule(
        epochs=params["epochs"],
        min_steps=params["min_steps"],
        batch_size=size,
        learning_rate=step,
        weight_decay=own,
        decays=several,
        early_stopping=bool(early),
        devices=device_count(params["devices"]),
    )


def check_names(kind: type, keywords: Mapping[str, Any]) -> None:
    """Refuse names that are no keyword of a constructor.

    Raises
    ------
    TypeError
        With the nearest keywords.
    """
    known = inspect.signature(kind.__init__).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        return
    for name in keywords:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.7)
            every = ", ".join([*known][1:])  # without self
            hint = f"did you mean {near[0]}?" if near else f"keywords are {every}."
            raise TypeError(f"{kind.__name__} has no keyword {name!r}: {hint} [unknown-keyword]")


def _informative_rows(spec: ModelSpec, training: Batch) -> int:
    """Count the rows of the rarest class that occurs; without classes, all rows."""
    if spec.likelihood.target != "class":
        return len(training.weight)
    counts = np.bincount(training.y)
    return int(counts[counts > 0].min())
