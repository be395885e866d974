"""Lets the C library keep the memory that a network frees and asks for again with each picture."""

import ctypes

# malloc.h of glibc
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def keep_pages() -> bool:
    """Keeps freed memory in this process; whether the C library (glibc) allowed it.

    glibc gives each large block back to the kernel, which clears its pages anew for the next one. Measured on two
    virtual cores: a training of mbv3_cut at 156 pixels spent half its time so (14.6 against 28 images/s), and its
    inference too (30 against 16 ms a crop, by the luck of the heap 12 to 40). One arena, for the others are limited
    to blocks of 64 MiB; the price is memory that stays at its peak until the end.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20))
    return all([mallopt(name, value) == 1 for name, value in settings])
