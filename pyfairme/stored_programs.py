"""Compiled programs by what they compute: a new process loads them, and traces nothing.

JAX's cache on disk spares a new process XLA's work; it must still trace and lower each function to
know what to look for, which is more than half of what remains. Functions of ours are told by the
structure that they were built for (`compilation.per_structure`) and the shapes of their arguments.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import re
import secrets
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.experimental import serialize_executable

from pyfairme.atomic import replacing
from pyfairme.compiled_files import MOST_BYTES, kept, processor

FOLDER = "programs"
TOLD_BY = ("jax", "jaxlib", "numpyro", "optax", "numpy", "scipy")  # by their versions
ROOMS = ("metrics", "data", "datasets", "model", "inference")  # all that traced functions can call
SETTINGS = (  # of JAX: what is traced depends on them
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_random_seed_offset",
)
BY_JIT = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs")  # what only ``jax.jit`` heeds

_TALKS = re.compile("cache|log|dump|explain|traceback|profil|debug")  # settings of no program
LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs"
IMPORTED = time.time()
UNWRITABLE: set[str] = set()  # folders in which this process failed to write
_COMPILING = threading.Lock()


class CannotBeTold(Exception):
    """A structure holds an object whose code may change without its name changing."""


class StoredFunction:
    """A compiled function whose programs are in files too, where `kept` names a folder.

    Parameters
    ----------
    function : callable
        What is compiled: by ``jax.jit`` alone where no folder is named or there are several
        devices.
    options : dict or None
        Options of the compiler.
    told : callable
        Returns what tells the function from all others, in every process; raises `CannotBeTold`.
    static : tuple of int
        Positions of arguments that are no arrays.
    loaded : callable
        Called when a program was read from a file.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: dict[str, Any] | None,
        told: Callable[[], str],
        static: tuple[int, ...],
        loaded: Callable[[], None],
    ) -> None:
        self._function, self._options = function, options
        self._told, self._static, self._loaded = told, static, loaded
        self._compiled: Any = self._jitted(function)
        self._programs: dict[Any, Any] = {}
        self._name: str | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function does of these arguments."""
        folder = _folder()
        if folder is None or self._name == "" or not _one_processor():
            return self._compiled(*arguments)
        dynamic = tuple(a for at, a in enumerate(arguments) if at not in self._static)
        leaves, structure = jax.tree.flatten(dynamic)
        shapes = tuple(map(_shape, leaves))
        if None in shapes:
            return self._compiled(*arguments)
        fixed = tuple(arguments[at] for at in self._static)
        settings = tuple(getattr(jax.config, name, None) for name in SETTINGS)
        key = (folder, structure, shapes, fixed, settings)
        program = self._programs.get(key)
        if program is None:
            program = self._program(arguments, dynamic, key)
            self._programs[key] = program
        return program(*dynamic)

    def lower(self, *arguments: Any) -> Any:
        """Lower the function as ``jax.jit`` does, for who looks at its program."""
        return self._compiled.lower(*arguments)

    def _cache_size(self) -> int:
        """Count the programs in memory, as the functions of ``jax.jit`` do."""
        return self._compiled._cache_size() + len(self._programs)

    def _program(self, arguments: tuple[Any, ...], dynamic: tuple[Any, ...], key: Any) -> Any:
        """Return the program from its file, or compile it and write that file."""
        folder, structure, shapes, fixed, settings = key
        file = None
        try:
            self._name = self._told() if self._name is None else self._name
            told = [self._name, str(structure), repr(shapes), said(fixed), repr(settings)]
            if not _code_has_changed():  # else what is in memory is not what the digest tells
                content = "\n".join([_everything(), *_other_settings(), *told])
                file = Path(folder) / FOLDER / _digest(content.encode())
        except CannotBeTold:
            self._name = ""
        if file is None or folder in UNWRITABLE:
            return _without_static(self._compiled, self._static, arguments)
        found = _read(file, jax.tree.structure((dynamic, {})))
        if found is not None:
            self._loaded()
            return found
        program = self._compiled_anew(arguments)
        try:
            _write(file, program)
        except OSError:  # JAX's own cache may do better with the others
            UNWRITABLE.add(folder)
        except Exception:  # a program that cannot be packed
            self._name = ""
        return program

    def _compiled_anew(self, arguments: tuple[Any, ...]) -> Any:
        """Compile under a name that JAX's own cache has not seen.

        What that cache reads can be run, but not be written again: parts would be missing. It does
        not keep the program either, as nobody would look for that name.
        """

        def function(*args: Any) -> Any:
            return self._function(*args)

        name = getattr(self._function, "__name__", "function").strip("<>")
        function.__name__ = f"{name}_{secrets.token_hex(6)}"
        lowered = self._jitted(function).lower(*arguments)
        with _COMPILING:
            before = getattr(jax.config, LEAST_SECONDS)
            jax.config.update(LEAST_SECONDS, float("inf"))
            try:
                return lowered.compile()
            finally:
                jax.config.update(LEAST_SECONDS, before)

    def _jitted(self, function: Callable[..., Any]) -> Any:
        return jax.jit(function, static_argnums=self._static, compiler_options=self._options)


def said(value: Any) -> str:
    """Write what makes a static value what it is, in the same words in every process.

    Raises
    ------
    CannotBeTold
        When it holds an object that neither `ROOMS` nor the packages of `TOLD_BY` define.

    Examples
    --------
    >>> said((1, "a", {"b": 2.5}))
    "(1,'a',{'b':2.5,},)"
    >>> said(lambda: 0)
    Traceback (most recent call last):
    pyfairme.stored_programs.CannotBeTold: function
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes) or value is Ellipsis:
        return repr(value)
    if kind in (tuple, list):
        return "(" + "".join(f"{said(one)}," for one in value) + ")"
    if kind in (set, frozenset):
        return "{" + "".join(f"{one}," for one in sorted(map(said, value))) + "}"
    if isinstance(value, Mapping) and (kind is dict or _is_ours(kind)):
        return "{" + "".join(f"{said(k)}:{said(v)}," for k, v in value.items()) + "}"
    if isinstance(value, np.dtype):
        return f"dtype {value.str}"
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        if not isinstance(value.dtype, np.dtype) or value.dtype.hasobject:
            raise CannotBeTold(str(value.dtype))
        array = np.asarray(value)
        return f"array {array.dtype.str} {array.shape} {_digest(array.tobytes())}"
    if isinstance(value, partial):
        return f"partial {said(value.func)} {said(value.args)} {said(value.keywords)}"
    if isinstance(value, type | FunctionType | BuiltinFunctionType | ModuleType):
        return _named(value)
    if not _is_ours(kind):
        raise CannotBeTold(kind.__qualname__)
    if isinstance(value, Enum):
        return f"{_named(kind)}.{value.name}"
    if isinstance(value, tuple):
        return _named(kind) + said(tuple(value))
    if is_dataclass(value):
        state = {one.name: getattr(value, one.name) for one in fields(value)}
    elif hasattr(value, "__dict__") and not hasattr(value, "__slots__"):
        state = dict(sorted(vars(value).items()))
    else:
        raise CannotBeTold(kind.__qualname__)
    return _named(kind) + said(state)


def _named(value: Any) -> str:
    """Name a class or function that can be found by its name."""
    if isinstance(value, ModuleType):
        raise CannotBeTold(value.__name__)
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if module == "builtins":
        return name
    if not _is_ours(value) or _found(str(module), name) is not value:
        raise CannotBeTold(name if "<" not in name else "function")
    return f"{module}.{name}"


def named_builder(function: Any) -> str:
    """Name a function that builds compiled ones: of the rooms whose code is told."""
    if not _is_ours(function) or "<" in function.__qualname__:
        raise CannotBeTold(function.__qualname__)
    return f"{function.__module__}.{function.__qualname__}"


def _found(module: str, name: str) -> Any:
    """Return what has a name in a module, None if nothing has."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _is_ours(value: Any) -> bool:
    """Whether the code of a class or function is told by `_everything`."""
    package, _, inside = str(getattr(value, "__module__", "")).partition(".")
    room, _, file = inside.partition(".")
    return package in TOLD_BY or (package == "pyfairme" and (room in ROOMS or not file))


def _shape(leaf: Any) -> Any:
    """Return what a program must know of an argument; None of one that is being traced."""
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.shape, leaf.dtype, False  # as those of JAX that are not weakly typed
    if isinstance(leaf, Tracer):
        return None
    if isinstance(leaf, jax.Array):
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)  # keys have none
    return type(leaf)


def _without_static(
    compiled: Callable[..., Any], static: tuple[int, ...], arguments: tuple[Any, ...]
) -> Callable[..., Any]:
    """Return the function of the arguments that are arrays, the others as they are here."""
    if not static:
        return compiled

    def call(*dynamic: Any) -> Any:
        left = iter(dynamic)
        return compiled(*(a if at in static else next(left) for at, a in enumerate(arguments)))

    return call


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _folder() -> str | None:
    """Return where programs lie: nowhere if JAX keeps none, or not on this machine's disks."""
    (folder, most), config = kept(), jax.config
    if folder is None or most == 0 or "://" in folder:
        return None
    if not getattr(config, "jax_enable_compilation_cache", True):
        return None
    return None if any(getattr(config, name, False) for name in BY_JIT) else folder


@lru_cache
def _one_processor() -> bool:
    """Whether all runs on one device that is a processor, the only kind that this was tried on."""
    return jax.default_backend() == "cpu" and jax.device_count() == 1


def _sources() -> list[Path]:
    """List the files whose code a program may come from: imports point back only."""
    package = Path(__file__).parent
    rooms = [path for room in ROOMS for path in (package / room).rglob("*.py")]
    return sorted([*package.glob("*.py"), *rooms])


def _code_has_changed() -> bool:
    """Whether source is missing, or was put in its place after this process read it."""
    try:
        abouts = [path.stat() for path in _sources()]
    except OSError:
        return True
    times = [max(about.st_mtime, about.st_ctime) for about in abouts]
    return not times or max(times) > IMPORTED


@lru_cache
def _everything() -> str:
    """Tell this code, the libraries it calls, the processor, and how XLA was started."""
    code = _digest("".join(_digest(path.read_bytes()) for path in _sources()).encode())
    versions = [f"{name} {version(name)}" for name in TOLD_BY]
    flags = os.environ.get("XLA_FLAGS", "")
    return "\n".join([code, *versions, platform.python_version(), processor(), flags])


def _other_settings() -> list[str]:
    values: Any = getattr(jax.config, "values", {})
    return [f"{name} {values[name]}" for name in sorted(values) if not _TALKS.search(name)]


@lru_cache
def _load_lapack() -> None:
    """Let jaxlib find LAPACK, which it does when it lowers the first function that calls it."""
    jax.jit(jax.numpy.linalg.cholesky).lower(jax.ShapeDtypeStruct((1, 1), np.float32))


def _read(file: Path, inputs: Any) -> Any | None:
    _load_lapack()  # a program that calls it would else crash
    try:
        program, outputs = pickle.loads(zlib.decompress(file.read_bytes()))
        found = serialize_executable.deserialize_and_load(
            program, inputs, jax.tree.structure(outputs), execution_devices=jax.devices()
        )
    except FileNotFoundError:
        return None
    except Exception:  # half a file, or of another time: it is made again
        with suppress(OSError):
            file.unlink()
        return None
    with suppress(OSError):
        os.utime(file)  # those that were used the longest ago go first
    return found


def _write(file: Path, program: Any) -> None:
    content, _, outputs = serialize_executable.serialize(program)
    leaves = jax.tree.unflatten(outputs, [0] * outputs.num_leaves)
    packed = zlib.compress(pickle.dumps((content, leaves)), 1)
    most = kept().max_bytes if kept().max_bytes > 0 else MOST_BYTES // 2
    if len(packed) > most:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    _make_room(file.parent, most - len(packed))
    with replacing(file) as opened:
        opened.write(packed)


def _make_room(folder: Path, most: int) -> None:
    """Remove the files that were used the longest ago, until the rest is small enough."""
    found = []
    for entry in os.scandir(folder):
        with suppress(OSError):
            about = entry.stat()
            found.append((about.st_mtime, about.st_size, entry.path))
    size = sum(one[1] for one in found)
    for _, own, path in sorted(found):
        if size <= most:
            return
        with suppress(OSError):
            os.unlink(path)
            size -= own
