"""Fair mixed-effects deep learning for clustered data, as a probabilistic program.

Start with `FairMixedEffectsClassifier`, `FairMixedEffectsRegressor` and `datasets.load_adult`.
"""

from pyfairme import datasets, metrics
from pyfairme.compilation import clear_caches
from pyfairme.data import Binned, Schema
from pyfairme.estimators import FairMixedEffectsClassifier, FairMixedEffectsRegressor, load
from pyfairme.estimators.joint_thresholds import JointThresholds
from pyfairme.estimators.thresholds import GroupThresholds
from pyfairme.estimators.updates import FairnessWarning
from pyfairme.inference.collapse import AdversaryWarning
from pyfairme.inference.finish import PosteriorWarning
from pyfairme.notices import DataWarning
from pyfairme.variants import VARIANTS

__version__ = "0.1.0"

__all__ = [
    "VARIANTS",
    "AdversaryWarning",
    "Binned",
    "DataWarning",
    "FairMixedEffectsClassifier",
    "FairMixedEffectsRegressor",
    "FairnessWarning",
    "GroupThresholds",
    "JointThresholds",
    "PosteriorWarning",
    "Schema",
    "__version__",
    "clear_caches",
    "datasets",
    "load",
    "metrics",
]
