"""Two hundred submissions of all kinds in a row: nothing adds up."""

import gc
import os
import threading

from harness.errors import HarnessError
from tests.cells import CROP, Cell, answering, left
from tests.conftest import PREDICT

KINDS = {
    "well": PREDICT,
    "raises": answering("1 // 0"),
    "crashes": answering("os.abort()", "import os"),
    "exits": answering("os._exit(0)", "import os"),
    "wrong": answering("[99]"),
    "prints": answering("print('x' * 100_000) or [0]"),
    "forks": "import os\nif os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(60)\n" + PREDICT,
    "threads": "import threading, time\nfor _ in range(8):\n"
    "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n" + PREDICT,
    "eats": "kept = bytearray(50 << 20)\n" + PREDICT,
    "does not load": "raise SystemExit",
}
RUNS = 200


def test_two_hundred_submissions_leave_nothing(strong: Cell) -> None:
    kinds = list(KINDS.values())
    run(strong, kinds)  # what is made once is made now
    gc.collect()
    before, threads, memory = left(), threading.active_count(), resident()
    seen = 0
    while seen < RUNS:
        seen += run(strong, kinds)
    gc.collect()
    after = left()
    assert after == before
    assert threading.active_count() == threads
    assert resident() - memory < 16 << 20, "the judge's memory is flat"


def run(cell: Cell, sources: list[str]) -> int:
    for source in sources:
        try:
            with cell.session(source) as session:
                for _ in range(3):
                    session.classify([CROP])
        except HarnessError:
            continue
    return len(sources)


def resident() -> int:
    """Bytes of this process's memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
