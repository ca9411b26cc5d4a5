"""Model files that a fuzzer makes, guided by the lines that reading them reaches.

    pip install atheris
    python tests/benchmarks/fuzz_coverage.py FOLDER -max_total_time=600
    python tests/benchmarks/fuzz_coverage.py --files FOLDER tests/corpus

An input is a file, or with right checksums the text or the arrays of one (its first byte says
which). FOLDER keeps the inputs that reached something new; the second command writes the files that
they make, as `tests/test_persistence.py` reads them. It fails at an error that is not documented.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

ERRORS = {"damaged-file", "no-model-file", "newer-format"}
HERE = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


def whole() -> tuple[bytes, bytes, bytes]:
    """Return a small file, its text without seals, and its arrays."""
    from pyfairme.persistence import save_state, seals
    from tests import mutants

    state = {"w": np.arange(3.0), "b": np.array([True]), "n": (1, 0.5, None), "s": {"a": ["é", ""]}}
    save_state(HERE / "whole", {**state, "x": np.float32(1), "f": float("inf")}, kind="Test")
    config, tensors = mutants.parts(HERE / "whole")
    return (HERE / "whole").read_bytes(), seals.dump(config)[:-2] + b",\n", tensors


def file_of(given: bytes, text: bytes, tensors: bytes) -> bytes:
    """Return the file that an input stands for."""
    from tests import mutants

    match given[:1]:
        case b"t":
            return mutants.sealed_text(given[1:], tensors)
        case b"a":
            return mutants.sealed_text(text, given[1:])
    return given[1:]


def main() -> None:
    if sys.argv[1:2] == ["--files"]:
        source, target = map(Path, sys.argv[2:4])
        _, text, tensors = whole()
        target.mkdir(exist_ok=True)
        for path in sorted(source.iterdir()):
            content = file_of(path.read_bytes(), text, tensors)
            (target / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
        return

    import atheris  # type: ignore[import-not-found]

    content, text, tensors = whole()
    for name in [name for name in sys.modules if name.startswith("pyfairme.persistence")]:
        del sys.modules[name]  # it is read again below, alone, and counts its lines
    with atheris.instrument_imports(include=["pyfairme"]):
        from pyfairme.persistence import load_state

    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, seed in {"f": b"f" + content, "t": b"t" + text, "a": b"a" + tensors}.items():
        (folder / name).write_bytes(seed)

    def attempt(given: bytes) -> None:
        (HERE / "mutant").write_bytes(file_of(given, text, tensors))
        try:
            load_state(HERE / "mutant")
        except ValueError as error:
            code = re.search(r"\[([a-z-]+)\]$", str(error))
            if not code or code[1] not in ERRORS:
                raise

    atheris.Setup([sys.argv[0], str(folder), "-max_len=4096", *sys.argv[2:]], attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
