"""JAX runs in the process that used it first: its threads do not survive a fork."""

from __future__ import annotations

import os

__all__ = ["check_process"]

_used_by: list[int] = []  # the process that fitted or predicted first; a forked child inherits it


def check_process() -> None:
    """Raise RuntimeError in a child that was forked after JAX was used: it would wait for ever."""
    here = os.getpid()
    if not _used_by:
        _used_by.append(here)
    if _used_by[0] != here:
        raise RuntimeError(
            "This process was forked from one that had fitted or predicted already, and JAX's "
            "threads do not survive a fork: it would wait for ever. Start workers with "
            "multiprocessing.get_context('spawn') (or 'forkserver'), with joblib, or before the "
            "first fit or prediction. [forked]"
        )
