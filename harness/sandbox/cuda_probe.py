"""Initialises CUDA inside a sandbox, before any package does: prints the driver's code, or why there is none.

python -I -S -B cuda_probe.py CONFINEMENT
"""

import ctypes
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.sandbox.confine import Confinement, confine


def main(argv: list[str]) -> None:
    """Confines itself as a worker does, then asks the driver for its devices."""
    confine(Confinement.load(argv[1]))
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        print(f"no driver library: {error}")  # noqa: T201
        return
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    print(f"code {code}, {count.value} devices")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv)
