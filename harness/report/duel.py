"""What a duel found, in a few lines of at most 80 columns: two packages against each other. Pure."""

from collections.abc import Sequence

from harness.derive import FLAGS
from harness.gate import Gate, judged, loss
from harness.record import Record
from harness.report.clean import clean, shorten
from harness.report.fields import WIDTH, field, with_ends
from harness.report.verdict import speeds
from harness.stats import Interval

_RIVAL_FLAG = {"baseline_disturbed": "the second ran slower beside the first than alone"}


def duel_text(record: Record, gates: Sequence[Gate], seen: float) -> str:
    """Time ratio and F1 difference, first against second, one sentence, and what each gate says.

    `seen`: the relative time difference that the passes were to see.
    """
    result = record.result
    assert result is not None, "a failed run has no findings"
    first, second = clean(record.submission.name, 30), clean(record.baseline.name, 30)
    ratio, f1, passes = result.time_ratio, result.f1_difference, len(result.log_ratios)
    lines = [
        shorten(f"{first} against {second} on {clean(record.data.name, 20)}", WIDTH),
        f"  time ratio  {with_ends(ratio, '.3f')}, {passes} passes to see {seen:.1%}",
        f"  F1          {with_ends(f1, '+.4f')} on other photos",
        *speeds(record, ("latency", "")),
    ]
    lines += field("so", f"{first} {_time(ratio, second)}, and {_f1(f1)}")
    for name in result.flags:
        lines += field("flag", f"{name}: {_RIVAL_FLAG.get(name, FLAGS[name])}")
    for gate in gates:
        lost = loss(gate, result)
        unit = ".1%" if gate.what == "time" else ".4f"
        lines += field("gate", f"{gate.text} {judged(gate, result)}: {_lost(gate, lost, unit)}")
    return "\n".join(lines)


def _time(ratio: Interval, rival: str) -> str:
    if ratio.low is None or ratio.high is None:
        return f"has one pass against {rival}: no interval"
    if ratio.low <= 1.0 <= ratio.high:
        widest = max(ratio.high - 1.0, 1.0 - ratio.low)
        return f"takes as long as {rival}, to {widest:.1%}"
    if ratio.value < 1.0:
        return f"takes {1 - ratio.value:.1%} less time than {rival}"
    return f"takes {ratio.value - 1:.1%} more time than {rival}"


def _f1(difference: Interval) -> str:
    if difference.low is None or difference.high is None or difference.low <= 0.0 <= difference.high:
        return "their F1 is a tie on other photos"
    return f"its F1 is {abs(difference.value):.4f} {'higher' if difference.value > 0 else 'lower'}"


def _lost(gate: Gate, lost: Interval, unit: str) -> str:
    what = "more time" if gate.what == "time" else "less F1"
    if lost.low is None or lost.high is None:
        return "one pass has no interval"
    return f"{lost.low:{unit}} to {lost.high:{unit}} {what}, at most {gate.tolerance:{unit}} allowed"
