"""Process trees as /proc shows them: who descends from whom, freezing, killing. Standard library only."""

import contextlib
import os
import signal
import time

_GONE = ("Z", "X", "")


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
    """Stops every descendant of a process, with `whole` itself too; whether all stopped, none started meanwhile."""
    end = time.monotonic() + seconds
    while running := [child for child in _tree(pid, whole) if not all_in(child, ("T", *_GONE))]:
        if time.monotonic() > end:
            return False
        _signal(running, signal.SIGSTOP)
        time.sleep(0.0001)  # a stop takes effect when the process next meets the scheduler
    return True


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


def run_ns(pid: int, *, whole: bool) -> int:
    """Nanoseconds that every live descendant of a process, with `whole` itself too, has been on a processor."""
    total = 0
    for child in _tree(pid, whole):
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{child}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{child}/task/{thread}/schedstat", "rb") as file:
                    total += int(file.read().split()[0])
    return total


def _tree(pid: int, whole: bool) -> list[int]:
    return [pid, *descendants(pid)] if whole else descendants(pid)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def memory(pid: int, enough: int) -> int:
    """Bytes that all descendants of a process hold: private, shared and memory files, mapped or not.

    What several of them share is counted once for each, as it is fast to read, unless that comes to more than
    `enough`: then by the kernel's proportional figures. A memory file that is mapped is counted twice at most.
    """
    tree = _tree(pid, whole=True)
    files = sum(_memory_files(tree).values())
    quick = files + sum(_kilobytes(child, "status", ("RssAnon:", "RssShmem:")) or 0 for child in tree) * 1024
    if quick <= enough:
        return quick
    exact = (_kilobytes(child, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) for child in tree)
    shares = [quick if kilobytes is None else kilobytes * 1024 for kilobytes in exact]
    return files + min(sum(shares), quick)


def unlinked(pid: int, folder: str) -> int:
    """Bytes of a folder's files that have no name any more, but a descendant of a process has them open or mapped."""
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
            for line in lines:
                if folder in line and line.endswith("(deleted)\n"):
                    addresses, _, _, _, inode, _ = line.split(maxsplit=5)
                    start, end = (int(address, 16) for address in addresses.split("-"))
                    found[int(inode)] = max(found.get(int(inode), 0), end - start)
    return sum(found.values())


def _kilobytes(pid: int, file: str, names: tuple[str, ...]) -> int | None:
    """The sum of some lines of a file in /proc/PID; 0 where the process is gone, None where it hides them."""
    try:
        with open(f"/proc/{pid}/{file}") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith(names))
    except PermissionError:
        return None
    except OSError:
        return 0


def shared_memory() -> int:
    """Bytes of shared memory and of memory files on the whole machine, whoever maps or holds them."""
    with open("/proc/meminfo") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Shmem:")), 0)


def _memory_files(tree: list[int]) -> dict[tuple[int, int], int]:
    """Bytes of each memory file (memfd) that a process of the tree has open; they lie on no disk and in no map."""
    found: dict[tuple[int, int], int] = {}
    for pid in tree:
        folder = f"/proc/{pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{name}").startswith("/memfd:"):
                        status = os.stat(f"{folder}/{name}")
                        found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return found
