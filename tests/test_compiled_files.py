"""Compiled programs are read from files, in a folder that is bounded, and only when asked to."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache
from typer.testing import CliRunner

import pyfairme as pf
from pyfairme.cli import app
from pyfairme.compiled_files import Kept, keep_compiled_unasked, kept

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """JAX keeps nothing, and the user's cache folder is an empty one; all as before afterwards."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def read():
    """The number of programs that were read from files."""
    found = []

    def count(event: str, **_: object) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            found.append(event)

    jax.monitoring.register_event_listener(count)
    yield found
    jax.monitoring.unregister_event_listener(count)


def compile_anew() -> float:
    """Compile a program of some size, which no cache in memory has."""
    jax.clear_caches()

    def program(x):
        for k in range(40):
            x = jnp.where(x > k, jnp.sin(x @ x) / (k + 1), jnp.cumsum(x, axis=0))
        return x.sum()

    return float(jax.jit(program)(jnp.eye(3)))


def test_what_was_compiled_is_read_again(unset, read, tmp_path):
    compile_anew()  # before: JAX has looked for its folder already
    folder = pf.keep_compiled(tmp_path / "programs")
    first = compile_anew()
    assert folder.parent == tmp_path / "programs"
    assert [path for path in folder.iterdir() if path.name.endswith("-cache")]
    assert not read
    assert compile_anew() == first
    assert read


def test_the_folder_stays_below_its_size(unset, read, tmp_path):
    folder = pf.keep_compiled(tmp_path, max_bytes=100)
    with pytest.warns(UserWarning, match="exceeds the maximum cache size"):
        compile_anew()
    assert not [path for path in folder.iterdir() if path.name.endswith("-cache")]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"no folder that can be written.*\[keep-compiled\]"):
        pf.keep_compiled(tmp_path / "file" / "below")
    with pytest.raises(ValueError, match=r"max_bytes .* got 0. \[keep-compiled-size\]"):
        pf.keep_compiled(tmp_path, max_bytes=0)


def test_the_command_line_keeps_what_it_compiles_in_the_user_s_folder(unset, tmp_path):
    CliRunner().invoke(app, ["fit", "--help"])
    folder = kept().folder
    assert folder is not None
    assert folder.startswith(str(tmp_path / "home" / "pyfairme" / "compiled"))


def test_a_worker_keeps_where_its_study_does_and_never_elsewhere_than_jax_was_told(unset, tmp_path):
    keep_compiled_unasked(Kept(str(tmp_path / "a"), 10**6))
    assert kept() == Kept(str(tmp_path / "a"), 10**6)
    keep_compiled_unasked(Kept(str(tmp_path / "b"), 10**6))
    assert kept().folder == str(tmp_path / "a")


@pytest.mark.long
def test_an_import_changes_nothing():
    code = "import jax, pyfairme; print(jax.config.jax_compilation_cache_dir)"
    outside = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=outside, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "None"
