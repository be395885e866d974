"""What a submission does between its answers, its turns and its passes. The control: that one defence taken out."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness import scratch
from harness.derive import derive
from harness.errors import HarnessError, SubmissionError
from harness.judge import bench
from harness.judge.channel import Channel
from harness.judge.session import Session
from harness.sandbox import processes, seccomp
from harness.submission import parse
from tests.builders import make_raw, make_rules
from tests.cells import CROP, OPEN, Cell
from tests.cheats.court import Court
from tests.conftest import PREDICT

# Requests are looked at and never taken: each one stays in the socket, until it is full.
PEEKS = """
import gc, os, socket, time
from harness.wire import MESSAGE_BYTES, unpack
channel = next(o for o in gc.get_objects() if type(o).__name__ == "Channel")
channel.socket.setsockopt(socket.SOL_SOCKET, 42, 0)  # SO_PEEK_OFF
answered = [0]

def receive():
    while True:
        message = unpack(channel.socket.recv(MESSAGE_BYTES, socket.MSG_PEEK))
        if message.nonce != answered[0]:
            answered[0] = message.nonce
            return message

channel.receive = receive

def load(device):
    return lambda crops: [0]
"""


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    def rings(*_: object) -> None:
        raise TimeoutError("the judge waits for ever")

    before = signal.signal(signal.SIGALRM, rings)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_requests_that_are_looked_at_and_not_taken(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    with alarm(30):
        error = strong.error(PEEKS, crops=400)
        assert isinstance(error, SubmissionError)
        assert (error.kind, "expected every request to be read" in error.message) == ("protocol", True)
    monkeypatch.setattr(Channel, "_unread", lambda _self: 0)  # the control: they pile up, until none can be sent
    with alarm(30):
        error = strong.error(PEEKS, crops=2_000)
    assert error is not None
    assert "full of them" in error.message


def test_an_end_with_a_request_unread_is_the_packages_own(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = PEEKS.replace("return lambda crops: [0]", "return predict").replace(
        "def load",
        "def predict(crops):\n    import threading\n    threading.Timer(0.2, os._exit, (3,)).start()\n"
        "    return [0]\n\ndef load",
    )
    monkeypatch.setattr(Channel, "_unread", lambda _self: 0)

    def asked() -> None:
        with strong.session(leaves) as session:
            session.classify([CROP])
            time.sleep(0.6)
            session.classify([CROP])

    with pytest.raises(SubmissionError) as caught:
        asked()
    assert caught.value.kind == "crash"


FADVISED = (
    "import os\nwith open(__file__, 'rb') as file:\n    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)"
)
NOWAIT = "import os\nwith open(__file__, 'rb') as file:\n    os.preadv(file.fileno(), [bytearray(8)], 0, os.RWF_NOWAIT)"


@pytest.mark.parametrize("code", [FADVISED, NOWAIT], ids=["fadvise", "preadv2"])
def test_the_page_cache_can_be_neither_set_nor_asked(code: str, strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    if strong.sandbox.level == "process":
        pytest.skip("a plain process has no filter")
    said = strong.tried(code)
    assert OPEN not in said
    assert "Operation not permitted" in said
    if strong.sandbox.level == "bwrap":
        monkeypatch.delitem(seccomp._DENIED, "fadvise64")
        monkeypatch.delitem(seccomp._DENIED, "preadv2")
        assert "Operation not permitted" not in strong.tried(code)


WHERE = "import os\n" + PREDICT.replace(
    "return", "os.write(2, f'inode {os.stat(\"predict.py\").st_ino}\\n'.encode()); return"
)


def test_every_pass_has_a_copy_of_its_own(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def folders() -> int:
        """Of how many files predict.py the passes' workers said that they ran."""
        seen.clear()
        court.judge(WHERE, passes=3)
        assert len(seen) == 3
        return len(set(seen))

    ended = Session.__exit__

    def watched(self: Session, *error: object) -> None:
        ended(self, *error)  # type: ignore[arg-type]
        seen.extend(line for line in self.log().splitlines() if line.startswith("inode"))

    monkeypatch.setattr(Session, "__exit__", watched)
    kept: list[object] = []
    monkeypatch.setattr(scratch, "remove", kept.append)  # else a number may be given again
    assert folders() == 3
    monkeypatch.setattr(bench, "fresh", contextlib.nullcontext)
    assert folders() == 1


def test_a_package_that_is_faster_once_it_has_seen_the_crops_is_flagged() -> None:
    raw, rules = make_raw(passes=6), make_rules()
    assert "faster_later" not in derive(raw, rules).flags
    later = [
        msgspec.structs.replace(one, submission_ns=tuple(ns * 7 // 10 for ns in one.submission_ns))
        for one in raw.passes[1:]
    ]
    quick = msgspec.structs.replace(raw, passes=(raw.passes[0], *later))
    assert "faster_later" in derive(quick, rules).flags
    both = [
        msgspec.structs.replace(one, baseline_ns=tuple(ns * 7 // 10 for ns in one.baseline_ns)) for one in later
    ]  # a machine that became faster is no sign
    assert "faster_later" not in derive(msgspec.structs.replace(raw, passes=(raw.passes[0], *both)), rules).flags


LATE_HOARD = """
import os, threading, time

def load(device):
    def hoard():
        time.sleep(0.3)
        files = [os.memfd_create("x") for _ in range(5)]  # each below the limit of a file
        for file in files:
            os.write(file, b"x" * (100 << 20))
        time.sleep(60)

    def predict(crops):
        threading.Thread(target=hoard, daemon=True).start()
        return [0]
    return predict
"""


def test_memory_that_is_taken_after_an_answer_is_the_takers(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    held = strong.with_limits(memory_mb=400)

    def turns() -> None:
        with held.session(LATE_HOARD) as session:
            session.classify([CROP])
            time.sleep(2.0)
            session.freeze()

    with pytest.raises(SubmissionError) as caught:
        turns()
    assert caught.value.kind == "memory"
    monkeypatch.setattr(Session, "_look", lambda _self: None)
    turns()


def test_shared_memory_of_others_is_never_a_trusted_packages(strong: Cell) -> None:
    with strong.session(PREDICT) as session:
        file = os.memfd_create("of somebody else")
        try:
            os.write(file, b"x" * (64 << 20))
            limit = 1 << 40
            alone = session._started.usage(limit, 100, 100, trusted=True).memory
            assert session._started.usage(limit, 100, 100, trusted=False).memory >= alone
            assert alone < (64 << 20) + (512 << 20)
        finally:
            os.close(file)


DEEP = """
import os
os.chdir(os.environ["TMPDIR"])
for _ in range(1500):
    os.mkdir("d")
    os.chdir("d")
"""
SHUT = """
import os
os.chdir(os.environ["TMPDIR"])
os.makedirs("a/b/c")
open("a/b/c/file", "w").close()
os.chmod("a/b", 0)
"""


@pytest.mark.parametrize("code", [DEEP, SHUT], ids=["deep", "shut"])
def test_a_scratch_of_any_shape_is_removed(code: str, cell: Cell) -> None:
    said = cell.tried(code)  # Cell.session looks for what is left
    assert OPEN in said or "files in its scratch" in said  # a slow machine looks while the folders are made
    top = scratch.folder("test")
    here = os.getcwd()
    try:
        os.environ["TMPDIR"], before = str(top), os.environ.get("TMPDIR")
        exec(code, {})
    finally:
        os.chdir(here)
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)
    scratch.remove(top)
    assert not top.exists()


UNLINKED = """
import os, mmap, time
kept = []
for n in range(3):
    name = os.environ["TMPDIR"] + f"/{n}"
    file = os.open(name, os.O_RDWR | os.O_CREAT)
    for _ in range(4):
        os.write(file, b"x" * (5 << 20))
    kept.append(mmap.mmap(file, 20 << 20))
    os.unlink(name)
    if n % 2:
        os.close(file)
time.sleep(0.8)
"""


def test_files_without_a_name_are_counted(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = cell.with_limits(scratch_mb=30)
    assert OPEN not in tight.tried(UNLINKED)
    if cell.sandbox.level != "bwrap":  # there it is a file system of that size
        monkeypatch.setattr(processes, "unlinked", lambda _pid, _folder: 0)
        assert OPEN in tight.tried(UNLINKED)


def test_long_paths_hide_no_files(cell: Cell) -> None:
    if cell.sandbox.level == "bwrap":
        pytest.skip("a file system of its own is counted as a whole")
    code = DEEP + "import time\ntime.sleep(0.8)"
    assert "files in its scratch" in cell.tried(code)


def test_dev_is_no_scratch_without_a_limit(strong: Cell) -> None:
    if strong.sandbox.level == "process":
        pytest.skip("a plain process sees the machine's /dev")
    assert OPEN not in strong.tried("open('/dev/hoard', 'w').write('x')")
    assert OPEN in strong.tried("open('/dev/null', 'w').write('x')\nopen('/dev/urandom', 'rb').read(8)")


def test_a_requirement_without_end_is_refused() -> None:
    deep = "x; " + "(" * 2000 + "python_version>'3'" + ")" * 2000
    with pytest.raises(HarnessError, match="requires: expected at most 200 characters"):
        parse(f'name = "x"\nrequires = ["{deep}"]'.encode(), "submission.toml")


def test_the_sweep_takes_a_home_whose_judge_left_a_deep_folder(tmp_path: Path) -> None:
    home = tmp_path / "harness-dead"
    (home / "scratch").mkdir(parents=True)
    (home / "lock").touch()
    here = os.getcwd()
    os.chdir(home / "scratch")
    try:
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    scratch._sweep(tmp_path)
    assert not home.exists()
