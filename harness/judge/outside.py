"""Samples what the machine spends on others, from /proc and /sys: about once a second, never in a block."""

import os
import time
from pathlib import Path

from harness.judge.gpu import throttled_ns
from harness.judge.machine import text_of
from harness.raw import RawSample
from harness.sandbox import processes

_TICKS = os.sysconf("SC_CLK_TCK")
_CPUS = Path("/sys/devices/system/cpu")
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq in a line of /proc/stat
_STEAL = 7


class Sampler:
    """Reads the counters. What this machine does not count (an old kernel, a masked /proc) stays 0.

    What a process spent is not forgotten when it ends, but what it spent after the last sample is: a child that
    nobody waits for looks like another's in the window in which it ends.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._spent: dict[int, int] = {}  # ticks of each descendant that was ever seen

    def sample(self, pairs: int, now_ns: int) -> RawSample:
        """The counters now, when `pairs` pairs of blocks are done."""
        busy, steal = _machine_ticks()
        return RawSample(
            pairs=pairs,
            now_ns=now_ns,
            own_ms=self._own_ms(),
            busy_ms=busy * 1000 // _TICKS,
            steal_ms=steal * 1000 // _TICKS,
            stalled_us=_stalled_us("memory"),
            throttled=_hot() + (throttled_ns() if self._device == "cuda" else 0),
            suspended_ms=int((time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()) * 1e3),
        )

    def _own_ms(self) -> int:
        """Processor time of this process and of all that it started."""
        for pid in processes.descendants(os.getpid()):
            self._spent[pid] = max(self._spent.get(pid, 0), _ticks(pid))
        own = os.times()
        return int((own.user + own.system) * 1e3) + sum(self._spent.values()) * 1000 // _TICKS


def _machine_ticks() -> tuple[int, int]:
    """(busy, stolen) ticks of the cores that the workers may use, together."""
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    busy = steal = 0
    for line in text_of("/proc/stat").splitlines():
        name, *fields = line.split()
        if name in ours:
            spent = [*map(int, fields), *[0] * _STEAL]
            busy += sum(spent[i] for i in _BUSY)
            steal += spent[_STEAL]
    return busy, steal


def _ticks(pid: int) -> int:
    """User and system time of a process and of its children that have ended; 0 where it is gone."""
    line = text_of(f"/proc/{pid}/stat")
    fields = line[line.rfind(")") + 2 :].split()
    return sum(map(int, fields[11:15]))


def _stalled_us(what: str) -> int:
    """Microseconds in which some task waited for it, since the machine started."""
    words = text_of(f"/proc/pressure/{what}").partition("\n")[0].split()
    return sum(int(word.removeprefix("total=")) for word in words if word.startswith("total="))


def _hot() -> int:
    """Times that heat slowed a core."""
    counts = (text_of(path) for path in _CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    return sum(int(text) for text in counts if text)
