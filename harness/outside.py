"""What others did to the machine while times were taken, and what is left out for it. Pure.

A window is a stretch of pairs of blocks between two samples, about a second. It is left out on outside evidence
alone (processor time that others took, the hypervisor's steal, heat, sleep), never for its times; what a package
can bring about by itself (memory that it makes scarce, a quota that its threads use up) leaves nothing out. Both
sides lose the window's times; and its answers, unless they are those of a side that always answers alike (see
`answers_for_f1`), so that nobody is accurate in it for free.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.raw import RawPass, RawSample
from harness.record import Windows
from harness.rules import Protocol

Mask = NDArray[np.bool_]
_LEAST_MS = 500  # the kernel counts in steps of 10 ms on each core: a shorter window says nothing of shares
_SLEPT_MS = 1000  # clocks that count sleep and those that do not differ by less


class Window(NamedTuple):
    """Positions start..stop of a pass's crops, and what others did meanwhile."""

    number: int  # of the pass, from 0
    start: int
    stop: int
    taken: float  # cores
    stalled: float  # share of the time in which some task waited for memory


def taken(before: RawSample, after: RawSample) -> float:
    """Cores that others took between two samples: 0 on a quiet machine, infinite where it was hot or slept.

    >>> first = RawSample(0, 0, 0, 0, 0, 0, 0, 0)
    >>> taken(first, RawSample(1, 10**9, own_ms=1500, busy_ms=1900, steal_ms=100, stalled_us=0, throttled=0,
    ...     suspended_ms=0))
    0.5
    """
    wall_ms = (after.now_ns - before.now_ns) / 1e6
    if wall_ms <= 0 or after.throttled > before.throttled or after.suspended_ms - before.suspended_ms > _SLEPT_MS:
        return math.inf
    if wall_ms < _LEAST_MS:
        return 0.0
    others_ms = max((after.busy_ms - before.busy_ms) - (after.own_ms - before.own_ms), 0)
    return (others_ms + after.steal_ms - before.steal_ms) / wall_ms


def stalled(before: RawSample, after: RawSample) -> float:
    """Share of the time between two samples in which some task waited for memory."""
    return (after.stalled_us - before.stalled_us) * 1e3 / max(after.now_ns - before.now_ns, 1)


def windows(passes: Sequence[RawPass]) -> list[Window]:
    """The windows of all passes, in order; none for a pass without samples."""
    found = []
    for number, one in enumerate(passes):
        ends = np.concatenate([[0], np.cumsum(one.blocks)]).astype(int).tolist()
        found += [
            Window(number, ends[before.pairs], ends[after.pairs], taken(before, after), stalled(before, after))
            for before, after in pairwise(one.samples)
        ]
    return found


def kept(passes: Sequence[RawPass], protocol: Protocol) -> tuple[list[Mask], Windows]:
    """A mask of each pass's crops that count, and how many windows were left out.

    The most disturbed windows go first, at most `most_dropped` of all, and a pass keeps one at least.
    """
    every = windows(passes)
    masks = [np.ones(len(one.crops), dtype=np.bool_) for one in passes]
    limit = protocol.outside_share
    left = [sum(w.number == number for w in every) for number in range(len(masks))]
    dropped = 0
    for window in sorted((w for w in every if w.taken > limit), key=lambda w: -w.taken):
        if dropped + 1 > protocol.most_dropped * len(every):
            break
        if left[window.number] > 1:
            masks[window.number][window.start : window.stop] = False
            left[window.number] -= 1
            dropped += 1
    disturbed = sum(w.taken > limit or w.stalled > limit for w in every)
    return masks, Windows(len(every), disturbed, dropped)


def is_noisy(counted: Windows, protocol: Protocol) -> bool:
    """Whether more was disturbed than may be left out."""
    return counted.disturbed > protocol.most_dropped * counted.all
