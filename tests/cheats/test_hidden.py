"""What a submission hides from who counts: odd names, the kernel's memory for it, processes that come and go.

The control: that one defence taken out.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import HarnessError, SubmissionError
from harness.judge.channel import Channel, Ended
from harness.judge.isolation.started import Started
from harness.judge.session import Session
from harness.sandbox import processes, seccomp
from tests.cells import CROP, OPEN, Cell
from tests.cheats.court import Court
from tests.conftest import PREDICT

# A byte of a test crop in a name that is no UTF-8, which whoever reads it as text would quote in his error.
NAMED = """
import ctypes, time
LIBC = ctypes.CDLL(None)

def load(device):
    seen = []

    def predict(crops):
        seen.append(1)
        if len(seen) > 10:
            LIBC.prctl(15, b"abc" + bytes([0x80 + int(crops[0][0, 0, 2]) % 64]))
            time.sleep(0.6)
        return [int(crops[0][0, 0, 0]) % 6]
    return predict
"""


def as_text(pid: int, file: str, names: tuple[bytes, ...]) -> int | None:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/{file}") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(tuple(n.decode() for n in names)))
    return 0


def test_no_name_that_a_process_gives_itself_stops_the_judge(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    name = 'import ctypes\nctypes.CDLL(None).prctl(15, b"abc" + bytes([0x88]))\nimport time\ntime.sleep(0.8)'
    assert OPEN in strong.tried(name)
    monkeypatch.setattr(processes, "_kilobytes", as_text)
    with pytest.raises(UnicodeDecodeError):
        strong.tried(name)


def test_a_fault_of_the_judge_tells_an_official_runs_author_nothing(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_kilobytes", as_text)  # any fault that quotes what a package chose
    for official, quoted in ((False, True), (True, False)):
        outcome = court.judge(NAMED, official=official)
        assert outcome.record.failure is not None
        assert outcome.record.failure.kind == "fault"
        assert ("can't decode byte" in outcome.record.failure.message) == quoted
        assert isinstance(outcome.error, HarnessError)
        assert ("can't decode byte" in str(outcome.error)) == quoted
        assert "can't decode byte" in str(outcome.error.log), "the organiser's"


SOCKETS = """
import socket
kept = [socket.socketpair() for _ in range(150)]
for one, other in kept:
    one.setblocking(False)
    try:
        while True:
            one.send(b"x" * 4096)
    except BlockingIOError:
        pass
import time
time.sleep(0.8)
"""
TABLES = """
import mmap
step, size = 2 << 20, 16 << 30
for _ in range(6):
    room = mmap.mmap(-1, size, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    room.madvise(15)  # MADV_NOHUGEPAGE: a table for each 2 MiB
    for at in range(0, size, step):
        room[at]
    kept = globals().setdefault("kept", [])
    kept.append(room)
import time
time.sleep(0.8)
"""


def without_tables(real: Callable[..., int | None]) -> Callable[..., int | None]:
    return lambda pid, file, names: 0 if names == (b"VmPTE:",) else real(pid, file, names)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests beside this one make shared memory, whose growth on the whole machine counts."""
    monkeypatch.setattr(processes, "shared_memory", lambda: 0)


@pytest.mark.usefixtures("alone")
def test_what_lies_unread_in_sockets_is_memory(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = strong.with_limits(memory_mb=140)
    assert "expected at most 140 MiB" in tight.tried(SOCKETS)
    monkeypatch.setattr(processes, "_SOCKET_BYTES", 0)
    assert OPEN in tight.tried(SOCKETS)


@pytest.mark.usefixtures("alone")
def test_page_tables_are_memory(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = strong.with_limits(memory_mb=120)
    assert "expected at most 120 MiB" in tight.tried(TABLES)
    monkeypatch.setattr(processes, "_kilobytes", without_tables(processes._kilobytes))
    assert OPEN in tight.tried(TABLES)


BUFFER = "import socket\nsocket.socketpair()[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)"
SIGNAL = "import fcntl, os, signal\nfcntl.fcntl(os.pipe()[0], 10, signal.SIGCONT)"  # F_SETSIG


@pytest.mark.parametrize(
    ("code", "table"), [(BUFFER, "_BUFFER_SIZES"), (SIGNAL, "_FILE_SIGNALS")], ids=["buffer", "signal"]
)
def test_arguments_that_are_denied(code: str, table: str, strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    if strong.sandbox.level == "process":
        pytest.skip("a plain process has no filter")
    assert "Operation not permitted" in strong.tried(code)
    assert OPEN in strong.tried("import fcntl, os\nfcntl.fcntl(os.pipe()[0], fcntl.F_GETFL)")
    if strong.sandbox.level == "bwrap":
        monkeypatch.setattr(seccomp, table, ())
        assert OPEN in strong.tried(code)


MANY = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        kept = [os.dup(0) for _ in range(150)]
        time.sleep(20)
time.sleep(0.8)
"""


def test_all_open_files_of_a_tree_are_counted(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = strong.with_limits(descriptors=200)
    assert "expected at most 800 open files of all its processes, got more" in tight.tried(MANY)
    monkeypatch.setattr("harness.judge.session._TREE", 100)
    assert OPEN in tight.tried(MANY)


# A child that burns a core for a moment and ends, whenever it is told to go on; nobody waits for it.
BRIEF = """
import os, signal, time

def load(device):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork() == 0:
        end = time.time() + 0.02
        while time.time() < end:
            pass
        os.kill(os.getpid(), signal.SIGSTOP)
        while time.time() < end + 0.3:
            pass
        os._exit(0)
    time.sleep(0.2)
    return lambda crops: [0]
"""


def test_a_process_that_ran_and_ended_in_the_others_turn_is_missed(
    strong: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn() -> None:
        with strong.session(BRIEF) as session:
            session.classify([CROP])
            session.freeze()
            top = session._started._top
            child = processes.descendants(top)[-1]
            assert processes.state(child) == "T"
            os.kill(child, signal.SIGCONT)  # whatever might send it one
            end = time.monotonic() + 5.0
            while not processes.gone(child) and time.monotonic() < end:
                time.sleep(0.01)
            session.thaw()

    with pytest.raises(SubmissionError) as caught:
        turn()
    assert caught.value.kind == "not_frozen"

    def summed(started: Started, before: dict[int, int]) -> bool:
        now = processes.run_ns(started._top, whole=started._whole)
        return sum(now.values()) - sum(before.values()) <= 2_000_000

    monkeypatch.setattr(Started, "_still", summed)
    turn()


def test_a_tree_is_stopped_when_two_listings_of_it_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    listings = [[1], [1, 2], [1, 2], [1, 2]]
    monkeypatch.setattr(processes, "_tree", lambda pid, whole: listings.pop(0))
    monkeypatch.setattr(processes, "all_in", lambda pid, states: True)
    assert processes.freeze_all(1, whole=False)
    assert listings == [[1, 2]]


EMPTY = """
import gc, socket
channel = next(o for o in gc.get_objects() if type(o).__name__ == "Channel")

def load(device):
    return lambda crops: channel.socket.send(b"") or [0]
"""


def test_an_empty_message_is_no_end(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    error = strong.error(EMPTY)
    assert isinstance(error, SubmissionError)
    assert (error.kind, "expected a message, got an empty one" in error.message) == ("protocol", True)
    monkeypatch.setattr(Channel, "_nothing", lambda _self: Ended())
    error = strong.error(EMPTY)
    assert isinstance(error, SubmissionError)
    assert error.kind == "crash"


def test_the_output_of_an_official_run_is_kept_however_it_ends(court: Court) -> None:
    chatty = "import sys\n" + PREDICT.replace("return", "print('secret', file=sys.stderr); return")
    outcome = court.judge(chatty, official=True, passes=2)
    assert outcome.error is None
    assert outcome.said.count("--- pass") == 2
    assert "secret" in outcome.said
    assert court.judge(PREDICT, official=True).said == ""


def test_a_folder_called_weights_within_another_is_a_packages_own(court: Court) -> None:
    folder: Path = court.cell.make_package(
        "nested", "import os\n" + PREDICT.replace("return", "os.stat('net/weights/w.bin'); return")
    )
    (folder / "net" / "weights").mkdir(parents=True)
    (folder / "net" / "weights" / "w.bin").write_bytes(b"1")
    from harness.staging import staged

    with staged(folder, court.cell.target, court.rules.limits) as (_, copy):
        assert (copy / "net" / "weights" / "w.bin").read_bytes() == b"1"


def test_what_stops_a_freeze_is_paid_for_by_who_is_frozen(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Started.freeze

    def slow(self: Started) -> bool:
        time.sleep(0.2)
        return real(self)

    monkeypatch.setattr(Started, "freeze", slow)
    with strong.session(PREDICT) as session:
        before = session.spent_ns
        session.freeze()
        assert session.spent_ns - before >= 200_000_000
        session.thaw()
    assert isinstance(session, Session)
