"""When a trial cannot win any more. Pure: what is known of the finished trials in, a verdict out."""

import math
from collections.abc import Sequence
from statistics import median

from harness.lab.search.study import Entry, Measured, Objective, front
from harness.lab.train import Epoch

LEAST_FINISHED = 5  # trials, before any other is called hopeless
_BEHIND = 0.2  # macro F1 below a faster trial's after as many epochs: hopeless
_WORTH = 2.0  # times as long as judging: what training takes for a time before it


def worth_timing(spent: Sequence[tuple[float, float]]) -> bool:
    """Whether a network's time is taken before its training, too: where training takes much longer than judging.

    `spent`: seconds of training and of judging, of each finished trial.

    >>> worth_timing([(60.0, 20.0)] * 5), worth_timing([(60.0, 50.0)] * 5), worth_timing([(60.0, 20.0)] * 4)
    (True, False, False)
    """
    if len(spent) < LEAST_FINISHED:
        return False
    return median(one[0] for one in spent) >= _WORTH * median(one[1] for one in spent)


def worst_allowed(kept: list[Measured], objective: Objective) -> float:
    """The score that a trial must be able to beat; none, with few finished ones."""
    if len(kept) < LEAST_FINISHED:
        return math.inf
    if objective == "score":
        return min(its.score.value for its in kept)
    found = [Entry(number, "finished", "", its, start=False) for number, its in enumerate(kept)]
    return max(entry.measured.score.value for entry in front(found) if entry.measured is not None)


def outrun(event: Epoch, time_ratio: float, known: Sequence[tuple[int, Measured, Sequence[float]]]) -> str:
    """Which finished trial is no slower and was far better after as many epochs, in a sentence; "" where none.

    `known`: number, measured and the macro F1 after each epoch of each finished trial.
    """
    for number, its, curve in known:
        no_slower = its.time_ratio.value <= time_ratio
        if no_slower and len(curve) >= event.epoch and curve[event.epoch - 1] - event.val_f1 > _BEHIND:
            had = f"the faster trial {number} had {curve[event.epoch - 1]:.3f}"
            return f"val F1 {event.val_f1:.3f} after epoch {event.epoch}, {had}"
    return ""
