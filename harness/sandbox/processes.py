"""Process trees as /proc shows them: who descends from whom, freezing, killing. Standard library only."""

import contextlib
import os
import signal
import sys
import time
from typing import NamedTuple

_GONE = ("Z", "X", "")
_SOCKET_BYTES = 512 << 10  # that one can hold unread: net.core.wmem_default twice, and a message
_MOST_MAPS = 20_000  # of one process; torch has some 1,500


def children(pid: int) -> list[int]:
    """Live children of a process, from /proc; those that vanish meanwhile are left out."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:  # one thread may vanish while the others still have children
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb") as file:
            found += [int(child) for child in file.read().split()]
    return found


def descendants(pid: int) -> list[int]:
    """All live descendants of a process, parents first."""
    found, todo = [], [pid]
    while todo:
        new = children(todo.pop())
        found += new
        todo += new
    return found


def state(pid: int, thread: str | None = None) -> str:
    """The state letter of a process or of one thread of it, "" where it is gone."""
    path = f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat"
    try:
        with open(path, "rb") as file:
            line = file.read()
    except OSError:
        return ""
    return chr(line[line.rindex(b")") + 2])


def all_in(pid: int, states: tuple[str, ...]) -> bool:
    """Whether every thread of a process is in one of the states: a first thread may end before the others."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return True
    return all(state(pid, thread) in states for thread in threads)


def gone(pid: int) -> bool:
    """Whether no thread of a process runs or will run again."""
    return all_in(pid, _GONE)


def freeze_all(pid: int, *, whole: bool, seconds: float = 2.0) -> bool:
    """Stops every descendant of a process, with `whole` itself too; whether all stopped, none started meanwhile.

    All of them are seen to stand still twice: one that was listed while it ran may have forked before it stopped.
    """
    end = time.monotonic() + seconds
    before: list[int] | None = None
    while True:
        tree = _tree(pid, whole)
        running = [child for child in tree if not all_in(child, ("T", *_GONE))]
        if not running and tree == before:
            return True
        if time.monotonic() > end:
            return False
        before = None if running else tree
        _signal(running, signal.SIGSTOP)
        if running:
            time.sleep(0.0001)  # a stop takes effect when the process next meets the scheduler


def thaw_all(pid: int, *, whole: bool) -> None:
    """Lets them go on."""
    _signal(_tree(pid, whole), signal.SIGCONT)


def kill_all(pid: int) -> None:
    """Freezes, then kills every descendant, until there is none.

    What cannot be frozen within half a second (a thread in an uninterruptible sleep, of which a vfork makes one) is
    killed all the same.
    """
    end = time.monotonic() + 0.5
    while live := [child for child in descendants(pid) if not gone(child)]:
        running = [child for child in live if not all_in(child, ("T", *_GONE))]
        frozen = not running or time.monotonic() > end
        _signal(live if frozen else running, signal.SIGKILL if frozen else signal.SIGSTOP)
        time.sleep(0.0001)


def run_ns(pid: int, *, whole: bool) -> dict[int, int]:
    """Nanoseconds that each live descendant of a process, with `whole` itself too, has been on a processor."""
    return {child: _thread_ns(child) for child in _tree(pid, whole) if not gone(child)}


def _thread_ns(pid: int) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                total += int(file.read().split()[0])
    return total


def _tree(pid: int, whole: bool) -> list[int]:
    return [pid, *descendants(pid)] if whole else descendants(pid)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


class Held(NamedTuple):
    """What all descendants of a process hold."""

    memory: int  # bytes
    descriptors: int  # counted up to just above the most that were asked for


def held(pid: int, enough: int, most_descriptors: int) -> Held:
    """Memory and descriptors: private and shared memory, memory files, mapped or not, page tables, sockets.

    What several processes share is counted once for each, as it is fast to read, unless that comes to more than
    `enough`: then by the kernel's proportional figures. A memory file that is mapped is counted twice at most, a socket
    as what it may hold.
    """
    tree = _tree(pid, whole=True)
    opened = _opened(tree, most_descriptors)
    tables = sum(_kilobytes(child, "status", (b"VmPTE:",)) or 0 for child in tree) * 1024
    kernel = opened.files + tables + opened.sockets * _SOCKET_BYTES
    quick = kernel + sum(_kilobytes(child, "status", (b"RssAnon:", b"RssShmem:")) or 0 for child in tree) * 1024
    if quick <= enough:
        return Held(quick, opened.descriptors)
    exact = (_kilobytes(child, "smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:")) for child in tree)
    shares = [quick if kilobytes is None else kilobytes * 1024 for kilobytes in exact]
    return Held(kernel + min(sum(shares), quick - kernel), opened.descriptors)


def peak(pid: int) -> int:
    """Bytes that the live descendants of a process had resident at most, each at its own time; the kernel counts it."""
    return sum(_kilobytes(child, "status", (b"VmHWM:",)) or 0 for child in descendants(pid)) * 1024


def unlinked(pid: int, folder: str) -> int:
    """Bytes of a folder's files that have no name any more, but a descendant of a process has them open or mapped.

    A process with more maps than anybody needs hides them: then it is a number beyond any limit.
    """
    found: dict[int, int] = {}
    for child in _tree(pid, whole=True):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{child}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{child}/fd/{name}").startswith(folder + "/"):
                        status = os.stat(f"/proc/{child}/fd/{name}")
                        if not status.st_nlink:
                            found[status.st_ino] = status.st_blocks * 512
        with contextlib.suppress(OSError), open(f"/proc/{child}/maps", errors="replace") as lines:
            for number, line in enumerate(lines):
                if number > _MOST_MAPS:
                    return sys.maxsize
                if folder in line and line.endswith("(deleted)\n"):
                    addresses, _, _, _, inode, _ = line.split(maxsplit=5)
                    start, end = (int(address, 16) for address in addresses.split("-"))
                    found[int(inode)] = max(found.get(int(inode), 0), end - start)
    return sum(found.values())


def _kilobytes(pid: int, file: str, names: tuple[bytes, ...]) -> int | None:
    """The sum of some lines of a file in /proc/PID; 0 where the process is gone, None where it hides them.

    As bytes: a process gives itself any name, and no error may quote it.
    """
    try:
        with open(f"/proc/{pid}/{file}", "rb") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith(names))
    except PermissionError:
        return None
    except OSError:
        return 0


def shared_memory() -> int:
    """Bytes of shared memory and of memory files on the whole machine, whoever maps or holds them."""
    with open("/proc/meminfo") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Shmem:")), 0)


class _Opened(NamedTuple):
    """What the descriptors of a tree lead to."""

    files: int  # bytes of memory files (memfd), each once; they lie on no disk and in no map
    sockets: int
    descriptors: int


def _opened(tree: list[int], most: int) -> _Opened:
    """Counts up to just above `most` descriptors: reading a million of them would take the judge's time."""
    files: dict[tuple[int, int], int] = {}
    sockets: set[str] = set()
    count = 0
    for pid in tree:
        folder = f"/proc/{pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                count += 1
                if count > most:
                    return _Opened(sum(files.values()), len(sockets), count)
                with contextlib.suppress(OSError):
                    leads = os.readlink(f"{folder}/{name}")
                    if leads.startswith("socket:"):
                        sockets.add(leads)
                    elif leads.startswith("/memfd:"):
                        status = os.stat(f"{folder}/{name}")
                        files[status.st_dev, status.st_ino] = status.st_blocks * 512
    return _Opened(sum(files.values()), len(sockets), count)
