"""What the machine is and how busy it is, from /proc, /sys and the driver. The judge never imports torch."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Literal

from harness.judge.gpu import describe_gpu
from harness.record import Machine

# Packages whose version can change a time or an answer.
_VERSIONS = (
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "onnxruntime",
    "openvino",
    "timm",
    "opencv-python-headless",
)


def usable_cores() -> int:
    """Cores that this process, and so every worker, may run on."""
    return len(os.sched_getaffinity(0))


def describe(device: Literal["cpu", "cuda"], threads: int) -> Machine:
    """This machine now. Raises MachineError (kind "device") for "cuda" without a GPU and its driver."""
    gpu = describe_gpu() if device == "cuda" else {}
    return Machine(
        device=device,
        cpu=_cpu_model(),
        cores=usable_cores(),
        affinity=tuple(sorted(os.sched_getaffinity(0))),
        threads=threads,
        memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        kernel=platform.release(),
        python=platform.python_version(),
        versions=_versions(),
        governor=_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load_1min=round(os.getloadavg()[0], 2),
        **gpu,
    )


def _cpu_model() -> str:
    for line in text_of("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Processor", "cpu model"):
            return " ".join(value.split())
    return platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def text_of(path: str | Path) -> str:
    """A small file's text, "" where it cannot be read."""
    try:
        return Path(path).read_text(errors="replace")  # a process gives itself any name
    except OSError:
        return ""


def _line(path: str) -> str | None:
    return text_of(path).strip() or None
