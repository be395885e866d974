"""From the raw file to every number of a record. Pure: the same raw file and rules give the same result."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.audit import audit_flags, audited, falls_after_first, has_gap
from harness.halves import of_half, shown
from harness.metrics import Floats, Ints, answer_weights, class_scores, confusion_matrix, macro_f1
from harness.outside import Mask, is_noisy, kept
from harness.record import ClassResult, Half, Latency, Raw, RawFloor, RawPass, Result, Windows
from harness.rules import Protocol, Rules
from harness.score import f1_slope, score
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
    "faster_later": "the first pass took longer than later ones on the same crops: answers may be kept between passes",
    "answers_differ": "answers changed between passes",
    "noisy": "others took the machine for longer than could be left out; run it again when it is quiet",
    "baseline_f1_moved": "the baseline's F1 is not the one frozen in the rules",
    "public_private_gap": "its F1 on the public half is higher than on the private one, beyond chance",
    "remembers_crops": "a crop shown again is answered much faster: answers are kept",
    "differs_in_batch": "answers of several crops at once are not those of each alone",
    "scores_without_weights": "it scores with all weights zeroed: the answers come from elsewhere",
}
_MOVED_F1 = 0.005  # a few crops at a tie of two classes may fall otherwise on another processor
_LEAST_NS = 1_000  # what a crop is taken to cost at least, once the floor is off: a ratio must stay finite
_P90, _P95, _P99 = 64, 130, 662  # times that a percentile needs (LoadGen)


_PHOTO_SEED = 0  # one for all records: two entries are compared on the same drawn photos
PHOTO_DRAWS = 200  # kept in a record, so that a board can rank its entries on the same other photos


class _Answers(NamedTuple):
    """All answers of one side that count: crop numbers, labels and ns less floor, each of shape (n,)."""

    crops: Ints
    labels: Ints
    ns: Floats
    floor_ns: float


def derive(raw: Raw, rules: Rules, half: Half = "all") -> Result:
    """Every number of the record, of one half of the test crops. Sources of the formulas: docs/measurement.md.

    What both halves are needed for (the gap between them) is a flag on either. The public half's result is that of an
    official record: see `shown`.
    """
    gap = _has_gap(raw)
    result = _derive(of_half(raw, half), rules, gap)
    return shown(result) if half == "public" else result


def _derive(raw: Raw, rules: Rules, gap: bool) -> Result:
    audit = audited(raw)
    masks, counted = kept(raw.passes, rules.protocol)
    submission, baseline = (_answers(raw.passes, raw.floor, side, masks) for side in ("submission", "baseline"))
    logs = _log_ratios(raw.passes, masks, submission.floor_ns, baseline.floor_ns)
    spread = mean_error(logs, raw.history, raw.pilot)
    ratio = geometric_mean_interval(logs, spread)
    confusion, f1, f1_draws = _f1(raw, submission)
    _, measured_f1, measured_draws = _f1(raw, baseline)
    # A frozen F1 is that of one set of photos: on others it moves as the measured one does.
    baseline_f1 = measured_f1 if raw.baseline_f1 is None else raw.baseline_f1
    baseline_draws = np.clip(measured_draws + (baseline_f1 - measured_f1), 0.0, 1.0)

    value = score(f1, ratio.value, baseline_f1, rules.score)
    error = _score_error(raw, submission, (ratio.value, spread.error), (f1, baseline_f1), rules)
    photo_scores = np.array(
        [score(f, ratio.value, b, rules.score) for f, b in zip(f1_draws.tolist(), baseline_draws.tolist(), strict=True)]
    )
    rerun, photos = error_interval(value, error, spread.degrees), quantile_interval(value, photo_scores)
    difference = quantile_interval(f1 - baseline_f1, f1_draws - baseline_draws)
    return Result(
        log_ratios=tuple(logs.tolist()),
        log_error=spread.error,
        degrees=spread.degrees,
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
        classes=_class_results(raw.classes, confusion),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        eligible=rules.is_eligible(f1, baseline_f1),
        target_met=rules.meets_target(f1, baseline_f1, ratio.value),
        steady=rules.is_steady(ratio),
        windows=counted,
        summary=sentence(ratio, difference, rerun, photos),
        flags=_raised(
            _flags(raw, rules, (submission, measured_f1), (masks, counted))
            | {"public_private_gap": gap}
            | audit_flags(raw, audit)
        ),
        audit=audit,
    )


def log_ratios(passes: Sequence[RawPass], floor: Sequence[RawFloor], protocol: Protocol) -> Floats:
    """One a pass, as `derive` has them: what is disturbed left out, the channel's floor taken off."""
    masks, _ = kept(passes, protocol)
    floors = (_answers(passes, floor, side, masks).floor_ns for side in ("submission", "baseline"))
    return _log_ratios(passes, masks, *floors)


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


def _answers(passes: Sequence[RawPass], legs: Sequence[RawFloor], side: str, masks: Sequence[Mask]) -> _Answers:
    def kept_of(name: str) -> NDArray[Any]:
        parts = [np.array(getattr(p, name))[mask] for p, mask in zip(passes, masks, strict=True)]
        return np.concatenate(parts)

    ns = kept_of(f"{side}_ns").astype(np.float64)
    floor = floor_ns(legs, float(ns.mean()))
    return _Answers(
        kept_of("crops").astype(np.int64),
        kept_of(f"{side}_labels").astype(np.int64),
        np.maximum(ns - floor, _LEAST_NS),
        floor,
    )


def _log_ratios(
    passes: Sequence[RawPass], masks: Sequence[Mask], submission_floor: float, baseline_floor: float
) -> Floats:
    """One a pass: log of the sum of the submission's times over the sum of the baseline's, floors taken off."""

    def total(ns: tuple[int, ...], mask: Mask, floor: float) -> float:
        times = np.array(ns)[mask]
        return max(float(times.sum()) - times.size * floor, times.size * _LEAST_NS)

    return np.array(
        [
            math.log(total(p.submission_ns, mask, submission_floor) / total(p.baseline_ns, mask, baseline_floor))
            for p, mask in zip(passes, masks, strict=True)
        ]
    )


def _f1(raw: Raw, answers: _Answers) -> tuple[Floats, float, Floats]:
    """(confusion matrix, macro F1, its bootstrap draws) of one side."""
    confusions = _confusions(raw, answers)
    whole = confusions.sum(axis=0)
    return whole, float(macro_f1(whole)), bootstrap_f1(confusions, _photo_numbers(raw), _PHOTO_SEED)


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
    raw: Raw, submission: _Answers, time: tuple[float, float | None], f1s: tuple[float, float], rules: Rules
) -> float | None:
    """Standard error of the score on a rerun: the ratio's by the delta method, and what varying answers add.

    `time`: the ratio and the standard error of its log; `f1s`: the submission's and the baseline's.
    """
    ratio, log_error = time
    if log_error is None:
        return None
    return math.hypot(
        rules.score.time_weight * ratio * log_error, f1_slope(*f1s, rules.score) * _f1_rerun_error(raw, submission)
    )


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
) -> dict[str, bool]:
    (submission, measured_f1), (masks, windows) = measured, counted
    return {
        "baseline_disturbed": _disturbed(raw, masks, rules.protocol.disturbed),
        "noisy": is_noisy(windows, rules.protocol),
        "faster_than_null": bool(np.median(submission.ns) <= _LEAST_NS),
        "faster_later": falls_after_first(raw.passes, masks),
        "answers_differ": _f1_differs(submission),
        "baseline_f1_moved": raw.baseline_f1 is not None and abs(raw.baseline_f1 - measured_f1) > _MOVED_F1,
    }


def _raised(flags: dict[str, bool]) -> tuple[str, ...]:
    return tuple(name for name, up in flags.items() if up)


def _has_gap(raw: Raw) -> bool:
    sides = [_every_answer(raw, side) for side in ("submission", "baseline")]
    return has_gap(raw, *(_confusions(raw, side) for side in sides))


def _every_answer(raw: Raw, side: str) -> _Answers:
    """All answers, of disturbed windows too: what was answered does not depend on what others did meanwhile."""
    crops = np.concatenate([np.array(one.crops, dtype=np.int64) for one in raw.passes])
    labels = np.concatenate([np.array(getattr(one, f"{side}_labels"), dtype=np.int64) for one in raw.passes])
    return _Answers(crops, labels, np.zeros(crops.size), 0.0)


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
