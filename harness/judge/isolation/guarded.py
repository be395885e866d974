"""Levels without namespaces: landlock + seccomp, and the plain process; each below a guard that ends all of it."""

import os
import random
import subprocess
from pathlib import Path
from typing import Literal

from harness.judge.isolation.launch import (
    PACKAGE_ROOT,
    Launch,
    Output,
    environment,
    filled,
    gpu_nodes,
    interpreter,
    process_limit,
    python_paths,
    system_paths,
    worker_paths,
)
from harness.judge.isolation.started import Started, wait_child
from harness.rules import Level
from harness.sandbox.confine import Confinement
from harness.scratch import folder, remove

_UIDS = range(62_000, 62_900)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
# What libraries read to learn of the processor and of themselves; nothing of other processes.
_PROC = (
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/version",
    "/proc/filesystems",
    "/proc/mounts",
    "/proc/sys/vm",
    "/proc/sys/kernel",
)


class Guarded:
    """Landlock with seccomp, or nothing but limits and an environment of its own."""

    def __init__(self, level: Literal["landlock", "process"]) -> None:
        self.level: Level = level

    def start(self, launch: Launch) -> Started:
        """Starts it below a guard."""
        uid = random.choice(_UIDS) if os.getuid() == 0 and _reachable(launch.package) else None
        scratch = folder("scratch")
        scratch.chmod(0o700)
        if uid is not None:
            os.chown(scratch, uid, uid)
        values = {
            "confinement": self._confinement(launch, uid, scratch).dump(),
            "package": str(launch.package),
        }
        worker = [
            interpreter(),
            "-s",
            "-P",
            "-B",
            str(PACKAGE_ROOT / launch.script),
            *filled(launch.arguments, values),
        ]
        lifeline_read, lifeline = os.pipe()
        output = Output(launch.limits.output_kb * 1024)
        guard = [
            interpreter(),
            "-I",
            "-S",
            "-B",
            str(PACKAGE_ROOT / "sandbox" / "guard.py"),
            str(lifeline_read),
        ]
        try:
            outer = subprocess.Popen(
                guard + worker,
                pass_fds=(*launch.descriptors, lifeline_read),
                stdin=subprocess.DEVNULL,
                stdout=output.write_fd,
                stderr=output.write_fd,
                env=environment(launch.threads, str(scratch), launch.layout),
                cwd=scratch,
                start_new_session=True,
            )
        except BaseException:
            os.close(lifeline)
            remove(scratch)
            raise
        finally:
            os.close(lifeline_read)
            output.opened()
        wait_child(outer.pid, seconds=10.0)
        return Started(self.level, outer, outer.pid, output, lifeline=lifeline, scratch=scratch)

    def _confinement(self, launch: Launch, uid: int | None, scratch: Path) -> Confinement:
        limits, landlock = launch.limits, self.level == "landlock"
        gpu = gpu_nodes() if launch.device == "cuda" else ()
        read = (*system_paths(), *python_paths(), *worker_paths(), str(launch.package), "/sys", *_PROC)
        return Confinement(
            uid=uid,
            memory=0 if launch.device == "cuda" else limits.memory_mb << 20,
            processes=process_limit(limits.processes, uid),
            file_size=limits.file_mb << 20,
            descriptors=limits.descriptors,
            read=read if landlock else (),
            write=(str(scratch),) if landlock else (),
            devices=(*_DEVICES, *gpu) if landlock else (),
            seccomp=landlock,
        )


def _reachable(package: Path) -> bool:
    """Whether another uid can pass to the interpreter, its packages, harness and the package."""
    for path in (*python_paths(), str(PACKAGE_ROOT), str(package), interpreter()):
        for above in (Path(path), *Path(path).parents):
            if not above.stat().st_mode & 0o001:
                return False
    return True
