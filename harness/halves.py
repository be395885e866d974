"""The public and the private half of the test crops. Pure: a raw file in, one of a half out."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.raw import Raw, RawAudit, RawLeg, RawPass
from harness.record import Half, Latency, Result
from harness.sentence import sentence
from harness.stats import Interval

_T = TypeVar("_T")
_DIGITS = 3  # behind the point, of what an official record tells
_OF_CROPS = ("submission_ns", "baseline_ns", "submission_labels", "baseline_labels")
_SPLITS: dict[Half, str] = {"public": "test-public", "private": "test-private"}


def of_half(raw: Raw, half: Half) -> Raw:
    """The raw file as if only the crops of one half had been there, numbered anew; "all" is the file itself.

    A baseline's frozen F1 is that of all crops, so a half goes by the F1 that was measured. Raises DataError where a
    pass has no crop of the half.
    """
    if half == "all":
        return raw
    chosen = np.array([split == _SPLITS[half] for split in raw.splits], dtype=np.bool_)
    numbers = np.cumsum(chosen) - 1

    def renumbered(crops: Sequence[int], kept: NDArray[np.bool_]) -> tuple[int, ...]:
        return tuple(numbers[np.array(crops, dtype=np.int64)[kept]].tolist())

    def a_pass(one: RawPass) -> RawPass:
        kept = chosen[np.array(one.crops, dtype=np.int64)]
        if not kept.any():
            raise DataError(f"expected crops of the {half} half in every pass, got none in one")
        ends = np.concatenate([[0], np.cumsum(one.blocks)]).astype(int).tolist()
        sides = {name: _kept(getattr(one, name), kept) for name in _OF_CROPS}
        blocks = tuple(int(kept[start:stop].sum()) for start, stop in pairwise(ends))
        return msgspec.structs.replace(one, blocks=blocks, crops=renumbered(one.crops, kept), **sides)

    def a_leg(leg: RawLeg) -> RawLeg:
        kept = chosen[np.array(leg.crops, dtype=np.int64)]
        return RawLeg(renumbered(leg.crops, kept), _kept(leg.baseline_ns, kept))

    def an_audit(audit: RawAudit) -> RawAudit:
        kept = chosen[np.array(audit.zeroed_crops, dtype=np.int64)]
        return msgspec.structs.replace(
            audit,
            zeroed_crops=renumbered(audit.zeroed_crops, kept),
            zeroed_labels=_kept(audit.zeroed_labels, kept),
        )

    return msgspec.structs.replace(
        raw,
        labels=_kept(raw.labels, chosen),
        photos=_kept(raw.photos, chosen),
        splits=_kept(raw.splits, chosen),
        baseline_f1=None,
        passes=tuple(map(a_pass, raw.passes)),
        alone=tuple(leg for leg in map(a_leg, raw.alone) if leg.crops),
        audit=None if raw.audit is None else an_audit(raw.audit),
    )


def _kept(values: tuple[_T, ...], kept: NDArray[np.bool_]) -> tuple[_T, ...]:
    return tuple(value for value, keep in zip(values, kept.tolist(), strict=True) if keep)


def shown(result: Result) -> Result:
    """What an official run's record tells of its result: a score with three digits, and nothing of single crops.

    Its author chose every answer and, within limits, every time: what is left of them here goes back to him.
    """
    ratio, difference = _rounded(result.time_ratio), _rounded(result.f1_difference)
    score, photos = _rounded(result.score), _rounded(result.score_photos)
    return msgspec.structs.replace(
        result,
        log_ratios=tuple(round(value, _DIGITS) for value in result.log_ratios),
        log_error=None if result.log_error is None else round(result.log_error, _DIGITS + 1),
        time_ratio=ratio,
        f1=_rounded(result.f1),
        baseline_f1=round(result.baseline_f1, _DIGITS),
        f1_difference=difference,
        score=score,
        score_photos=photos,
        score_error=None if result.score_error is None else round(result.score_error, _DIGITS + 1),
        drawn_f1=(),
        drawn_baseline_f1=(),
        submission_latency=_coarse(result.submission_latency),
        baseline_latency=_coarse(result.baseline_latency),
        classes=(),
        confusion=(),
        summary=sentence(ratio, difference, score, photos),
        audit=None,
    )


def _rounded(interval: Interval) -> Interval:
    ends = (None if end is None else round(end, _DIGITS) for end in (interval.low, interval.high))
    return Interval(round(interval.value, _DIGITS), *ends)


def _coarse(latency: Latency) -> Latency:
    values = {name: getattr(latency, name) for name in latency.__struct_fields__}
    return msgspec.structs.replace(
        latency, **{name: float(f"{value:.3g}") for name, value in values.items() if value is not None}
    )
