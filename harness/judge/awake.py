"""Keeps the cores out of their idle states while times are taken, where this user may.

A core that sleeps between two crops wakes late and cold: measured on 2 virtual cores, the round trip after
5 ms of work went from 130 to 55 us, and a network of 0.17 ms that was judged at 0.41 ms at 0.21 ms, the
plain loop's time plus the channel. The kernel's own means: /dev/cpu_dma_latency, held open with 0 (us).
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
