"""Files that are whole or not there: written beside, synced, then given their name; and read with a limit."""

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.errors import DataError, HarnessError, MachineError

_ADVICE = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "it is on a read-only file system; mount it writable or work in another checkout",
    errno.EACCES: "give yourself the right to write there",
    errno.EPERM: "give yourself the right to write there",
    errno.ENOTDIR: "something on the way is a file; move it away",
    errno.EEXIST: "a file has this name; move it away",
}

_LOCK_TRIES = 20  # each misses the lock only where another process gives it back in that moment


def add(path: Path, body: bytes, mode: int) -> bool:
    """Adds a file under a new name, whole or not at all. False where it was there already with the same bytes."""
    with temporary(path.parent, body, mode) as written:
        try:
            _link(written, path)
        except FileExistsError:
            if path.is_file() and path.read_bytes() == body:
                return False
            raise
    sync(path.parent)
    return True


def _link(written: Path, path: Path) -> None:
    """Gives the file its name, which must be new."""
    try:
        os.link(written, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        # A file system without hard links: reserve the name, then rename over it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            os.replace(written, path)
        except BaseException:
            path.unlink()
            raise


def replace(path: Path, body: bytes) -> None:
    """Writes a file anew: the old bytes or the new ones, never a part."""
    with temporary(path.parent, body, 0o644) as written:
        os.replace(written, path)
    sync(path.parent)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder against whoever else asks to be alone in it; the kernel lets go however the holder ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def claimed(lock: Path, said: str) -> Iterator[None]:
    """Holds a lock file, made for it with its folder and removed again, the folder where it is empty then.

    The lock is this process's alone, no child that outlives it has it. Raises MachineError, kind "busy" with what is
    `said` where another process holds it, kind "disk" where it cannot be made.
    """
    with machine(lock.parent):
        descriptor = _locked(lock)
    if descriptor is None:
        raise MachineError(f"{said}; wait for it or stop it", kind="busy")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
            os.removedirs(lock.parent)  # and those above it, as long as they are empty
        os.close(descriptor)


def _locked(lock: Path) -> int | None:
    """A descriptor that holds the lock, None where another process does. Raises OSError."""
    for tries in range(_LOCK_TRIES, 0, -1):
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except (FileNotFoundError, FileExistsError):  # its last holder removes the folder just now
            if tries == 1:
                raise
            continue
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(lock.stat(), os.fstat(descriptor)):
                return descriptor
        except (BlockingIOError, PermissionError):  # as POSIX has it, either
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # of a file that its last holder has removed
    return None


@contextlib.contextmanager
def temporary(folder: Path, body: bytes, mode: int) -> Iterator[Path]:
    """A synced file of these bytes in the folder, gone afterwards unless it was renamed."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path, limit: int) -> bytes:
    """All of a plain file. Raises DataError where it is missing, no plain file, unreadable or larger than `limit`."""
    try:
        if not path.is_file():
            raise DataError(f"{path}: expected a file, got {'something else' if path.exists() else 'none'}")
        with path.open("rb") as file:
            body = file.read(limit + 1)
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, got {error.strerror}") from error
    if len(body) > limit:
        raise DataError(f"{path}: expected at most {limit >> 20} MiB, got more")
    return body


@contextlib.contextmanager
def machine(folder: Path, what: str = "write") -> Iterator[None]:
    """An OSError inside becomes one line with the path and what to do."""
    try:
        yield
    except HarnessError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "try another folder or disk")
        where = error.filename2 or error.filename or folder
        raise MachineError(f"{where}: cannot {what}: {error.strerror or error}; {advice}", kind="disk") from error
