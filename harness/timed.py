"""Times and answers of a run as they count: what was disturbed left out, the channel's floor taken off. Pure."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.metrics import Floats, Ints
from harness.outside import Mask, kept
from harness.raw import Raw, RawFloor, RawPass
from harness.record import Latency
from harness.rules import Protocol
from harness.stats import percentile, t_critical

LEAST_NS = 1_000  # what a crop is taken to cost at least, once the floor is off: a ratio must stay finite
_LEAST_AGAIN = 20  # crops left out that came again: of them who answers one in ten otherwise is missed by 12 %
_P90, _P95, _P99 = 64, 130, 662  # times that a percentile needs (LoadGen)


class Answers(NamedTuple):
    """All answers of one side that count: crop numbers, labels and ns less floor, each of shape (n,)."""

    crops: Ints
    labels: Ints
    ns: Floats
    floor_ns: float


def log_ratios(
    passes: Sequence[RawPass], floor: Sequence[RawFloor], protocol: Protocol, batches: tuple[int, int] = (1, 1)
) -> Floats:
    """One a pass, as `derive` has them: what is disturbed left out, the channel's floor taken off."""
    masks, _ = kept(passes, protocol)
    return log_of_sums(passes, masks, *(its.floor_ns for its in both_answers(passes, floor, masks, batches)))


def floor_ns(floor: Sequence[RawFloor], elapsed_ns: float) -> float:
    """The channel's own cost of an answer that took `elapsed_ns`: medians of the null, interpolated over its dwell.

    A core that waited longer wakes more slowly, so the floor grows with the time between two messages.
    0 where no null was run.

    >>> floor_ns((RawFloor(0, (10,)), RawFloor(1000, (1030,))), 500.0)
    20.0
    """
    if not floor:
        return 0.0
    dwells: dict[int, list[int]] = {}
    for leg in floor:
        dwells.setdefault(leg.dwell_ns, []).extend(leg.elapsed_ns)
    points = sorted((dwell, float(np.median(times)) - dwell) for dwell, times in dwells.items())
    return max(float(np.interp(elapsed_ns, [dwell for dwell, _ in points], [cost for _, cost in points])), 0.0)


def both_answers(
    passes: Sequence[RawPass], legs: Sequence[RawFloor], masks: Sequence[Mask], batches: tuple[int, int]
) -> tuple[Answers, Answers]:
    """The submission's and the baseline's."""
    submission, baseline = batches
    return (
        _answers(passes, legs, masks, "submission", submission),
        _answers(passes, legs, masks, "baseline", baseline),
    )


def _answers(
    passes: Sequence[RawPass], legs: Sequence[RawFloor], masks: Sequence[Mask], side: str, batch: int
) -> Answers:
    """`batch`: crops a request; the floor is that of a request, a crop has its share of it."""

    def kept_of(name: str) -> NDArray[Any]:
        parts = [np.array(getattr(p, name))[mask] for p, mask in zip(passes, masks, strict=True)]
        return np.concatenate(parts)

    ns = kept_of(f"{side}_ns").astype(np.float64)
    floor = floor_ns([leg for leg in legs if leg.batch == batch], float(ns.mean()) * batch) / batch
    return Answers(
        kept_of("crops").astype(np.int64),
        kept_of(f"{side}_labels").astype(np.int64),
        np.maximum(ns - floor, LEAST_NS),
        floor,
    )


def log_of_sums(
    passes: Sequence[RawPass], masks: Sequence[Mask], submission_floor: float, baseline_floor: float
) -> Floats:
    """One a pass: log of the sum of the submission's times over the sum of the baseline's, floors taken off."""

    def total(ns: tuple[int, ...], mask: Mask, floor: float) -> float:
        times = np.array(ns)[mask]
        return max(float(times.sum()) - times.size * floor, times.size * LEAST_NS)

    return np.array(
        [
            math.log(total(p.submission_ns, mask, submission_floor) / total(p.baseline_ns, mask, baseline_floor))
            for p, mask in zip(passes, masks, strict=True)
        ]
    )


def every_answer(raw: Raw, side: str) -> Answers:
    """All answers, of disturbed windows too: what was answered does not depend on what others did meanwhile."""
    crops = np.concatenate([np.array(one.crops, dtype=np.int64) for one in raw.passes])
    labels = np.concatenate([np.array(getattr(one, f"{side}_labels"), dtype=np.int64) for one in raw.passes])
    return Answers(crops, labels, np.zeros(crops.size), 0.0)


def answers_for_f1(raw: Raw, side: str, timed: Answers, first: Mask) -> Answers:
    """A side's answers that F1 counts: those of the times that count, `timed`; all, where it always answers alike.

    So the F1 of a deterministic network is the same whatever others did meanwhile. `first`: which crops of the first
    pass count, bool (its crops,); no later pass shows all. Whoever is accurate in the windows that are left out, and
    careless elsewhere, is found by the crops of such windows that come again: later subsets are drawn, so nobody knows
    which. Where they are too few to tell, what was answered there does not count.
    """
    again = np.isin(np.array(raw.passes[0].crops)[~first], timed.crops)
    every = every_answer(raw, side)
    return every if np.count_nonzero(again) >= _LEAST_AGAIN and not differ(every) else timed


def differ(answers: Answers) -> bool:
    """Whether some crop got more than one label."""
    pairs = np.unique(np.stack([answers.crops, answers.labels]), axis=1).shape[1]
    return bool(pairs > np.unique(answers.crops).size)


def latency(ns: Floats) -> Latency:
    ms = np.sort(ns) / 1e6
    median, mean = percentile(ms, 0.50), float(ms.mean())
    assert median is not None  # a pass has at least one crop
    return Latency(
        mean_ms=mean,
        p50_ms=median,
        p90_ms=percentile(ms, 0.90, _P90),
        p95_ms=percentile(ms, 0.95, _P95),
        p99_ms=percentile(ms, 0.99, _P99),
        crops_per_s=1e3 / mean,
    )


def is_disturbed(raw: Raw, masks: Sequence[Mask], least: float) -> bool:
    """Whether the baseline was slower in the passes than alone, by more than `least` and than the luck of a process.

    Every process's level is the log of its total over the first pass's on the same crops; the first pass
    covers all crops. Processes, not crops, are the replicates.
    """
    if not raw.alone:
        return False
    whole = raw.passes[0]
    first = np.zeros(len(raw.labels))
    first[np.array(whole.crops)[masks[0]]] = np.array(whole.baseline_ns)[masks[0]]

    def level(crops: Sequence[int], ns: Sequence[int], mask: Mask | None = None) -> float:
        """Log of its total over the first pass's, of the crops that both have kept."""
        its, times = np.array(crops), np.array(ns)
        both = (first[its] > 0) if mask is None else (first[its] > 0) & mask
        return math.log(float(times[both].sum()) / float(first[its[both]].sum())) if both.any() else math.nan

    beside = np.array([level(p.crops, p.baseline_ns, mask) for p, mask in zip(raw.passes, masks, strict=True)])
    alone = np.array([level(leg.crops, leg.baseline_ns) for leg in raw.alone])
    beside, alone = beside[np.isfinite(beside)], alone[np.isfinite(alone)]
    if not (beside.size and alone.size):
        return False
    slower = float(beside.mean() - alone.mean())
    degrees = beside.size + alone.size - 2
    if degrees < 1:
        return False
    squares = float(((beside - beside.mean()) ** 2).sum() + ((alone - alone.mean()) ** 2).sum())
    noise = math.sqrt(squares / degrees * (1.0 / beside.size + 1.0 / alone.size))
    return slower > least and slower > t_critical(degrees) * noise
