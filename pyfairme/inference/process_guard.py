"""The process and its threads: who may use JAX, and one thread at a time where numpyro needs it."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import AbstractContextManager
from typing import Any


class _Process:
    """What this process may do; a fork copies it, and `after_fork` puts it right in the child."""

    def __init__(self) -> None:
        self.forked_after_use = self.in_use = False
        self.turn = threading.RLock()

    def before_fork(self) -> None:
        # asked in the parent: JAX answers under a lock, whose owner a child may not have
        self.in_use = _jax_in_use()

    def after_fork(self) -> None:
        self.forked_after_use = self.forked_after_use or self.in_use
        self.turn = threading.RLock()  # the thread that held the other one is not here


def _jax_in_use() -> bool:
    """Tell whether JAX has started its threads, whoever started it; yes if JAX no longer says."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bool(getattr(bridge, "backends_are_initialized", lambda: True)())


_here = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_here.before_fork, after_in_child=_here.after_fork)


def check_process() -> None:
    """Raise RuntimeError in a child that was forked after JAX was used: it would wait for ever."""
    if _here.forked_after_use:
        raise RuntimeError(
            "This process was forked from one that had used JAX already, for a fit, a prediction "
            "or code of your own, and JAX's threads do not survive a fork: it would wait for ever. "
            "Start workers with multiprocessing.get_context('spawn') (or 'forkserver'), with "
            "joblib's default, or before the first use. [forked]"
        )


def turn() -> AbstractContextManager[Any]:
    """Return the lock of what one thread of the process does at a time."""
    return _here.turn
