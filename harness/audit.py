"""What the audits of a run found: from the raw file to numbers and flags. Pure; judge/audits.py does the runs."""

import math
from collections.abc import Sequence

import numpy as np

from harness.metrics import Floats, Ints, confusion_matrix, macro_f1
from harness.outside import Mask
from harness.raw import Raw, RawAudit, RawPass
from harness.record import Audit
from harness.stats import bootstrap_f1, t_critical

_REMEMBERED = 0.7  # a crop's second showing in a row takes less than this of its first: its answer was kept
_LEAST_SAVED_NS = 20_000  # and that much less at least, for a core that is warm is faster too
_BATCH_SHARE = 0.02  # of crops whose answer may fall otherwise in a batch: sums in another order, at a tie
_WITHOUT_WEIGHTS = 0.5  # of its F1 that a package may have without its weights
_GAP_ERRORS = 3.3  # standard errors, one in a thousand by chance
_LEAST_GAP = 0.02
_LEAST_LATER, _LEAST_FALL = 3, 0.1  # later passes that say something, the log of how much faster they are


def audited(raw: Raw) -> Audit | None:
    """The audits of a run in numbers, None where none was made."""
    found = raw.audit
    if found is None:
        return None
    zeroed, weighed = _without_weights(raw, found)
    return Audit(
        repeated=_repeated(found),
        batch_differs=sum(a != b for a, b in zip(found.single_labels, found.batch_labels, strict=False)),
        batch_of=len(found.batch_labels),
        batch_failed=found.batch_failed,
        zeroed_f1=zeroed,
        weighed_f1=weighed,
        zeroed_note=found.zeroed_note,
    )


def audit_flags(raw: Raw, audit: Audit | None) -> dict[str, bool]:
    """Which of the audits' flags are raised."""
    if audit is None:
        return {}
    assert raw.audit is not None
    saved = float(np.median(raw.audit.fresh_ns) - np.median(raw.audit.repeated_ns)) if raw.audit.fresh_ns else 0.0
    kept = audit.repeated is not None and audit.repeated < _REMEMBERED and saved > _LEAST_SAVED_NS
    differs = audit.batch_differs > max(_BATCH_SHARE * audit.batch_of, 1)
    without = (
        audit.zeroed_f1 is not None
        and audit.weighed_f1 is not None
        and audit.zeroed_f1 > _WITHOUT_WEIGHTS * audit.weighed_f1
        and _beats_a_constant(raw, raw.audit)
    )
    return {
        "remembers_crops": kept,
        "differs_in_batch": differs or audit.batch_failed is not None,
        "scores_without_weights": without,
    }


def falls_after_first(passes: Sequence[RawPass], masks: Sequence[Mask]) -> bool:
    """Whether the submission is faster in later passes than in the first, on the same crops and beside the baseline.

    Every pass has fresh processes: a package that is, keeps answers somewhere. Passes are the replicates, the first one
    shares their luck.
    """
    size = max(passes[0].crops) + 1
    first = {side: np.zeros(size) for side in ("submission_ns", "baseline_ns")}
    for side, times in first.items():
        times[np.array(passes[0].crops)[masks[0]]] = np.array(getattr(passes[0], side))[masks[0]]
    levels = []
    for one, mask in zip(passes[1:], masks[1:], strict=True):
        crops = np.array(one.crops)
        both = mask & (first["submission_ns"][crops] > 0)
        if both.any():
            ours, its = (
                math.log(float(np.array(getattr(one, side))[both].sum() / times[crops[both]].sum()))
                for side, times in first.items()
            )
            levels.append(ours - its)
    if len(levels) < _LEAST_LATER:
        return False
    noise = float(np.std(levels, ddof=1)) * math.sqrt(1.0 + 1.0 / len(levels))
    fall = -float(np.mean(levels))
    return fall > _LEAST_FALL and fall > t_critical(len(levels) - 1) * noise


def has_gap(raw: Raw, submission: Floats, baseline: Floats) -> bool:
    """Whether F1 is higher on the public half than on the private one, beyond what the baseline's is and chance.

    `submission`, `baseline`: (crops, classes, classes), one confusion matrix a test crop. Photos are drawn again
    within each half, alike for both sides; the gap's error is the draws' standard deviation.
    """
    photos = np.unique(np.array(raw.photos), return_inverse=True)[1].astype(np.int64)
    halves = [np.array([split == name for split in raw.splits]) for name in ("test-public", "test-private")]
    if not all(half.any() for half in halves):
        return False
    gap = _gap([_f1(side[half]) for side in (submission, baseline) for half in halves])
    if gap < _LEAST_GAP:
        return False
    seeds = list(enumerate(halves))  # the halves' photos are drawn apart, the sides' alike
    draws = [bootstrap_f1(side[half], photos[half], seed) for side in (submission, baseline) for seed, half in seeds]
    error = float(np.std(draws[0] - draws[1] - (draws[2] - draws[3])))
    return gap > _GAP_ERRORS * error


def _gap(f1s: list[float]) -> float:
    """(public - private) of the submission less that of the baseline."""
    return f1s[0] - f1s[1] - (f1s[2] - f1s[3])


def _f1(confusions: Floats) -> float:
    return float(macro_f1(confusions.sum(axis=0)))


def _repeated(found: RawAudit) -> float | None:
    if not found.fresh_ns:
        return None
    return float(np.median(found.repeated_ns)) / max(float(np.median(found.fresh_ns)), 1.0)


def _without_weights(raw: Raw, found: RawAudit) -> tuple[float | None, float | None]:
    """Macro F1 on the audit's crops with the weights zeroed, and with them (the first pass's answers)."""
    if not found.zeroed_labels:
        return None, None
    crops = np.array(found.zeroed_crops, dtype=np.int64)
    truth = np.array(raw.labels, dtype=np.int64)[crops]
    first = dict(zip(raw.passes[0].crops, raw.passes[0].submission_labels, strict=True))
    weighed = np.array([first[crop] for crop in crops.tolist()], dtype=np.int64)
    return _macro(truth, np.array(found.zeroed_labels, dtype=np.int64), raw), _macro(truth, weighed, raw)


def _macro(truth: Ints, answers: Ints, raw: Raw) -> float:
    return float(macro_f1(confusion_matrix(truth, answers, len(raw.classes))))


def _beats_a_constant(raw: Raw, found: RawAudit) -> bool:
    """Whether more answers are right without weights than one label for all would have, beyond chance."""
    truth = np.array(raw.labels, dtype=np.int64)[np.array(found.zeroed_crops, dtype=np.int64)]
    share = float(np.bincount(truth).max()) / truth.size
    right = float((truth == np.array(found.zeroed_labels)).mean())
    return right > share + 3.0 * math.sqrt(share * (1.0 - share) / truth.size)
