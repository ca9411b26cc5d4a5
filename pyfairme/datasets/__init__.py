"""Real and synthetic tables with the roles of their columns.

A data set is one module of this folder that lists a function `load_...` (or `make_...`, for
synthetic ones) in its `__all__`: it is then an attribute of this package and in `loaders()`.
"""

from collections.abc import Callable

from pyfairme.datasets.adult import load_adult
from pyfairme.datasets.dataset import Dataset
from pyfairme.datasets.find_loaders import find_loader, loader_names, loaders
from pyfairme.datasets.synthetic import Truth, make_clustered

__all__ = ["Dataset", "Truth", "load_adult", "loaders", "make_clustered"]


def __getattr__(name: str) -> Callable[..., Dataset]:
    return find_loader(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *loader_names()])
