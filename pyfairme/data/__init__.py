"""A table becomes numbers: roles of columns, learned encodings, batches of arrays.

Examples
--------
>>> sorted(TARGETS)
['class', 'count', 'positive', 'real']
"""

from pyfairme.data.brackets import Binned, Continuous
from pyfairme.data.design import Batch, Design
from pyfairme.data.frame import as_frame
from pyfairme.data.schema import Schema
from pyfairme.data.target import TARGETS, ClassTarget, CountTarget, PositiveTarget, RealTarget

__all__ = [
    "TARGETS",
    "Batch",
    "Binned",
    "ClassTarget",
    "Continuous",
    "CountTarget",
    "Design",
    "PositiveTarget",
    "RealTarget",
    "Schema",
    "as_frame",
]
