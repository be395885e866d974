"""The competition's score: time and macro F1 against a baseline, lower is better. Pure."""

import math

import msgspec

from harness.errors import UsageError


class ScoreRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The two constants of the score. Source: the competition's formula (weight .5, slope 20)."""

    time_weight: float = 0.5
    f1_slope: float = 20.0


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) in (0, 1), without overflow at any finite x.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def f1_slope(f1: float, baseline_f1: float, rule: ScoreRule) -> float:
    """How much the score falls for a little more F1: the derivative of the sigmoid, times its slope.

    >>> f1_slope(0.7, 0.7, ScoreRule())
    5.0
    """
    height = sigmoid(rule.f1_slope * (baseline_f1 - f1))
    return rule.f1_slope * height * (1.0 - height)


def score(f1: float, time_ratio: float, baseline_f1: float, rule: ScoreRule = ScoreRule()) -> float:  # noqa: B008 (frozen)
    """time_weight * time_ratio + sigmoid(f1_slope * (baseline_f1 - f1)); lower is better, the baseline has 1.0.

    `f1` and `baseline_f1` are macro F1 in [0, 1]; `time_ratio` is submission / baseline, > 0.
    Raises UsageError on a value outside its range, NaN and infinity included.

    >>> round(score(0.7000, 60.0 / 43.16, 0.7000), 4)
    1.1951
    """
    for name, value in (("F1", f1), ("baseline F1", baseline_f1)):
        if not 0.0 <= value <= 1.0:  # False for NaN too
            raise UsageError(f"{name}: expected a number from 0 to 1, got {value}")
    if not (0.0 <= time_ratio < math.inf):
        raise UsageError(f"time ratio: expected a finite number >= 0, got {time_ratio}")
    return rule.time_weight * time_ratio + sigmoid(rule.f1_slope * (baseline_f1 - f1))


def time_ratio(time_s: float, baseline_time_s: float) -> float:
    """submission / baseline of two times in seconds. Raises UsageError unless both are finite, the second > 0.

    >>> round(time_ratio(58.1225, 43.16), 4)
    1.3467
    """
    if not (0.0 <= time_s < math.inf):
        raise UsageError(f"time: expected a finite number of seconds >= 0, got {time_s}")
    if not (0.0 < baseline_time_s < math.inf):
        raise UsageError(f"baseline time: expected a finite number of seconds > 0, got {baseline_time_s}")
    ratio = time_s / baseline_time_s
    if ratio == math.inf:
        raise UsageError(f"time: expected a ratio that a float can hold, got {time_s} s / {baseline_time_s} s")
    return ratio
