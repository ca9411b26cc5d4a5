"""A fitted estimator: roles of columns, rows, clusters, groups, model, diagnostics, warnings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfairme.data.brackets import Binned, Continuous
from pyfairme.data.columns import MISSING, label_of
from pyfairme.data.encoders import CategoricalTerm, NumericTerm
from pyfairme.data.schema import components
from pyfairme.estimators.check_fitted import check_fitted
from pyfairme.estimators.estimator_keywords import as_tuple
from pyfairme.estimators.keywords_after_fit import check_unchanged
from pyfairme.estimators.training_record import TrainingRecord
from pyfairme.metrics.names import listed
from pyfairme.metrics.report_notes import SMALL
from pyfairme.report.display.facts import Amount, Facts, Fields, Finding, Findings, Grid, Span
from pyfairme.report.display.posterior_facts import NO_CLUSTERS, WITHIN, component_names
from pyfairme.report.display.short_number import short_number
from pyfairme.report.display.training_phrases import (
    MANY,
    adversaries_restarted,
    adversaries_skill,
    group_sizes,
    learned_by_heart,
    loss_reached,
)

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

UNSEEN = {
    "infer": "their effect is a mixture of those of seen clusters that the row resembles",
    "population": "their random part is 0",
    "sample": "their effect is drawn from the fitted prior",
    "raise": "refused",
}
CRITERIA = {
    "equalized_odds": "equalized odds (equal error rates given the outcome)",
    "demographic_parity": "demographic parity (equal predictions)",
    "equal_opportunity": "equal opportunity (equal true positive rates)",
}
MEASURES = {
    "pareto_k": "Pareto's k",
    "relative_ess": "share of effective proposals",
    "r_hat": "R-hat",
    "ess_bulk": "effective sample size",
    "ess_tail": "effective sample size in the tails",
    "divergences": "divergences",
    "prior_sensitivity": "prior sensitivity",
}
MADE_UP = {  # of measures of proposals, which are judged together: see `psis.trusted`
    "pareto_k": "missed, made up for by the share of effective proposals",
    "relative_ess": "missed, made up for by Pareto's k",
}


def estimator_facts(estimator: FairMixedEffects, sizes: bool = True) -> Facts:
    """Gather what a fitted estimator is.

    Parameters
    ----------
    estimator
        A fitted classifier or regressor.
    sizes
        Tell how many training rows the groups have.

    Raises
    ------
    NotFittedError
        When it is not fitted.
    """
    check_fitted(estimator)
    name = type(estimator).__name__
    try:
        check_unchanged(estimator)
    except ValueError as error:  # what was fitted can no longer be told from what was set
        return Facts(name, "", (Findings("", (message_finding(str(error)),)),))
    record: TrainingRecord | None = getattr(estimator, "_record", None)
    diagnostics = estimator.diagnostics_
    return Facts(
        f"{name}, fitted",
        _lead(estimator, record),
        (
            Findings("To know", tuple(_findings(estimator, record, diagnostics, sizes))),
            Fields("Data", tuple(_data(estimator, record, sizes))),
            Fields("Model", tuple(_model(estimator, diagnostics))),
            _spread(estimator.variance_components_),
        ),
    )


def _lead(estimator: FairMixedEffects, record: TrainingRecord | None) -> str:
    factors = [f"{len(f.levels):,} clusters ({_names([f.column])})" for f in _factors(estimator)]
    groups = [f"{len(a.groups)} groups ({_names([a.name])})" for a in estimator.design_.attributes]
    rows = [f"{record.rows:,} training rows"] if record else []
    return ", ".join([*rows, *factors, *groups]) + "."


def _factors(estimator: FairMixedEffects) -> tuple[Any, ...]:
    return estimator.design_.factors


def _names(names: Iterable[str], most: int = MANY) -> str:
    every = listed(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


# --- the data -----------------------------------------------------------------------------------


def _data(
    estimator: FairMixedEffects, record: TrainingRecord | None, counted: bool
) -> Iterator[tuple[str, str]]:
    design = estimator.design_
    yield "target", _target(estimator)
    if record is None:
        yield "rows", "not known: the file does not say"
    else:
        held = f", {record.held_out:,} held out" if record.held_out else ", none held out"
        if record.groups is not None and record.held_out:
            held += f" ({record.groups_held_out:,} whole groups of {record.groups:,})"
        out = f"; {record.left_out:,} left out (no cluster, or weight 0)" if record.left_out else ""
        yield "rows", f"{record.rows:,} trained on{held}{out}"
    sizes = {one.factor: one for one in record.factors} if record else {}
    for factor in design.factors:
        (name,) = listed([factor.column])
        text = f"{name}: {len(factor.levels):,} clusters"
        if size := sizes.get(factor.column):
            text += f" of {size.fewest:,} to {size.most:,} rows (median {size.median:,.0f})"
        yield "cluster", text
    for entry, attribute in zip(design.schema.sensitive, design.attributes, strict=True):
        yield "sensitive", _groups(attribute, entry, counted)
    if design.drop_sensitive and design.attributes:
        yield "hidden", f"{_names(design.schema.sensitive_columns)}: not seen by the network"
    numbers = [t for t in design.terms if isinstance(t, NumericTerm)]
    levels = [t for t in design.terms if isinstance(t, CategoricalTerm)]
    yield "numeric", _names(t.column for t in numbers) or "none"
    every = zip(levels, listed(t.column for t in levels), strict=True)
    shown = [f"{name} ({len(t.levels)} levels)" for t, name in every]
    more = f" and {len(shown) - MANY} more" if len(shown) > MANY else ""
    yield "categorical", ", ".join(shown[:MANY]) + more or "none"
    if design.offset:
        yield "offset", f"{_names([design.offset])}, added on the link scale"
    out = [f"as asked: {_names(given)}"] if (given := as_tuple(estimator.drop)) else []
    out += [f"constant in training: {_names(dropped)}"] if (dropped := _dropped(estimator)) else []
    if out:
        yield "left out", "; ".join(out)
    if gaps := _gaps(numbers, levels, dict(record.gaps) if record else {}):
        yield "missing", gaps


def _target(estimator: FairMixedEffects) -> str:
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        likelihood: Any = estimator.get_params(deep=False)["likelihood"]
        name = likelihood if isinstance(likelihood, str) else type(likelihood).__name__
        return f"a number; likelihood {name.replace('_', ' ')}"
    names = listed(map(label_of, classes))
    positive = f"; the positive class is {names[-1]}" if len(names) == 2 else ""
    return f"classes {_names(map(label_of, classes))}{positive}"


def _groups(attribute: Any, entry: Any, counted: bool) -> str:
    sizes = group_sizes(attribute, counted)
    cut = [part for part in components(entry) if isinstance(part, Binned)]
    edges = [
        f"cut from {_names([p.column])} at {', '.join(f'{float(e):g}' for e in p.edges)}"
        for p in cut
    ]
    if isinstance(entry, Continuous):
        edges = ["a number to penalties, cut at quantiles for reports"]
    (name,) = listed([attribute.name])
    chosen = attribute.chosen.words()
    return f"{'; '.join([name, *edges])}: {sizes}{'; ' * bool(chosen)}{chosen}"


def _dropped(estimator: FairMixedEffects) -> list[str]:
    design = estimator.design_
    used = {term.column for term in design.terms} | {design.offset}
    hidden = set(design.schema.sensitive_columns) if design.drop_sensitive else set()
    known = (*design.schema.numeric, *design.schema.categorical)
    return [name for name in known if name not in used | hidden]


def _gaps(
    numbers: list[NumericTerm], levels: list[CategoricalTerm], counts: Mapping[str, int]
) -> str:
    def each(terms: list[Any]) -> str:
        names = zip(terms, listed(t.column for t in terms), strict=True)
        shown = [name + (f" {counts[t.column]:,}" if t.column in counts else "")
                 for t, name in names]  # fmt: skip
        return ", ".join(shown[:MANY]) + (f" and {len(shown) - MANY} more" * (len(shown) > MANY))

    filled = [t for t in numbers if t.indicator]
    level = [t for t in levels if MISSING in t.levels]
    said = [f"median and a marker: {each(filled)}"] if filled else []
    said += [f"a level of their own: {each(level)}"] if level else []
    return "; ".join(said)


# --- the model ----------------------------------------------------------------------------------


def _model(estimator: FairMixedEffects, diagnostics: pd.DataFrame) -> Iterator[tuple[str, str]]:
    params: Mapping[str, Any] = estimator.get_params(deep=False)
    spec = estimator.fit_.spec
    widths = "-".join(map(str, params["hidden"]))
    network = f"network with hidden layers {widths}" if widths else "linear"
    if params["ensemble"] > 1:
        network += f", an ensemble of {params['ensemble']}"
    posterior = {"none": "a point estimate", "laplace": "with a posterior (laplace)"}
    of = posterior.get(estimator.network_posterior_, estimator.network_posterior_)
    yield "fixed part", f"{network}; {of}"
    yield "random part", "; ".join(_random(estimator)) or "none"
    yield "fairness", _fairness(params, [a.name for a in estimator.design_.attributes])
    yield "guide", _guide(estimator, diagnostics)
    if thresholds := getattr(estimator, "threshold_", None):
        chosen = params["threshold"] if isinstance(params["threshold"], str) else ""
        how = f", chosen by {chosen.replace('_', ' ')}" if chosen else ""
        yield "threshold", f"{short_number(thresholds['mixed'])}{how}"
    if spec.factors:
        yield "unseen clusters", f"{params['unseen']}: {UNSEEN[params['unseen']]}"
    yield "training", _training(estimator.history_, estimator.n_iter_)


def _random(estimator: FairMixedEffects) -> Iterator[str]:
    design = estimator.design_
    columns = [column.name for column in design.slope_columns]
    slopes = design.factor_slopes
    for factor in estimator.fit_.spec.factors:
        terms = ["intercept"] * ("intercept" in factor.sites)
        own = [columns[i] for i in slopes.get(factor.name, ())]
        if factor.hidden:
            terms.append(f"slopes on {factor.hidden} hidden units")
        elif own:
            terms.append(f"slopes on {_names(own)}")
        yield f"{_names([factor.name])}: {' and '.join(terms) or 'none'}"


def _fairness(params: Mapping[str, Any], attributes: list[str]) -> str:
    given = params["fairness"]
    kinds = given if isinstance(given, tuple | list) else (given,)
    names = [k if isinstance(k, str) else type(k).__name__ for k in kinds if k is not None]
    if not attributes or not names:
        return "no penalty"
    weight = params["fairness_weight"]
    if weight == 0:
        return "no penalty: fairness_weight is 0"
    strength = f"{weight:g}" if isinstance(weight, int | float) else str(weight)
    kind = " and ".join(name.replace("_", " ") for name in names)
    return f"{kind} penalty of weight {strength} for {CRITERIA[params['criterion']]}"


def _guide(estimator: FairMixedEffects, table: pd.DataFrame) -> str:
    measured = table.loc[table["measure"].isin(list(MEASURES))]
    parts = []
    for measure, lines in measured.groupby("measure", sort=False):
        for clusters, part in lines.groupby(lines["cluster"] != ""):
            values = part["value"].to_numpy(float)
            small = measure in ("ess_bulk", "ess_tail", "relative_ess")
            worst = np.nanmin(values) if small else np.nanmax(values)
            limit = part["limit"].to_numpy(float)[0]
            bad = "the prior matters" if measure == "prior_sensitivity" else "NOT GOOD"
            good = "good" if bool(part["ok"].all()) else bad
            if good == "good" and (worst < limit if small else worst > limit):
                good = MADE_UP[str(measure)]
            bound = "at least" if small else "at most"
            shown = "exact" if np.isneginf(worst) else short_number(worst)  # all weights alike
            of = f" of {len(part)} clusters' effects" if clusters else ""
            parts.append(f"{MEASURES[str(measure)]}{of} {shown} "
                         f"({bound} {short_number(limit)}: {good})")  # fmt: skip
    said = "; ".join(parts) or "it has no diagnostics; refine(), or guide='block', has"
    name = "laplace" if estimator.fit_.spec.tangent else estimator.guide_.replace("_", " ")
    return f"{name}; {said}"


def _training(history: pd.DataFrame, epochs: int) -> str:
    last = history.iloc[-1].to_dict()
    long = f"{epochs} epoch{'s' * (epochs != 1)}"
    parts = long, loss_reached(last), adversaries_skill(last), adversaries_restarted(history)
    return "; ".join(filter(None, parts))


def _spread(table: pd.DataFrame) -> Grid:
    """Return the standard deviations between clusters, with their intervals."""
    of_class = "class" in table
    rows = []
    for line in table.to_dict("records"):
        factor, term = component_names(line)
        rows.append(
            (
                *listed([factor]),
                term,
                *([str(line["class"])] if of_class else []),
                Amount(float(line["mean"])),
                Span(float(line["low"]), float(line["high"])),
            )
        )
    head = ("factor", "term", *(["class"] if of_class else []), "SD", "90 % interval")
    note = NO_CLUSTERS if any(row[0] == WITHIN for row in rows) else ""
    return Grid("How much clusters differ", head, tuple(rows), note, folded=len(rows) > MANY)


# --- what to know -------------------------------------------------------------------------------


def _findings(
    estimator: FairMixedEffects, record: TrainingRecord | None, table: pd.DataFrame, sizes: bool
) -> Iterator[Finding]:
    said = record.warnings if record else ()
    yield from map(message_finding, (s for s in said if sizes or "[tiny-groups]" not in s))
    far = learned_by_heart(estimator.history_.iloc[-1].to_dict())
    if far and not any("[worse-than-null]" in text for text in said):  # which says more
        yield Finding("training", far, "warn")
    for attribute in estimator.design_.attributes if sizes else ():
        small = [
            (level, int(n))
            for level, n in zip(attribute.groups, attribute.group_counts, strict=True)
            if n < SMALL
        ]
        if small:
            each = _names((f"{level} {n}" for level, n in small), 6)
            said = f"groups with fewer than {SMALL} rows: {each}. What is measured for them is"
            (name,) = listed([attribute.name])
            yield Finding(name, f"{said} mostly noise: leave them out or merge them.", "warn")
    if "prior_sensitivity" in set(table["measure"]):
        matters = table.loc[(table["measure"] == "prior_sensitivity") & ~table["ok"].astype(bool)]
        if len(matters):
            names = _names(dict.fromkeys(matters["parameter"]))
            said = f"the rows alone do not settle {names}: say which prior was used."
            yield Finding("prior", said, "plain")
    bad = table.loc[~table["ok"].astype(bool)]
    bad = bad.loc[~bad["measure"].isin(["prior_sensitivity", "none"])]
    if len(bad):
        yield Finding(
            "posterior",
            f"{len(bad)} of {len(table)} diagnostics miss their limit: intervals may be too "
            "narrow. refine() samples with NUTS instead.",
            "warn",
        )


def message_finding(message: str) -> Finding:
    """Return a warning or an error as a finding about its code."""
    found = re.fullmatch(r"(.*?)\s*\[([a-z0-9-]+)\]", message, re.DOTALL)
    text, code = found.groups() if found else (message, "")
    text = " ".join(text.split()).removeprefix(f"{code.capitalize()}: ")
    return Finding(code, text, "warn")
