"""Where the memory of a worker lies: drawn anew for each pass, the same for both sides.

By its addresses the code and the data of a process collide in the processor's tables, differently in each process and
alike for as long as it lives: that is the luck of a process. With one draw for both sides of a pass, most of it is in
both times and leaves their ratio; with a new draw for each pass, what is left of it averages out. One layout for all
passes would be a bias that more passes do not show (Mytkowicz et al., "Producing Wrong Data Without Doing Anything
Obviously Wrong!", ASPLOS 2009).
"""

import ctypes
import mmap
import os
import sys
from typing import NamedTuple, Protocol, Self, SupportsInt

ADDR_NO_RANDOMIZE = 0x0040000  # of <linux/personality.h>
_ASK = 0xFFFFFFFF
_LAYOUT, _TRIED = "HARNESS_LAYOUT", "HARNESS_LAYOUT_TRIED"
_PAGES, _HEAP, _STEPS, _STEP = 1 << 14, 96 << 10, 256, 16  # malloc maps what is larger than 128 KiB


class Generator(Protocol):
    """What draws: numpy's Generator."""

    def integers(self, low: int, high: int) -> SupportsInt:
        """A number from `low` to `high` - 1."""


class Layout(NamedTuple):
    """One draw."""

    hash_seed: int  # of Python's hashes: the order of sets, the places in dicts
    pages: int  # of addresses left out below what the interpreter mapped first; up to 64 MiB
    heap: int  # bytes left out at the heap's start
    steps: int  # of 16 bytes, above the stack

    @classmethod
    def draw(cls, rng: Generator) -> Self:
        """A new one.

        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> Layout.draw(rng) == Layout.draw(rng)
        False
        """
        return cls(*(int(rng.integers(1, high)) for high in (1 << 32, _PAGES, _HEAP, _STEPS)))

    def variables(self) -> dict[str, str]:
        """The environment that tells it to a worker; the last part moves the stack by its length.

        >>> Layout(7, 3, 100, 1).variables()
        {'PYTHONHASHSEED': '7', 'HARNESS_LAYOUT': '00003 000100 ................'}
        """
        above = "." * (_STEP * self.steps)
        return {"PYTHONHASHSEED": str(self.hash_seed), _LAYOUT: f"{self.pages:05} {self.heap:06} {above}"}


def relocate() -> tuple[object, ...]:
    """Takes this process to the layout of its environment; to be held. Called before anything large is imported.

    The kernel draws addresses when a program starts: this one starts itself once more without that. Where the kernel
    does not allow it (some containers) it goes on where it is. As root with few capabilities the kernel forgets it at
    each start: a worker changes its uid first.
    """
    if _LAYOUT not in os.environ:
        return ()
    personality = ctypes.CDLL(None).personality
    now = personality(ctypes.c_ulong(_ASK))
    if not now & ADDR_NO_RANDOMIZE and _TRIED not in os.environ:
        os.environ[_TRIED] = "1"
        if personality(ctypes.c_ulong(now | ADDR_NO_RANDOMIZE)) >= 0:
            os.execv(sys.executable, sys.orig_argv)
    pages, heap, _ = os.environ[_LAYOUT].split(" ")
    left_out = mmap.mmap(-1, int(pages) * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ)
    return left_out, bytearray(int(heap))
