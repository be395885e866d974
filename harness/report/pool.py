"""All records of one package on one board, pooled to one row. Pure.

Every run counts, so that reruns cannot be fished for: the passes' log ratios are put together, F1 is averaged,
and the score is derived again from both. A record with a disturbed baseline does not count where the package
has another.
"""

import math
from collections.abc import Container, Sequence
from statistics import fmean
from typing import NamedTuple

import msgspec
import numpy as np

from harness.derive import FLAGS
from harness.metrics import Floats
from harness.record import Latency, Package, Record, Result
from harness.report.board import Row
from harness.report.clean import clean
from harness.rules import Rules
from harness.score import f1_slope, score
from harness.sentence import sentence
from harness.stats import Interval, MeanError, error_interval, geometric_mean_interval, mean_error, standard_error

DISTURBED = "baseline_disturbed"  # the flag of a record that is not ranked


class Scale(NamedTuple):
    """What every row of a board is scored with. `rules` is None where the board was made under other rules."""

    rules: Rules | None
    baseline_f1: float


class _Run(NamedTuple):
    """A record that has a result."""

    record: Record
    result: Result


def result_row(records: Sequence[Record], scale: Scale, local: Container[str] = ()) -> Row:
    """The row of one package's records that have a result, oldest first."""
    everything = [_Run(record, record.result) for record in records if record.result is not None]
    sound = [run for run in everything if DISTURBED not in run.result.flags]
    pooled = sound or everything
    results = [run.result for run in pooled]
    logs = np.concatenate([np.array(result.log_ratios) for result in results])
    spread = _spread(results, logs)
    ratio = geometric_mean_interval(logs, spread)
    f1 = _mean_interval([result.f1 for result in results])
    value, error = _score(results, spread.error, ratio.value, f1.value, scale)
    eligible, target_met, steady = _verdicts(results, ratio, f1.value, scale)
    newest = pooled[-1].record
    difference = _mean_interval([result.f1_difference for result in results])
    rerun = error_interval(value, error, spread.degrees)
    photos = _photo_interval(value, [result.score_photos for result in results])
    return Row(
        submission=cleaned(newest.submission),
        status="ok",
        score=rerun,
        score_error=error,
        score_photos=photos,
        time_ratio=ratio,
        f1=f1,
        f1_difference=difference,
        summary=sentence(ratio, difference, rerun, photos),
        latency=mean_latency([result.submission_latency for result in results]),
        passes=int(logs.size),
        degrees=spread.degrees,
        runs=len(pooled),
        left_out=len(everything) - len(pooled),
        eligible=eligible,
        target_met=target_met,
        steady=steady,
        local=any(run.record.digest in local for run in pooled),
        flags=tuple(sorted({flag for result in results for flag in result.flags})),
        reason=_reason(eligible, bool(sound), f1.value, scale),
        created_utc=clean(newest.created_utc, 40),
        records=tuple(run.record.digest for run in pooled),
    )


def failure_row(record: Record, local: Container[str] = ()) -> Row:
    """The row of a package's newest record where none has a result."""
    failure = record.failure
    what = "no result" if failure is None else f"{failure.owner}: {failure.kind}: {failure.message}"
    return Row(
        submission=cleaned(record.submission),
        status="failed" if record.status == "ok" else record.status,
        local=record.digest in local,
        reason=clean(what),
        created_utc=clean(record.created_utc, 40),
        records=(record.digest,),
    )


def cleaned(package: Package) -> Package:
    """The package with what its author wrote made safe to print."""
    return Package(
        name=clean(package.name) or "?",
        digest=clean(package.digest, 64),
        authors=clean(package.authors),
        description=clean(package.description),
        weights_of=None if package.weights_of is None else clean(package.weights_of),
        size_bytes=package.size_bytes,
        format=clean(package.format, 40) if package.format else msgspec.UNSET,
        parameters=package.parameters,
        macs=package.macs,
    )


def mean(values: Sequence[float]) -> float:
    """Mean that gives equal values back unchanged and does not depend on their order.

    >>> mean([0.1, 0.1, 0.1])
    0.1
    """
    return values[0] if min(values) == max(values) else fmean(values)


def mean_latency(latencies: Sequence[Latency]) -> Latency:
    """Means of several runs' latencies; a percentile that no run has is None."""
    return Latency(
        mean_ms=mean([latency.mean_ms for latency in latencies]),
        p50_ms=mean([latency.p50_ms for latency in latencies]),
        p90_ms=_mean_known([latency.p90_ms for latency in latencies]),
        p95_ms=_mean_known([latency.p95_ms for latency in latencies]),
        p99_ms=_mean_known([latency.p99_ms for latency in latencies]),
        crops_per_s=mean([latency.crops_per_s for latency in latencies]),
    )


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _score(
    results: Sequence[Result], log_error: float | None, ratio: float, f1: float, scale: Scale
) -> tuple[float, float | None]:
    """The pooled score and its standard error on a rerun; None from one pass."""
    if scale.rules is None:  # the formula is not known: the records' own scores
        own = [result.score_error for result in results]
        known = [error for error in own if error is not None]
        error = math.sqrt(math.fsum(e * e for e in known)) / len(own) if len(known) == len(own) else None
        return mean([result.score.value for result in results]), error
    rule = scale.rules.score
    value = score(f1, ratio, scale.baseline_f1, rule)
    if log_error is None:
        return value, None
    slope = f1_slope(f1, scale.baseline_f1, rule)
    return value, math.hypot(rule.time_weight * ratio * log_error, _f1_part(results, slope, rule.time_weight))


def _spread(results: Sequence[Result], logs: Floats) -> MeanError:
    """The error of one record is its own, of several that of all passes, with the newest one's history."""
    if len(results) == 1:
        return MeanError(results[0].log_error, results[0].degrees)
    return mean_error(logs, results[-1].history)


def _f1_part(results: Sequence[Result], slope: float, time_weight: float) -> float:
    """What answers that change on a rerun add to the score's standard error; 0 for a deterministic package.

    Of the records' own parts (their score_error less the time's part) and of the spread of F1 between
    records the larger.
    """
    squares = [_own_f1_square(result, time_weight) for result in results]
    own = math.sqrt(math.fsum(squares)) / len(results)
    spread = standard_error(np.array(sorted(result.f1.value for result in results)))
    return max(own, slope * (spread or 0.0))


def _own_f1_square(result: Result, time_weight: float) -> float:
    if result.score_error is None or result.log_error is None:
        return 0.0
    return max(result.score_error**2 - (time_weight * result.time_ratio.value * result.log_error) ** 2, 0.0)


def _verdicts(results: Sequence[Result], ratio: Interval, f1: float, scale: Scale) -> tuple[bool, bool, bool]:
    """Eligible, target met, steady."""
    if scale.rules is None:
        eligible = all(result.eligible for result in results)
        met = eligible and all(result.target_met for result in results)
        return eligible, met, all(result.steady for result in results)
    eligible = scale.rules.is_eligible(f1, scale.baseline_f1)
    met = eligible and scale.rules.meets_target(f1, scale.baseline_f1, ratio.value)
    return eligible, met, scale.rules.is_steady(ratio)


def _reason(eligible: bool, sound: bool, f1: float, scale: Scale) -> str | None:
    """Why a row is not ranked; None where it is."""
    if not eligible:
        floor = "" if scale.rules is None else f" is below {scale.rules.least_f1(scale.baseline_f1):.4f}"
        return f"not eligible: F1 {f1:.4f}{floor}"
    return None if sound else f"{DISTURBED}: {FLAGS[DISTURBED]}"


def _mean_interval(intervals: Sequence[Interval]) -> Interval:
    """Means of the values and of the ends: runs on the same photos do not narrow what other photos would give."""
    ends = [(i.low, i.high) for i in intervals if i.low is not None and i.high is not None]
    value = mean([interval.value for interval in intervals])
    if not ends:
        return Interval(value, None, None)
    return Interval(value, mean([low for low, _ in ends]), mean([high for _, high in ends]))


def _photo_interval(value: float, intervals: Sequence[Interval]) -> Interval:
    """The records' mean distances to the ends of their intervals, around `value`."""
    middle = _mean_interval(intervals)
    if middle.low is None or middle.high is None:
        return Interval(value, None, None)
    return Interval(value, value + (middle.low - middle.value), value + (middle.high - middle.value))
