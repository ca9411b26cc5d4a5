"""Fits of a study, one after the other or in several processes; each is stored when it ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, NamedTuple

from joblib import wrap_non_picklable_objects

from pyfairme.compiled_files import Kept, keep_compiled_unasked, kept
from pyfairme.datasets import Dataset
from pyfairme.estimators.progress_display import progress_display
from pyfairme.inference.fit_stages import Progress
from pyfairme.study.crossval.fits import FitPart, JudgedRows, fits_in_turn
from pyfairme.study.crossval.store import Key, Store

if TYPE_CHECKING:
    from pyfairme.estimators.base import FairMixedEffects


class Job(NamedTuple):
    """Fits to be made on the same rows, each beginning where the one before it ended.

    Most jobs have one key. Those in the store already are not ``wanted``, but gone through again.
    """

    keys: tuple[Key, ...]
    part: FitPart
    wanted: frozenset[Key]


def jobs_of(
    missing: Sequence[Key], parts: Mapping[tuple[int, int], FitPart], path: Sequence[str]
) -> list[Job]:
    """Make the jobs that bring missing fits.

    Parameters
    ----------
    missing
        Fits that the store does not have.
    parts
        Rows by seed and fold.
    path
        Names of models that are fitted one after the other; empty: each fit is a job of its own.
    """
    if not path:
        return [Job((key,), parts[key.seed, key.fold], frozenset([key])) for key in missing]
    jobs = []
    for (seed, fold), part in parts.items():
        keys = [Key(name, seed, fold) for name in path]
        wanted = frozenset(keys) & frozenset(missing)
        last = max((place for place, key in enumerate(keys) if key in wanted), default=-1)
        jobs += [Job(tuple(keys[: last + 1]), part, wanted)] if wanted else []
    return jobs


class _Study(NamedTuple):
    """What every fit of a study needs."""

    dataset: Dataset
    models: Mapping[str, FairMixedEffects]
    store: Store


def run_jobs(
    jobs: Sequence[Job],
    dataset: Dataset,
    models: Mapping[str, FairMixedEffects],
    store: Store,
    *,
    n_jobs: int = 1,
    engine: str = "local",
    address: str | None = None,
    progress: bool | str = "auto",
    done: int = 0,
) -> None:
    """Make the fits that are not in the store yet.

    Parameters
    ----------
    jobs
        Fits to make; jobs run beside each other.
    dataset, models, store
        The data, the unfitted estimators by name, and where results go.
    n_jobs
        Processes; each compiles for itself. More than one needs a script that can be imported
        (``if __name__ == "__main__":``), as everywhere in Python.
    engine, address
        "local", or "ray" and a running cluster; without one, ``n_jobs`` workers are started.
    progress
        "auto" shows fits and the time left in terminals and notebooks; elsewhere at level INFO of
        the log "pyfairme.progress". True: there on stderr. False.
    done
        Fits that were found in the store: the bar starts there.
    """
    study = _Study(dataset, models, store)
    total = done + sum(len(job.wanted) for job in jobs)
    with progress_display(progress, "study") as report:
        report(Progress("fitting", done, total, unit="fits"))
        ended = (
            _finished_by_ray(jobs, study, n_jobs, address)
            if engine == "ray"
            else _finished(jobs, study, n_jobs)
        )
        for number, key in enumerate(ended, done + 1):
            report(Progress("fitting", number, total, str(key), "fits"))


def _finished(jobs: Sequence[Job], study: _Study, n_jobs: int) -> Iterator[Key]:
    if n_jobs == 1 or len(jobs) < 2:
        for job in jobs:
            yield from _run(study, job)
        return
    # with the classes of objects of a user's own, which a worker cannot import from a notebook
    whole = wrap_non_picklable_objects(study, keep_wrapper=False)
    context = multiprocessing.get_context("spawn")  # a forked JAX hangs
    with ProcessPoolExecutor(
        min(n_jobs, len(jobs)), context, initializer=_receive, initargs=(whole, kept())
    ) as pool:
        waiting = [pool.submit(_run_received, job) for job in jobs]
        try:
            for future in as_completed(waiting):
                yield from future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _finished_by_ray(
    jobs: Sequence[Job], study: _Study, n_jobs: int, address: str | None
) -> Iterator[Key]:
    """Make the fits in a Ray cluster; this process writes them to the store."""
    if not jobs:
        return
    from pyfairme.study.crossval.ray_engine import ray_tasks

    with ray_tasks(_fits_of_a_job, study[:2], n_jobs=n_jobs, address=address) as tasks:
        for job in jobs:
            tasks.submit(job.keys, job)
        for _ in jobs:
            _, fits, error = tasks.next()
            if error is not None:
                raise error
            for key, found in fits:
                study.store.write(key, *found)
                yield key


def _fits_of_a_job(
    study: tuple[Dataset, Mapping[str, FairMixedEffects]], job: Job
) -> list[tuple[Key, JudgedRows]]:
    dataset, models = study
    return list(fits_in_turn(job.keys, models, dataset, job.part, job.wanted))


def _run(study: _Study, job: Job) -> Iterator[Key]:
    for key, found in fits_in_turn(job.keys, study.models, study.dataset, job.part, job.wanted):
        study.store.write(key, *found)
        yield key


_RECEIVED: list[_Study] = []  # of a worker process: the study it works for


def _receive(study: _Study, compiled: Kept) -> None:
    keep_compiled_unasked(compiled)
    _RECEIVED[:] = [study]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _run_received(job: Job) -> list[Key]:
    return list(_run(_RECEIVED[0], job))


def _end_with_parent() -> None:
    """Leave when the parent is gone: killed outright, it could not end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
