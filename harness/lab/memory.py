"""The memory of a training: how much is left, and the C library made to keep what each step frees and asks for."""

import ctypes
from pathlib import Path

# malloc.h of glibc
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8

LIKELY_GB = 9.0  # what a training of the bundled networks takes at most, measured on two cores


def available_gb() -> float | None:
    """Memory that a program can have without swapping, in 10^9 bytes, as the kernel estimates; None where unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return int(found[0][1]) * 1024 / 1e9 if found else None


def keep_pages() -> bool:
    """Keeps freed memory in this process; whether the C library (glibc) allowed it.

    glibc gives each large block back to the kernel, which clears its pages anew for the next step: measured on two
    cores, a training of mbv3_cut at 156 pixels spent half its time so (14.6 against 28 images/s). One arena, for
    the others are limited to blocks of 64 MiB; the price is memory that stays at its peak until the end.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20))
    return all([mallopt(name, value) == 1 for name, value in settings])
