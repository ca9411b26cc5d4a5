"""Full disks, read-only folders, several writers: what of older and finished files is lost.

    python tests/benchmarks/faults_disk.py        (as root: small file systems are mounted)

A model, a table of predictions, a report and a study are written to file systems in memory that
are too small by a different amount each time, or read-only; and by several processes and threads at
once. An error must carry its code; the older files must stay as they were, no temporary file may
stay, and a study must go on to the table of the unbroken one.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import typer

import pyfairme as pf
import pyfairme.study
from pyfairme.cli.app import app
from tests.benchmarks.faults_store import cross_validated, dataset, rows_of

SIZES = (4, 8, 16, 32, 64, 128, 256)  # kB
OLDER = b"older, and good\n"
FIT = {"hidden": (), "epochs": 1, "min_steps": 30, "progress": False, "guide": "mean_field"}


@contextmanager
def file_system(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a small file system in memory."""
    folder.mkdir(exist_ok=True)
    size = f"size={kilobytes}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def code_of(work: Callable[[], Any]) -> str:
    """Return the code of the error that the work ends with, "" without one."""
    try:
        work()
    except Exception as error:
        text = error.format_message() if isinstance(error, typer.BadParameter) else str(error)
        found = re.search(r"\[([a-z-]+)\]$", text.strip())
        return found[1] if found else f"no code: {type(error).__name__}: {text}"
    return ""


def command(*arguments: Any) -> Callable[[], None]:
    """Return what runs the command line, and raises what it says when it fails."""

    def run() -> None:
        said = io.StringIO()
        with redirect_stdout(io.StringIO()), redirect_stderr(said):
            code = app([*map(str, arguments)], standalone_mode=False)
        if code:
            raise OSError(said.getvalue())

    return run


def writers(made: Path, model: Any) -> dict[str, tuple[str, Callable[[Path], Callable[[], Any]]]]:
    """Return, by name, the older file and what writes over it in a folder."""
    source, table = made / "m.pyfairme", made / "loans.csv"
    return {
        "save": ("new.pyfairme", lambda at: lambda: model.save(at / "new.pyfairme")),
        "predict": (
            "new.csv", lambda at: command("predict", source, table, "--out", at / "new.csv")
        ),
        "report": (
            "comparison.txt",
            lambda at: command("report", source, table, "--target", "y", "--out", at),
        ),
    }  # fmt: skip


def whole_or_older(before: dict[str, bytes], after: dict[str, bytes], right: Any) -> bool:
    """Tell whether every file is the older one, or the right new one, and none is temporary."""
    return all(
        content == right.get(name) or content == before.get(name)
        for name, content in after.items()
    ) and before.keys() <= after.keys()  # fmt: skip


def full_disks(made: Path, place: Path, model: Any) -> list[dict[str, Any]]:
    """Write to disks that are too small."""
    lines = []
    for name, (older, write) in writers(made, model).items():
        right_at = place / f"right-{name}"
        right_at.mkdir()
        write(right_at)()
        right, failed, codes, good = files_of(right_at), 0, set(), 0
        for kilobytes in SIZES:
            with file_system(place / "disk", kilobytes) as disk:
                (disk / older).write_bytes(OLDER)
                code = code_of(write(disk))
                if not code:
                    continue
                failed += 1
                codes.add(code)
                good += whole_or_older({older: OLDER}, files_of(disk), right)
        lines.append(line(f"{name}, full disk", failed, codes, failed - good))
    return lines


def full_store(place: Path, right: pd.DataFrame) -> list[dict[str, Any]]:
    """Run a study on disks that are too small, and go on when there is space."""
    failed, codes, bad = 0, set(), 0
    for kilobytes in (8, 24, 48, 96, 128):
        with file_system(place / "disk", kilobytes) as disk:
            code = code_of(lambda at=disk: cross_validated(dataset(1), at / "store"))
            if not code:
                continue
            failed += 1
            codes.add(code)
            before = files_of(disk)
            remount(disk, "size=8m")
            same = rows_of(cross_validated(dataset(1), disk / "store")).equals(right)
            after = files_of(disk)
            kept = all(after.get(name) == content for name, content in before.items())
            bad += not (same and kept and not list(disk.rglob(".pyfairme-*")))
    return [line("cross_validate, full disk, then goes on", failed, codes, bad)]


def read_only(made: Path, place: Path, model: Any) -> list[dict[str, Any]]:
    """Write to a folder that became read-only."""
    tried = {name: write for name, (_, write) in writers(made, model).items()}
    tried["cross_validate"] = lambda at: lambda: cross_validated(dataset(1), at / "store")
    codes, bad = set(), 0
    with file_system(place / "disk", 4096) as disk:
        for name in ("new.pyfairme", "new.csv", "comparison.txt"):
            (disk / name).write_bytes(OLDER)
        before = files_of(disk)
        remount(disk, "ro")
        for write in tried.values():
            code = code_of(write(disk))
            codes.add(code)
            bad += not code or files_of(disk) != before
    return [line("save, predict, report, cross_validate, read-only", len(tried), codes, bad)]


def several(place: Path, right: pd.DataFrame, model: Any) -> list[dict[str, Any]]:
    """Let two processes and four threads make one study, and eight threads save one file."""
    store = place / "shared"
    program = (
        "import sys; from pathlib import Path; from tests.benchmarks.faults_store import *; "
        "cross_validated(dataset(1), Path(sys.argv[1]))"
    )
    both = [subprocess.Popen([sys.executable, "-c", program, str(store)]) for _ in range(2)]
    ended = [process.wait() for process in both]
    same = rows_of(cross_validated(dataset(1), store)).equals(right)
    lines = [line("cross_validate, two processes", 2, set(), any(ended) + (not same))]

    found: list[pd.DataFrame] = []
    at = place / "of_threads"
    together([lambda: found.append(rows_of(cross_validated(dataset(1), at))) for _ in range(4)])
    bad = sum(not frame.equals(right) for frame in found) + 4 - len(found)
    lines.append(line("cross_validate, four threads", 4, set(), bad))

    folder = place / "saved"
    folder.mkdir()
    model.save(folder / "one.pyfairme")
    content = (folder / "one.pyfairme").read_bytes()

    def save() -> None:
        for _ in range(25):
            model.save(folder / "one.pyfairme")

    together([save] * 8)
    bad = int(files_of(folder) != {"one.pyfairme": content})
    return [*lines, line("save, eight threads, one file", 200, set(), bad)]


def together(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def line(what: str, times: int, codes: set[str], bad: int) -> dict[str, Any]:
    found = {"attack": what, "times": times, "codes": ", ".join(sorted(codes)), "lost or half": bad}
    print(found, flush=True)
    return found


def main() -> None:
    data = dataset(1)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        made = place / "made"
        made.mkdir()
        data.frame.assign(y=data.target).to_csv(made / "loans.csv", index=False)
        model = pf.FairMixedEffectsClassifier("cluster", ["group1"], **FIT)
        model.fit(data.frame, data.target)
        model.save(made / "m.pyfairme")
        right = rows_of(cross_validated(data, place / "right"))
        lines = [
            *full_disks(made, place, model),
            *full_store(place, right),
            *read_only(made, place, model),
            *several(place, right, model),
        ]
    frame = pd.DataFrame(lines)
    print(frame.to_string(index=False))
    if frame["lost or half"].any():
        raise SystemExit("files were lost, or are half")


if __name__ == "__main__":
    main()
