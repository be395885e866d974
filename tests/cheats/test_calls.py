"""System calls that the filter denies. The control: the same call with its one line taken out of the filter."""

import ctypes
import os
import platform

import pytest

from harness.sandbox import seccomp
from tests.cells import OPEN, Cell

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls' numbers are those of x86_64")

RAW = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = libc.syscall(*map(ctypes.c_long, arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""
CALLS = {
    "sched_setaffinity": "import os\nos.sched_setaffinity(0, os.sched_getaffinity(0))",
    "sched_setscheduler": "import os\nos.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    "setpriority": "import os\nos.setpriority(os.PRIO_PROCESS, 0, 5)",
    "ptrace": RAW + "child = os.fork()\nif not child:\n    import time\n    time.sleep(9)\ncall(101, 16, child, 0, 0)",
    "process_vm_readv": RAW
    + "class Vec(ctypes.Structure):\n    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]\n"
    + "there, here = ctypes.create_string_buffer(b'x' * 8), ctypes.create_string_buffer(8)\n"
    + "a, b = Vec(ctypes.addressof(here), 8), Vec(ctypes.addressof(there), 8)\n"
    + "call(310, os.getpid(), ctypes.addressof(a), 1, ctypes.addressof(b), 1, 0)",
    "timer_create": RAW + "call(222, 1, 0, ctypes.addressof(ctypes.create_string_buffer(8)))",
    "shmget": RAW + "call(29, 0, 4096, 0o1600)\ncall(31, call(29, 0, 4096, 0o1600), 0, 0)",
    "keyctl": RAW + "call(250, 0, -3, 0, 0, 0)",
    "kcmp": RAW + "call(312, os.getpid(), os.getpid(), 1, 0, 0)",
    "ioprio_set": RAW + "call(251, 1, 0, (3 << 13))",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_denied_call_fails_and_works_without_its_line(
    name: str, strong: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    if strong.sandbox.level == "process":
        pytest.skip("a plain process has no filter")
    said = strong.tried(CALLS[name])
    assert OPEN not in said
    assert "Operation not permitted" in said
    monkeypatch.delitem(seccomp._DENIED, name)
    if strong.sandbox.level == "bwrap":  # there the judge makes the filter
        assert OPEN in strong.tried(CALLS[name])


def test_new_namespaces_are_denied_whichever_call_asks(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    code = RAW + "child = call(56, 0x10000000 | 17, 0, 0, 0, 0)\nif not child:\n    os._exit(0)\nos.waitpid(child, 0)"
    if strong.sandbox.level != "bwrap":
        pytest.skip("needs the judge's filter")
    assert "Operation not permitted" in strong.tried(code)
    monkeypatch.setattr(seccomp, "_NEW_NAMESPACES", 0)
    said = strong.tried(code)
    assert OPEN in said or "Operation not permitted" not in said or _no_user_namespaces()


def test_clone3_whose_flags_no_filter_can_read_is_not_there(strong: Cell) -> None:
    if strong.sandbox.level == "process":
        pytest.skip("a plain process has no filter")
    assert "Function not implemented" in strong.tried(RAW + "call(435, 0, 0)")


def test_rings_that_go_round_a_socket_filter_are_denied(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    code = RAW + "room = ctypes.create_string_buffer(120)\ncall(425, 4, ctypes.addressof(room))"
    if strong.sandbox.level != "bwrap":
        pytest.skip("needs the judge's filter")
    assert "Operation not permitted" in strong.tried(code)
    monkeypatch.delitem(seccomp._DENIED, "io_uring_setup")
    said = strong.tried(code)
    if not _has_io_uring():
        pytest.skip("this kernel has no io_uring: no control")
    assert OPEN in said


def test_a_call_of_the_32_bit_world_ends_the_process(strong: Cell) -> None:
    """int 0x80 would reach calls under other numbers: the filter kills a foreign ABI."""
    if strong.sandbox.level == "process":
        pytest.skip("a plain process has no filter")
    code = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    assert "killed by SIG" in strong.tried(code)


def _has_io_uring() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    room = ctypes.create_string_buffer(120)
    ring = libc.syscall(ctypes.c_long(425), ctypes.c_long(4), room)
    if ring >= 0:
        os.close(ring)
    return bool(ring >= 0)


def _no_user_namespaces() -> bool:
    try:
        with open("/proc/sys/user/max_user_namespaces") as file:
            return int(file.read()) == 0
    except OSError:
        return True
