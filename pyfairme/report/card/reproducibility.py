"""What it takes to make the model and its card again: versions, seeds, keywords, rows."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from pyfairme.notices import shown

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects
    from pyfairme.report.card.evidence import CardEvidence

PACKAGES = ("pyfairme", "numpy", "pandas", "scikit-learn", "jax", "numpyro", "optax")


def reproducibility(evidence: CardEvidence) -> Iterator[tuple[str, str]]:
    """Yield names and what is said of each.

    Parameters
    ----------
    evidence
        What the card rests on.
    """
    yield "versions", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    yield "machine", f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield "seed", f"{evidence.judged.seed} (of the fit and of the bootstrap)"
    yield "keywords", ", ".join(_keywords(evidence.estimator)) or "all defaults"
    yield "rows", f"{len(evidence.judged.y):,} evaluated"
    yield "intervals", f"{evidence.level:.0%}, {evidence.n_boot:,} bootstrap replicates"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from a checkout
        return "not installed"


def _keywords(estimator: FairMixedEffects) -> Iterator[str]:
    """Yield the keywords that are not their defaults."""
    known = inspect.signature(type(estimator).__init__).parameters
    for name, value in estimator.get_params(deep=False).items():
        if repr(value) != repr(known[name].default):
            yield f"{name}={shown(value)}"
