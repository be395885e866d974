"""The judge's clock, behind a seam so that tests can hold it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic time in ns, for durations only."""

    def now_ns(self) -> int:
        """Nanoseconds since some fixed moment."""


class RealClock:
    """CLOCK_MONOTONIC, as `time.perf_counter_ns` reads it."""

    now_ns: Callable[[], int] = staticmethod(time.perf_counter_ns)


def utc_now() -> str:
    """The date and time now, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
