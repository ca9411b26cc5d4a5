"""A file appears whole or not at all, whatever happens while it is written."""

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from pyfairme import atomic
from pyfairme.atomic import replacing, write_text

ENDLESS = """
import runpy, sys, time  # the module by itself: the package takes seconds to import
with runpy.run_path(sys.argv[1])["replacing"](sys.argv[2]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def writer(path: Path) -> subprocess.Popen[str]:
    """Start a process that has written half of a file and waits."""
    command = [sys.executable, "-c", ENDLESS, atomic.__file__, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_an_error_leaves_the_older_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"new")
            assert path.read_text() == "old"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (path.read_text(), names(tmp_path)) == ("old", ["table.csv"])


def test_a_dead_writers_file_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with writer(path) as alive:
        write_text(tmp_path / "other.csv", "other")
        kept = names(tmp_path)
        alive.send_signal(signal.SIGKILL)
    assert len(kept) == 3
    assert set(kept) > {"other.csv", "table.csv"}
    assert (len(names(tmp_path)), path.read_text()) == (3, "old")  # as the kill left it
    write_text(tmp_path / "other.csv", "again")
    assert (path.read_text(), names(tmp_path)) == ("old", ["other.csv", "table.csv"])


def test_a_full_disk_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match=r"table.csv': file too large \[cannot-write\]$"):
            write_text(path, "new" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (path.read_text(), names(tmp_path)) == ("old", ["table.csv"])


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none/t.csv': no such .* \[cannot-write\]$"):
        write_text(tmp_path / "none" / "t.csv", "")


def test_mode_links_and_longest_names_stay(tmp_path: Path) -> None:
    private, link = tmp_path / ("n" * 255), tmp_path / "link"
    write_text(private, "old")
    private.chmod(0o600)
    link.symlink_to(private)
    write_text(link, "new")
    assert link.is_symlink()
    assert private.read_text() == "new"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_the_owner_stays_where_that_is_allowed(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root may give a file away")
    path = tmp_path / "table.csv"
    write_text(path, "old")
    os.chown(path, 12345, 54321)
    write_text(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_another_group_does_not_get_what_the_old_one_could_read(
    request: pytest.FixtureRequest,
) -> None:
    """A process without rights writes a file of root's group, or of a group of its own."""
    if os.geteuid():
        pytest.skip("only root may become somebody else")
    write = """
import os, runpy, sys
replacing = runpy.run_path(sys.argv[1])["replacing"]
os.setgroups([54321]); os.setgid(23456); os.setuid(23456)
with replacing(sys.argv[2]) as file:
    file.write(b"new")
"""
    name = tempfile.mkdtemp()  # pytest's own folders are open to one user only
    request.addfinalizer(lambda: shutil.rmtree(name))
    folder = Path(name)
    folder.chmod(0o777)
    for group, expected in ((0, (23456, 0o606)), (54321, (54321, 0o666))):
        path = folder / f"of_{group}.csv"
        path.write_text("old")
        os.chown(path, 0, group)
        path.chmod(0o666)
        subprocess.run([sys.executable, "-c", write, atomic.__file__, str(path)], check=True)
        found = path.stat()
        assert path.read_text() == "new"
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == expected


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match=r"\[not-a-file\]$"):
            write_text(path, "x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=r"symbolic links \[cannot-write\]$"):
        write_text(tmp_path / "a", "x")


def test_threads_write_one_file_beside_each_other(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    texts = [str(number) * 50_000 for number in range(8)]
    failed: list[BaseException] = []

    def write(text: str) -> None:
        try:
            for _ in range(5):
                write_text(path, text)
                assert path.read_text() in texts
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert names(tmp_path) == ["table.csv"]


def test_a_file_that_is_read_only_is_not_replaced_by_root_either(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    write_text(path, "old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match=r"\[cannot-write\]"):
        write_text(path, "new")
    assert path.read_text() == "old"
