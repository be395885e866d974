"""One judge a device at a time: two that measure side by side would measure each other.

The lock is an abstract socket's name. The kernel gives it back when its holder ends, however that ends, there is no
file that a dead judge leaves behind, any user can see who holds it, and no sandbox level can reach it.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator

from harness.errors import MachineError

WAIT_S = 600.0  # for another judge to end
_ASK_S = 0.2
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@contextlib.contextmanager
def reserved(device: str, said: Callable[[str], None], wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds the device ("cpu", "cuda") alone; says once who it waits for. Raises MachineError (kind "busy")."""
    name = f"\0harness-judge-{device}"
    end = time.monotonic() + wait_s
    told = False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as held:
        while True:
            try:
                held.bind(name)
                break
            except OSError:
                pid = _holder(name)
                whose = "another judge" if pid is None else f"another judge (pid {pid})"
            if time.monotonic() > end:
                raise MachineError(
                    f"expected {device} to be free, {whose} measures on it; wait for it or stop it", kind="busy"
                )
            if not told:
                said(f"waiting for {whose}, which measures on {device}")
                told = True
            time.sleep(min(_ASK_S, wait_s))
        held.listen(8)
        yield


def _holder(name: str) -> int | None:
    """The pid of the process that holds the name, None where it is just being taken or given back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)  # a holder whose queue is full does not answer
        try:
            asking.connect(name)
        except OSError:
            return None
        pid, _, _ = _CREDENTIALS.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(pid) or None
