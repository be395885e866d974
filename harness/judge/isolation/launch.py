"""What every isolation level needs to start a process: what to run, with which environment, seeing which paths."""

import glob
import os
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.rules import Limits
from harness.sandbox.layout import Layout

PACKAGE_ROOT = Path(harness.__file__).resolve().parent
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
# Set by some machines because a numerical library is wrong or slow without it; they say nothing of the labels.
_PASSED_ON = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
)
_GPU_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps", "dxg")
# What a worker imports of harness. The rest is out of its sight: below data/ lie the embedded set's test labels.
_FOR_WORKERS = ("__init__.py", "wire.py", "errors.py", "formats.py", "nets", "sandbox", "worker")


@dataclass(frozen=True)
class Launch:
    """One process to start in a sandbox.

    `arguments` go behind the script; "{package}" and "{confinement}" in them are replaced by what they are
    inside. `descriptors` are inherited under their own numbers.
    """

    script: str  # below the harness package, like "worker/__main__.py"
    arguments: tuple[str, ...]
    package: Path
    descriptors: tuple[int, ...]
    limits: Limits
    threads: int
    device: str
    layout: Layout | None = None  # where its memory lies; None: as the kernel draws it


def interpreter() -> str:
    """The Python that runs the judge, as the environment that has its packages calls it."""
    return sys.executable


def python_paths() -> list[str]:
    """The interpreter's and its packages' folders outside the system ones, as they are and as links resolve."""
    paths = {sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    paths |= {str(Path(path).resolve()) for path in paths} | {str(Path(interpreter()).resolve().parent)}
    outside = sorted(path for path in paths if not path.startswith(("/usr/", "/lib")) and path not in ("/usr", "/"))
    return [path for path in outside if not any(path != top and path.startswith(top + "/") for top in outside)]


def worker_paths() -> list[str]:
    """The files and folders of harness that a worker sees."""
    return [str(PACKAGE_ROOT / name) for name in _FOR_WORKERS]


def gpu_nodes() -> tuple[str, ...]:
    """The device nodes of NVIDIA's driver, those that are there and those that may be made later."""
    return (*sorted(glob.glob("/dev/nvidia[0-9]*")), *(f"/dev/{name}" for name in _GPU_DEVICES))


def system_paths() -> list[str]:
    """The system's folders that hold programs and libraries, and no user's data."""
    return [path for path in _SYSTEM if os.path.lexists(path)]


def environment(threads: int, scratch: str, layout: Layout | None = None) -> dict[str, str]:
    """A worker's whole environment. Both sides get the same number of threads; caches go to the scratch."""
    count = str(threads)
    values = {
        "PATH": "/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "USER": "worker",
        "LOGNAME": "worker",
        "LANG": "C.UTF-8",
        "XDG_CACHE_HOME": f"{scratch}/cache",
        "TORCHINDUCTOR_CACHE_DIR": f"{scratch}/inductor",
        "TRITON_CACHE_DIR": f"{scratch}/triton",
        "CUDA_CACHE_PATH": f"{scratch}/cuda",
        "HF_HUB_OFFLINE": "1",
    }
    values |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
    # MKL counts cores by moving between them, which the filter forbids (one side could take cores that the
    # other does not get), finds one, and "dynamic" cuts torch down to it.
    values["MKL_DYNAMIC"] = "FALSE"
    # Large pages for large blocks, where the kernel gives them on request: which small pages a process happens to get
    # decides how its maps collide in the caches. Measured: A/A of an eager network, pass to pass 1 % instead of 4 %.
    values["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    values |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return values | ({} if layout is None else layout.variables())


def process_limit(limit: int, uid: int | None) -> int:
    """RLIMIT_NPROC counts all of a uid's threads: under the judge's own uid those that run already come on top."""
    if uid is not None or os.getuid() == 0:
        return limit
    mine = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == os.getuid():
                    mine += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return limit + mine


def filled(arguments: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The arguments with "{name}" replaced."""
    return [values.get(argument[1:-1], argument) if argument.startswith("{") else argument for argument in arguments]


class Output:
    """What a worker prints: drained at once, so that a full pipe never blocks it; the first and last part kept."""

    KEPT = 4096

    def __init__(self, limit: int) -> None:
        self._read, self.write_fd = os.pipe()
        self._limit = limit
        self._first, self._last, self._size = b"", b"", 0
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    @property
    def flooded(self) -> bool:
        """Whether it printed more than its limit."""
        return self._size > self._limit

    def text(self) -> str:
        """The first 4 KiB, and the last 4 KiB of what came behind them."""
        gap = self._size - len(self._first) - len(self._last)
        middle = f"\n... {gap} bytes left out ...\n".encode() if gap > 0 else b""
        return (self._first + middle + self._last).decode("utf-8", "replace")

    def opened(self) -> None:
        """The writing end now belongs to the worker alone, so that its end ends the reading."""
        os.close(self.write_fd)
        self.write_fd = -1

    def close(self) -> None:
        """Reads the rest; every writer is dead by now."""
        if self.write_fd >= 0:
            self.opened()
        self._thread.join(timeout=5.0)

    def _drain(self) -> None:
        while data := os.read(self._read, 65536):
            self._size += len(data)
            room = self.KEPT - len(self._first)
            self._first += data[:room]
            self._last = (self._last + data[room:])[-self.KEPT :]
        os.close(self._read)
