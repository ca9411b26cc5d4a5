"""Compiled programs in files: what one process compiled, the next one reads."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache
from platformdirs import user_cache_path

MOST_BYTES = 2**30


def keep_compiled(folder: str | Path | None = None, *, max_bytes: int = MOST_BYTES) -> Path:
    """Keep what is compiled in files, so that the next process need not compile it again.

    A first fit in a process mostly waits for compilation; one that finds its programs in files
    loads them instead. JAX's own persistent cache is set up, with settings for programs as small as
    these, and holds for everything that this process compiles with JAX from now on; the functions
    of pyfairme are found without being traced (see `stored_programs`). The command line does so by
    itself; ``import pyfairme`` does not. Whoever can write to the folder can run code here.

    Parameters
    ----------
    folder
        Where they lie; by default "compiled" in the user's cache folder. A folder inside it is
        named after the processor, for whose instructions programs are compiled.
    max_bytes
        Size of the folder beyond which the files that were used the longest ago are removed: half
        of it for JAX's files, half for those of pyfairme's functions.

    Returns
    -------
    Path
        The folder with the files.

    Raises
    ------
    ValueError
        When nothing can be written there, or ``max_bytes`` is not positive.

    Examples
    --------
    >>> import pyfairme as pf
    >>> folder = pf.keep_compiled("compiled")  # doctest: +SKIP
    """
    if max_bytes <= 0:
        raise ValueError(
            f"max_bytes is the size of a folder, at least 1; got {max_bytes}. [keep-compiled-size]"
        )
    base = user_cache_path("pyfairme") / "compiled" if folder is None else Path(folder)
    whole = base.expanduser().absolute() / processor()
    if not _can_be_written(whole):
        raise ValueError(
            f"Compiled programs cannot be kept in {whole.parent}: it is no folder that can be "
            "written. Name another one: pyfairme.keep_compiled(folder). [keep-compiled]"
        )
    _keep_in(str(whole), max(max_bytes // 2, 1))
    return whole


class Kept(NamedTuple):
    """Where JAX keeps what it compiles, None: nowhere; and how large its files may be in all."""

    folder: str | None
    max_bytes: int


def kept() -> Kept:
    """Return what holds in this process."""
    config: Any = jax.config
    folder = config.jax_compilation_cache_dir or None  # an empty one keeps nothing
    return Kept(folder, config.jax_compilation_cache_max_size)


def keep_compiled_unasked(like: Kept | None = None) -> None:
    """Keep what a process of our own compiles: ``like`` another process, else where it is usual.

    Nothing happens where JAX was told a folder, or where none can be written.
    """
    if kept().folder is not None:
        return
    if like is not None and like.folder is not None:
        _keep_in(like.folder, like.max_bytes)
        return
    with suppress(ValueError):
        keep_compiled()


def _keep_in(folder: str, max_bytes: int) -> None:
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_compilation_cache_max_size", max_bytes)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    compilation_cache.reset_cache()  # else a process that compiled before goes on without


def processor() -> str:
    """Name the processor by what it can do: two that share a home folder may differ."""
    said = [platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    said += [next((line for line in lines if line.startswith(("flags", "Features"))), "")]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _can_be_written(folder: Path) -> bool:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
