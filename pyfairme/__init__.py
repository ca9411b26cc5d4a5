"""Fair mixed-effects deep learning for clustered data, as a probabilistic program.

Start with `FairMixedEffectsClassifier`, `FairMixedEffectsRegressor` and `datasets.load_adult`.
"""

from pyfairme import datasets, explain, metrics
from pyfairme.compilation import clear_caches
from pyfairme.compiled_files import keep_compiled
from pyfairme.data import Binned, Continuous, Schema
from pyfairme.estimators import FairMixedEffectsClassifier, FairMixedEffectsRegressor, load
from pyfairme.estimators.refine_and_adapt import FairnessWarning
from pyfairme.inference.adversary_skill import AdversaryWarning
from pyfairme.inference.laplace.second_stage import PosteriorWarning
from pyfairme.model.likelihoods import KnownErrors
from pyfairme.notices import DataWarning
from pyfairme.postprocessing.conformal_intervals import ConformalIntervals
from pyfairme.postprocessing.conformal_sets import ConformalSets
from pyfairme.postprocessing.group_thresholds import GroupThresholds
from pyfairme.postprocessing.joint_thresholds import JointThresholds
from pyfairme.variants import VARIANTS

__version__ = "0.1.0"
"""The version, which model files and studies keep: give it when you report an error."""

__all__ = [
    "VARIANTS",
    "AdversaryWarning",
    "Binned",
    "ConformalIntervals",
    "ConformalSets",
    "Continuous",
    "DataWarning",
    "FairMixedEffectsClassifier",
    "FairMixedEffectsRegressor",
    "FairnessWarning",
    "GroupThresholds",
    "JointThresholds",
    "KnownErrors",
    "PosteriorWarning",
    "Schema",
    "__version__",
    "clear_caches",
    "datasets",
    "explain",
    "keep_compiled",
    "load",
    "metrics",
]
