"""Samples what the machine spends on others, from /proc and /sys: about once a second, never in a block."""

import os
import time
from pathlib import Path

from harness.record import RawSample
from harness.sandbox import processes

_TICKS = os.sysconf("SC_CLK_TCK")
_QUOTA = Path("/sys/fs/cgroup/cpu.stat")
_CPUS = Path("/sys/devices/system/cpu")
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq in the first line of /proc/stat
_STEAL = 7


def sample(pairs: int, now_ns: int, gpu_throttled_ns: int = 0) -> RawSample:
    """The counters now. What this machine does not count (an old kernel, a masked /proc) stays 0."""
    spent = [int(field) for field in _text(Path("/proc/stat")).partition("\n")[0].split()[1:]]
    spent += [0] * (_STEAL + 1 - len(spent))
    return RawSample(
        pairs=pairs,
        now_ns=now_ns,
        own_ms=_own_ms(),
        busy_ms=sum(spent[i] for i in _BUSY) * 1000 // _TICKS,
        steal_ms=spent[_STEAL] * 1000 // _TICKS,
        stalled_us=_stalled_us("memory") + _stalled_us("io"),
        throttled=_throttled() + gpu_throttled_ns,
        suspended_ms=int((time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()) * 1e3),
    )


def _own_ms() -> int:
    """Processor time of this process and of all that it started, as far as it still runs or was waited for."""
    own = os.times()
    ticks = sum(map(_ticks, processes.descendants(os.getpid())))
    return int((own.user + own.system + own.children_user + own.children_system) * 1e3) + ticks * 1000 // _TICKS


def _ticks(pid: int) -> int:
    """User and system time of a process and of its children that have ended; 0 where it is gone."""
    line = _text(Path(f"/proc/{pid}/stat"))
    fields = line[line.rfind(")") + 2 :].split()
    return sum(map(int, fields[11:15]))


def _stalled_us(what: str) -> int:
    """Microseconds in which some task waited for it, since the machine started."""
    words = _text(Path("/proc/pressure") / what).partition("\n")[0].split()
    return sum(int(word.removeprefix("total=")) for word in words if word.startswith("total="))


def _throttled() -> int:
    """Times that heat slowed a core, and periods in which a container's quota did."""
    heat = sum(
        int(text) for path in _CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count") if (text := _text(path))
    )
    quota = (line.split() for line in _text(_QUOTA).splitlines())
    return heat + sum(int(words[1]) for words in quota if words[:1] == ["nr_throttled"])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
