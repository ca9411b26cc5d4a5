"""Round trips are exact, damage is noticed, and nothing but plain state gets in."""

import gc
import hashlib
import json
import os
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict, namedtuple
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pyfairme as pf
from pyfairme import persistence
from pyfairme.persistence import load_state, save_state
from tests import mutants

DTYPES = ["bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64"]
DTYPES += ["uint8", "uint16", "uint32", "uint64"]


def same(left, right):
    """Equality that also compares types, dtypes, shapes and the bits of floats."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray | np.generic):
        equal = left.dtype == right.dtype and left.shape == right.shape
        return equal and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return repr(left) == repr(right)
    return left == right


def round_trip(folder, state, kind="Test"):
    path = folder / "state.pyfairme"
    save_state(path, state, kind=kind)
    return load_state(path)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "state.pyfairme"
    save_state(path, {"w": np.arange(3.0), "names": ("a", "b")}, kind="Test")
    return path


def rewrite(path, change, config=None):
    """Write the archive of `path` again after `change(members)`; CRCs are right again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if config is not None:
        members["config.json"] = json.dumps(
            {**json.loads(members["config.json"]), **config}
        ).encode()
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_nested_state_comes_back_as_it_was(tmp_path):
    state = {
        "none": None,
        "flags": [True, False],
        "numbers": (0, -1, 2**80, 0.1, -0.0, 1e-320, 1.0),
        "not finite": [float("nan"), float("inf"), float("-inf")],
        "text": "λ_FE \x00 \ud800",
        "empty": [{}, [], (), ""],
        "nested": {"a/b": {"": ([np.eye(2)],)}, "dict": {"tuple": [1]}, "array": "0"},
    }
    kind, loaded = round_trip(tmp_path, state, "Someone's class")
    assert kind == "Someone's class"
    assert same(loaded, state)
    assert not same(loaded, {**state, "flags": (True, False)})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3)])
def test_arrays_keep_dtype_and_shape(tmp_path, dtype, shape):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    _, loaded = round_trip(tmp_path, {"array": array, "scalar": array.dtype.type(1)})
    assert same(loaded, {"array": array, "scalar": array.dtype.type(1)})
    assert loaded["array"].flags.writeable
    assert loaded["array"].flags.owndata


@pytest.mark.parametrize(
    "view",
    [np.arange(6.0).reshape(2, 3).T, np.arange(6)[::-2], np.broadcast_to(np.float32(1), (2, 2))],
    ids=["transposed", "strided", "broadcast"],
)
def test_views_are_stored_by_value(tmp_path, view):
    _, loaded = round_trip(tmp_path, {"view": view})
    assert same(loaded["view"], np.array(view, order="C"))


def test_foreign_byte_order_becomes_native(tmp_path):
    _, loaded = round_trip(tmp_path, {"x": np.array([1.5, -2.0], dtype=">f8")})
    assert same(loaded["x"], np.array([1.5, -2.0]))


def test_jax_arrays_become_numpy(tmp_path):
    state = {"w": jnp.arange(3, dtype=jnp.float32), "step": jnp.asarray(7)}
    _, loaded = round_trip(tmp_path, state)
    assert same(loaded, {"w": np.arange(3, dtype=np.float32), "step": np.asarray(7, np.int32)})


def test_mappings_come_back_as_dicts(tmp_path):
    _, loaded = round_trip(tmp_path, OrderedDict(b=1, a=OrderedDict()))
    assert same(loaded, {"b": 1, "a": {}})


FLOATS = st.floats(allow_nan=True, allow_infinity=True)
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    )
)
LEAVES = st.none() | st.booleans() | st.integers() | FLOATS | st.text() | ARRAYS
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(state=st.dictionaries(st.text(), TREES, max_size=4))
def test_any_plain_state_survives(tmp_path_factory, state):
    _, loaded = round_trip(tmp_path_factory.getbasetemp(), state)
    assert same(loaded, state)


def test_equal_states_give_equal_bytes(tmp_path):
    # several dtypes: safetensors orders by alignment, which must not depend on a hash
    state = {name: np.ones(3, name) for name in DTYPES} | {"set": "by order"}
    for name in ("first", "second"):
        save_state(tmp_path / name, state, kind="Test")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    code = (
        "import sys, numpy as np; from pyfairme.persistence import load_state, save_state;"
        "save_state(sys.argv[2], load_state(sys.argv[1])[1], kind='Test')"
    )
    there = [str(tmp_path / "first"), str(tmp_path / "third")]
    subprocess.run([sys.executable, "-c", code, *there], check=True)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "third").read_bytes()


def test_config_says_who_wrote_it(saved):
    with zipfile.ZipFile(saved) as archive:
        assert archive.namelist() == ["config.json", "arrays.safetensors"]
        config = json.loads(archive.read("config.json"))
        tensors = archive.read("arrays.safetensors")
    assert config["format_version"] == persistence.FORMAT_VERSION
    assert config["libraries"]["jax"] == jax.__version__
    assert config["libraries"]["numpy"] == np.__version__
    assert config["sha256"]["arrays.safetensors"] == hashlib.sha256(tensors).hexdigest()


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {"b": [0, object()]}}, r"got builtins.object at state\['a'\]\['b'\]\[1\]"),
        ({"f": pd.DataFrame()}, r"DataFrame at state\['f'\]"),
        ({"s": pd.Series([1.0])}, r"Series at state\['s'\]"),
        ({"p": Pair(1, 2)}, r"Pair at state\['p'\]"),
        ({"path": Path()}, r"Path at state\['path'\]"),
        ({"s": {1, 2}}, r"got builtins.set at state\['s'\]"),
        ({"z": 1j}, r"got builtins.complex at state\['z'\]"),
        ({"m": np.ma.masked_array([1.0], [True])}, r"MaskedArray at state\['m'\]"),
        ({"o": np.array([None])}, r"got dtype object at state\['o'\]"),
        ({"t": np.array(["a"])}, r"got dtype <U1 at state\['t'\]"),
        ({"c": np.zeros(2, complex)}, r"got dtype complex128 at state\['c'\]"),
        ({"d": np.datetime64("2020-01-01")}, r"got dtype datetime64\[D\] at state\['d'\]"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_is_not_plain_is_refused_by_place(tmp_path, state, message):
    with pytest.raises(TypeError, match=message):
        save_state(tmp_path / "state", state, kind="Test")
    assert list(tmp_path.iterdir()) == []


def test_typed_jax_keys_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"got dtype key<fry> at state\['key'\]: convert it"):
        save_state(tmp_path / "state", {"key": jax.random.key(0)}, kind="Test")


@pytest.mark.parametrize("key", [1, None, ("sex", "race")])
def test_keys_must_be_strings(tmp_path, key):
    with pytest.raises(TypeError, match=r"expected string keys in state\['weights'\], got"):
        save_state(tmp_path / "state", {"weights": {key: 0.3}}, kind="Test")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        load_state(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="to save 'm' in: create it"):
        save_state(tmp_path / "none" / "m", {}, kind="Test")


def test_every_truncation_is_noticed(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"truncated or altered|no zip archive"):
            load_state(saved)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="only Linux has such a file")
def test_a_disk_that_fails_is_no_damage(saved):
    """A page of memory that nobody may read is to the kernel what a bad sector is."""
    said = r"cannot read .*: input/output error \[cannot-read\]$"
    memory = open("/proc/self/mem", "rb", 0)  # noqa: SIM115 (closed below)
    with memory, pytest.raises(OSError, match=said), persistence.as_of_a_file(saved):
        memory.read(1)


def test_a_changed_byte_is_noticed_or_harmless(saved):
    content, expected = saved.read_bytes(), load_state(saved)
    with zipfile.ZipFile(saved) as archive:
        members = [archive.read(name) for name in archive.namelist()]
    starts = [content.index(member) for member in members]
    inside = set()
    for start, member in zip(starts, members, strict=True):
        inside.update(range(start, start + len(member)))
    complaints = {}
    for place in range(len(content)):
        saved.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        try:
            loaded = load_state(saved)
        except ValueError as error:
            complaints[place] = str(error)
        else:  # a date or an attribute in the zip's directory
            assert same(loaded, expected)
    assert inside <= set(complaints)
    assert all(
        "truncated or altered" in text or "no zip archive" in text for text in complaints.values()
    )


def test_an_altered_array_is_noticed(saved):
    def change(members):
        content = bytearray(members["arrays.safetensors"])
        content[-1] ^= 1
        members["arrays.safetensors"] = bytes(content)

    rewrite(saved, change)
    with pytest.raises(ValueError, match=r"altered: the checksum of arrays.safetensors is not"):
        load_state(saved)


def test_an_altered_config_is_noticed(saved):
    rewrite(saved, lambda members: None, config={"kind": "Other"})
    with pytest.raises(ValueError, match=r"altered: the checksum of config.json is not"):
        load_state(saved)


@pytest.mark.parametrize("member", ["config.json", "arrays.safetensors"])
def test_a_missing_member_is_named(saved, member):
    rewrite(saved, lambda members: members.pop(member))
    with pytest.raises(
        ValueError, match=r"expected the members config.json and arrays.safetensors"
    ):
        load_state(saved)


def test_an_extra_member_is_refused(saved):
    rewrite(saved, lambda members: members.update(extra=b""))
    with pytest.raises(ValueError, match=r"expected the members .* 'extra'"):
        load_state(saved)


def test_a_newer_format_says_so(saved):
    rewrite(saved, lambda members: None, config={"format_version": 2, "pyfairme": "9.1"})
    with pytest.raises(ValueError, match=r"got format 2 in .* by pyfairme 9.1: upgrade pyfairme"):
        load_state(saved)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"format": "other"}, "does not say that pyfairme wrote it"),
        ({"format_version": "1"}, "expected a format version from 1 on, got '1'"),
        ({"sha256": None}, "it has no checksums"),
    ],
)
def test_a_config_that_is_not_ours(saved, config, message):
    rewrite(saved, lambda members: None, config=config)
    with pytest.raises(ValueError, match=message):
        load_state(saved)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"dict": {"a": {"array": "9"}}}, "it has no '9'"),
        ({"pickle": "x"}, "expected a tag with its content, got 'pickle': 'x'"),
        ({}, "expected one tag"),
        ([], "expected a dict, got list"),
    ],
)
def test_a_structure_that_does_not_fit(tmp_path, saved, structure, message):
    """Right digests over a wrong structure: a forger or a faulty writer makes it."""
    config, none = mutants.parts(saved)[0], (2).to_bytes(8, "little") + b"{}"
    (tmp_path / "state").write_bytes(mutants.sealed({**config, "structure": structure}, none))
    with pytest.raises(ValueError, match=f"truncated or altered: {message}"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"\x80\x04N."])
def test_no_archive_at_all(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"expected a file written by pyfairme's save, got .*other"
    ):
        load_state(tmp_path / "other")


# --- who wrote it -------------------------------------------------------------------------------

KEY, OTHER = "a key of sixteen and more", b"another key, just as long"


def test_a_signed_file_needs_its_key_to_be_trusted(tmp_path):
    path, state = tmp_path / "state", {"w": np.arange(3.0), "name": "a"}
    save_state(path, state, kind="Test", key=KEY)
    assert same(load_state(path, key=KEY), ("Test", state))
    assert same(load_state(path, key=KEY.encode()), ("Test", state))
    assert same(load_state(path), ("Test", state))  # a key is needed to trust, not to read
    with pytest.raises(ValueError, match=r"signed with another key.*\[wrong-key\]"):
        load_state(path, key=OTHER)


def test_what_is_not_signed_is_refused_with_a_key(saved):
    with pytest.raises(ValueError, match=r"is not signed.*\[not-signed\]"):
        load_state(saved, key=KEY)


def test_a_forgery_reads_without_a_key_and_is_refused_with_it(tmp_path):
    """Who has no key can take the signature away, or leave it over another text."""
    path = tmp_path / "state"
    save_state(path, {"classes": ["no", "yes"]}, kind="Test", key=KEY)
    with zipfile.ZipFile(path) as archive:
        text, tensors = archive.read("config.json"), archive.read("arrays.safetensors")
    code = json.loads(text)["hmac-sha256"]
    config, _ = mutants.parts(path)
    config["structure"]["dict"]["classes"].reverse()
    path.write_bytes(mutants.sealed(config, tensors))
    assert load_state(path)[1] == {"classes": ["yes", "no"]}
    with pytest.raises(ValueError, match=r"\[not-signed\]"):
        load_state(path, key=KEY)
    path.write_bytes(mutants.sealed({**config, "hmac-sha256": code}, tensors))
    assert load_state(path)[1] == {"classes": ["yes", "no"]}
    with pytest.raises(ValueError, match=r"\[wrong-key\]"):
        load_state(path, key=KEY)


def test_a_signature_is_that_of_the_standard(tmp_path):
    """HMAC-SHA256 of the text as it would be without it, by openssl where there is one."""
    path = tmp_path / "state"
    save_state(path, {"a": 1}, kind="Test", key=b"k" * 16)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    code = config.pop("hmac-sha256")
    del config["sha256"]["config.json"]
    (tmp_path / "text").write_text(json.dumps(config, indent=1))
    command = ["openssl", "dgst", "-sha256", "-hmac", "k" * 16, str(tmp_path / "text")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == code


@pytest.mark.parametrize("key", ["short", b"fifteen bytes..", 1, ["k" * 16]])
def test_keys_that_are_none(saved, key):
    kind = ValueError if isinstance(key, str | bytes) else TypeError
    for use in (
        lambda: load_state(saved, key=key),
        lambda: save_state(saved, {}, kind="", key=key),
    ):
        with pytest.raises(kind, match=r"key must .*\[key\]"):
            use()


# --- limits -------------------------------------------------------------------------------------

MEGABYTE = 2**20
DOCUMENTED = ("[damaged-file]", "[newer-format]", "[no-model-file]", "[other-kind-of-file]")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Configuration and arrays of a state."""
    path = tmp_path_factory.mktemp("found") / "state"
    save_state(path, {"w": np.arange(30.0), "n": 3, "names": ["a", "b"] * 20}, kind="Test")
    return mutants.parts(path)


def peak_of(path):
    """Return what loading raised, and the peak of what it allocated."""
    gc.collect()
    tracemalloc.start()
    try:
        load_state(path)
        error = None
    except ValueError as raised:
        error = raised
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return error, peak


@pytest.mark.parametrize("bomb", mutants.BOMBS, ids=lambda bomb: bomb.__name__)
def test_a_bomb_does_not_go_off(tmp_path, found, bomb):
    for seed in range(3):
        content = bomb(*found, random.Random(seed))
        (tmp_path / "bomb").write_bytes(content)
        error, peak = peak_of(tmp_path / "bomb")
        assert error is None or str(error).endswith(DOCUMENTED)
        assert peak < 3 * len(content) + 8 * MEGABYTE, (seed, len(content))
        assert error is not None or bomb is not mutants.compressed


def test_large_arrays_take_three_times_the_file_at_most(tmp_path):
    path = tmp_path / "state"
    save_state(path, {"w": np.zeros(4 * MEGABYTE), "v": np.zeros((3, 5))}, kind="Test")
    error, peak = peak_of(path)
    assert error is None
    assert peak < 2.2 * path.stat().st_size


def test_many_names_beside_their_arrays_can_be_kept(tmp_path):
    """100,000 clusters with 30 numbers each: names alone would be refused."""
    names = [f"branch number {i}" for i in range(100_000)]
    state = {"levels": names, "draws": np.zeros((100_000, 30), np.float32)}
    assert same(round_trip(tmp_path, state)[1], state)
    with pytest.raises(ValueError, match=r"could not be read again: .*\[too-many-names\]"):
        save_state(tmp_path / "names", {"levels": names}, kind="Test")
    assert not (tmp_path / "names").exists()


def test_a_state_as_deep_as_can_be_written_can_be_read(tmp_path):
    def nested(levels):
        return {"a": nested(levels - 1)} if levels else 1

    state = nested(45)  # two levels of JSON each, and those around
    assert same(round_trip(tmp_path, state)[1], state)
    with pytest.raises(ValueError, match="levels deep"):
        save_state(tmp_path / "deep", nested(60), kind="Test")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"shape": [31]}, "does not have the size of its shape"),
        ({"shape": [-30]}, "expected whole numbers"),
        ({"shape": [2**62, 2**62]}, "does not have the size of its shape"),
        ({"shape": [1] * 40}, "expected shape and place"),
        ({"dtype": "BF16"}, "it has no 'BF16'"),
        ({"dtype": "BOOL", "shape": [240]}, "neither 0 nor 1"),
        ({"data_offsets": [0, 232]}, "does not have the size of its shape"),
        ({"data_offsets": [8, 248]}, "does not have the size of its shape"),
        ({"data_offsets": [0.0, 240.0]}, "expected whole numbers"),
    ],
    ids=str,
)
def test_arrays_that_are_not_what_their_header_says(tmp_path, found, entry, message):
    config, tensors = found
    length = int.from_bytes(tensors[:8], "little")
    header = json.loads(tensors[8 : 8 + length])
    header["0"] |= entry
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + tensors[8 + length :]
    (tmp_path / "state").write_bytes(mutants.sealed(config, content))
    with pytest.raises(ValueError, match=rf"altered: .*{message}.*\[damaged-file\]"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"dict": {}}, "expected at most 0 arrays"),
        ({"dict": {"array": "a text"}}, "nothing refers to 1 of its arrays"),
        ({"dict": {"a": {"array": "0"}, "b": {"array": "0"}}}, "it has no '0'"),
    ],
)
def test_an_array_has_one_place(tmp_path, found, structure, message):
    config, tensors = found
    forged = mutants.sealed({**config, "structure": structure}, tensors)
    (tmp_path / "state").write_bytes(forged)
    with pytest.raises(ValueError, match=message):
        load_state(tmp_path / "state")


def assert_documented(path, load):
    """Load a file, or have it refused by one of the errors for that."""
    try:
        load(path)
    except ValueError as error:
        said = str(error)
    else:
        return
    assert said.endswith(DOCUMENTED)


@settings(max_examples=150, deadline=5000, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_mutants_end_in_documented_errors(tmp_path_factory, found, seed):
    chance, path = random.Random(seed), tmp_path_factory.getbasetemp() / "mutant"
    make = chance.choice((mutants.in_the_structure, mutants.in_the_text, mutants.in_the_arrays))
    path.write_bytes(make(*found, chance))
    assert_documented(path, load_state)


CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*")), ids=lambda file: file.name[:12])
def test_what_a_fuzzer_found_ends_in_documented_errors(file):
    assert_documented(file, pf.load)


# --- what is no file ----------------------------------------------------------------------------


def test_folders_pipes_and_devices_are_neither_replaced_nor_read(tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    linked = tmp_path / "linked"
    linked.symlink_to(pipe)
    for path in (pipe, folder, linked, Path("/dev/null"), Path("/dev/zero"), Path("/dev/full")):
        before = path.stat()
        for use in (
            lambda at=path: save_state(at, {}, kind="Test"),
            lambda at=path: load_state(at),
        ):
            with pytest.raises((OSError, ValueError), match=r"\[not-a-file\]$"):
                use()
        assert path.stat() == before
