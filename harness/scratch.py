"""Folders that a judge makes for its workers, below one home; the home of a judge that was killed goes with the next.

A home is locked while its judge lives. The kernel gives the lock back however that ends, in whichever container, so
a home that can be locked is nobody's.
"""

import atexit
import contextlib
import fcntl
import functools
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.atomic import machine

_PREFIX, _LOCK = "harness-", "lock"


def folder(what: str) -> Path:
    """A new folder, named for what it is for, that workers of another uid may pass and read. The caller removes it."""
    made = Path(tempfile.mkdtemp(prefix=f"{what}-", dir=home()))
    made.chmod(0o755)
    return made


@contextlib.contextmanager
def lent(what: str) -> Iterator[Path]:
    """Such a folder, gone at the end; where that is a kill, with the next command. Raises MachineError."""
    with machine(Path(tempfile.gettempdir())):
        made = folder(what)
    try:
        yield made
    finally:
        remove(made)


def home() -> Path:
    """This process's home, made when it is first asked for and removed when the process ends."""
    return _home(os.getpid())


@functools.cache
def _home(pid: int) -> Path:
    _sweep(Path(tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    while _locked(made, os.O_CREAT) is None:  # held open until the process ends; another one may sweep it before
        made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    made.chmod(0o711)
    atexit.register(_remove, pid, made)
    return made


def _locked(path: Path, flags: int = 0) -> int | None:
    """A descriptor that holds the lock of a home, None where its judge lives or it is none."""
    try:
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(temporary: Path) -> None:
    """Removes this user's homes whose judges are dead."""
    for path in temporary.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid() and (descriptor := _locked(path)) is not None:
                _remove_home(path)
                os.close(descriptor)


def _remove(pid: int, path: Path) -> None:
    if os.getpid() == pid:  # not a child that was forked
        _remove_home(path)


def _remove_home(path: Path) -> None:
    """The lock goes last: a home that is half removed is still a home to sweep."""
    for inside in path.iterdir():
        if inside.name != _LOCK:
            remove(inside)
    remove(path)


def remove(path: Path) -> None:
    """Removes a folder that nobody works in any more, of any depth and with any rights; what it cannot remove stays.

    Its folders are moved up, one below the other, until there are none: no path grows long, nothing recurses.
    """
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        path.chmod(0o700)
        while folders := _flatter(path):
            for number, folder in enumerate(folders):
                for inside in _flatter(folder):
                    os.rename(inside, path / f"{number}-{secrets.token_hex(8)}")
                folder.rmdir()
        path.rmdir()


def _flatter(path: Path) -> list[Path]:
    """The folders in a folder, made passable; all else in it is removed."""
    folders = []
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, 0o700)
            folders.append(Path(entry.path))
        else:
            os.unlink(entry.path)
    return folders
