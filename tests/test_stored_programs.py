"""Programs in files: a new process loads what another compiled, only where it is the same."""

import json
import os
import subprocess
import sys
import warnings
from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import pyfairme as pf
from pyfairme import stored_programs
from pyfairme.compilation import jitted, per_structure
from pyfairme.compiled_files import kept
from pyfairme.model.likelihoods import Bernoulli
from pyfairme.model.penalties import penalties_of
from pyfairme.model.program import ModelSpec
from pyfairme.stored_programs import FOLDER, CannotBeTold, said
from tests.test_architecture import PACKAGE, RANK
from tests.test_compiled_files import SETTINGS

PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import jax, pyfairme as pf
events = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **more: events.append((event, str(more.get("fun_name"))))
)
pf.keep_compiled(sys.argv[1])
data = pf.datasets.make_clustered(300, 6, random_state=0)
model = pf.FairMixedEffectsClassifier(
    "cluster", ["group1"], random_state=0, progress=False, **json.loads(sys.argv[2])
).fit(data.frame, data.target)
p = model.predict_proba(data.frame[:40])[:, 1]
table = model.predict_interval(data.frame[:5])
traced = [name for event, name in events if event.endswith("jaxpr_trace_duration")]
print(json.dumps({"p": p.tolist(), "interval": table.to_numpy().tolist(), "traced": traced}))
"""
KEYWORDS = {
    "hidden": [4],
    "epochs": 1,
    "min_steps": 20,
    "fairness": "adversarial",
    "fairness_weight": 0.3,
    "unseen": "population",
}


@pytest.fixture
def folder(tmp_path):
    """Keep programs in an empty folder, and as before afterwards."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    yield pf.keep_compiled(tmp_path / "kept") / FOLDER
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def fit_in_a_process(folder):
    """Fit and predict in a process of its own, with the test's flags but no folder of theirs."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, str(folder), json.dumps(KEYWORDS)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.long
def test_a_second_process_traces_next_to_nothing_and_gives_the_same(tmp_path):
    first = fit_in_a_process(tmp_path)
    second = fit_in_a_process(tmp_path)
    assert second["p"] == first["p"]
    assert second["interval"] == first["interval"]
    assert any(name.startswith("run") for name in first["traced"])
    ours = ("run", "init", "evaluate", "steps")
    assert not any(name.startswith(ours) for name in second["traced"])


def counted_function():
    """A compiled function of a structure, and how often it was traced."""
    traced = []

    def make(power: int, more: object = None):
        def function(x, times):
            traced.append(power)
            return sum((x**power for _ in range(times)), start=jnp.zeros(()))

        return jitted(function, "once", static=(1,))

    make.__module__, make.__qualname__ = "pyfairme.model.made_up", "counted"
    return per_structure()(make), traced


def test_structures_shapes_and_static_arguments_have_programs_of_their_own(folder):
    calls = [(2, 3.0, 1), (3, 3.0, 1), (2, np.full(2, 3.0), 1), (2, 3.0, 2), (2, np.float32(3), 1)]
    for again in range(2):
        make, traced = counted_function()
        for power, x, times in calls:
            np.testing.assert_allclose(make(power)(x, times), times * np.asarray(x) ** power)
        assert len(traced) == (0 if again else len(calls))
    assert len(list(folder.iterdir())) == len(calls)


def test_arrays_of_numpy_and_of_jax_have_one_program(folder):
    make, traced = counted_function()
    for x in (np.full(2, 3.0, np.float32), jnp.full(2, jnp.float32(3)), jnp.zeros(2)):
        np.testing.assert_allclose(make(2)(x, 1), np.asarray(x) ** 2)
    assert len(traced) == len(list(folder.iterdir())) == 1


def test_settings_of_jax_that_change_what_is_traced_are_told_apart(folder):
    make, traced = counted_function()
    make(2)(3.0, 1)
    with jax.enable_x64(True):
        assert make(2)(3.0, 1).dtype == np.float64
    assert make(2)(3.0, 1).dtype == np.float32
    assert len(traced) == 2


def test_structures_with_objects_of_a_users_own_are_never_stored(folder):
    make, traced = counted_function()

    class Own:
        """Its code may change without its name."""

    assert float(make(2, Own())(3.0, 1)) == 9.0
    assert float(make(2, lambda: 0)(3.0, 2)) == 18.0
    assert len(traced) == 2
    assert not folder.exists()


def test_what_is_built_outside_of_the_rooms_is_never_stored(folder):
    @per_structure()
    def make(power: int):
        return jitted(lambda x: x**power, "once")

    assert float(make(2)(3.0)) == 9.0
    assert not folder.exists()


def test_our_programs_are_not_in_jaxs_cache_too_and_a_folder_that_cannot_be_written_is_left(folder):
    make, _ = counted_function()
    make(2)(3.0, 1)
    assert not [path for path in folder.parent.iterdir() if path.name.startswith("jit_function")]
    (file,) = folder.iterdir()
    file.unlink()
    folder.rmdir()
    folder.touch()  # a file in the folder's place
    make, traced = counted_function()
    assert [float(make(power)(3.0, 1)) for power in (2, 3)] == [9.0, 27.0]
    assert traced == [2, 3]
    assert str(folder.parent) in stored_programs.UNWRITABLE
    assert [path for path in folder.parent.iterdir() if path.name.startswith("jit_function")]


@pytest.mark.parametrize("content", [b"", b"half a file"])
def test_a_broken_file_is_made_again(folder, content):
    make, _ = counted_function()
    make(2)(3.0, 1)
    (file,) = folder.iterdir()
    whole = file.stat().st_size
    file.write_bytes(content)
    make, traced = counted_function()
    assert float(make(2)(3.0, 1)) == 9.0
    assert traced == [2]
    assert file.stat().st_size == pytest.approx(whole, rel=0.05)  # its name is a new one


@pytest.mark.parametrize(
    ("name", "value"), [("IMPORTED", 0.0), ("_sources", list)], ids=["changed", "no source"]
)
def test_nothing_is_stored_when_the_code_cannot_be_told(folder, monkeypatch, name, value):
    monkeypatch.setattr(stored_programs, name, value)
    make, traced = counted_function()
    assert float(make(2)(3.0, 1)) == 9.0
    assert traced == [2]
    assert not folder.exists()


@pytest.mark.long
def test_what_jax_read_from_its_own_files_is_not_stored(folder):
    """An executable from JAX's files cannot be written again: symbols would be missing."""
    data = pf.datasets.make_clustered(200, 5, random_state=0)
    model = pf.FairMixedEffectsClassifier(
        "cluster",
        hidden=(4,),
        epochs=1,
        min_steps=20,
        network_posterior="none",
        unseen="population",
        guide="mean_field",
        random_state=0,
        progress=False,
    )
    found = []
    for _ in range(3):  # the second one finds JAX's files, but none of ours
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(model.fit(data.frame, data.target).predict_proba(data.frame)[:, 1])
        if len(found) == 1:
            for file in folder.iterdir():
                file.unlink()
        pf.clear_caches()
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_the_folder_is_bounded_and_what_was_used_last_stays(tmp_path):
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    try:
        folder = pf.keep_compiled(tmp_path, max_bytes=12_000) / FOLDER
        make, traced = counted_function()
        for power in (2, 3, 4, 5, 6, 7):
            make(power)(3.0, 1)
        sizes = [file.stat().st_size for file in folder.iterdir()]
        assert 1 <= len(sizes) < 6
        assert sum(sizes) <= 6_000
        make, traced = counted_function()
        make(7)(3.0, 1)
        assert not traced
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = kept().folder
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        make, traced = counted_function()
        assert float(make(2)(3.0, 1)) == 9.0
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert traced
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("jax_enable_compilation_cache", False),
        ("jax_disable_jit", True),
        ("jax_debug_nans", True),
        ("jax_compilation_cache_max_size", 0),
        ("jax_compilation_cache_dir", "gs://bucket/folder"),
        ("jax_compilation_cache_dir", ""),
    ],
)
def test_nothing_is_stored_where_jax_is_told_so(folder, setting, value, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = getattr(jax.config, setting)
    make, traced = counted_function()
    jax.config.update(setting, value)
    try:
        assert stored_programs._folder() is None
        if "cache_dir" not in setting and "size" not in setting:  # JAX itself would stumble
            assert float(make(2)(3.0, 1)) == 9.0
            assert traced
    finally:
        jax.config.update(setting, before)
    assert not folder.exists()
    assert not (tmp_path / "gs:").exists()


def test_what_a_value_says_is_the_same_for_equal_ones_and_differs_for_others():
    penalties = penalties_of(("adversarial", "moment"))
    specs = [
        ModelSpec(Bernoulli(), 3),
        ModelSpec(Bernoulli(), 4),
        ModelSpec(Bernoulli(), 3, hidden=(2,)),
        ModelSpec(Bernoulli(), 3, views=("fixed",)),
        ModelSpec(Bernoulli(), 3, penalties=penalties[:1]),
        ModelSpec(Bernoulli(), 3, penalties=penalties),
    ]
    assert len({said(spec) for spec in specs}) == len(specs)
    assert said(ModelSpec(Bernoulli(), 3)) == said(specs[0])
    values = [1, 1.0, True, "1", None, (1,), ((1,),), {"a": 1}, {"b": 1}, np.ones(2), np.ones(3)]
    assert len({said(value) for value in values}) == len(values)
    assert said(partial(said, 1)) != said(partial(said, 2))


def test_the_code_of_every_room_that_inference_may_import_is_told():
    told = {path.parent.name for path in stored_programs._sources()}
    lower = {room for room, rank in RANK.items() if rank <= RANK["inference"]}
    rooms = {room for room in lower if (PACKAGE / room).is_dir()}
    assert set(stored_programs.ROOMS) == rooms
    assert told >= rooms | {"pyfairme", "laplace", "likelihoods", "penalties"}


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: 0,
        sys,
        json.dumps,
        {"a": object()},
        pf.explain.predictions,
        np.random.default_rng(0),
        np.array([object()]),
        jax.random.key(0),
        wraps(jax.nn.gelu)(lambda x: x),
    ],
    ids=[
        "object",
        "lambda",
        "module",
        "function",
        "inside",
        "outer",
        "generator",
        "objects",
        "key",
        "wrapped",
    ],
)
def test_what_may_change_under_its_name_cannot_be_told(value):
    with pytest.raises(CannotBeTold):
        said(value)
