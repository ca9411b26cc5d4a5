"""Compiled functions: one set for each structure of a model, counted, bounded, and given back.

JAX compiles a function anew for each shape of its arguments, and holds what it compiled for as
long as the function lives: some 70 MB for a fit of a table with another number of rows or clusters.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial, wraps
from typing import Any, Literal, ParamSpec, TypeVar

import jax
import numpy as np

from pyfairme.stored_programs import StoredFunction, named_builder, said

# Compiled programs that are kept. A default fit, its intervals and its posterior have 72, those of
# another number of rows 40 more.
FEWEST, MOST = 128, 256
REMEMBERED = 4096  # shapes whose programs were given back
EVENT = "/jax/core/compile/backend_compile_duration"

# What XLA may leave out on a processor. Compiling is most of a fit of a small table; loops fused by
# the newer emitters run no faster here and take a third longer to compile.
Use = Literal["once", "steps", "rows"]
OPTIONS: dict[Use, dict[str, Any]] = {
    "once": {
        "xla_cpu_use_fusion_emitters": False,
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
    "steps": {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1},
    "rows": {"xla_cpu_use_fusion_emitters": False},
}

P = ParamSpec("P")
R = TypeVar("R")


class Compiled:
    """What was compiled since everything was last given back, and how much of it is kept.

    Attributes
    ----------
    programs : int
        Programs that were compiled, or read from JAX's cache on disk, within `counted` since then.
    limit : int
        With so many programs, everything is given back before something new is compiled.
    first_limit : int
        The limit after `clear`.
    """

    def __init__(self, limit: int = FEWEST) -> None:
        self.programs, self.limit, self.first_limit = 0, limit, limit
        self._caches: list[Callable[[], None]] = []  # each forgets one function's compiled ones
        self._shapes: set[int] = set()
        self._dropped: dict[int, None] = {}  # shapes whose programs were given back, in order
        self._listens = False
        self._lock = threading.RLock()
        self._ours = threading.local()

    def per_structure(self, maxsize: int = 64) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Let a function that builds compiled functions build them once for its arguments.

        The arguments say everything that is static: a model's structure, never data.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            def build(*args: P.args, **kwargs: P.kwargs) -> R:
                with _built_for(function, args, kwargs):
                    return function(*args, **kwargs)

            cached = lru_cache(maxsize=maxsize)(wraps(function)(build))
            self._caches.append(cached.cache_clear)
            return cached  # type: ignore[return-value]

        return decorate

    def make_room(self, structure: Hashable, *arrays: Any) -> None:
        """Give back compiled programs that are too many, before new ones are compiled.

        ``structure`` and the shapes of ``arrays`` (trees) tell what has been compiled already.
        Where most of it had been given back before, the limit doubles instead: who goes round
        among more shapes than are kept, as a grid search over folds does, would else compile in
        every fit.
        """
        own = hash((structure, *map(np.shape, jax.tree.leaves(arrays))))
        with self._lock:
            if own in self._shapes:
                return
            if self.programs >= self.limit:
                again = sum(shape in self._dropped for shape in self._shapes)
                if 2 * again > len(self._shapes) and self.limit < MOST:
                    self.limit *= 2
                else:
                    self._dropped |= dict.fromkeys(self._shapes)
                    for shape in list(self._dropped)[:-REMEMBERED]:
                        del self._dropped[shape]
                    self._give_back()
            self._shapes.add(own)

    def clear(self) -> None:
        """Forget every compiled function, give its memory back, and begin with the first limit."""
        with self._lock:
            self._give_back()
            self._dropped.clear()
            self.limit = self.first_limit

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what this thread compiles meanwhile: programs of a user's own are not ours."""
        if not self._listens:
            self._listens = True
            jax.monitoring.register_event_duration_secs_listener(self._count)
        before = getattr(self._ours, "here", False)
        self._ours.here = True
        try:
            yield
        finally:
            self._ours.here = before

    def _give_back(self) -> None:
        for clear in self._caches:
            clear()
        jax.clear_caches()  # what JAX's own functions were traced to, for every shape they met
        self.programs = 0
        self._shapes.clear()
        gc.collect()  # a compiled function and what it was traced from refer to each other
        if sys.platform == "linux":  # glibc keeps freed memory until it is told to hand it back
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
            if trim is not None:
                trim(0)

    def count_loaded(self) -> None:
        """Count a program that was read from a file of ours."""
        self._count(EVENT, 0.0)

    def _count(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        self.programs += event == EVENT and getattr(self._ours, "here", False)


def jitted(function: Callable[..., R], use: Use, *, static: tuple[int, ...] = ()) -> Any:
    """Compile a function with the effort that pays for how it is used.

    Parameters
    ----------
    function : callable
        What is compiled. The result cannot be called in a function that JAX traces.
    use : {"once", "steps", "rows"}
        ``"once"``: compiled as fast as possible, of what runs a few times on little. ``"steps"``:
        of products of matrices in a loop, which libraries do. ``"rows"``: of what runs over many
        rows and draws.
    static : tuple of int
        Positions of arguments that are no arrays.
    """
    structures = getattr(_BUILDING, "structures", None)
    if not structures:
        return jax.jit(function, static_argnums=static, compiler_options=_options(use))
    told = structures[-1].next_function(use)
    return StoredFunction(function, _options(use), told, static, HELD.count_loaded)


class _Structure:
    """What the compiled functions of one call are built for; they are told apart by their order."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self._function, self._args, self._kwargs, self._functions = function, args, kwargs, 0

    def next_function(self, use: Use) -> Callable[[], str]:
        """Return what tells the next function that is compiled from all others."""
        self._functions += 1
        return partial(self._told, self._functions, use)

    def _told(self, number: int, use: Use) -> str:
        name = named_builder(self._function)
        return said((name, self._args, dict(sorted(self._kwargs.items())), number, use))


_BUILDING = threading.local()  # the structures that functions are being built for, the last inside


@contextmanager
def _built_for(function: Callable[..., Any], args: Any, kwargs: Any) -> Iterator[None]:
    if not hasattr(_BUILDING, "structures"):
        _BUILDING.structures = []
    _BUILDING.structures.append(_Structure(function, args, kwargs))
    try:
        yield
    finally:
        _BUILDING.structures.pop()


@lru_cache
def _options(use: Use) -> dict[str, Any] | None:
    """Return the options that this JAX knows: it stops at any other."""
    if jax.default_backend() != "cpu":
        return None
    return {name: value for name, value in OPTIONS[use].items() if _is_known(name)} or None


@lru_cache
def _is_known(option: str) -> bool:
    values = next(own[option] for own in OPTIONS.values() if option in own)
    try:
        jax.jit(lambda: 0, compiler_options={option: values})()
    except jax.errors.JaxRuntimeError:
        return False
    return True


HELD = Compiled()
"""What this process holds."""

per_structure, make_room, counted = HELD.per_structure, HELD.make_room, HELD.counted


def clear_caches() -> None:
    """Give back the memory of everything that was compiled in this process.

    Each new shape of a table, and each new structure of a model, is compiled once and kept for the
    next fit or prediction like it. pyfairme does this by itself when much has been compiled, so
    that it is for a process that has other uses for the memory now. Fitted models stay as they
    are; the next fit or prediction compiles again, as do functions that you compiled with JAX.

    Examples
    --------
    >>> import pyfairme
    >>> pyfairme.clear_caches()
    """
    HELD.clear()
