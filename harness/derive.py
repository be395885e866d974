"""From the raw file to every number of a record. Pure: the same raw file and rules give the same result."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.metrics import Floats, Ints, answer_weights, class_scores, confusion_matrix, macro_f1
from harness.outside import Mask, kept
from harness.record import ClassResult, Latency, Raw, RawFloor, Result, Windows
from harness.rules import Rules
from harness.score import score
from harness.sentence import sentence
from harness.stats import (
    bootstrap_f1,
    error_interval,
    geometric_mean_interval,
    mean_error,
    percentile,
    quantile_interval,
    t_critical,
)

# What a result's flags mean. A flagged row is shown; `baseline_disturbed` is not ranked.
FLAGS = {
    "baseline_disturbed": "the baseline ran slower beside the submission than alone",
    "faster_than_null": "times at or below the channel's own floor",
    "answers_differ": "answers changed between passes",
    "noisy": "others took the machine for longer than could be left out; run it again when it is quiet",
    "baseline_f1_moved": "the baseline's F1 is not the one frozen in the rules",
}
_LEAST_NS = 1_000  # what a crop is taken to cost at least, once the floor is off: a ratio must stay finite
_P90, _P95, _P99 = 64, 130, 662  # times that a percentile needs (LoadGen)


_PHOTO_SEED = 0  # one for all records: two entries are compared on the same drawn photos
PHOTO_DRAWS = 200  # kept in a record, so that a board can rank its entries on the same other photos


class _Answers(NamedTuple):
    """All answers of one side: crop numbers, labels, (n,); ns less floor of those whose time counts, (k,), k <= n."""

    crops: Ints
    labels: Ints
    ns: Floats
    floor_ns: float


def derive(raw: Raw, rules: Rules) -> Result:
    """Every number of the record. Sources of the formulas: docs/measurement.md."""
    masks, counted = kept(raw, rules.protocol)
    submission, baseline = _answers(raw, "submission", masks), _answers(raw, "baseline", masks)
    log_ratios = _log_ratios(raw, masks, submission.floor_ns, baseline.floor_ns)
    ratio, (log_error, degrees) = geometric_mean_interval(log_ratios, raw.history), mean_error(log_ratios, raw.history)

    confusions = _confusions(raw, submission)
    f1_draws, baseline_draws = (
        bootstrap_f1(c, _photo_numbers(raw), _PHOTO_SEED) for c in (confusions, _confusions(raw, baseline))
    )
    f1, measured_f1 = (
        float(macro_f1(confusions.sum(axis=0))),
        float(macro_f1(_confusions(raw, baseline).sum(axis=0))),
    )
    baseline_f1 = measured_f1 if raw.baseline_f1 is None else raw.baseline_f1

    value = score(f1, ratio.value, baseline_f1, rules.score)
    error = _score_error(raw, submission, ratio.value, log_error, (f1, baseline_f1), rules)
    against = baseline_draws if raw.baseline_f1 is None else np.full_like(f1_draws, baseline_f1)
    photo_scores = np.array(
        [score(f, ratio.value, b, rules.score) for f, b in zip(f1_draws.tolist(), against.tolist(), strict=True)]
    )
    rerun, photos = error_interval(value, error, degrees), quantile_interval(value, photo_scores)
    difference = quantile_interval(f1 - measured_f1, f1_draws - baseline_draws)
    return Result(
        log_ratios=tuple(log_ratios.tolist()),
        log_error=log_error,
        degrees=degrees,
        history=raw.history,
        time_ratio=ratio,
        f1=quantile_interval(f1, f1_draws),
        baseline_f1=baseline_f1,
        baseline_f1_frozen=raw.baseline_f1 is not None,
        f1_difference=difference,
        score=rerun,
        score_photos=photos,
        score_error=error,
        drawn_f1=tuple(f1_draws[:PHOTO_DRAWS].tolist()),
        drawn_baseline_f1=tuple(baseline_draws[:PHOTO_DRAWS].tolist()),
        submission_latency=_latency(submission.ns),
        baseline_latency=_latency(baseline.ns),
        submission_floor_us=submission.floor_ns / 1e3,
        baseline_floor_us=baseline.floor_ns / 1e3,
        classes=_class_results(raw.classes, confusions.sum(axis=0)),
        confusion=tuple(tuple(row) for row in confusions.sum(axis=0).tolist()),
        eligible=rules.is_eligible(f1, baseline_f1),
        target_met=rules.meets_target(f1, baseline_f1, ratio.value),
        steady=rules.is_steady(ratio),
        windows=counted,
        summary=sentence(ratio, difference, rerun, photos),
        flags=_flags(raw, rules, (submission, measured_f1), (masks, counted)),
    )


def floor_ns(floor: tuple[RawFloor, ...], elapsed_ns: float) -> float:
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


def _answers(raw: Raw, side: str, masks: Sequence[Mask]) -> _Answers:
    crops = np.concatenate([np.array(p.crops, dtype=np.int64) for p in raw.passes])
    labels = np.concatenate([np.array(getattr(p, f"{side}_labels"), dtype=np.int64) for p in raw.passes])
    ns = np.concatenate(
        [np.array(getattr(p, f"{side}_ns"), dtype=np.float64)[mask] for p, mask in zip(raw.passes, masks, strict=True)]
    )
    floor = floor_ns(raw.floor, float(ns.mean()))
    return _Answers(crops, labels, np.maximum(ns - floor, _LEAST_NS), floor)


def _log_ratios(raw: Raw, masks: Sequence[Mask], submission_floor: float, baseline_floor: float) -> Floats:
    """One a pass: log of the sum of the submission's times over the sum of the baseline's, floors taken off."""

    def total(ns: tuple[int, ...], mask: Mask, floor: float) -> float:
        times = np.array(ns)[mask]
        return max(float(times.sum()) - times.size * floor, times.size * _LEAST_NS)

    return np.array(
        [
            math.log(total(p.submission_ns, mask, submission_floor) / total(p.baseline_ns, mask, baseline_floor))
            for p, mask in zip(raw.passes, masks, strict=True)
        ]
    )


def _confusions(raw: Raw, answers: _Answers) -> Floats:
    """(crops, classes, classes): one matrix a test crop, in which its answers sum to 1."""
    truth, classes = np.array(raw.labels, dtype=np.int64), len(raw.classes)
    flat = np.zeros((len(truth), classes * classes))
    cells = truth[answers.crops] * classes + answers.labels
    np.add.at(flat, (answers.crops, cells), answer_weights(answers.crops))
    return flat.reshape(-1, classes, classes)


def _photo_numbers(raw: Raw) -> Ints:
    return np.unique(np.array(raw.photos), return_inverse=True)[1].astype(np.int64)


def _score_error(
    raw: Raw, submission: _Answers, ratio: float, log_error: float | None, f1s: tuple[float, float], rules: Rules
) -> float | None:
    """Standard error of the score on a rerun: the ratio's by the delta method, and what varying answers add."""
    if log_error is None:
        return None
    f1, baseline_f1 = f1s
    time_part = rules.score.time_weight * ratio * log_error
    slope = rules.score.f1_slope * _sigmoid_slope(rules.score.f1_slope * (baseline_f1 - f1))
    return math.hypot(time_part, slope * _f1_rerun_error(raw, submission))


def _sigmoid_slope(x: float) -> float:
    """Derivative of the sigmoid at x."""
    e = math.exp(-abs(x))
    return e / (1.0 + e) ** 2


def _f1_rerun_error(raw: Raw, answers: _Answers, draws: int = 200) -> float:
    """Standard error of F1 from answers that change between passes; 0 for a deterministic submission.

    Each crop's answers are drawn again with replacement from those that it got.
    """
    order = np.argsort(answers.crops, kind="stable")
    crops, labels = answers.crops[order], answers.labels[order]
    _, starts, counts = np.unique(crops, return_index=True, return_counts=True)
    if np.array_equal(labels, np.repeat(labels[starts], counts)):
        return 0.0
    truth, weights = np.array(raw.labels, dtype=np.int64)[crops], np.repeat(1.0 / counts, counts)
    rng = np.random.default_rng(raw.seed)
    first, size = np.repeat(starts, counts), np.repeat(counts, counts)
    values = [
        macro_f1(confusion_matrix(truth, labels[first + rng.integers(0, size)], len(raw.classes), weights))
        for _ in range(draws)
    ]
    return float(np.std(values))


def _latency(ns: Floats) -> Latency:
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


def _class_results(names: tuple[str, ...], confusion: Floats) -> tuple[ClassResult, ...]:
    columns = (column.tolist() for column in class_scores(confusion))
    return tuple(ClassResult(*row) for row in zip(names, *columns, strict=True))


def _flags(
    raw: Raw, rules: Rules, measured: tuple[_Answers, float], counted: tuple[Sequence[Mask], Windows]
) -> tuple[str, ...]:
    (submission, measured_f1), (masks, windows) = measured, counted
    raised = {
        "baseline_disturbed": _disturbed(raw, masks, rules.protocol.disturbed),
        "noisy": windows.disturbed > windows.dropped,
        "faster_than_null": bool(np.median(submission.ns) <= _LEAST_NS),
        "answers_differ": _f1_differs(submission),
        "baseline_f1_moved": raw.baseline_f1 is not None and abs(raw.baseline_f1 - measured_f1) > 1e-3,
    }
    return tuple(name for name, up in raised.items() if up)


def _f1_differs(answers: _Answers) -> bool:
    pairs = np.unique(np.stack([answers.crops, answers.labels]), axis=1).shape[1]
    return bool(pairs > np.unique(answers.crops).size)


def _disturbed(raw: Raw, masks: Sequence[Mask], least: float) -> bool:
    """Whether the baseline was slower in the passes than alone, by more than `least` and than the luck of a process.

    Every process's level is the log of its total over the first pass's on the same crops; the first pass
    covers all crops. Processes, not crops, are the replicates.
    """
    if not raw.alone:
        return False
    first = dict(zip(raw.passes[0].crops, raw.passes[0].baseline_ns, strict=True))

    def level(crops: Ints, ns: Ints) -> float:
        return math.log(float(ns.sum()) / sum(first[crop] for crop in crops.tolist()))

    beside = np.array(
        [
            level(np.array(p.crops)[mask], np.array(p.baseline_ns)[mask])
            for p, mask in zip(raw.passes, masks, strict=True)
        ]
    )
    alone = np.array([level(np.array(leg.crops), np.array(leg.baseline_ns)) for leg in raw.alone])
    slower = float(beside.mean() - alone.mean())
    degrees = beside.size + alone.size - 2
    if degrees < 1:
        return False
    squares = float(((beside - beside.mean()) ** 2).sum() + ((alone - alone.mean()) ** 2).sum())
    noise = math.sqrt(squares / degrees * (1.0 / beside.size + 1.0 / alone.size))
    return slower > least and slower > t_critical(degrees) * noise
