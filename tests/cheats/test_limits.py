"""What a submission takes too much of. The control: with that one limit raised, nothing stops it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cells import OPEN, Cell, answering

MB = 1 << 20


@dataclass(frozen=True)
class Greed:
    """Lines that take a bounded lot; the limits that they break, and what comes of that."""

    code: str
    limits: dict[str, Any]
    raised: dict[str, Any]  # the one limit with room for it
    says: str
    levels: tuple[str, ...] = field(default=("bwrap", "landlock", "process"))


SLEEP = "\nimport time\ntime.sleep(0.8)"  # three looks of the watch
GREEDS = {
    "heap": Greed(
        "kept = [bytearray(100 << 20) for _ in range(7)]", {"memory_mb": 600}, {"memory_mb": 4096}, "MemoryError"
    ),
    "heap of many processes": Greed(
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n        kept = bytearray(200 << 20)\n"
        "        time.sleep(9)\ntime.sleep(1.5)",
        {"memory_mb": 500},
        {"memory_mb": 4096},
        "expected at most 500 MiB, it holds",
    ),
    "shared memory": Greed(
        "import mmap\nkept = mmap.mmap(-1, 400 << 20)\nfor _ in range(20):\n    kept.write(b'x' * (20 << 20))" + SLEEP,
        {"memory_mb": 300},
        {"memory_mb": 4096},
        "expected at most 300 MiB, it holds",
    ),
    "memory files that no map shows": Greed(
        "import os\nfor _ in range(4):\n    file = os.memfd_create('x')\n    os.write(file, b'x' * (100 << 20))"
        + SLEEP,
        {"memory_mb": 300},
        {"memory_mb": 4096},
        "expected at most 300 MiB, it holds",
    ),
    "scratch": Greed(
        "import os\nfor n in range(4):\n    with open(f\"{os.environ['TMPDIR']}/{n}\", 'wb') as file:\n"
        "        file.write(b'x' * (16 << 20))" + SLEEP,
        {"scratch_mb": 40},
        {"scratch_mb": 400},
        "",  # a full tmpfs in bubblewrap, the watch elsewhere
    ),
    "one large file": Greed(
        "import os\nwith open(os.environ['TMPDIR'] + '/x', 'wb') as file:\n    file.write(b'x' * (40 << 20))",
        {"file_mb": 16},
        {"file_mb": 100},
        "",  # SIGXFSZ, or Python's OSError where it ignores the signal
    ),
    "files": Greed(
        "import os\nfor n in range(3000):\n    open(f\"{os.environ['TMPDIR']}/{n}\", 'w').close()" + SLEEP,
        {"scratch_files": 1000},
        {"scratch_files": 20_000},
        "expected at most 1000 files in its scratch",
    ),
    "descriptors": Greed(
        "kept = [open('/dev/null') for _ in range(300)]", {"descriptors": 100}, {"descriptors": 1024}, "Too many open"
    ),
    "processes": Greed(
        "import os, time\nfor _ in range(40):\n    if os.fork() == 0:\n        time.sleep(20)\n        os._exit(0)",
        {"processes": 20},
        {"processes": 256},
        "Resource temporarily unavailable",
    ),
    "threads": Greed(
        "import threading, time\nfor _ in range(40):\n    threading.Thread(target=time.sleep, args=(20,), daemon=True)"
        ".start()",
        {"processes": 20},
        {"processes": 256},
        "can't start new thread",
    ),
}


@pytest.mark.parametrize("name", GREEDS)
def test_a_limit_holds_and_without_it_nothing_does(name: str, cell: Cell) -> None:
    greed = GREEDS[name]
    if name in ("processes", "threads") and _is_shared_uid(cell):
        pytest.skip("the kernel counts a user's processes, and this worker's user is the judge's")
    stopped = cell.with_limits(**greed.limits).tried(greed.code)
    assert OPEN not in stopped
    assert greed.says in stopped
    assert OPEN in cell.with_limits(**(greed.limits | greed.raised)).tried(greed.code)


def _is_shared_uid(cell: Cell) -> bool:
    """As root, without capabilities but under uid 0, the kernel does not hold to RLIMIT_NPROC."""
    import os

    from harness.judge.isolation.guarded import _reachable
    from harness.scratch import folder

    if os.getuid() != 0 or cell.sandbox.level == "bwrap":
        return False
    made = folder("test")
    try:
        return not _reachable(made)
    finally:
        made.rmdir()


def test_a_slow_leak_between_fast_answers_is_seen(strong: Cell) -> None:
    source = answering("kept.append(bytearray(4 << 20)) or time.sleep(0.005) or [0]", "import time\nkept = []")
    error = strong.with_limits(memory_mb=2048).error(source, crops=300)
    assert error is None
    processes = "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        kept = bytearray(100 << 20)\n"
    processes += "        time.sleep(60)\n"
    source = answering("time.sleep(0.02) or [0]", processes)
    error = strong.with_limits(memory_mb=250).error(source, crops=100)
    assert error is not None
    assert error.kind == "memory"


def test_output_is_drained_and_capped(strong: Cell) -> None:
    quiet = answering("print('x' * 1000) or [0]")
    assert strong.error(quiet) is None
    error = strong.error(answering("print('x' * 5_000_000) or [0]"))
    assert error is not None
    assert error.kind == "output_flood"


def test_the_oom_killer_takes_the_worker_first(strong: Cell) -> None:
    assert "score 1000" in strong.tried("raise ValueError('score ' + open('/proc/self/oom_score_adj').read().strip())")
