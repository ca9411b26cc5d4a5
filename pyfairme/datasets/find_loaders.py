"""Find the data sets: every module of this folder that exports a `load_` or `make_` function."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from pyfairme.datasets.dataset import Dataset

PACKAGE = "pyfairme.datasets"
PREFIXES = ("load_", "make_")


@cache
def _functions() -> dict[str, Callable[..., Dataset]]:
    path = import_module(PACKAGE).__path__
    modules = [import_module(f"{PACKAGE}.{found.name}") for found in iter_modules(path)]
    return {
        name: getattr(module, name)
        for module in modules
        for name in getattr(module, "__all__", ())
        if name.startswith(PREFIXES)
    }


def loaders() -> dict[str, Callable[..., Dataset]]:
    """Return the loader of each data set by name ("adult": load_adult).

    Examples
    --------
    >>> "adult" in loaders()
    True
    """
    return {name.split("_", 1)[1]: function for name, function in sorted(_functions().items())}


def loader_names() -> list[str]:
    """Return the names of all functions `load_...` and `make_...`.

    Examples
    --------
    >>> "load_acs_income" in loader_names()
    True
    """
    return list(_functions())


def find_loader(name: str) -> Callable[..., Dataset]:
    """Return the function `load_...` or `make_...` of that name.

    Raises
    ------
    AttributeError
        When no module of the folder exports it.
    """
    functions = _functions() if name.startswith(PREFIXES) else {}
    if name not in functions:
        raise AttributeError(f"Module {PACKAGE!r} has no attribute {name!r}. [no-loader]")
    return functions[name]
