"""Pieces of work as tasks of a Ray cluster: a local one that starts by itself, or a running one.

A worker process keeps the programs that it compiled, so that the fits it makes after the first one
start at once. Nothing is written by workers: what they return is stored by the process that asked,
so that they need no common disk. Workers of other machines need pyfairme installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from pyfairme.study.tuning.trials import Inline, Outcome, WorkerLost

RETRIES = 3  # of a task whose worker died


class RayTasks:
    """Pieces of work in a cluster.

    Parameters
    ----------
    function
        Called with ``shared`` and the arguments of each piece.
    shared
        What all pieces need; sent to every machine once.

    Attributes
    ----------
    slots
        How many pieces run at the same time: the CPUs of the cluster.
    """

    def __init__(self, function: Callable[..., Any], shared: object) -> None:
        ray = _ray()
        self._ray = ray
        self._task = ray.remote(function).options(
            num_cpus=1, max_retries=RETRIES, name=function.__name__
        )
        self._shared = ray.put(shared)
        self._names: dict[Any, Hashable] = {}
        self.slots = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def submit(self, name: Hashable, *args: object) -> None:
        """Hand a piece of work to the cluster."""
        self._names[self._task.remote(self._shared, *args)] = name

    def next(self) -> Outcome:
        """Wait for any piece; one whose worker died too often ends with `WorkerLost`."""
        (done, *_), _ = self._ray.wait(list(self._names), num_returns=1)
        name = self._names.pop(done)
        errors = self._ray.exceptions
        try:
            return Outcome(name, self._ray.get(done), None)
        except errors.RayTaskError as error:  # raised by the function itself
            cause = error.cause
            return Outcome(name, None, cause if isinstance(cause, Exception) else error)
        except errors.RayError as error:
            return Outcome(name, None, WorkerLost(str(error)))

    def cancel(self) -> None:
        """Stop what is still running."""
        for reference in self._names:
            self._ray.cancel(reference, force=True)
        self._names.clear()


Pool = Inline | RayTasks  # what does pieces of work


@contextmanager
def ray_tasks(
    function: Callable[..., Any], shared: object, *, n_jobs: int = 1, address: str | None = None
) -> Iterator[RayTasks]:
    """Give work to a Ray cluster.

    Parameters
    ----------
    function, shared
        As of `RayTasks`.
    n_jobs
        Workers of the local cluster that is started, if this process has none yet.
    address
        Of a running cluster; what was joined is left, and goes on, at the end.

    Raises
    ------
    ImportError
        When Ray is not installed.
    """
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        where: dict[str, Any] = (
            {"num_cpus": n_jobs, "include_dashboard": False}
            if address is None
            else {"address": address}
        )
        with warnings.catch_warnings():
            # Ray forks and at once starts another program in its place: nothing of JAX runs there
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(**where, log_to_driver=False, logging_level="error")
    try:
        tasks = RayTasks(function, shared)
        try:
            yield tasks
        finally:
            tasks.cancel()
    finally:
        if ours:
            ray.shutdown()


def _ray() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "engine='ray' needs Ray, which is not installed: pip install 'pyfairme[ray]'. [no-ray]"
        ) from error
    return ray
