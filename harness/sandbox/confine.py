"""Confines this very process: limits, uid, capabilities, landlock, seccomp; in an order in which each still works."""

import contextlib
import ctypes
import json
import os
import resource
from dataclasses import asdict, dataclass

from harness.sandbox import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_DUMPABLE, _SIGKILL = 1, 24, 4, 9
_CAPABILITY_VERSION_3 = 0x20080522
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}


@dataclass(frozen=True)
class Confinement:
    """What a worker gives up before it reads anything of a submission. Sizes in bytes; empty = not applied."""

    uid: int | None
    memory: int
    processes: int
    file_size: int
    descriptors: int = 0
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    seccomp: bool = False  # bubblewrap installs the filter itself

    def dump(self) -> str:
        """As one JSON argument; it holds nothing secret."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Confinement":
        """From `dump`."""
        fields = json.loads(text)
        for name in ("read", "write", "devices"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


def confine(confinement: Confinement) -> None:
    """Applies all of it to this process, for good. Raises OSError where the kernel refuses a part."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # a machine that runs out of memory ends the worker first, never the judge
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, confinement.descriptors),
        (resource.RLIMIT_FSIZE, confinement.file_size),
        (resource.RLIMIT_DATA, confinement.memory),
        (resource.RLIMIT_NPROC, confinement.processes),
    ):
        if value or limit == resource.RLIMIT_CORE:
            _, most = resource.getrlimit(limit)
            allowed = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(limit, (allowed, allowed))
    libc = ctypes.CDLL(None, use_errno=True)
    if confinement.uid is not None:
        become(confinement.uid)
    elif os.getuid() == 0:
        _drop_capabilities(libc)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)  # a change of uid clears it
    if confinement.read:
        landlock.restrict(confinement.read, confinement.write, confinement.devices)
    if confinement.seccomp:
        seccomp.install()


def become(uid: int) -> None:
    """Another user, without groups; nothing where it is that one already. Raises OSError."""
    if os.getuid() != uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        # That made /proc/self belong to root.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.syscall(ctypes.c_long(_SYS_CAPSET[os.uname().machine]), header, nothing):
        raise OSError(ctypes.get_errno(), "capset")
