"""Settings of every test: JAX on the CPU, drawings without a screen, real data where it lies."""

import atexit
import gc
import os
import shutil
import tempfile

# Before JAX is imported anywhere; a GPU run sets the variable itself.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests compile for longer than they compute: see the fixture `optimised`.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Workers, notebooks and child processes of one run use each other's compiled code.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.mkdtemp(prefix="pyfairme-compiled-")
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

# `make test` sets this: the shapes and types written in these rooms are checked at every call that
# the tests make. It costs about two seconds a process, at import, and makes tracebacks longer.
if os.environ.get("PYFAIRME_TYPECHECK") == "1":
    install_import_hook(["pyfairme.model", "pyfairme.inference"], "beartype.beartype")

from pyfairme import stored_programs  # after the hook
from pyfairme.compilation import HELD
from pyfairme.compiled_files import Kept

# Of compiled programs: with so many a file begins anew, and within a file none is given back, since
# tests count what is compiled. Files share some, and a process ends with its part.
MOST_BETWEEN_FILES = 256
HELD.limit = HELD.first_limit = 4096


# Of `make test-long`, though no mark can stand there: notebooks but one, examples that fit models.
SHORT_NOTEBOOK = "quickstart.ipynb"
LONG_EXAMPLES = {
    "pyfairme/estimators/classifier.py",
    "pyfairme/estimators/regressor.py",
    "pyfairme/estimators/random_part_disparity.py",
    "pyfairme/explain/marginal_slopes.py",
    "pyfairme/model/likelihoods/real.py",
    "pyfairme/postprocessing/conformal_intervals.py",
    "pyfairme/postprocessing/conformal_sets.py",
}


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `long` what cannot hold the mark itself."""
    for item in items:
        notebook = item.path.suffix == ".ipynb" and item.path.name != SHORT_NOTEBOOK
        if notebook or item.nodeid.partition("::")[0] in LONG_EXAMPLES:
            item.add_marker(pytest.mark.long)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was imported: it is a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def code_as_in_its_files(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep no program of a test that may patch the code: a digest tells the code in files."""
    before = stored_programs.kept
    if "monkeypatch" in request.fixturenames and "stored_programs" not in request.node.nodeid:
        stored_programs.kept = lambda: Kept(None, 0)
    yield
    stored_programs.kept = before


@pytest.fixture(autouse=True, scope="module")
def room_to_compile() -> None:
    """Give compiled programs back before a file, which then keeps its own to its end."""
    if HELD.programs > MOST_BETWEEN_FILES:
        HELD.clear()


@pytest.fixture(scope="module")
def optimised() -> Iterator[None]:
    """Compile with XLA's optimisations: for the files whose programs run for longer than that."""
    name = "jax_disable_most_optimizations"
    before = jax.config.read(name)
    jax.config.update(name, False)
    yield
    jax.config.update(name, before)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data sets; the test is skipped where there is none."""
    folder = os.environ.get("PYFAIRME_DATA")
    if not folder:
        pytest.skip("real data: set PYFAIRME_DATA to the folder that holds it")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"PYFAIRME_DATA names {folder!r}, which is no folder")
    return path


@pytest.fixture
def needs_data(data_dir):
    """Find a file of the real data by its relative name, or skip the test that asks for it."""

    def find(name: str) -> Path:
        path = data_dir / name
        if not path.exists():
            pytest.skip(f"real data: no {name!r} in {data_dir}")
        return path

    return find
