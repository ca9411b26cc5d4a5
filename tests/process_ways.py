"""Ways to use a model in other processes and threads, each tried for real.

    python -m tests.process_ways MODEL

prints a JSON object a line: the way, as the table of docs/performance.md calls it, and what came of
each call: "the same" as without it, or the code of the error. `test_processes.py` runs it.
"""

import json
import multiprocessing
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import cross_val_score

import pyfairme as pf
from tests.bad_inputs import tiny

PATIENCE = 120  # seconds; a thread is waited for no longer
Found = Iterator[tuple[str, str]]
WAYS: dict[str, Callable[[str], Found]] = {}


def way(name: str) -> Callable[[Callable[[str], Found]], Callable[[str], Found]]:
    def noted(function: Callable[[str], Found]) -> Callable[[str], Found]:
        WAYS[name] = function
        return function

    return noted


def outcome(call: Callable[[], Any], expected: Any = None) -> str:
    """Tell what came of a call."""
    try:
        found = call()
    except Exception as error:
        codes = re.findall(r"\[[a-z-]+\]", str(error))
        return codes[-1] if codes else repr(error)
    return "the same" if np.array_equal(found, expected) else "other numbers"


# What runs elsewhere: a process that starts anew finds it by its name.


def chances(model: Any) -> np.ndarray:
    return model.predict_proba(tiny.rows())


def chances_of_file(path: str) -> np.ndarray:
    return chances(pf.load(path))


def chances_of_fit(**keywords: Any) -> np.ndarray:
    return chances(tiny.fit(**keywords))


def effects(model: Any) -> np.ndarray:
    return model.cluster_effects_["mean"].to_numpy()


def scores(**keywords: Any) -> np.ndarray:
    return cross_val_score(tiny.classifier(), tiny.rows(), tiny.target(), cv=2, **keywords)


# The ways; the order matters for those that fork -------------------------------------------------


@way("fork, before JAX was used")
def forked_early(path: str) -> Found:
    model = pf.load(path)
    model.save(f"{path} again")
    with multiprocessing.Pool(1) as pool, ProcessPoolExecutor(1) as executor:
        found = [pool.apply(chances, (model,)), executor.submit(chances_of_fit).result()]
    expected = chances(model)
    yield "multiprocessing", outcome(lambda: found[0], expected)
    yield "ProcessPoolExecutor, a fit", outcome(lambda: found[1], expected)


@way("fork, after JAX was used: fits, predictions")
def forked_late(path: str) -> Found:
    model = pf.load(path)
    with multiprocessing.Pool(1) as pool:
        yield "a fit", outcome(lambda: pool.apply(chances_of_fit))
        yield "a model", outcome(lambda: pool.apply(chances, (model,)))
        yield "a file", outcome(lambda: pool.apply(chances_of_file, (path,)))
    with ProcessPoolExecutor(1) as executor:
        yield "ProcessPoolExecutor", outcome(lambda: executor.submit(chances, model).result())
    two = Parallel(2, "multiprocessing")
    yield "joblib", outcome(lambda: two(delayed(chances)(model) for _ in range(2)))
    with parallel_config("multiprocessing", n_jobs=2):
        yield "cross_val_score", outcome(scores)


@way("fork, after JAX was used: `load`, `save`, `cluster_effects_`")
def forked_late_without_jax(path: str) -> Found:
    model = pf.load(path)
    with multiprocessing.Pool(1) as pool:
        yield "a model", outcome(lambda: pool.apply(effects, (model,)), effects(model))
        yield "a file", outcome(lambda: effects(pool.apply(pf.load, (path,))), effects(model))
        yield "save", outcome(lambda: pool.apply(model.save, (f"{path} again",)))


@way("`spawn`")
def spawn(path: str) -> Found:
    yield from started_anew("spawn", path)


@way("`forkserver`")
def forkserver(path: str) -> Found:
    yield from started_anew("forkserver", path)


def started_anew(method: str, path: str) -> Found:
    model = pf.load(path)
    expected = chances(model)
    with multiprocessing.get_context(method).Pool(1) as pool:
        yield "a model", outcome(lambda: pool.apply(chances, (model,)), expected)
        yield "a file", outcome(lambda: pool.apply(chances_of_file, (path,)), expected)


@way("joblib's default, `n_jobs` of scikit-learn")
def loky(path: str) -> Found:
    yield "cross_val_score", outcome(lambda: scores(n_jobs=2), scores())


@way("threads: fits, also joblib's `threading`")
def fits_in_threads(path: str) -> Found:
    kinds: list[dict[str, Any]] = [{}, {"random_slopes": ["x1"]}]  # each is traced
    jax.clear_caches()
    with ThreadPoolExecutor(2) as pool:
        fits = list(pool.map(lambda keywords: chances_of_fit(**keywords), kinds))
    yield "models of two kinds", outcome(lambda: fits, [chances_of_fit(**kind) for kind in kinds])
    with parallel_config("threading", n_jobs=2):
        found = scores()
    yield "cross_val_score", outcome(lambda: found, scores())


@way("threads: predictions from one model")
def predictions_in_threads(path: str) -> Found:
    model = pf.load(path)
    jax.clear_caches()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(chances, [model] * 20))
    yield "twenty", outcome(lambda: found, [chances(model)] * 20)


@way("threads: two fits of one object")
def two_fits_of_one_object(path: str) -> Found:
    with in_training(tiny.classifier()) as model:
        yield "the second", outcome(lambda: model.fit(tiny.rows(), tiny.target()))
    assert np.array_equal(chances(model), chances_of_fit()), "the first"


@way("threads: a prediction during a fit of the same object")
def prediction_during_a_fit(path: str) -> Found:
    with in_training(tiny.fit()) as model:
        yield "the prediction", outcome(lambda: chances(model))
    assert np.array_equal(chances(model), chances_of_fit()), "afterwards"


class Slow(pd.Series):
    """A target that is handed out only when somebody says so."""

    asked, given = threading.Event(), threading.Event()

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        self.asked.set()
        self.given.wait(PATIENCE)
        return super().__array__(*args, **kwargs)


@contextmanager
def in_training(model: Any) -> Iterator[Any]:
    """Let a thread fit a model for as long as the block lasts."""
    Slow.asked.clear()
    Slow.given.clear()
    thread = threading.Thread(target=lambda: model.fit(tiny.rows(), Slow(tiny.target())))
    thread.start()
    assert Slow.asked.wait(PATIENCE), "the fit never read its target"
    try:
        yield model
    finally:
        Slow.given.set()
        thread.join()


if __name__ == "__main__":
    forks = "fork" in multiprocessing.get_all_start_methods()
    if forks:
        multiprocessing.set_start_method("fork")  # the default of Linux up to Python 3.13
    warnings.filterwarnings("ignore", ".*fork", RuntimeWarning)  # JAX warns of it
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # Python too, from 3.12 on
    sys.setswitchinterval(1e-4)  # threads change places more often than usual
    for name, function in WAYS.items():
        if forks or not name.startswith(("fork", "`fork")):
            print(json.dumps({name: dict(function(sys.argv[1]))}), flush=True)
