"""What the machine is and how busy it is, from /proc, /sys and the driver. The judge never imports torch."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from harness.errors import MachineError
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
    gpu = _gpu() if device == "cuda" else {}
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


def _gpu() -> dict[str, Any]:
    try:
        import pynvml  # noqa: PLC0415 (an extra)
    except ImportError:
        raise MachineError(
            "--device cuda: expected the package nvidia-ml-py; pip install '.[gpu]'", kind="device"
        ) from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MachineError(
            f"--device cuda: expected an NVIDIA GPU and its driver, got: {error}", kind="device"
        ) from None
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        return {
            "gpu": _str(pynvml.nvmlDeviceGetName(handle)),
            "driver": _str(pynvml.nvmlSystemGetDriverVersion()),
            "gpu_clock_mhz": int(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            "gpu_temperature_c": int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        }
    finally:
        pynvml.nvmlShutdown()


def _str(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def gpu_throttled_ns() -> int:
    """Nanoseconds in which heat or power held the first GPU's clocks down; 0 where it does not say."""
    import pynvml  # noqa: PLC0415 (an extra)

    total = 0
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        for policy in (pynvml.NVML_PERF_POLICY_THERMAL, pynvml.NVML_PERF_POLICY_POWER):
            total += int(pynvml.nvmlDeviceGetViolationStatus(handle, policy).violationTime)
    except pynvml.NVMLError:
        return 0
    return total


def text_of(path: str | Path) -> str:
    """A small file's text, "" where it cannot be read."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _line(path: str) -> str | None:
    return text_of(path).strip() or None
