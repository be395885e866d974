"""What others did to the machine while times were taken, and which times are left out for it. Pure.

A window is a stretch of pairs of blocks between two samples, about a second. It is judged on outside evidence
alone (processor time that others took, the hypervisor's steal, waiting for memory or disk, throttling, sleep),
never on its times: a slow submission cannot earn a second try. Both sides lose the same crops.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.record import Raw, RawPass, RawSample, Windows
from harness.rules import Protocol

Mask = NDArray[np.bool_]
_SLEPT_MS = 1000  # clocks that count sleep and those that do not differ by less


class Window(NamedTuple):
    """Positions start..stop of a pass's crops, and the cores' worth of time that others took meanwhile."""

    number: int  # of the pass, from 0
    start: int
    stop: int
    share: float


def taken(before: RawSample, after: RawSample) -> float:
    """Cores that others took between two samples: 0 on a quiet machine, infinite where it was throttled or slept.

    >>> first = RawSample(0, 0, 0, 0, 0, 0, 0, 0)
    >>> taken(first, RawSample(1, 10**9, own_ms=1500, busy_ms=1900, steal_ms=100, stalled_us=0, throttled=0,
    ...     suspended_ms=0))
    0.5
    """
    wall_ms = (after.now_ns - before.now_ns) / 1e6
    if wall_ms <= 0 or after.throttled > before.throttled or after.suspended_ms - before.suspended_ms > _SLEPT_MS:
        return math.inf
    others_ms = max((after.busy_ms - before.busy_ms) - (after.own_ms - before.own_ms), 0)
    stalled_ms = (after.stalled_us - before.stalled_us) / 1e3
    return max((others_ms + after.steal_ms - before.steal_ms) / wall_ms, stalled_ms / wall_ms)


def windows(passes: Sequence[RawPass]) -> list[Window]:
    """The windows of all passes, in order; none for a pass without samples."""
    found = []
    for number, one in enumerate(passes):
        ends = np.concatenate([[0], np.cumsum(one.blocks)]).astype(int).tolist()
        found += [
            Window(number, ends[before.pairs], ends[after.pairs], taken(before, after))
            for before, after in pairwise(one.samples)
        ]
    return found


def kept(raw: Raw, protocol: Protocol) -> tuple[list[Mask], Windows]:
    """A mask of each pass's crops whose times count, and how many windows were left out.

    The most disturbed windows go first, at most `most_dropped` of all, and a pass keeps one at least.
    """
    every = windows(raw.passes)
    masks = [np.ones(len(one.crops), dtype=np.bool_) for one in raw.passes]
    disturbed = sorted((w for w in every if w.share > protocol.outside_share), key=lambda w: -w.share)
    left = [sum(w.number == number for w in every) for number in range(len(masks))]
    dropped = 0
    for window in disturbed:
        if dropped + 1 > protocol.most_dropped * len(every):
            break
        if left[window.number] > 1:
            masks[window.number][window.start : window.stop] = False
            left[window.number] -= 1
            dropped += 1
    return masks, Windows(len(every), len(disturbed), dropped)
