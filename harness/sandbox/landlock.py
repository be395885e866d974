"""Landlock by its three system calls (the same numbers on every architecture). Linux >= 5.13, no packages."""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable

from harness.sandbox.seccomp import no_new_privs

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _RULE_PATH_BENEATH = 1, 1

# linux/landlock.h, LANDLOCK_ACCESS_FS_*
(
    _EXECUTE,
    _WRITE_FILE,
    _READ_FILE,
    _READ_DIR,
    _REMOVE_DIR,
    _REMOVE_FILE,
    _MAKE_CHAR,
    _MAKE_DIR,
    _MAKE_REG,
    _MAKE_SOCK,
    _MAKE_FIFO,
    _MAKE_BLOCK,
    _MAKE_SYM,
    _REFER,
    _TRUNCATE,
    _IOCTL_DEV,
) = (1 << bit for bit in range(16))
_RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE = (
    _READ
    | _WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_SYM
    | _MAKE_FIFO
    | _MAKE_SOCK
    | _REFER
    | _TRUNCATE
)
_DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL_DEV
_TCP = 3  # bind and connect, ABI 4
_SCOPES = 3  # abstract sockets and signals stay inside, ABI 6

LEAST_ABI = 6  # below it a worker can signal the judge


def abi() -> int:
    """The kernel's landlock ABI, 0 where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(ctypes.c_long(_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))
    return max(int(version), 0)


def restrict(read: Iterable[str], write: Iterable[str], devices: Iterable[str]) -> int:
    """Leaves this process the named paths and no TCP, no foreign sockets or signals. Returns the ABI.

    Paths that do not exist are skipped. Raises OSError where the kernel refuses.
    """
    version = abi()
    if not version:
        raise OSError("this kernel has no landlock")
    libc = ctypes.CDLL(None, use_errno=True)
    rights = _RIGHTS_OF_ABI[min(version, 5)]
    attributes = struct.pack("QQQ", rights, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(ctypes.c_long(_CREATE), ctypes.c_char_p(attributes), ctypes.c_size_t(size), ctypes.c_uint(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    try:
        for paths, access in ((read, _READ), (write, _WRITE), (devices, _DEVICE)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    _allow(libc, ruleset, path, access & rights)
        no_new_privs(libc)
        if libc.syscall(ctypes.c_long(_RESTRICT), ctypes.c_int(ruleset), ctypes.c_uint(0)):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)
    return version


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            access &= _OF_FILES
        rule = ctypes.c_char_p(struct.pack("=Qi", access, fd))
        if libc.syscall(
            ctypes.c_long(_ADD_RULE),
            ctypes.c_int(ruleset),
            ctypes.c_int(_RULE_PATH_BENEATH),
            rule,
            ctypes.c_uint(0),
        ):
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    finally:
        os.close(fd)
