"""A process that runs in a sandbox, as the judge sees and handles it."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from harness.errors import MachineError
from harness.judge.isolation.launch import Output
from harness.record import Isolation
from harness.rules import Level
from harness.sandbox import processes
from harness.sandbox.layout import ADDR_NO_RANDOMIZE
from harness.scratch import remove

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


_STILL_NS = 2_000_000  # that a stopped tree may be seen to run: a signal is on its way


_LONG_PATH = 512  # bytes below the scratch; longer ones hide files from whoever counts them


class Usage(NamedTuple):
    """What a worker with all that it started holds now."""

    memory: int  # bytes
    scratch: int  # bytes
    scratch_files: int
    descriptors: int  # of all its processes


class Started:
    """One sandboxed process tree. `top` is the process whose descendants are the worker and all that it starts."""

    def __init__(
        self,
        level: Level,
        outer: "subprocess.Popen[bytes]",
        top: int,
        output: Output,
        *,
        lifeline: int | None = None,
        scratch: Path | None = None,
    ) -> None:
        self.level = level
        self.output = output
        self._outer, self._top = outer, top
        self._lifeline, self._scratch = lifeline, scratch
        # A guard must hear of the judge's end at any time; the first process of a namespace is the worker's to change.
        self._whole = lifeline is None
        self._code: int | None = None
        self._frozen_ns: dict[int, int] | None = None  # processor time of each process when it was frozen
        self._shared_before = processes.shared_memory()

    def worker_pid(self) -> int:
        """The worker's pid as the judge sees it. Raises MachineError where there is none (any more)."""
        found = processes.children(self._top)
        if not found:
            raise MachineError("expected a running worker, found none; see its log", kind="no_worker")
        return found[0]

    def observed(self) -> Isolation:
        """What /proc says of the worker now."""
        pid = self.worker_pid()
        try:
            lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        except OSError as error:
            raise MachineError(
                f"expected to read /proc/{pid}/status, got {error.strerror}", kind="no_worker"
            ) from error
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Isolation(
            level=self.level,
            uid_differs=int(status["Uid"].split()[1]) != os.geteuid(),
            capabilities=int(status["CapEff"], 16),
            seccomp=status.get("Seccomp") == "2",
            no_new_privs=status.get("NoNewPrivs") == "1",
            namespaces=_own_namespaces(pid, status),
            drawn_layout=_drawn_layout(pid),
        )

    def usage(self, most_memory: int, most_files: int, most_descriptors: int, *, trusted: bool) -> Usage:
        """What it holds now; counted exactly only above `most_memory` bytes, up to just above the most of the others.

        What no process maps any more is the growth of the machine's shared memory: others seldom take gigabytes. It is
        a stranger's, never that of a `trusted` package beside it.
        """
        memory, descriptors = processes.held(self._top, most_memory, most_descriptors)
        if not trusted:
            memory = max(memory, processes.shared_memory() - self._shared_before)
        if self._scratch is not None:
            size, files = _folder_usage(self._scratch, most_files)
            return Usage(memory, size + processes.unlinked(self._top, str(self._scratch)), files, descriptors)
        mounted = [_mount_usage(f"/proc/{self._top}/root{folder}") for folder in ("/tmp", "/dev/shm")]
        return Usage(memory, max(size for size, _ in mounted), max(files for _, files in mounted), descriptors)

    def peak_bytes(self) -> int:
        """What its live processes had resident at most."""
        return processes.peak(self._top)

    def freeze(self) -> bool:
        """Stops the worker and all that it started; whether every thread was seen to stop."""
        stopped = processes.freeze_all(self._top, whole=self._whole)
        self._frozen_ns = processes.run_ns(self._top, whole=self._whole)
        return stopped

    def thaw(self) -> bool:
        """Lets them go on; whether they stood still since `freeze`: a timer may have sent them a signal to go on."""
        before, self._frozen_ns = self._frozen_ns, None
        still = before is None or self._still(before)
        processes.thaw_all(self._top, whole=self._whole)
        return still

    def _still(self, before: dict[int, int]) -> bool:
        """Whether each process is there, none is new and none has run: one that ran and ended took its time with it.

        Where all are gone the machine has killed them, and its channel will say so.
        """
        now = processes.run_ns(self._top, whole=self._whole)
        if not processes.children(self._top):
            return True
        return now.keys() == before.keys() and all(now[pid] - ns <= _STILL_NS for pid, ns in before.items())

    def exit_code(self, wait_s: float) -> int | None:
        """The worker's exit code (128 + signal where one killed it), None while it runs."""
        if self._code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._outer.wait(timeout=wait_s)
                self._code = code if code >= 0 else 128 - code  # the launcher itself was killed
        return self._code

    def kill(self) -> None:
        """Ends all of it and takes back what it held. May be called twice."""
        if self._code is None:
            if self._lifeline is None:
                with contextlib.suppress(ProcessLookupError):
                    if self._outer.poll() is None:  # else its number may be another's by now
                        os.kill(self._top, signal.SIGKILL)  # pid 1 of its namespace: the kernel kills the rest
            else:
                self._end_guard()
            self._code = self._outer.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        self.output.close()
        if self._scratch is not None:
            remove(self._scratch)

    def _end_guard(self) -> None:
        assert self._lifeline is not None
        os.close(self._lifeline)  # the guard freezes and kills its tree
        self._lifeline = None
        try:
            self._outer.wait(timeout=5.0)
        except subprocess.TimeoutExpired:  # somebody stopped the guard: do its work
            processes.kill_all(self._top)
            self._outer.kill()


def wait_child(top: int, seconds: float) -> None:
    """Waits until a process has a child: a launcher reports before it has started the worker."""
    end = time.monotonic() + seconds
    while not processes.children(top) and time.monotonic() < end:
        time.sleep(0.002)


def _drawn_layout(pid: int) -> bool:
    """Whether the kernel left its own draw of addresses out; not where that may not be read."""
    try:
        return bool(int(Path(f"/proc/{pid}/personality").read_text(), 16) & ADDR_NO_RANDOMIZE)
    except OSError:
        return False


def _own_namespaces(pid: int, status: dict[str, str]) -> tuple[str, ...]:
    own = []
    for name in _NAMESPACES:
        try:
            if os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"):
                own.append(name)
        except OSError:  # not the judge's to read: the pid namespace still shows in the status
            if name == "pid" and len(status.get("NSpid", "").split()) > 1:
                own.append(name)
    return tuple(own)


def _mount_usage(folder: str) -> tuple[int, int]:
    """(bytes, files) of a file system of its own; 0 where it is gone."""
    try:
        there = os.statvfs(folder)
    except OSError:
        return 0, 0
    return (there.f_blocks - there.f_bfree) * there.f_frsize, there.f_files - there.f_ffree


def _folder_usage(folder: Path, most_files: int) -> tuple[int, int]:
    """(bytes, files) below a folder on a disk; counting ends above `most_files`, and at paths too long to count."""
    size = count = 0
    for parent, folders, names in os.walk(folder):
        if len(parent) - len(str(folder)) > _LONG_PATH:
            return size, most_files + 1
        for name in (*folders, *names):
            count += 1
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(parent, name)).st_blocks * 512
        if count > most_files:
            break
    return size, count
