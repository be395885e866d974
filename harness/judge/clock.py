"""The judge's clock, behind a seam so that tests can hold it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Monotonic time in ns, for durations only."""

    def now_ns(self) -> int:
        """Nanoseconds since some fixed moment."""


class RealClock:
    """CLOCK_MONOTONIC, as `time.perf_counter_ns` reads it."""

    now_ns: Callable[[], int] = staticmethod(time.perf_counter_ns)


def utc_now(days: int = 0) -> str:
    """The date and time now, or so many days from now, ISO 8601 in UTC, to the second."""
    return (datetime.now(UTC) + timedelta(days)).strftime("%Y-%m-%dT%H:%M:%SZ")
