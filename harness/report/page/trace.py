"""What a page shows of a raw file: a few hundred numbers of its many thousand times. Pure."""

from collections.abc import Sequence

import msgspec
import numpy as np

from harness.metrics import Floats, Ints
from harness.outside import kept
from harness.raw import Raw, RawPass
from harness.rules import Protocol
from harness.timed import floor_ns

_BINS = 48  # of the histogram: some 20 times each in a run of 1,000
_QUANTILES = np.linspace(0.0, 1.0, 101)
_POINTS = 120  # along the run, all passes together: more than that no screen tells apart
_LEAST_NS = 1_000.0  # as in harness/derive.py
_TAIL = 0.995  # the histogram ends here; the distribution shows the rest


class Trace(msgspec.Struct, frozen=True):
    """Times of both sides of one run, in us, the channel's floor taken off; crops that count."""

    edges: tuple[float, float]  # of the histogram, in us; its bins are equal factors, the last one takes what is beyond
    counts: tuple[tuple[int, ...], tuple[int, ...]]  # submission's, baseline's
    quantiles: tuple[tuple[int, ...], tuple[int, ...]]  # 0, 1, ... 100 %
    along: tuple[tuple[int, ...], tuple[int, ...]]  # means of stretches of equal length, in the order of the run
    passes: tuple[int, ...]  # stretches of each pass
    crops: int  # times of each side


def trace(raw: Raw, protocol: Protocol) -> Trace:
    """The trace of a run."""
    masks, _ = kept(raw.passes, protocol)
    sides = tuple(
        [
            np.array(getattr(one, f"{side}_ns"), dtype=np.float64)[mask]
            for one, mask in zip(raw.passes, masks, strict=True)
        ]
        for side in ("submission", "baseline")
    )
    ours, theirs = (_us(parts, raw) for parts in sides)
    stretches = _stretches(raw.passes)
    both = [np.sort(np.concatenate(side)) for side in (ours, theirs)]
    low, high = float(min(times[0] for times in both)), float(max(_quantiles(times, _TAIL) for times in both))
    high = max(high, low * 1.01)
    bins = np.geomspace(low, high, _BINS + 1)  # one side may take a hundred times as long as the other
    return Trace(
        edges=(round(float(low), 1), round(float(high), 1)),
        counts=_pair([np.diff(np.searchsorted(times, bins[1:-1]), prepend=0, append=times.size) for times in both]),
        quantiles=_pair([_quantiles(times, _QUANTILES) for times in both]),
        along=_pair([_along(side, stretches) for side in (ours, theirs)]),
        passes=tuple(stretches),
        crops=int(both[0].size),
    )


def _us(parts: Sequence[Floats], raw: Raw) -> list[Floats]:
    floor = floor_ns(raw.floor, float(np.concatenate(parts).mean()))
    return [np.maximum(part - floor, _LEAST_NS) / 1e3 for part in parts]


def _stretches(passes: Sequence[RawPass]) -> list[int]:
    """How many of the points each pass gets: as its share of the crops, one at least."""
    crops = sum(len(one.crops) for one in passes)
    return [max(1, min(len(one.crops), round(_POINTS * len(one.crops) / crops))) for one in passes]


def _quantiles(times: Floats, at: float | Floats) -> Floats:
    """Of sorted times, between two of them by how near each is."""
    return np.asarray(np.interp(np.asarray(at) * (times.size - 1), np.arange(times.size), times))


def _along(parts: Sequence[Floats], stretches: Sequence[int]) -> Floats:
    means = []
    for part, number in zip(parts, stretches, strict=True):
        starts = np.arange(number) * part.size // number
        means.append(np.add.reduceat(part, starts) / np.maximum(np.diff(starts, append=part.size), 1))
    return np.concatenate(means)


def _pair(sides: Sequence[Floats | Ints]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ours, theirs = (tuple(np.rint(side).astype(np.int64).tolist()) for side in sides)
    return ours, theirs
