"""A fit that begins where the estimator's last one ended (``warm_start=True``)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pyfairme.data.encoders import Column
from pyfairme.estimators.custom_objects import object_text
from pyfairme.model.penalties import PENALTIES
from pyfairme.model.program import ModelSpec
from pyfairme.notices import warn

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects

GROUPED = "rows held out by groups="
LONGEST = 60  # characters of a part of the structure; beyond, its hash stands for it


class Learned(NamedTuple):
    """Trained parameters of every member, and the `structure` that gives them their meaning."""

    structure: Mapping[str, str]
    params: list[dict[str, Any]]


def taken(estimator: FairMixedEffects) -> Learned | None:
    """Make the estimator unfitted; return what it had learned, if the next fit may begin there.

    What was learned stays on the estimator until a fit succeeds, so that one that fails costs
    nothing but itself.
    """
    fitted = vars(estimator).pop("fit_", None) is not None
    vars(estimator).pop("disparity_", None)  # of an earlier `adapt` or `refine`
    learned = getattr(estimator, "_learned", None)
    if not estimator.warm_start or not (fitted or learned):
        return None
    return Learned({}, []) if learned is None else learned


def structure(
    estimator: FairMixedEffects, spec: ModelSpec, grouped: bool = False
) -> dict[str, str]:
    """Return, by name, what must be alike for one fit's parameters to serve another.

    Names of columns, clusters, groups and classes say what a parameter is about. Numbers of the
    encoding (means, scales, knots) may move with the rows, and priors may be others: the fit goes
    on from there. Where one fit holds out whole groups (``grouped``) and the other does not, the
    other has trained on rows of the groups that are held out, which would say nothing.
    """
    design = estimator.design_
    of_spec = (field.name for field in fields(spec) if field.name != "priors")
    found = {name: getattr(spec, name) for name in of_spec}
    found |= {
        "penalties": tuple(
            name if PENALTIES.get(name) == one else object_text(one) for name, one in spec.penalties
        ),
        "likelihood": (type(spec.likelihood).__name__, spec.likelihood.outputs),
        "columns": tuple(column.name for column in design.columns),
        "slopes": tuple(_slope(column) for column in design.slope_columns),
        "clusters": tuple(design.clusters.items()),
        "groups": tuple((one.name, tuple(one.groups)) for one in design.attributes),
        "classes": getattr(estimator.target_, "classes", ()),
        "guide": estimator.guide_,
        "ensemble": estimator.ensemble,
        GROUPED: grouped,
    }
    return {name: _short(repr(value)) for name, value in found.items()}


def start(learned: Learned | None, now: Mapping[str, str]) -> list[dict[str, Any]] | None:
    """Return the parameters to begin from; warn, and return None, where they would not fit."""
    if learned is None:
        return None
    before = {GROUPED: repr(False)} | dict(learned.structure)  # older files: there was no choice
    different = [name for name in now if before.get(name) != now[name]]
    if not different:
        return learned.params
    if learned.params:
        name = different[0]
        why = (
            f"the model differs from the fitted one in {', '.join(different)} ({name}: "
            f"{before.get(name)} then, {now[name]} now)"
        )
    else:
        why = "the file that the estimator was loaded from does not hold where its fit ended"
    warn(
        f"warm_start=True, but {why}: the fit starts afresh. [warm-start]",
        UserWarning,
    )
    return None


def _slope(column: Column) -> str:
    """Return a slope's name; one that starts at its column's mean is not one that starts at 0."""
    return f"{column.name} from its mean" if column.origin else column.name


def _short(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 10]}... {hashlib.sha256(text.encode()).hexdigest()[:8]}"
