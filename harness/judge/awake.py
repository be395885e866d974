"""What lets the judge hear an answer at once, where this user may: cores kept awake, a judge that goes first.

A core that sleeps between two crops wakes late and cold: measured on 2 virtual cores, the round trip after
5 ms of work went from 130 to 55 us, and a network of 0.17 ms that was judged at 0.41 ms at 0.21 ms, the
plain loop's time plus the channel. The kernel's own means: /dev/cpu_dma_latency, held open with 0 (us).

A network with a thread on each core leaves none idle: its threads spin for a while after their work, and the
judge waits for a turn. With a spinning second thread the round trip after 5 ms of work took 52-70 us, and
35 us, as without that thread, once the judge had a real-time priority. It sleeps while a worker works, so it
takes nothing from it.
"""

import contextlib
import os
import struct
from collections.abc import Iterator

_DEVICE = "/dev/cpu_dma_latency"


@contextlib.contextmanager
def awake() -> Iterator[bool]:
    """Holds the cores awake; whether that was allowed (root, or a group that may write the device)."""
    try:
        held = os.open(_DEVICE, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        os.write(held, struct.pack("i", 0))
        yield True
    finally:
        os.close(held)


@contextlib.contextmanager
def prompt() -> Iterator[bool]:
    """This thread goes before all normal ones; whether that was allowed (root). What it starts does not inherit it."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, *before)
