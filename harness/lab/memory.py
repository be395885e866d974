"""The memory of a training: how much is left, and that what a step frees stays with the process."""

from pathlib import Path

from harness.nets.memory import keep_pages

__all__ = ["LIKELY_GB", "available_gb", "keep_pages"]

LIKELY_GB = 9.0  # what a training of the bundled networks takes at most, measured on two cores


def available_gb() -> float | None:
    """Memory that a program can have without swapping, in 10^9 bytes, as the kernel estimates; None where unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return int(found[0][1]) * 1024 / 1e9 if found else None
