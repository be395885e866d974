"""Regression gates: how much slower or less accurate a submission may be than another. Pure."""

import re
from enum import StrEnum
from typing import Literal, NamedTuple

from harness.errors import UsageError
from harness.record import Result
from harness.stats import Interval

FAILED, UNSURE = 6, 7  # exit codes


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNSURE = "UNSURE"


class Gate(NamedTuple):
    """At most `tolerance` more time (relative) or less macro F1 (absolute)."""

    what: Literal["time", "f1"]
    tolerance: float
    text: str  # as it was written


def parse_gate(text: str) -> Gate:
    """A gate like "time:3%" or "f1:0.005". Raises UsageError.

    >>> parse_gate("time:3%").tolerance, parse_gate("f1:0.005").tolerance
    (0.03, 0.005)
    """
    found = re.fullmatch(r"(time|f1):(\d+(?:\.\d+)?|\.\d+)(%?)", text.strip())
    if not found:
        raise UsageError(f"--gate: expected time:3% or f1:0.005, got {text!r}")
    tolerance = float(found[2]) / (100.0 if found[3] else 1.0)
    if tolerance >= 1.0:
        raise UsageError(f"--gate: expected less than 100 % or 1, got {text!r}; 3 % is time:3% or time:0.03")
    return Gate("time" if found[1] == "time" else "f1", tolerance, text.strip())


def loss(gate: Gate, result: Result) -> Interval:
    """What the submission loses against the baseline: time, relative, on a rerun; F1, absolute, on other photos."""
    if gate.what == "time":
        ratio = result.time_ratio
        return Interval(ratio.value - 1.0, *(None if end is None else end - 1.0 for end in (ratio.low, ratio.high)))
    f1 = result.f1_difference
    return Interval(0.0 - f1.value, *(None if end is None else 0.0 - end for end in (f1.high, f1.low)))  # no -0.0


_DOUBTFUL = {"noisy", "baseline_disturbed"}  # flags under which a time cannot pass: it may hide that it is worse


def judged(gate: Gate, result: Result) -> Verdict:
    """PASS where the whole interval is inside the tolerance, FAIL where the whole of it is outside, else UNSURE.

    A time does not pass where others took the machine, or where the second package ran slower beside the first.
    """
    low, high = loss(gate, result).low, loss(gate, result).high
    if low is None or high is None:
        return Verdict.UNSURE
    if high <= gate.tolerance:
        return Verdict.UNSURE if gate.what == "time" and _DOUBTFUL & set(result.flags) else Verdict.PASS
    return Verdict.FAIL if low > gate.tolerance else Verdict.UNSURE


def exit_code(verdicts: list[Verdict]) -> int:
    """0 where all pass, FAILED where any fails, else UNSURE.

    >>> exit_code([Verdict.PASS, Verdict.UNSURE, Verdict.FAIL])
    6
    """
    return FAILED if Verdict.FAIL in verdicts else UNSURE if Verdict.UNSURE in verdicts else 0
