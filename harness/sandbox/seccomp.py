"""A seccomp deny list as a BPF program, built without libseccomp. x86_64 and aarch64.

What is denied answers EPERM (a new network domain EACCES, clone3 ENOSYS, so that libc falls back to the
filterable clone); a foreign ABI kills. Everything else is allowed: a list of what numerical code may call
would break with each new library.
"""

import ctypes
import errno
import os
import platform
import struct

# BPF opcodes, linux/bpf_common.h: load word at k, jump if equal / greater-or-equal / any bit, return k.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _ALWAYS = 0x20, 0x15, 0x35, 0x45, 0x06, 0x05
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NR_AT, _ARCH_AT, _ARG0_AT, _ARG1_AT, _ARG2_AT = 0, 4, 16, 24, 32  # offsets in struct seccomp_data
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
_AF_UNIX = 1

# name: (x86_64, aarch64); None where the architecture has no such call
_DENIED: dict[str, tuple[int, int | None]] = {
    # other processes' memory and descriptors
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # kernel surface that no model needs; io_uring would get round a socket filter
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    # the machine's clocks and names
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    # a share of the processor that the other side does not get
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "mlockall": (151, 230),
    # a timer that sends a signal of its owner's choice: SIGCONT would wake a side that is to stand still
    "timer_create": (222, 107),
    # what lies in the page cache: a memory from one pass to the next
    "fadvise64": (221, 223),
    "mincore": (27, 232),
    "cachestat": (451, 451),
    "preadv2": (327, 286),  # RWF_NOWAIT says whether a page is there
    # memory and messages that outlive their makers and that no limit counts
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
_PRLIMIT = (302, 261)
_SETSOCKOPT, _FCNTL = (54, 208), (72, 25)
# A larger buffer holds memory that no limit counts: SO_{SND,RCV}BUF, SO_{SND,RCV}BUFFORCE (of SOL_SOCKET or others).
_BUFFER_SIZES = (7, 8, 32, 33)
# Another signal than SIGIO for what happens to a file (SIGCONT would wake a side that is to stand still): F_SETSIG,
# F_SETLEASE, F_NOTIFY.
_FILE_SIGNALS = (10, 1024, 1026)
_SECCOMP, _PR_SET_NO_NEW_PRIVS = (317, 277), 38
_SET_FILTER, _TSYNC, _SPEC_ALLOW = 1, 1, 4  # without SPEC_ALLOW kernels before 5.16 slow the worker down


def program(machine: str | None = None) -> bytes:
    """The filter as an array of struct sock_filter, for bubblewrap's --seccomp or for `install`.

    Raises OSError(ENOTSUP) on an architecture without a table.
    """
    machine = machine or platform.machine()
    if machine not in _AUDIT_ARCH:
        raise OSError(errno.ENOTSUP, f"no seccomp table for {machine}")
    column = list(_AUDIT_ARCH).index(machine)
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NR_AT),
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL_PROCESS)]
    for numbers in _DENIED.values():
        number = numbers[column]
        if number is not None:
            code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    code += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    code += _without(_SETSOCKOPT[column], _ARG2_AT, _BUFFER_SIZES) + _without(_FCNTL[column], _ARG1_AT, _FILE_SIGNALS)
    code += [
        (_EQUAL, 0, 4, _CLONE[column]),
        (_LOAD, 0, 0, _ARG0_AT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_LOAD, 0, 0, _NR_AT),
        (_EQUAL, 0, 4, _PRLIMIT[column]),  # limits of its own only: pid 0
        (_LOAD, 0, 0, _ARG0_AT),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_LOAD, 0, 0, _NR_AT),
        (_EQUAL, 0, 4, _SOCKET[column]),
        (_LOAD, 0, 0, _ARG0_AT),
        (_EQUAL, 1, 0, _AF_UNIX),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_LOAD, 0, 0, _NR_AT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", op, true, false, k) for op, true, false, k in code)


def _without(number: int, argument_at: int, values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Denies one call where an argument has one of some values."""
    body = [
        (_LOAD, 0, 0, argument_at),
        *((_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)),  # each jumps to the denial
        (_ALWAYS, 0, 0, 1),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_LOAD, 0, 0, _NR_AT),
    ]
    return [(_EQUAL, 0, len(body), number), *body]


def no_new_privs(libc: ctypes.CDLL) -> None:
    """Gives up gaining privileges by exec, for good. Raises OSError."""
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def install() -> None:
    """Puts the filter on every thread of this process and all that it starts. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = program()
    no_new_privs(libc)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    buffer = ctypes.create_string_buffer(code, len(code))
    filters = Program(len(code) // 8, ctypes.addressof(buffer))
    number = _SECCOMP[list(_AUDIT_ARCH).index(platform.machine())]
    done = libc.syscall(
        ctypes.c_long(number),
        ctypes.c_uint(_SET_FILTER),
        ctypes.c_uint(_TSYNC | _SPEC_ALLOW),
        ctypes.byref(filters),
    )
    if done:
        raise OSError(ctypes.get_errno(), "seccomp")


def memfd() -> int:
    """The program in an anonymous file, at its start, as bubblewrap reads it. The caller closes it."""
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    os.write(fd, program())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
