"""Files that appear whole or not at all.

What is written goes to a temporary file in the same folder, to the disk, and only then under its
name: a kill, a full disk or a lost connection leaves the older file as it was. Models, pieces of
studies and tables of the command line are written like this.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PREFIX, SUFFIX = ".pyfairme-", ".tmp"  # short: the name of the file itself may be the longest
ABANDONED = 24 * 3600.0  # seconds, where nothing tells whether the writer still lives


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file that replaces an older one at once, when all of it is on the disk.

    Parameters
    ----------
    path
        File to write. An existing one keeps its permissions and, where that is allowed, its owner;
        of a symbolic link the file that it names is written. Its folder must exist.

    Yields
    ------
    BinaryIO
        To write to, at any position. If the block raises, the file stays as it was.

    Raises
    ------
    OSError
        Of the class that the system gave, when the file cannot be written; when it is a folder, a
        device, a pipe or a socket, which are never replaced; when it is write-protected.

    Notes
    -----
    Names of temporary files are drawn at random, so that threads and processes may write the same
    file: the last one to end stays. Files that a dead process left in the folder are removed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.csv"
    >>> with replacing(path) as file:
    ...     _ = file.write(b"1,2")
    >>> path.read_text()
    '1,2'
    """
    try:
        target = target_of(path)
        _remove_abandoned(target.parent)
        temporary, file = _temporary(target.parent)
        try:
            with file:
                _keep_owner_and_mode(target, file)
                yield file
                file.flush()
                os.fsync(file.fileno())
                if fcntl is not None:  # still locked: nobody takes it for abandoned
                    temporary.replace(target)
            if fcntl is None:  # Windows renames no open file
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _settle(target.parent)
    except OSError as error:
        if str(error).endswith("]"):  # says already what to do
            raise
        reason = (error.strerror or str(error)).lower()
        raise type(error)(f"cannot write {str(path)!r}: {reason} [cannot-write]") from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text in UTF-8, see `replacing`."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other threads and processes that do the same out of a folder while the block runs.

    A process that dies leaves no lock behind. Some network folders have no locks: there it does
    nothing.
    """
    handle = None
    with suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None and handle is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def target_of(path: str | os.PathLike[str]) -> Path:
    """Return the file that is to be written, behind symbolic links.

    Raises
    ------
    OSError
        When it is there and no file, or write-protected.
    """
    path = Path(path)
    with suppress(RuntimeError):  # a circle of links, before Python 3.13; `stat` says so
        path = path.resolve()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return path
    if not stat.S_ISREG(mode):
        folder = stat.S_ISDIR(mode)
        raise (IsADirectoryError if folder else OSError)(
            f"cannot write {str(path)!r}, which is "
            f"{'a folder' if folder else 'a device, a pipe or a socket'}: name a file [not-a-file]"
        )
    if not mode & 0o222 or not os.access(path, os.W_OK):  # a rename would not ask, root neither
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return path


def _temporary(folder: Path) -> tuple[Path, BinaryIO]:
    """Open a file that nobody else has, locked for as long as it is open."""
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        file = path.open("xb")
        if _lock(file) is not False and path.exists():
            return path, file
        file.close()  # taken for abandoned before it was locked


def _keep_owner_and_mode(target: Path, file: BinaryIO) -> None:
    """Make the new file as the old one was: a private file stays private."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return
    new = os.fstat(file.fileno())
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with suppress(OSError):  # only root may give a file away
            os.chown(file.name, old.st_uid, old.st_gid)
        new = os.fstat(file.fileno())
        if new.st_gid != old.st_gid:
            with suppress(OSError):  # a group of ours may have it nevertheless
                os.chown(file.name, -1, old.st_gid)
            new = os.fstat(file.fileno())
    mode = stat.S_IMODE(old.st_mode)
    if new.st_gid != old.st_gid:  # another group than the one that might read it
        mode &= ~stat.S_IRWXG
    os.chmod(file.name, mode)


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files whose writer is dead; a living one holds a lock on its file."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX):
                with suppress(OSError), open(entry.path, "r+b") as file:
                    free = _lock(file)
                    if free is None:
                        free = time.time() - entry.stat().st_mtime > ABANDONED
                    if free:
                        os.unlink(entry.path)


def _lock(file: BinaryIO) -> bool | None:
    """Lock a file if nobody has; None where locks do not exist."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network folders
        return None
    return True


def _settle(folder: Path) -> None:
    """Bring the new name to the disk as well."""
    with suppress(OSError):  # Windows opens no folders; some file systems refuse
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
