"""The first NVIDIA GPU as its driver's library (nvidia-ml-py, an extra) and a probe inside the sandbox see it."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from harness.errors import MachineError
from harness.judge.isolation import Sandbox
from harness.judge.isolation.launch import Launch
from harness.rules import Limits
from harness.scratch import folder

_BACK_S, _SLACK_BYTES = 10.0, 64 << 20  # until the driver has taken a dead process's memory back; what it keeps itself
_HINTS = {
    "no driver library": "the driver's libraries are not in sight; set LD_LIBRARY_PATH to the folder of libcuda.so.1",
    "code 100": "the device nodes are not in sight or not this user's; look at /dev/nvidia*",
    "code 3": "the driver does not start in the sandbox; run nvidia-smi once as root, or nvidia-modprobe -u",
    "code 999": "the driver does not start in the sandbox; run nvidia-smi once as root, or nvidia-modprobe -u",
}


def describe_gpu() -> dict[str, Any]:
    """Name, driver, clock and temperature. Raises MachineError where there is no GPU, driver or library."""
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


def throttled_ns() -> int:
    """Nanoseconds in which heat or power held the clocks down; 0 where it does not say."""
    import pynvml  # noqa: PLC0415 (an extra)

    total = 0
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        for policy in (pynvml.NVML_PERF_POLICY_THERMAL, pynvml.NVML_PERF_POLICY_POWER):
            total += int(pynvml.nvmlDeviceGetViolationStatus(handle, policy).violationTime)
    except pynvml.NVMLError:
        return 0
    return total


def probe_cuda(sandbox: Sandbox, limits: Limits) -> None:
    """Starts CUDA in the sandbox before any package does. Raises MachineError (kind "device") with what to do."""
    package = folder("probe")
    try:
        started = sandbox.start(Launch("sandbox/cuda_probe.py", ("{confinement}",), package, (), limits, 1, "cuda"))
        try:
            code = started.exit_code(wait_s=60.0)
        finally:
            started.kill()
    finally:
        package.rmdir()
    said = (started.output.text().strip().splitlines() or [f"exit code {code}"])[-1]
    if said.startswith("code 0,") and not said.endswith(" 0 devices"):
        return
    hint = next((advice for start, advice in _HINTS.items() if said.startswith(start)), "see `make gpu`")
    raise MachineError(
        f"--device cuda: expected CUDA in the sandbox {sandbox.level}, got {said}; {hint}", kind="device"
    )


@contextlib.contextmanager
def memory_comes_back(device: str) -> Iterator[None]:
    """On a GPU: waits at the end until the workers' memory is free again. Raises MachineError where it is not."""
    if device != "cuda":
        yield
        return
    before = _used()
    try:
        yield
    finally:
        end = time.monotonic() + _BACK_S
        while _used() > before + _SLACK_BYTES and time.monotonic() < end:
            time.sleep(0.05)
    if (used := _used()) > before + _SLACK_BYTES:
        raise MachineError(
            f"expected the GPU's memory back after the workers' end, {(used - before) >> 20} MiB are still in use; "
            "look at nvidia-smi",
            kind="gpu_memory",
        )


def _used() -> int:
    """Bytes of the GPU's memory in use, by whomever."""
    import pynvml  # noqa: PLC0415 (an extra)

    pynvml.nvmlInit()
    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0)).used)
    finally:
        pynvml.nvmlShutdown()


def _str(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
