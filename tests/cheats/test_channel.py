"""What a submission does to the wire. The control: with the one check taken out, the cheat goes through."""

import fcntl
import mmap
import os
import time

import numpy as np
import pytest

from harness.errors import SubmissionError
from harness.judge import channel
from harness.judge.channel import Channel
from harness.judge.clock import RealClock
from harness.wire import Kind, Message, pack
from tests.cells import CROP, OPEN, Cell, answering

# A submission can find every object of its process: the worker's end of the channel is its to use.
GRAB = """
import gc, threading, time
import numpy as np
from harness.wire import Kind, Message, pack, unpack
channel = next(o for o in gc.get_objects() if type(o).__name__ == "Channel")
"""


def cheat(body: str, above: str = "") -> str:
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return f"{GRAB}\n{above}\ndef load(device):\n    def predict(crops):\n{lines}\n    return predict\n"


SENDS = {
    "an answer to another request": (
        "channel.send(Message(Kind.LABELS, 7, 1))\ntime.sleep(0.05)\nreturn [0]",
        "expected the answer to this request",
    ),
    "two answers": (
        "send = channel.send\ndef twice(m):\n    send(m)\n    send(m)\nchannel.send = twice\nreturn [0]",
        "",  # the second comes before the next request or in the place of its answer
    ),
    "an answer of more labels than crops": (
        "channel.send = lambda m: type(channel).send(channel, Message(m.kind, m.nonce, 2))\nreturn [0]",
        "expected 1 labels, got LABELS of 2",
    ),
    "a message of another kind": (
        "channel.send = lambda m: type(channel).send(channel, Message(Kind.READY, m.nonce, 1))\nreturn [0]",
        "expected 1 labels, got READY",
    ),
    "a kind that there is not": (
        "channel.socket.send(pack(Message(99, 0)))\ntime.sleep(0.05)\nreturn [0]",
        "99 is not a valid Kind",
    ),
    "too few bytes": ("channel.socket.send(b'HRN1')\ntime.sleep(0.05)\nreturn [0]", "expected 32 bytes, got 4"),
    "too many bytes": (
        "channel.socket.send(b'x' * 60_000)\ntime.sleep(0.05)\nreturn [0]",
        "expected 32 bytes, got 33",
    ),
    "no message at all": ("channel.socket.send(b'')\ntime.sleep(0.05)\nreturn [0]", "got an empty one"),
    "a failure of no reason": (
        "channel.send = lambda m: type(channel).send(channel, Message(Kind.FAILED, m.nonce, 9, 77))\nreturn [0]",
        "a failure that the protocol does not know",
    ),
    "a text of a size that cannot be": (
        "channel.send = lambda m: type(channel).send(channel, Message(Kind.FAILED, m.nonce, -2**62, 4))\nreturn [0]",
        "predict raised",
    ),
    "a hundred messages ahead": (
        "for n in range(100):\n    channel.socket.setblocking(False)\n    try:\n"
        "        channel.send(Message(Kind.LABELS, n, 1))\n    except OSError:\n        break\n"
        "time.sleep(0.05)\nreturn [0]",
        "expected the answer to this request",
    ),
}


@pytest.mark.parametrize("name", SENDS)
def test_what_nobody_asked_for_ends_the_run(name: str, strong: Cell) -> None:
    body, says = SENDS[name]
    error = strong.error(cheat(body))
    assert isinstance(error, SubmissionError)
    assert error.kind in ("protocol", "crash", "predict_raised")
    assert says in error.message


def without_quiet(self: Channel) -> None:
    """No look at what came unasked or was changed."""


def test_an_answer_that_is_changed_afterwards(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    source = cheat(
        "threading.Thread(target=later).start()\nreturn [0]",
        "def later():\n    time.sleep(0.02)\n    channel.labels[0] = 1",
    )

    def asked() -> None:
        with strong.session(source) as session:
            session.classify([CROP])
            time.sleep(0.1)
            session.classify([CROP])

    with pytest.raises(SubmissionError) as caught:
        asked()
    assert caught.value.kind == "late_write"
    monkeypatch.setattr(Channel, "_check_quiet", without_quiet)
    asked()


def test_an_answer_without_a_label_is_poison_not_the_last_one(strong: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It skips the writing: without the poison its last answer would count again."""
    lazy = cheat(
        "if done:\n    channel.labels = np.empty(1024, np.int64)\ndone.append(1)\nreturn [3]",
        "done = []",
    )
    error = strong.error(lazy)
    assert error is not None
    assert error.kind == "out_of_range"
    monkeypatch.setattr(channel, "POISON", 3)  # any label that counts
    assert strong.error(lazy) is None


def test_a_clock_of_its_own_changes_nothing(strong: Cell) -> None:
    source = answering(
        "slept(0.004) or [0]",
        "import time\nslept = time.sleep\nfor n in dir(time):\n    if 'time' in n and callable(getattr(time, n)):\n"
        "        try:\n            setattr(time, n, lambda *a: 0)\n        except TypeError:\n            pass",
    )
    with strong.session(source) as session:
        times = [session.classify([CROP]).elapsed_ns for _ in range(10)]
    assert min(times) > 4_000_000


@pytest.mark.parametrize("early", [False, True])
def test_the_next_crop_cannot_be_seen_before_the_clock_runs(
    early: bool, strong: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread looks at the shared pixels all the time and answers with when it saw them change (us, one clock)."""
    source = f"""{GRAB}
from time import perf_counter_ns
size = len(channel.pixels)
seen = [0]
def look():
    old = bytes(channel.pixels[24576:24584])
    while True:
        new = bytes(channel.pixels[24576:24584])
        if new != old:
            old, seen[0] = new, perf_counter_ns()
def load(device):
    threading.Thread(target=look, daemon=True).start()
    def predict(crops):
        time.sleep(0.01)
        raise RuntimeError(str(seen[0]))
    return predict
"""
    starts: list[int] = []

    class Marked(RealClock):
        def now_ns(self) -> int:
            starts.append(super().now_ns())
            return starts[-1]

    stage = Channel._stage

    def staged_in_sight(self: Channel, crops: object) -> int:
        end = stage(self, crops)  # type: ignore[arg-type]
        self._bytes[:end] = self._staging[:end]
        time.sleep(0.05)
        return end

    if early:
        monkeypatch.setattr(Channel, "_stage", staged_in_sight)
    with strong.session(source) as session:
        session._channel._clock = Marked()
        with pytest.raises(SubmissionError) as caught:
            session.classify([np.full((8, 8, 3), 77, np.uint8)])
    moment = int(caught.value.message.split("RuntimeError: ")[1].split()[0])
    assert moment > 0, "it saw the crop"
    assert (moment < starts[0]) == early


def test_the_buffers_cannot_be_cut_or_grown_or_written_by_the_worker() -> None:
    """A buffer that shrinks under a reader kills it with SIGBUS."""
    made = Channel(1 << 16, RealClock(), lambda: None)
    _, pixels, output = made.descriptors
    for fd in (pixels, output):
        for size in (0, 1 << 22):
            with pytest.raises(PermissionError):
                os.ftruncate(fd, size)
        with pytest.raises(PermissionError):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    with pytest.raises(PermissionError):
        mmap.mmap(pixels, 1 << 16, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    made.opened()
    made.close()
    unsealed = os.memfd_create("control")
    os.ftruncate(unsealed, 1 << 16)
    os.ftruncate(unsealed, 0)
    os.close(unsealed)


def test_pixels_stay_read_only_whatever_the_worker_asks_of_the_kernel(strong: Cell) -> None:
    code = f"""{GRAB}
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
at = channel.rows.ctypes.data
if libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 3):
    raise OSError(ctypes.get_errno(), "mprotect")
"""
    said = strong.tried(code)
    assert OPEN not in said
    assert "Errno 13" in said


def test_a_judge_that_trusted_a_label_would_index_with_it(strong: Cell) -> None:
    for label in (6, -1, 2**62, -(2**63)):
        error = strong.error(cheat(f"return [{label}]"))
        assert error is not None
        assert error.kind == "out_of_range"


def answer_slowly(seconds: float) -> str:
    return answering(f"time.sleep({seconds}) or [0]", "import time")


def test_deadlines_hold_for_the_whole_answer(strong: Cell) -> None:
    begun = time.monotonic()
    error = strong.with_limits(answer_s=0.5).error(answer_slowly(30))
    assert error is not None
    assert (error.kind, error.exit_code) == ("predict_timeout", 5)
    assert time.monotonic() - begun < 5
    assert strong.with_limits(answer_s=2.0).error(answer_slowly(0.6), crops=2) is None


def test_every_message_of_the_judge_has_a_nonce_of_its_own() -> None:
    made = Channel(1 << 16, RealClock(), lambda: None)
    nonces = {made.request(Kind.LOAD) for _ in range(50)}
    made.opened()
    made.close()
    assert len(nonces) == 50
    assert pack(Message(Kind.LOAD, 2**64 - 1))
