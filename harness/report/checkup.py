"""What a checkup found, in a few lines of at most 80 columns: the baseline against itself. Pure."""

import math
from collections.abc import Iterator

import numpy as np

from harness.checkup import RECENT_DAYS, Habits
from harness.record import Record
from harness.report.clean import clean
from harness.report.fields import field
from harness.stats import mean_error, seen

_FEW, _MANY = 5, 20  # passes
_BUSY = 0.3  # load that is more than a system's own
_DISTURBED_SHARE = 0.1  # of windows
_LEAST_CORES = 2


def checkup_text(record: Record, known: Habits) -> str:
    """Bias, spread and what can be seen, of this checkup and of all recent ones; then advice, a line each."""
    result = record.result
    assert result is not None, "a failed run has no findings"
    logs = np.array(result.log_ratios)
    variance, error = float(logs.var(ddof=1)), mean_error(logs).error
    ratio = result.time_ratio
    lines = [
        f"timing: {clean(record.baseline.name, 30)} against itself on {clean(record.data.name, 20)}",
        f"  bias        {math.expm1(float(logs.mean())):+.2%} +-{0.0 if error is None else error:.2%} (standard error)",
        f"  spread      {math.sqrt(variance):.2%} from pass to pass, {logs.size} passes",
        f"  interval    {_percent(ratio.half_width)} half-width, {logs.size} passes",
        f"  can see     {seen(variance, _FEW):.1%} with {_FEW} passes, {seen(variance, _MANY):.1%} with {_MANY}",
        f"  left out    {result.windows.dropped} of {result.windows.all} windows; {result.windows.disturbed} disturbed",
    ]
    lines += _history(known)
    for said in advice(record):
        lines += field("advice", said)
    return "\n".join(lines)


def advice(record: Record) -> Iterator[str]:
    """What to close, pin or set."""
    machine, result = record.machine, record.result
    assert result is not None
    if machine.load_1min is not None and machine.load_1min > _BUSY * machine.cores:
        yield f"the load was {machine.load_1min:g} before the run: close what else runs"
    if result.windows.all and result.windows.disturbed > _DISTURBED_SHARE * result.windows.all:
        yield "other programs or other virtual machines took the cores: close them, or run at another time"
    if machine.governor not in (None, "performance"):
        yield f"the governor is {machine.governor}: sudo cpupower frequency-set -g performance"
    if machine.device == "cpu" and not machine.idle_states_held_off:
        yield "cores sleep between crops: sudo chgrp $USER /dev/cpu_dma_latency && sudo chmod g+w /dev/cpu_dma_latency"
    if not machine.realtime_judge:
        yield "the judge waits for its turn: run as root, or give yourself a real-time priority (ulimit -r 1)"
    if record.isolation is not None and not record.isolation.drawn_layout:
        yield (
            "the kernel draws each worker's addresses, so that equal packages differ by luck: a container forbids "
            "personality(2); start it with --security-opt seccomp=unconfined"
        )
    if machine.cores < _LEAST_CORES:
        yield "a single core: the judge and the sides share it; use two or more"


def _history(known: Habits) -> list[str]:
    lines = [f"  checkups    {known.checkups} in {RECENT_DAYS} days here, on this board"]
    if known.history is None:
        lines.append("              too few passes to know the machine by; run this again")
        return lines
    variance = known.history.variance
    between = "unknown" if known.between is None else f"{known.between:.2%}"
    lines.append(
        f"              spread {math.sqrt(variance):.2%}, between runs {between}, "
        f"bias {math.expm1(known.bias or 0.0):+.2%}"
    )
    return lines


def _percent(half: float | None) -> str:
    return "no" if half is None else f"{half:.2%}"
