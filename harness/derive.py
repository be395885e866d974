"""From the raw file to every number of a record. Pure: the same raw file and rules give the same result."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from harness.audit import audit_flags, audited, falls_after_first, has_gap
from harness.halves import of_half, shown
from harness.metrics import Floats, Ints, answer_weights, class_scores, confusion_matrix, macro_f1
from harness.outside import Mask, is_noisy, kept
from harness.raw import Raw
from harness.record import ClassResult, Half, Result, Usage, Windows
from harness.rules import Rules
from harness.score import f1_slope, score
from harness.sentence import sentence
from harness.stats import (
    bootstrap_f1,
    error_interval,
    geometric_mean_interval,
    mean_error,
    quantile_interval,
)
from harness.timed import (
    LEAST_NS,
    Answers,
    answers_for_f1,
    both_answers,
    differ,
    every_answer,
    is_disturbed,
    latency,
    log_of_sums,
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
_PHOTO_SEED = 0  # one for all records: two entries are compared on the same drawn photos
PHOTO_DRAWS = 200  # kept in a record, so that a board can rank its entries on the same other photos


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
    submission, baseline = both_answers(raw.passes, raw.floor, masks, raw.batches)
    logs = log_of_sums(raw.passes, masks, submission.floor_ns, baseline.floor_ns)
    spread = mean_error(logs, raw.history, raw.pilot)
    ratio = geometric_mean_interval(logs, spread)
    told = answers_for_f1(raw, "submission", submission, masks[0])
    confusion, f1, f1_draws = _f1(raw, told)
    _, measured_f1, measured_draws = _f1(raw, answers_for_f1(raw, "baseline", baseline, masks[0]))
    # A frozen F1 is that of one set of photos: on others it moves as the measured one does.
    baseline_f1 = measured_f1 if raw.baseline_f1 is None else raw.baseline_f1
    baseline_draws = np.clip(measured_draws + (baseline_f1 - measured_f1), 0.0, 1.0)

    value = score(f1, ratio.value, baseline_f1, rules.score)
    error = _score_error(raw, told, (ratio.value, spread.error), (f1, baseline_f1), rules)
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
        submission_latency=latency(submission.ns),
        baseline_latency=latency(baseline.ns),
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
        usage=_usage(raw),
    )


def _f1(raw: Raw, answers: Answers) -> tuple[Floats, float, Floats]:
    """(confusion matrix, macro F1, its bootstrap draws) of one side."""
    confusions = _confusions(raw, answers)
    whole = confusions.sum(axis=0)
    return whole, float(macro_f1(whole)), bootstrap_f1(confusions, _photo_numbers(raw), _PHOTO_SEED)


def _confusions(raw: Raw, answers: Answers) -> Floats:
    """(crops, classes, classes): one matrix a test crop, in which its answers sum to 1."""
    truth, classes = np.array(raw.labels, dtype=np.int64), len(raw.classes)
    flat = np.zeros((len(truth), classes * classes))
    cells = truth[answers.crops] * classes + answers.labels
    np.add.at(flat, (answers.crops, cells), answer_weights(answers.crops))
    return flat.reshape(-1, classes, classes)


def _photo_numbers(raw: Raw) -> Ints:
    return np.unique(np.array(raw.photos), return_inverse=True)[1].astype(np.int64)


def _score_error(
    raw: Raw, submission: Answers, time: tuple[float, float | None], f1s: tuple[float, float], rules: Rules
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


def _f1_rerun_error(raw: Raw, answers: Answers, draws: int = 200) -> float:
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


def _usage(raw: Raw) -> Usage | msgspec.UnsetType:
    """Unset where an older harness made the raw file."""
    submission, baseline = (
        max(getattr(p, f"{side}_peak_mb") for p in raw.passes) for side in ("submission", "baseline")
    )
    return Usage(*raw.batches, submission, baseline) if submission or baseline else msgspec.UNSET


def _class_results(names: tuple[str, ...], confusion: Floats) -> tuple[ClassResult, ...]:
    columns = (column.tolist() for column in class_scores(confusion))
    return tuple(ClassResult(*row) for row in zip(names, *columns, strict=True))


def _flags(
    raw: Raw, rules: Rules, measured: tuple[Answers, float], counted: tuple[Sequence[Mask], Windows]
) -> dict[str, bool]:
    (submission, measured_f1), (masks, windows) = measured, counted
    return {
        "baseline_disturbed": is_disturbed(raw, masks, rules.protocol.disturbed),
        "noisy": is_noisy(windows, rules.protocol),
        "faster_than_null": bool(np.median(submission.ns) <= LEAST_NS),
        "faster_later": falls_after_first(raw.passes, masks),
        "answers_differ": differ(submission),
        "baseline_f1_moved": raw.baseline_f1 is not None and abs(raw.baseline_f1 - measured_f1) > _MOVED_F1,
    }


def _raised(flags: dict[str, bool]) -> tuple[str, ...]:
    return tuple(name for name, up in flags.items() if up)


def _has_gap(raw: Raw) -> bool:
    sides = [every_answer(raw, side) for side in ("submission", "baseline")]
    return has_gap(raw, *(_confusions(raw, side) for side in sides))
